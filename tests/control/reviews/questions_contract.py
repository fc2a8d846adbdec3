"""What every place for questions does, a file or a database: the same tests for each of them.

Whoever inherits has a fixture ``opened``: ``await opened()`` is one over the same questions; a file
has one at once.
"""

import pytest

from router.control.reviews import book
from router.control.reviews.book import (
    KEEP_S,
    NoSuchItem,
    NotYours,
    Opinion,
    ReviewCounts,
)
from router.core.reviews.agreement import kappa
from router.core.wire.review import ReviewItem

YES, NO = Opinion("true", b"y", False), Opinion("false", b"n", True)


def question(name, route="r", reason="unsure"):
    return ReviewItem(name, route, "v2", 1, f"q-{name}", reason, 0.6, 100.0, (True,), b"{}", b"m")


async def add(kept, *names, needs=1, most=100, due=1e9, **about):
    return await kept.add([(question(name, **about), due, needs, most) for name in names])


async def claimed(kept, by, count=10, now=100.0):
    return [one.item.id for one in await kept.claim(by, ["r"], count, now, {"r": 60.0})]


async def said(kept, item, by, opinion, now=100.0):
    return (await kept.answer(item, by, now, lambda _kept: opinion)).state


async def stands(kept, *items):
    return [state for state, _, _ in await kept.look(items)]


class QuestionsContract:
    async def test_nobody_gets_what_somebody_has(self, opened):
        kept = await opened()
        await add(kept, "a", "b", "c")
        assert await claimed(kept, "ann", 2) == ["a", "b"]
        assert await claimed(kept, "bob") == ["c"]
        assert await claimed(kept, "ann", 1) == ["a"], "hers once more"
        assert await claimed(kept, "bob", now=161.0) == ["a", "b", "c"], "leases are over"
        with pytest.raises(NotYours, match="not yours"):
            await said(kept, "a", "ann", YES, now=161.0)
        with pytest.raises(NotYours, match="not yours"):
            await kept.release("a", "ann", 161.0)
        await kept.release("a", "bob", 161.0)
        assert await claimed(kept, "ann", now=161.0) == ["a"]
        for nonsense in ("z", "\0"):
            with pytest.raises(NoSuchItem):
                await said(kept, nonsense, "ann", YES)

    async def test_what_is_given_is_what_was_asked(self, opened):
        kept = await opened()
        await add(kept, "a")
        (one,) = await kept.claim("ann", ["r"], 1, 100.0, {"r": 60.0})
        assert one.item == question("a")
        assert (one.due, one.state, one.lease) == (1e9, "open", 160.0)

    async def test_beyond_what_may_be_open_none_is_kept_and_a_restart_knows_that(self, opened):
        kept = await opened()
        assert await add(kept, "a", "b", "c", most=2) == [True, True, False]
        await kept.close()
        again = await opened()
        assert await add(again, "d", most=2) == [False]
        await claimed(again, "ann")
        await said(again, "a", "ann", YES)
        assert await add(again, "d", most=2) == [True]
        assert [one.item.id for one in await again.expire(2e9, 10)] == ["b", "d"]
        assert await add(again, "e", "f", "g", most=2) == [True, True, False]

    async def test_two_who_differ_are_decided_by_a_third(self, opened):
        kept = await opened()
        await add(kept, "a", needs=2)
        for by, opinion, state in (
            ("ann", YES, "open"), ("bob", NO, "open"), ("eve", NO, "decided"),
        ):  # fmt: skip
            assert await claimed(kept, by) == ["a"]
            assert await said(kept, "a", by, opinion) == state
            assert await claimed(kept, by) == [], "nobody answers twice"
        with pytest.raises(NotYours, match="decided already"):
            await said(kept, "a", "eve", YES)
        told = (await kept.standing(100.0))["r"]
        assert told.versions["v2"]["unsure"] == ReviewCounts(decided=1, overruled=1, expired=0)
        assert told.pairs == {("true", "false"): 1}
        assert await kept.look(["a", "z", "\0"]) == [
            ("decided", b"n", "r"), ("unknown", b"", ""), ("unknown", b"", ""),
        ]  # fmt: skip

    async def test_two_who_agree_need_no_third(self, opened):
        kept = await opened()
        await add(kept, "a", needs=2)
        for by, state in (("ann", "open"), ("bob", "decided")):
            assert await claimed(kept, by) == ["a"]
            assert await said(kept, "a", by, YES) == state
        assert (await kept.standing(100.0))["r"].pairs == {("true", "true"): 1}

    async def test_pairs_of_answers_are_kept_up_to_a_bound_and_counted_beyond(
        self, opened, monkeypatch
    ):
        monkeypatch.setattr(book, "PAIRS_MAX", 2)
        kept = await opened()
        for n, (first, second) in enumerate([(1, 1), (1, 2), (3, 3), (1, 2), (3, 3), (4, 5)]):
            await add(kept, f"q{n}", needs=2)
            for by, number in (("ann", first), ("bob", second)):
                assert await claimed(kept, by) == [f"q{n}"]
                await said(kept, f"q{n}", by, Opinion(f"[{number}]", b"x", None))
            if first != second:
                await claimed(kept, "eve")
                await said(kept, f"q{n}", "eve", Opinion(f"[{second}]", b"x", None))
        told = (await kept.standing(100.0))["r"].pairs
        assert told == {
            ("[1]", "[1]"): 1, ("[1]", "[2]"): 2, ("others", "others"): 2,
            ("others", "others that differ"): 1,
        }  # fmt: skip
        assert kappa(told) == pytest.approx(1 / 3), "half of them agree, a quarter by chance"

    async def test_how_the_queue_stands(self, opened):
        kept = await opened()
        await add(kept, "a", "b")
        await claimed(kept, "ann", 1)
        told = (await kept.standing(100.0))["r"]
        assert (told.open, told.claimed, told.oldest) == (2, 1, 100.0)
        assert await kept.look(["b"]) == [("open", b"m", "r")]
        fresh = await kept.fresh(lambda: [question("a"), question("c")])
        assert [one.id for one in fresh] == ["c"], "of the other request people are asked"

    async def test_what_was_decided_is_told_once_and_then_forgotten(self, opened):
        kept = await opened()
        await add(kept, "a")
        await claimed(kept, "ann")
        await said(kept, "a", "ann", YES)
        assert [one.verdict for one in await kept.untold(9)] == ["true"]
        await kept.prune(1e9, 10)
        assert await stands(kept, "a") == ["decided"], "nobody was told yet"
        await kept.done("told", ["a"])
        await kept.done("sent", ["a"])
        assert not await kept.untold(9)
        assert not await kept.unsent(9, ())
        assert await kept.prune(1e9, 10) == 0
        assert await stands(kept, "a") == ["unknown"]

    async def test_a_webhook_that_takes_nothing_holds_up_no_other_route_and_fills_no_disk(
        self, opened
    ):
        kept = await opened()
        await add(kept, "a", "b", route="dead")
        await add(kept, "c", route="fine")
        await kept.expire(2e9, 10)
        assert {one.item.id for one in await kept.unsent(9, ())} == {"a", "b", "c"}
        assert [one.item.id for one in await kept.unsent(9, ["dead"])] == ["c"]
        await kept.done("told", "abc")
        await kept.done("sent", "c")
        assert await kept.prune(2e9, 10) == 0, "not before a day is over"
        assert await kept.prune(2e9 + KEEP_S + 1, 10) == 2
        assert await stands(kept, "a", "b", "c") == ["unknown"] * 3

    async def test_what_a_copy_said_is_put_beside_the_question_of_people(self, opened):
        kept = await opened()
        await add(kept, "a", reason="person")
        await kept.attach(lambda: [("model", "[false]", "r", "q-a")])
        (one,) = await kept.claim("ann", ["r"], 1, 100.0, {"r": 9.0})
        assert (one.item.labels, one.item.version) == ((False,), "model")
        await said(kept, "a", "ann", NO)
        assert list((await kept.standing(0))["r"].versions) == ["model"]
