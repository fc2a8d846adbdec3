"""A log is read once for all who look, and not more often than it can bear."""

import asyncio
import json
from types import SimpleNamespace

import pytest

from router.control.predictions.performed import KEPT_S, REST, Performed
from router.control.state.errors import LogUnreadable

NOTHING = {
    "since": 0.0, "until": 1.0, "whole": True, "read": 0, "at": [], "versions": {}, "segments": [],
    "inputs": {},
}  # fmt: skip


class Clock:
    """Told by the test."""

    def __init__(self):
        self.s = 100.0

    def now(self):
        return self.s

    def wall(self):
        return 1e9 + self.s


@pytest.fixture
def desk(monkeypatch):
    """Answers of a log, with how often it was read; a reading takes a second."""
    clock = Clock()
    log = SimpleNamespace(file="log.db", keeps=lambda route: route != "bare")
    made = Performed(clock, log)
    made.readings, made.said, made.clock = 0, json.dumps(NOTHING).encode(), clock

    async def read(_place, _route, _span_s):
        await asyncio.sleep(0)
        made.readings += 1
        clock.s += 1.0
        return made.said

    monkeypatch.setattr(made, "_read", read)
    return made


async def test_ten_people_cost_one_reading_and_it_rests(desk):
    answers = await asyncio.gather(*(desk.of("flights", 60.0) for _ in range(10)))
    assert desk.readings == 1
    assert all(one == answers[0] for one in answers)
    assert (answers[0].route, answers[0].file, answers[0].took_s) == ("flights", "log.db", 1.0)
    desk.clock.s += REST - 0.1
    assert REST > KEPT_S
    await desk.of("flights", 60.0)
    assert desk.readings == 1
    desk.clock.s += 0.2
    await desk.of("flights", 60.0)
    await desk.of("flights", 3600.0)
    assert desk.readings == 3


async def test_what_cannot_be_read_says_why(desk):
    with pytest.raises(LogUnreadable, match="bare keeps no predictions"):
        await desk.of("bare", 60.0)
    for said, why in ((b'{"error": "no such table"}', "no such table"), (b"", "without an answer")):
        desk.said = said
        with pytest.raises(LogUnreadable, match=why):
            await desk.of("flights", 60.0)
