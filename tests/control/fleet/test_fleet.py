"""The control plane needs a fleet, not processes: another one in their place, and all goes on."""

from __future__ import annotations

import asyncio

import pytest

from router.config.check import load
from router.control import plane as plane_module
from router.control.fleet.fleet import WorkerState
from router.control.plane import Plane
from router.control.rollouts import reconciler
from router.control.state.errors import StoreLocked, StoreUnavailable
from router.core.rollout.events import Promote, Retry, Rollback
from router.core.rollout.rollout import Phase
from router.core.wire.outcomes import ArmCounts, Batch, Cell
from router.core.wire.reporter import WorkerId
from router.link.messages import Report
from tests.clock import ManualClock
from tests.control.memory import MemoryStore


class Elsewhere:
    """A fleet without processes here; it applies what it is sent when it is asked to."""

    listen = "elsewhere:80"
    probes = False

    def __init__(self, _policy, hears):
        self.hears = hears
        self.tables = []
        self.ended = ""

    async def bind(self):
        """Nothing to take."""

    async def start(self):
        """Nothing to begin."""

    async def serving(self):
        """At once."""

    def publish(self, table):
        self.tables.append(table)

    async def applied(self, generation):
        assert self.tables[-1].generation >= generation

    def ready(self):
        return bool(self.tables)

    def states(self):
        return [WorkerState(WorkerId("elsewhere", 1, 0), None, 0, *self.tables[-1].rank)]

    def troubles(self):
        return []

    def begin_drain(self, within_s):
        self.ended = f"draining {within_s:g}"

    def hand_over(self):
        self.ended = "handed over"

    async def drained(self, within_s):
        """At once."""

    async def kill(self):
        self.ended = "killed"


@pytest.fixture
async def plane(tmp_path, policy):
    file = tmp_path / "policy.yaml"
    file.write_text(policy(steps="[{weight: 1%, hold: 1h}, {weight: 25%, hold: 1h}]"))
    made = Plane(load(file), MemoryStore(), clock=ManualClock(), fleet=Elsewhere)
    await made.start()
    yield made
    if not made.fleet.ended:
        await made.stop(drain_s=3)
        assert made.fleet.ended == "draining 3"


def share(plane):
    entry = plane.fleet.tables[-1].routes[0]
    return entry.weights_bp[entry.candidate] if entry.candidate >= 0 else 0


async def test_orders_are_carried_out_by_whatever_fleet_there_is(plane):
    controller = plane.controller
    assert share(plane) == 100
    await controller.command("r", Promote("ann"))
    assert share(plane) == 2_500
    result = await controller.command("r", Rollback("ann", "no"))
    assert (share(plane), result.durable) == (0, True)
    health = controller.health()
    assert (health.ok, health.listen) == (True, "elsewhere:80")
    assert controller.ready().ok
    assert "process_resident_memory_bytes" in await controller.metrics_text()


@pytest.fixture
async def owing(tmp_path, policy, monkeypatch):
    """A plane whose disk has not taken a rollback that is in force."""
    monkeypatch.setattr(plane_module, "OWED_LOOK_S", 0.0)
    monkeypatch.setattr(reconciler, "STORE_RETRY_S", 0.0)
    file = tmp_path / "policy.yaml"
    file.write_text(policy(steps="[{weight: 1%, hold: 1h}, {weight: 25%, hold: 1h}]"))
    made = Plane(load(file), MemoryStore(), clock=ManualClock(), fleet=Elsewhere)
    await made.start()
    await passes()
    made.store.broken = True
    result = await made.controller.command("r", Rollback("ann", "no"))
    assert (share(made), result.durable) == (0, False)
    yield made
    made.store.broken = False


async def passes():
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_successor_gets_the_store_when_a_rollback_is_on_the_disk(owing, monkeypatch):
    monkeypatch.setattr(owing.store, "successor", lambda: True)
    stopping = asyncio.create_task(owing.stop(drain_s=3))
    await passes()
    assert (owing.fleet.ended, stopping.done()) == ("", False)
    with pytest.raises(StoreUnavailable, match="nothing is added"):
        owing.reconciler.order("r", Retry("ann"))  # it goes on deciding meanwhile
    owing.store.broken = False
    assert await asyncio.wait_for(stopping, 30) == ()
    assert owing.fleet.ended == "handed over"
    assert owing.store.disk.records["r"].rollout.phase is Phase.ROLLED_BACK


async def test_a_successor_that_gave_up_is_not_waited_for(owing, monkeypatch):
    waits = [True, True]
    monkeypatch.setattr(owing.store, "successor", lambda: bool(waits and waits.pop()))
    assert await asyncio.wait_for(owing.stop(drain_s=0), 30) == ("r",)
    assert owing.fleet.ended == "draining 0"


async def test_a_router_that_stops_writes_until_its_workers_are_through_and_says_what_is_lost(
    owing,
):
    stopping = asyncio.create_task(owing.stop(drain_s=3))
    await passes()
    with pytest.raises(StoreUnavailable, match="is stopping"):
        owing.reconciler.order("r", Retry("ann"))
    await owing.kill()
    assert await asyncio.wait_for(stopping, 30) == ("r",)
    assert owing.store.disk.records["r"].rollout.phase is Phase.PROGRESSING


def counted(source, number, bad):
    arm = ArmCounts(ok=10 - bad, bad=bad, arrived=10)
    return Cell(100, arm, ArmCounts(ok=40, arrived=40), source=source, slice=number)


async def test_what_other_machines_saw_is_evidence_too_and_each_of_it_once(plane):
    """The same numbers of workers and slices, on two machines."""
    run = plane.reconciler.runs["r"]
    revision, hears = run.record.revision, plane.fleet.hears
    here, there = WorkerId("", 1, 0), WorkerId("pod-b", 1, 0)
    for who, bad in ((here, 0), (there, 1), (there, 1), (here, 0)):
        batch = Batch("r", revision, (counted(0, 1, bad),))
        hears.report(who, Report(batches=(batch,)))
    judge = run.live.trial.judge
    assert (judge.answers, judge.bad) == (20, 1)
    late = Batch("r", revision, (counted(0, 2, 9),))
    hears.report(WorkerId("pod-b", 2, 0), Report())  # it was started again
    hears.report(there, Report(batches=(late,)))
    assert judge.bad == 1


async def test_every_table_is_of_the_term_in_which_the_store_is_held(plane, tmp_path):
    assert {table.term for table in plane.fleet.tables} == {1}
    assert plane.controller.health().term == 1
    successor = Plane(
        plane.loaded, MemoryStore(plane.store.disk), clock=ManualClock(), fleet=Elsewhere
    )  # fmt: skip
    await successor.start()
    assert {table.rank[0] for table in successor.fleet.tables} == {2}
    assert successor.fleet.tables[0].rank > plane.fleet.tables[-1].rank
    await successor.stop(drain_s=0)


async def test_who_has_lost_the_store_decides_nothing_more_and_says_so(plane):
    ended = asyncio.create_task(plane.watch_tasks())
    await passes()
    plane.store.taken.set()
    with pytest.raises(StoreLocked, match="was taken by another router"):
        await ended
    before = len(plane.fleet.tables)
    with pytest.raises(StoreUnavailable, match="is stopping"):
        plane.reconciler.order("r", Rollback("ann", "no"))
    assert len(plane.fleet.tables) == before
    plane.store.taken.clear()
    assert await asyncio.wait_for(plane.stop(drain_s=3), 30) == ()
    assert plane.fleet.ended == "handed over", "its workers serve until the next one has its own"
