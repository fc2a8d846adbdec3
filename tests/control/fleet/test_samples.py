"""Sampled requests through the reader: what is found reaches the gates, what is lost is counted."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from router.control.fleet.samples import (
    AHEAD_BYTES,
    AHEAD_SAMPLES,
    ENTER_AT_ONCE,
    QUEUE_BYTES_MAX,
    QUEUE_SAMPLES_MAX,
    Samples,
)
from router.core.wire.outcomes import ArmCounts, Batch, Cell
from router.core.wire.sampled import Sampled
from router.link.reading import Enter, Look
from router.loops import BOOKS
from tests.control.inline_reader import InlineReader

READ = "predictions: {label: y, classes: [0, 1], features: [carrier]}"
GATES = "[error_rate, nulls: {by: {feature: carrier}}]"


def sampled(policy, *, gates=GATES, predictions=READ):
    text = re.sub(r"gates: .*", f"gates: {gates}", policy())
    return text.replace("match:", f"payload: json\n    {predictions}\n    match:")


class Bench:
    """The queue over a control plane in virtual time."""

    def __init__(self, world):
        self.world = world
        self.counted = Counter()
        reconciler = world.reconciler
        self.reader = InlineReader()
        self.samples = Samples(lambda: reconciler.runs, reconciler.observe, self.count, self.reader)
        self.slice = 0

    def count(self, route, version, result, number):
        self.counted[result] += number

    def drawn(self, candidate, answer=None, *, status=200, route="r", **more):
        """One sample, and its slice's cell to the decider."""
        self.slice += 1
        arms = ArmCounts(ok=1, arrived=1, sampled=1), ArmCounts()
        cell = Cell(5_000, *(arms if candidate else arms[::-1]), source=0, slice=self.slice)
        revision = self.world.record.revision
        self.world.reconciler.observe((Batch(route, revision, (cell,)),))
        return Sampled(
            route, "v2" if candidate else "v1", revision,
            "candidate" if candidate else "stable", "c" if candidate else "s", 5_000, 0,
            self.slice, counted=True, status=status, request=b'{"carrier": "UA"}',
            answer=json.dumps({"y": 1} if answer is None else answer).encode(), **more,
        )  # fmt: skip

    async def take(self, *samples):
        self.samples.put(samples)
        while self.reader.pump():
            pass
        await self.world.settle()

    @property
    def gate(self):
        return self.world.reconciler.runs["r"].trial.judge.states["nulls"]


@pytest.fixture
async def bench(world, policy):
    async def make(**settings):
        return Bench(await world(sampled(policy, **settings)).start())

    return make


async def test_faults_take_it_back_and_say_so(bench):
    b = await bench()
    for _ in range(12):
        await b.take(b.drawn(False), b.drawn(True, {"y": None}))
    assert b.world.rollout.phase.value == "rolled_back"
    assert "null" in b.world.rollout.reason
    assert b.world.rollout.reason.startswith("nulls: ")


async def test_the_segments_of_the_request_come_with_the_facts(bench):
    b = await bench()
    await b.take(b.drawn(False), b.drawn(True))
    assert b.gate.names.names == ["UA"]
    assert b.gate.parts[0].candidate.total == 1


async def test_each_result_is_counted(bench):
    b = await bench()
    odd = b.drawn(True)
    await b.take(
        b.drawn(False), b.drawn(True, status=500),
        Sampled(**{**_fields(odd), "answer": b"no json"}),
        b.drawn(False, cut="body"),
    )  # fmt: skip
    assert b.counted == {"read": 1, "none": 1, "unreadable": 1, "lost": 1}
    assert b.gate.lost == 1


def _fields(sample):
    return {name: getattr(sample, name) for name in Sampled.__dataclass_fields__}


async def test_what_a_reader_had_when_it_ended_is_lost_and_the_rest_waits(bench):
    b = await bench()
    b.samples.put([b.drawn(n % 2 == 0) for n in range(AHEAD_SAMPLES + 10)])
    assert "10 wait" in repr(b.samples)
    b.reader.die()
    assert b.counted == {"lost": AHEAD_SAMPLES}
    b.reader.rise()
    await b.take()
    assert b.counted == {"lost": AHEAD_SAMPLES, "read": 10}
    assert "0 wait" in repr(b.samples)


async def test_a_flood_is_lost_and_counted_and_not_queued(bench):
    b = await bench()
    b.reader.up = False
    b.samples.put([b.drawn(True)] * (QUEUE_SAMPLES_MAX // 2 + 3))
    assert b.counted == {"lost": 3}
    assert f"{QUEUE_SAMPLES_MAX // 2} wait" in repr(b.samples)
    b = await bench()
    b.reader.up = False
    b.samples.put([b.drawn(True, "x" * (QUEUE_BYTES_MAX // 2))])
    assert b.counted == {"lost": 1}


async def test_an_unknown_route_is_lost(bench):
    b = await bench()
    await b.take(b.drawn(True, route="elsewhere"))
    assert b.counted == {"lost": 1}


async def test_a_reading_that_fails_is_our_bug_and_nobody_elses(bench, monkeypatch):
    b = await bench()
    monkeypatch.setattr("router.reader.process.looked", lambda *_: 1 / 0)
    await b.take(b.drawn(True))
    assert b.counted == {"lost": 1}
    assert BOOKS.take()["reader"] == 1


async def test_what_is_no_evidence_is_read_all_the_same(bench):
    b = await bench()
    await b.take(Sampled(**{**_fields(b.drawn(True)), "counted": False}))
    assert b.counted == {"read": 1}
    assert b.gate.candidate.total == 0


async def test_what_the_log_alone_has_goes_together_and_in_turn(bench):
    b = await bench()
    alone = {**_fields(b.drawn(True)), "read": False, "counted": False}
    b.samples.put([Sampled(**alone) for _ in range(ENTER_AT_ONCE + 8)] + [b.drawn(False)])
    sent = [message for message in b.reader.sent if isinstance(message, Enter | Look)]
    assert [len(one.samples) if isinstance(one, Enter) else 1 for one in sent] == [
        ENTER_AT_ONCE, 8, 1,
    ]  # fmt: skip
    while b.reader.pump():
        pass
    assert b.counted == {"logged": ENTER_AT_ONCE + 8, "read": 1}
    b.samples.put([Sampled(**alone)] * 3)
    b.reader.die()
    assert b.counted["lost"] == 3


async def test_a_sample_does_not_wait_for_the_next_one_behind_what_the_log_alone_has(bench):
    b = await bench()
    drawn = b.drawn(True)
    await b.take(drawn, Sampled(**{**_fields(drawn), "read": False, "counted": False}))
    assert b.counted == {"read": 1, "logged": 1}
    assert b.gate.candidate.total == 1


async def test_large_bodies_of_the_log_fit_into_messages(bench):
    b = await bench()
    large = {**_fields(b.drawn(True)), "read": False, "answer": b"x" * (AHEAD_BYTES // 2 + 1)}
    b.samples.put([Sampled(**large) for _ in range(3)])
    sent = [message for message in b.reader.sent if isinstance(message, Enter)]
    assert [len(one.samples) for one in sent] == [1]
    while b.reader.pump():
        pass
    assert b.counted == {"logged": 3}
