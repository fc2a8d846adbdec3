"""The review queue on disk: who gets which question, and what became of it."""

import pytest

from router.control.reviews.book import (
    KEEP_S,
    NoSuchItem,
    NotYours,
    Opinion,
    ReviewBook,
    ReviewCounts,
)
from router.core.wire.review import ReviewItem

YES, NO = Opinion("true", b"y", False), Opinion("false", b"n", True)


def question(name, route="r", reason="unsure"):
    return ReviewItem(name, route, "v2", 1, f"q-{name}", reason, 0.6, 100.0, (True,), b"{}")


@pytest.fixture
def book(tmp_path):
    made = ReviewBook(tmp_path / "reviews")
    yield made
    made.close()


def add(book, *names, needs=1, most=100, due=1e9, **about):
    return book.add([(question(name, **about), due, needs, most) for name in names])


def claimed(book, by, count=10, now=100.0):
    return [one.item.id for one in book.claim(by, ["r"], count, now, {"r": 60.0})]


def test_nobody_gets_what_somebody_has(book):
    add(book, "a", "b", "c")
    assert claimed(book, "ann", 2) == ["a", "b"]
    assert claimed(book, "bob") == ["c"]
    assert claimed(book, "ann", 1) == ["a"], "hers once more"
    assert claimed(book, "bob", now=161.0) == ["a", "b", "c"], "leases are over"
    with pytest.raises(NotYours, match="not yours"):
        book.answer("a", "ann", 161.0, YES)
    book.release("a", "bob", 161.0)
    assert claimed(book, "ann", now=161.0) == ["a"]
    with pytest.raises(NoSuchItem):
        book.held("z", "ann", 100.0)


def test_beyond_what_may_be_open_none_is_kept_and_a_restart_knows_that(book, tmp_path):
    assert add(book, "a", "b", "c", most=2) == [True, True, False]
    book.close()
    again = ReviewBook(tmp_path / "reviews")
    assert add(again, "d", most=2) == [False]
    claimed(again, "ann")
    again.answer("a", "ann", 101.0, YES)
    assert add(again, "d", most=2) == [True]
    assert [one.item.id for one in again.expire(2e9, 10)] == ["b", "d"]
    assert add(again, "e", "f", "g", most=2) == [True, True, False]
    again.close()


def test_two_who_differ_are_decided_by_a_third(book):
    add(book, "a", needs=2)
    for by, said, state in (("ann", YES, "open"), ("bob", NO, "open"), ("eve", NO, "decided")):
        assert claimed(book, by) == ["a"]
        assert book.answer("a", by, 100.0, said).state == state
        assert claimed(book, by) == [], "nobody answers twice"
    told = book.standing(100.0)["r"]
    assert told.versions["v2"]["unsure"] == ReviewCounts(decided=1, overruled=1, expired=0)
    assert told.pairs == {("true", "false"): 1}
    assert book.look("a") == ("decided", b"n", "r")
    assert book.look("z")[0] == "unknown"


def test_what_was_decided_is_told_once_and_then_forgotten(book):
    add(book, "a")
    claimed(book, "ann")
    book.answer("a", "ann", 100.0, YES)
    assert [one.verdict for one in book.untold(9)] == ["true"]
    book.prune(1e9, 10)
    assert book.look("a")[0] == "decided", "nobody was told yet"
    book.done("told", ["a"])
    book.done("sent", ["a"])
    assert not book.untold(9)
    assert not book.unsent(9)
    assert book.prune(1e9, 10) == 0
    assert book.look("a")[0] == "unknown"


def test_a_webhook_that_takes_nothing_holds_up_no_other_route_and_fills_no_disk(book):
    add(book, "a", "b", route="dead")
    add(book, "c", route="fine")
    book.expire(2e9, 10)
    assert [one.item.id for one in book.unsent(9)] == ["a", "b", "c"]
    assert [one.item.id for one in book.unsent(9, ["dead"])] == ["c"]
    book.done("told", "abc")
    book.done("sent", "c")
    assert book.prune(2e9, 10) == 0, "not before a day is over"
    assert book.prune(2e9 + KEEP_S + 1, 10) == 2
    assert [book.look(one)[0] for one in "abc"] == ["unknown"] * 3
    book.prune(1e9, 10)
    assert book.look("a")[0] == "unknown"


def test_what_a_copy_said_is_put_beside_the_question_of_people(book):
    add(book, "a", reason="person")
    book.attach([("model", "[false]", "r", "q-a")])
    assert book.claim("ann", ["r"], 1, 100.0, {"r": 9.0})[0].item.labels == (False,)
    book.answer("a", "ann", 100.0, NO)
    assert list(book.standing(0)["r"].versions) == ["model"]
