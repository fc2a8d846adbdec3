"""The control plane needs a fleet, not processes: another one in their place, and all goes on."""

from __future__ import annotations

import pytest

from router.config.check import load
from router.control.plane import Plane
from router.control.state.clock import ManualClock
from router.control.state.store import MemoryStore
from router.core.rollout.events import Promote, Rollback


class Elsewhere:
    """A fleet without processes here; it applies what it is sent when it is asked to."""

    listen = "elsewhere:80"

    def __init__(self):
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
        return [{"worker": "elsewhere", "generation": self.tables[-1].generation}]

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
    made = Plane(load(file), MemoryStore(), clock=ManualClock(), fleet=Elsewhere())
    await made.start()
    yield made
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
    assert (health["ok"], health["listen"]) == (True, "elsewhere:80")
    assert controller.ready()["ok"]
    assert "process_resident_memory_bytes" in await controller.metrics_text()
