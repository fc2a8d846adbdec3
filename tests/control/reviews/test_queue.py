"""Anybody may look at a question again, and any webhook may hang: neither holds up the rest."""

import sqlite3
from collections import Counter
from types import SimpleNamespace

import pytest

from router.control.reviews import inbox, queue
from router.control.reviews.book import ReviewBook
from router.control.reviews.questions import FileQuestions
from router.core.wire.review import ReviewItem
from router.link.messages import LookAgain
from router.loops import BOOKS
from tests.proxy.rig import until

OVER = 7


class Counted:
    def __init__(self):
        self.seen = Counter()

    def count(self, name, series, number):
        self.seen[name, series] += number


@pytest.fixture
async def reviews(tmp_path):
    review = SimpleNamespace(webhook=None, otherwise="nothing", within=9.0, second=0, open=9)
    runs = {
        name: SimpleNamespace(route=SimpleNamespace(name=name, review=review))
        for name in ("dead", "fine")
    }
    clock = SimpleNamespace(wall=lambda: 100.0)
    keeps = SimpleNamespace(keeps=lambda _route: False)
    kept = FileQuestions(tmp_path / "r")
    made = queue.Reviews(SimpleNamespace(runs=runs), keeps, clock, Counted(), kept)
    yield made
    await made.close()


async def test_a_flood_of_looks_is_bounded_and_asks_the_disk_some_at_a_time(reviews, monkeypatch):
    jobs, told = [], []
    kept = reviews.inbox.questions
    look = kept.look

    def counted(items):
        jobs.append(1)
        return look(items)

    monkeypatch.setattr(kept, "look", counted)
    for number in range(inbox.LOOKS_MAX + OVER):
        reviews.inbox.asked(LookAgain(f"?{number}", "0" * 32), told.append)
    assert [one.settled[0].state for one in told] == ["full"] * OVER
    await until(lambda: len(told) == inbox.LOOKS_MAX + OVER)
    assert {one.settled[0].state for one in told[OVER:]} == {"unknown"}
    assert len(jobs) == inbox.LOOKS_MAX // inbox.LOOKS_TOGETHER
    reviews.inbox.asked(LookAgain("?again", "0" * 32), told.append)
    await until(lambda: told[-1].settled[0].ref == "?again")


async def test_outcomes_of_other_routes_pass_one_whose_webhook_refuses(reviews, monkeypatch):
    asked = []

    async def sent(kept):
        asked.append(kept.item.route)
        return kept.item.route == "fine"

    monkeypatch.setattr(reviews, "_sent", sent)
    rows = [
        (ReviewItem(f"{n}", route, "v2", 1, f"q{n}", "unsure", 0.5, 1.0), 2.0, 1, 100)
        for n, route in enumerate(["dead", "dead", "fine", "dead"])
    ]
    await reviews.inbox.kept.add(rows)
    await reviews.turn()
    await until(lambda: not reviews._sending)
    assert asked == ["dead", "fine"]
    await reviews.turn()
    await until(lambda: not reviews._sending)
    assert asked == ["dead", "fine"], "the one rests, the other is through"


async def test_a_disk_that_takes_nothing_is_told_once_and_stops_no_loop(reviews, monkeypatch):
    BOOKS.failures.clear()
    monkeypatch.setattr(queue, "TURN_S", 0.0)
    monkeypatch.setattr(ReviewBook, "expire", _full)
    for _ in range(3):
        await reviews.turn()
    assert reviews.troubles() == ["the review queue: database or disk is full"]
    monkeypatch.undo()
    await reviews.turn()
    assert reviews.troubles() == []
    assert not BOOKS.failures


def _full(*_):
    raise sqlite3.OperationalError("database or disk is full")
