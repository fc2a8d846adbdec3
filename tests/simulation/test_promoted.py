"""Promoted under any shipped policy: a candidate that is dead, refuses everything, or is not there.

None. The product's own judge, machine and plan in virtual time; for probes the product's own
control plane. Policies: configs/, the README's, and what the importers make of the examples of
other tools and of twenty public files. A person gives every approval at once, so what stays
unpromoted does so by its gates.
"""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from router.config import loads
from router.config.check import load
from router.control.rollouts.observe import Observatory
from router.control.rollouts.reconciler import Reconciler
from router.core.rollout.events import Promote as Approve
from router.core.rollout.rollout import Phase
from router.core.wire.counts import EndpointState
from router.importing import import_policy
from router.simulation import world
from router.simulation.run import Setup, run_once
from router.simulation.scenario import LatencyModel, Scenario
from tests.control.conftest import Tables, Told, World
from tests.control.memory import MemoryStore
from tests.importing.public import FILES

ROOT = Path(__file__).parents[2]
GOOD = Scenario(requests_per_s=5.0, duration_s=2 * 86_400.0, stable_rate=0.01, history=5_000)


def policies():
    text = (ROOT / "README.md").read_text()
    blocks = [b for b in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "rollout:" in b]
    found = [("README", loads(block).policy) for block in blocks if "routes:" in block]
    files = [*sorted(ROOT.glob("configs/*.yaml")),
             *sorted(ROOT.glob("tests/importing/files/*.expected.yaml"))]  # fmt: skip
    names = {n for path in files for n in re.findall(r"\$\{(RAMPWAY_\w+)\}", path.read_text())}
    named = dict.fromkeys(names, "http://127.0.0.1:1/what-is-asked-for")
    found += [(path.name, load(path, os.environ | named).policy) for path in files]
    for file in FILES:
        found.append((file.where.split(" @")[0], loads(import_policy(file.says).text).policy))
    for name, policy in found:
        for route in policy.routes:
            if route.rollout is not None and route.rollout.plan().ending.value == "promote":
                marks = (
                    (pytest.mark.promoted,) if "/" in name else ()
                )  # those files: by their group
                yield pytest.param(route, id=f"{name}:{route.name}", marks=marks)


FAILURES = {
    "fails everything": replace(GOOD, candidate_rate=1.0),
    "refuses everything": replace(GOOD, disagree_rate=1.0),
}
"""A port that dies and 500 are one to evidence, and so are 4xx and answers with nothing in them
(tests/proxy/test_answers_that_are_none.py); a port that was dead from the beginning is below. All
of them before a real router: tests/live/test_not_promoted.py."""
HANGS = replace(GOOD, requests_per_s=2.0, latency=LatencyModel(hang=True), duration_s=3_600.0)
ROUTES = list(policies())


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("route", ROUTES)
def test_nobody_of_them_is_promoted(route, failure, monkeypatch):
    if failure == "refuses everything":
        monkeypatch.setattr(world.CountingWorld, "_count", refusing(world.CountingWorld._count))
    sticky = route.sticky is not None
    scenario = replace(FAILURES[failure], users=10_000 if sticky else 0)
    run = run_once(Setup.of(route.rollout, sticky=sticky), scenario, 1)
    assert run.outcome != "promoted", run.sentence


@pytest.mark.promoted
@pytest.mark.parametrize("route", ROUTES)
def test_who_never_answers_is_not_promoted(route):
    """An hour of it, a coin a request; each request is followed, hence a group of its own."""
    run = run_once(Setup.of(route.rollout), HANGS, 1)
    assert run.outcome != "promoted", run.sentence


HOURS = 30 * 24
SAYS = {"dead port": "connection refused", "failing probes": "probe answered 503", "nothing": ""}
"""What workers say of the candidate."""


def told(w, route, error):
    """A worker's word about every endpoint of the candidate; no error: it answers its probes."""
    version = route.versions[route.rollout.candidate]
    w.reconciler.seen(0, tuple(
        EndpointState(route.name, route.rollout.candidate, str(one), not error, False, 0, 0,
                      last_error=error, ready=not error)
        for one in version.endpoints
    ))  # fmt: skip


@pytest.mark.parametrize("says", SAYS)
@pytest.mark.parametrize("route", ROUTES)
async def test_who_is_not_ready_gets_nothing_for_a_month(route, says):
    w = await adopted(route)
    for _ in range(HOURS // 6):
        w.clock.advance(6 * 3_600.0)
        if SAYS[says]:
            told(w, route, SAYS[says])
        w.reconciler.turn()
    await w.settle()
    assert w.reconciler.runs[route.name].rollout.standing
    for entry in (entry for table in w.tables.sent for entry in table.routes):
        shares = dict(zip((v.name for v in entry.versions), entry.weights_bp, strict=True))
        assert not shares.get(route.rollout.candidate)
        assert not entry.mirrors


@pytest.mark.parametrize("route", ROUTES)
async def test_without_traffic_nobody_is_promoted_in_a_month(route):
    """It is ready, a person gives every approval of the plan, what is asked outside is fine."""
    w = await adopted(route)
    run = w.reconciler.runs[route.name]
    for _ in range(HOURS):
        w.clock.advance(3_600.0)
        told(w, route, "")
        if run.live:
            judge = run.live.trial.judge
            for title in judge.due(w.clock.now()):
                judge.measure(title, judge.gates[title].fine(), w.clock.now())
        w.reconciler.turn()
        await asyncio.sleep(0)
        rollout = run.rollout
        if (
            rollout.phase is Phase.AWAITING_APPROVAL
            and run.record.pinned.plan.steps[rollout.step].approval
        ):
            w.reconciler.order(route.name, Approve("ann"))
            await w.settle()
    assert run.rollout.phase is not Phase.COMPLETED, run.rollout.reason


async def adopted(route):
    w = World()
    w.told, w.tables, w.store = Told(), Tables(), MemoryStore(w.disk)
    w.reconciler = Reconciler(w.store, w.clock, w.tables, w.told, Observatory(probed=True))
    w.reconciler.resume(await w.store.open())
    w.reconciler.adopt(EMPTY.model_copy(update={"routes": (plain(route),)}))
    await w.settle()
    return w


def plain(route):
    """Without segments: their routes are ordinary ones."""
    return route.model_copy(update={"rollout": route.rollout.model_copy(update={"for_each": None})})


ONE = "{name: r, versions: {v1: {endpoints: ['http://127.0.0.1:1']}}, stable: v1}"
EMPTY = loads(f"routes: [{ONE}]").policy


def refusing(count):
    """The candidate's good answers refuse the request, or have nothing in them."""

    def counted(self, *args):
        at = count(self, *args)
        cells = tuple(
            replace(cell, candidate=replace(
                cell.candidate, refused=cell.candidate.ok,
                users=cell.candidate.users
                and replace(cell.candidate.users, refused=cell.candidate.users.drawn),
            ))
            for cell in self._batch.cells
        )  # fmt: skip
        self._batch = replace(self._batch, cells=cells)
        return at

    return counted
