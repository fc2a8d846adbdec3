"""A worker without a word of control: what it takes back by itself, and what it never does."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace

import pytest

from router.core.evidence.ledger import Ledger
from router.core.policy import RolloutPolicy
from router.core.wire.outcomes import ArmCounts, Batch, Cell
from router.core.wire.table import (
    MatchEntry,
    MatchKind,
    RoutingTable,
    RuleEntry,
    ValueEntry,
    stable_only,
)
from router.link.messages import Amend, Beat, Lowered, Publish, ReportSoon
from router.proxy import alone as module
from router.proxy.alone import Alone
from router.proxy.plane import Listen
from router.proxy.worker import Worker
from tests.proxy.process import Process
from tests.proxy.rig import LIMITS, rollout, route, until, version
from tests.proxy.scripted import OK, Scripted, answers

BROKEN = b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"
POLICY = RolloutPolicy.model_validate(
    {"candidate": "v2", "strategy": {"canary": {"steps": [{"weight": "50%", "hold": "1h"}]}},
     "gates": ["error_rate"]}
)  # fmt: skip
JUDGE = POLICY.model_dump_json(exclude={"alerts"})


def half(stable, candidate, **fields):
    return rollout(stable, candidate, 5_000, judge=JUDGE, **fields)


async def ask(worker, count):
    """Versions that answered, one connection a request."""
    found = Counter()
    for _ in range(count):
        answer = await worker.ask(method="GET")
        found[answer.headers[b"x-rampway-version"].decode()] += 1
    return found


async def test_a_failing_candidate_is_taken_back_while_control_is_silent_and_told_when_it_is_back():
    async with (
        Scripted(answers(OK)) as stable,
        Scripted(answers(BROKEN)) as candidate,
        Process(half(stable, candidate)) as worker,
    ):
        worker.beating.cancel()
        began = time.monotonic()
        while len(await ask(worker, 20)) == 2:
            assert time.monotonic() - began < 30
        assert await ask(worker, 100) == {"v1": 100}
        assert not any(isinstance(message, Lowered) for message in worker.messages)
        worker.beating = asyncio.create_task(worker._beat())
        while not (told := [m for m in worker.messages if isinstance(m, Lowered)]):
            await asyncio.sleep(0.05)
        assert list(told[0].routes) == ["r"]
        assert told[0].routes["r"].startswith("error_rate: failed: candidate ")

        def bad():
            """All of them, which come with the reports behind that word."""
            ledger = Ledger()
            cells = [c for r in worker.reports for b in r.batches for c in b.cells]
            return sum(ledger.book(cell).candidate_bad for cell in cells)

        await until(lambda: bad() >= len(candidate.requests))
        assert bad() == len(candidate.requests)
        # Only the whole table brings it back: control has decided.
        assert await ask(worker, 20) == {"v1": 20}
        await worker.apply(half(stable, candidate))
        assert len(await ask(worker, 60)) == 2


async def test_a_good_candidate_keeps_its_share_until_control_silence_has_passed():
    async with (
        Scripted(answers(OK)) as stable,
        Scripted(answers(OK)) as candidate,
        Process(half(stable, candidate), limits=replace(LIMITS, control_silence_s=4.0)) as worker,
    ):
        worker.beating.cancel()
        began = time.monotonic()
        while time.monotonic() - began < 2.8:
            assert len(await ask(worker, 30)) == 2
        while len(await ask(worker, 20)) == 2:
            assert time.monotonic() - began < 30
        assert await ask(worker, 60) == {"v1": 60}


async def test_an_ended_control_process_is_a_silent_one():
    async with (
        Scripted(answers(OK)) as stable,
        Scripted(answers(BROKEN)) as candidate,
        Process(half(stable, candidate)) as worker,
    ):
        worker.link.close()
        began = time.monotonic()
        while len(await ask(worker, 20)) == 2:
            assert time.monotonic() - began < 30
        assert worker.child.returncode is None


# --- the parts ----------------------------------------------------------------------------------


def test_what_is_left_of_an_entry_is_stable_and_never_more_than_before():
    rule = RuleEntry(MatchEntry(headers=(ValueEntry("x-new", MatchKind.PRESENT),)), 1)
    entry = replace(
        route(version("v1"), version("v2"), version("v3"), version("v4")),
        candidate=1, weights_bp=(4_000, 5_000, 1_000, 0), rules=(rule, replace(rule, version=3)),
        pinnable=(0, 1, 2, 3),
    )  # fmt: skip
    left = stable_only(entry)
    assert left.weights_bp == (10_000, 0, 0, 0)
    assert left.rules == (replace(rule, version=3),)
    assert left.pinnable == (0, 3)
    done = replace(entry, candidate=-1)
    assert stable_only(done) is done


@pytest.fixture
def clock(monkeypatch):
    now = [1_000.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


@pytest.fixture
async def made(clock):
    tables = [RoutingTable(1, (half(None, None),), LIMITS)]
    lowered = []

    def lower(entry):
        lowered.append(entry)
        tables[0] = replace(tables[0], routes=(entry,))

    one = Alone(lambda: tables[0], lower)
    return one, lowered


async def silent(one, clock, seconds):
    """Let control be silent for so long, looking as a worker does."""
    for _ in range(int(seconds * 4)):
        clock[0] += 0.25
        one.look()
        if one._loading is not None:
            await one._loading


def failing(bad=10, ok=0, revision=7):
    arm = ArmCounts(ok=ok, bad=bad, arrived=bad + ok)
    good = ArmCounts(ok=bad + ok, arrived=bad + ok)
    return [Batch("r", revision, (Cell(5_000, arm, good),))]


async def test_while_control_speaks_nothing_is_judged(made, clock):
    one, lowered = made
    for _ in range(40):
        clock[0] += 0.5
        one.look()
        assert one.heard() is None
        one.observe(failing())
    assert lowered == []


async def test_counts_of_the_first_silent_second_are_judged_when_the_silence_is_long(made, clock):
    one, lowered = made
    await silent(one, clock, 1.25)
    one.observe(failing())
    assert lowered == []
    await silent(one, clock, 1.0)
    assert [entry.weights_bp for entry in lowered] == [(10_000, 0)]
    silent_s, told = one.heard()
    assert silent_s == 2.2
    assert told["r"].startswith("error_rate: failed: candidate 10 of 10")
    assert one.heard() is None


async def test_counts_of_another_revision_convict_nobody(made, clock):
    one, lowered = made
    await silent(one, clock, 3)
    one.observe(failing(revision=6))
    await silent(one, clock, 1)
    assert lowered == []


async def test_a_process_that_was_stopped_itself_hears_control_out_first(made, clock):
    one, lowered = made
    one.look()
    clock[0] += 60
    one.look()
    assert one.silent_s == 0
    assert lowered == []


async def test_what_cannot_be_judged_is_taken_back(made, clock):
    one, lowered = made
    entry = replace(half(None, None), judge="{}")
    one._table = lambda: RoutingTable(1, (entry,), LIMITS)
    await silent(one, clock, 3)
    one.observe(failing())
    assert [entry.weights_bp for entry in lowered] == [(10_000, 0)]
    assert one.heard() == (3.0, {"r": "it cannot be judged here (ValidationError)"})


async def test_a_completed_rollout_is_left_as_it_is(made, clock):
    one, lowered = made
    done = replace(half(None, None), candidate=-1, stable=1, weights_bp=(0, 10_000))
    one._table = lambda: RoutingTable(1, (done,), LIMITS)
    await silent(one, clock, 60)
    assert lowered == []


class Up:
    """Where a worker's messages go."""

    open, outbox_bytes = True, 0

    def __init__(self):
        self.lowered = []

    def send(self, message):
        self.lowered += [message] if isinstance(message, Lowered) else []
        return True


async def test_only_a_beat_says_that_who_decides_is_heard(clock):
    """A router that does not reach its database still sends tables, and asks for counts."""
    entry = replace(half(None, None), versions=(version("v1"), version("v2")))
    one = Worker(0, Listen("127.0.0.1", 0))
    one.link = Up()
    one._on_message(Publish(RoutingTable(1, (entry,), LIMITS)))

    def weights():
        return one.plane.serving.table.routes[0].weights_bp

    for _ in range(48):
        await silent(one.alone, clock, 0.25)
        one._on_message(ReportSoon())
    assert weights() == (10_000, 0), "who fails makes others report, which is no word of control"
    one._on_message(Publish(RoutingTable(2, (replace(entry, revision=8),), LIMITS)))
    assert weights() == (10_000, 0)
    one._on_message(Amend(3, 2, (replace(entry, revision=9),)))
    assert (weights(), one.plane.serving.table.generation) == ((10_000, 0), 3)
    assert not one.link.lowered
    one._on_message(Beat())
    assert [list(told.routes) for told in one.link.lowered] == [["r"]]
    one._on_message(Publish(RoutingTable(4, (entry,), LIMITS)))
    assert weights() == (5_000, 5_000)
