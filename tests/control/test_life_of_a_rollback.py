"""docs/life-of-a-rollback.md, walked: every answer of a candidate fails in a running plane."""

from __future__ import annotations

import asyncio

from router.config.check import load
from router.control.fleet.local import local
from router.control.plane import Plane
from router.control.state.sqlite import SqliteStore
from router.core.rollout.rollout import Phase
from router.core.wire.outcomes import ArmCounts, Batch, Cell
from router.link.messages import Report
from tests.control.conftest import canary
from tests.control.told.test_controller import begun, command
from tests.walk import in_order, walked


async def test_the_page_tells_what_a_rollback_passes(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text("listen: 127.0.0.1:0\n" + canary())
    plane = Plane(load(file), SqliteStore(tmp_path / "r.db"), fleet=local(command=command))
    await plane.start()
    try:
        await begun(plane)
        run = plane.reconciler.runs["r"]
        cell = Cell(
            run.entry.weights_bp[run.entry.candidate], ArmCounts(bad=40, arrived=40),
            ArmCounts(ok=4_000, arrived=4_000), thresholds_s=run.entry.thresholds_s,
        )  # fmt: skip
        with walked() as calls:
            plane.report(
                plane.fleet.states()[0].who, Report((Batch("r", run.record.revision, (cell,)),))
            )
            async with asyncio.timeout(20):
                while run.record.rollout.phase is not Phase.ROLLED_BACK or run.pending is not None:
                    await asyncio.sleep(0.01)
                while ("router/control/told/announce.py", "moved") not in calls:
                    await asyncio.sleep(0.01)
        in_order("life-of-a-rollback.md", calls)
    finally:
        await plane.stop(drain_s=1)
