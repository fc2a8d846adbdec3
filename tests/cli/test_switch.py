"""Blue-green from the command line: the switch, what it leaves in flight, and the undo."""

from __future__ import annotations

import asyncio

import pytest

from router.admin import AdminServer
from router.admin.commands import offered
from router.config.check import load
from router.control.fleet.local import local
from router.control.plane import Plane
from router.control.state.sqlite import SqliteStore
from router.core.wire.counts import VersionCounts
from router.link.messages import Report
from tests.cli.test_whole import _run, begun, command

POLICY = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
routes:
  - name: flights
    match: {{path: /v2/*}}
    versions:
      v1: {{endpoints: [http://127.0.0.1:9001]}}
      v2: {{endpoints: [http://127.0.0.1:9002]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {strategy}
      gates: [guard]
"""
BLUE_GREEN = "{blue_green: {mirror: 10%, hold: 1h, over: 5m, bake: 1h}}"


@pytest.fixture
async def started(tmp_path):
    made = []

    async def start(strategy=BLUE_GREEN):
        file = tmp_path / "policy.yaml"
        file.write_text(POLICY.format(strategy=strategy))
        loaded = load(file)
        plane = Plane(loaded, SqliteStore(tmp_path / "r.db"), fleet=local(command=command))
        await plane.start()
        await begun(plane, "flights")
        admin = AdminServer(plane.controller, loaded.policy.admin, status_s=0.05)
        await admin.start()
        made.append((plane, admin))
        return plane, admin

    yield start
    for plane, admin in made:
        await admin.close()
        await plane.stop(drain_s=1)


def in_flight(plane, version, count):
    role = "stable" if version == plane.reconciler.runs["flights"].record.stable else "candidate"
    counts = VersionCounts("flights", version, role, (0,) * 10, (0,) * 5, in_flight=count)
    plane.report(plane.fleet.states()[0].who, Report(versions=(counts,)))


def serving(plane):
    entry = plane.reconciler.runs["flights"].entry
    return {v.name: w for v, w in zip(entry.versions, entry.weights_bp, strict=True) if w}


async def test_a_switch_is_one_table_and_tells_what_is_left_and_is_undone_at_once(
    started, monkeypatch
):
    plane, admin = await started()
    tables, workers = [], plane.reconciler.tables.publisher
    publish = workers.publish
    monkeypatch.setattr(workers, "publish", lambda one: tables.append(one) or publish(one))
    assert serving(plane) == {"v1": 10_000}
    in_flight(plane, "v1", 12)

    switching = asyncio.create_task(_run(admin, "switch", "flights", "--reason", "go"))
    async with asyncio.timeout(20):
        while serving(plane) != {"v2": 10_000} or not tables:
            await asyncio.sleep(0.01)
    shares = {entry.weights_bp for one in tables for entry in one.routes}
    assert shares - {(10_000, 0)} == {(0, 10_000)}, "one step, not a ramp"
    assert plane.controller.rollout("flights").draining == {"v1": 12}
    await asyncio.sleep(0.2)
    in_flight(plane, "v1", 0)
    switched = await switching
    assert switched.code == 0, switched.err
    assert "baking" in switched.out
    assert "12 requests on v1 were in flight; all have finished" in switched.out

    in_flight(plane, "v2", 3)
    undone = await _run(admin, "rollback", "flights", "-o", "json")
    assert undone.json["draining"] == {"v2": 3}
    assert serving(plane) == {"v1": 10_000}


async def test_a_completed_rollout_is_undone_too(started):
    plane, admin = await started("{blue_green: {hold: 1h, approval: {}}}")
    switched = await _run(admin, "switch", "flights")
    assert "completed" in switched.out
    assert serving(plane) == {"v2": 10_000}

    undone = await _run(admin, "rollback", "flights", "--to", "v1")

    assert undone.code == 0, undone.err
    assert serving(plane) == {"v1": 10_000}


async def test_a_second_switch_would_end_the_bake_and_is_refused(started):
    plane, admin = await started()
    assert "switch" in offered(plane.controller.rollout("flights")).commands
    await _run(admin, "switch", "flights")

    again = await _run(admin, "switch", "flights")

    assert (again.code, "already" in again.err) == (5, True)
    assert plane.controller.rollout("flights").phase == "baking"
    commands = offered(plane.controller.rollout("flights")).commands
    assert "switch" not in commands
    assert "promote" in commands


async def test_other_strategies_move_by_steps(started):
    _, admin = await started("{canary: {steps: [{weight: 1%, hold: 1h}]}}")

    refused = await _run(admin, "switch", "flights")

    assert (refused.code, "promote --full" in refused.err) == (5, True)
