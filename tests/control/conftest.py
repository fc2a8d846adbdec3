"""Whole rollouts in virtual time: a policy, a timeline, the journal that must come of it."""

from __future__ import annotations

import asyncio
import random

import pytest

from router.config.check import loads
from router.control.rollouts.observe import Observatory
from router.control.rollouts.reconciler import Reconciler
from router.core.wire.counts import VersionCounts
from router.core.wire.outcomes import ArmCounts, Batch, Cell, Outcome, Pairs
from router.core.wire.table import weights_error
from tests.clock import ManualClock
from tests.control.memory import MemoryDisk, MemoryStore

CANARY = """
routes:
  - name: r
    match: {{path: /v2/*}}
    versions:
      v1: {{endpoints: [http://127.0.0.1:9001]}}
      v2: {{endpoints: [http://127.0.0.1:{v2_port}]}}
      v3: {{endpoints: [http://127.0.0.1:9003]}}
    stable: {stable}
    {rollout}
"""

ROLLOUT = """rollout:
      candidate: {candidate}
      strategy: {{canary: {{steps: {steps}, bake: {bake}}}}}
      gates: [error_rate, {{guard: {{error_rate: 20%}}}}]
      on_new_candidate: {on_new}
      detect: {{times: 100, points: 50%}}
"""
"""Only what fails half of the time must be seen: a dozen answers are enough for most of these."""

STEPS = "[{weight: 1%, hold: 60s}, {weight: 25%, hold: 60s}]"


def canary(
    *,
    stable="v1",
    candidate="v2",
    steps=STEPS,
    bake="30s",
    on_new="queue",
    v2_port=9002,
    rollout=True,
):
    section = ROLLOUT.format(candidate=candidate, steps=steps, bake=bake, on_new=on_new)
    return CANARY.format(stable=stable, v2_port=v2_port, rollout=section if rollout else "")


class Told:
    """The listener: keeps what it hears."""

    def __init__(self):
        self.entries = []
        self.failures = []
        self.mended = 0

    def moved(self, entry):
        self.entries.append(entry)

    def store_failed(self, error):
        self.failures.append(error)

    def store_works(self):
        self.mended += 1


class Tables:
    """The publisher: every table ever sent, checked."""

    def __init__(self):
        self.sent = []

    def publish(self, table):
        for entry in table.routes:
            assert weights_error(entry) == ""
            assert all(0 <= w <= 10_000 for w in entry.weights_bp)
        assert not self.sent or table.generation > self.sent[-1].generation
        self.sent.append(table)

    @property
    def last(self):
        return self.sent[-1]


class World:
    """A control plane without processes, whose disk outlives its crashes."""

    def __init__(self, policy=None, *, seed=1):
        self.text = policy or canary()
        self.clock = ManualClock()
        self.disk = MemoryDisk()
        self.random = random.Random(seed)
        self.store = None
        self.reconciler = None
        self.probed = False
        """Whether there are workers that say who is ready."""

    async def start(self, *, force=False):
        self.told, self.tables = Told(), Tables()
        self.store = MemoryStore(self.disk)
        self.clock = ManualClock(0.0, wall=self.clock.wall() + 5)
        self.reconciler = Reconciler(
            self.store, self.clock, self.tables, self.told, Observatory(probed=self.probed)
        )
        self.reconciler.resume(await self.store.open())
        self.notes = self.reconciler.adopt(loads(self.text).policy, force=force)
        await self.settle()
        return self

    async def edit(self, text, *, force=False):
        self.notes = self.reconciler.adopt(loads(text).policy, force=force)
        self.text = text
        await self.settle()

    async def settle(self):
        """Let the store answer and the decider turn until nothing happens any more."""
        for _ in range(20):
            self.reconciler.turn()
            for _ in range(4):
                await asyncio.sleep(0)

    async def run(self, seconds, *, rate=100, candidate=0.0, stable=0.0, tick=None):
        """Traffic for a while; both arms fail at their rates, drawn by real coins.

        ``tick``: seconds of a decider's turn; four a second unless the while is long.
        """
        tick = tick or (0.25 if seconds <= 30 else 1.0)
        for _ in range(round(seconds / tick)):
            self.clock.advance(tick)
            self.traffic(rate * tick, candidate, stable)
            self.reconciler.turn()
            for _ in range(3):
                await asyncio.sleep(0)

    def traffic(self, requests, candidate, stable):
        entry = self.tables.last.routes[0]
        weight = entry.weights_bp[entry.candidate] if entry.candidate >= 0 else 0
        arms = {"candidate": [0, 0], "stable": [0, 0]}
        for _ in range(int(requests)):
            arm = "candidate" if self.random.random() * 10_000 < weight else "stable"
            failed = self.random.random() < (candidate if arm == "candidate" else stable)
            arms[arm][failed] += 1
        if weight:
            cells = (
                Cell(
                    weight,
                    ArmCounts(*arms["candidate"], arrived=sum(arms["candidate"])),
                    ArmCounts(*arms["stable"], arrived=sum(arms["stable"])),
                    thresholds_s=entry.thresholds_s,
                    round=entry.round,
                ),
            )
            self.reconciler.observe((Batch("r", entry.revision, cells),))
        if entry.mirrors:
            pairs = Pairs(agreed=int(requests * entry.mirrors[0].share_bp / 10_000))
            self.reconciler.observe((Batch("r", entry.revision, pairs=pairs),))
        self.candidate_requests = getattr(self, "candidate_requests", 0) + sum(arms["candidate"])

    # --- what came of it ---

    @property
    def rollout(self):
        return self.reconciler.runs["r"].rollout

    @property
    def record(self):
        return self.reconciler.runs["r"].record

    @property
    def entry(self):
        return self.tables.last.routes[0]

    @property
    def weight(self):
        entry = self.entry
        return entry.weights_bp[entry.candidate] if entry.candidate >= 0 else 0

    @property
    def serving(self):
        """Names and shares of versions that get anything."""
        entry = self.entry
        return {v.name: w for v, w in zip(entry.versions, entry.weights_bp, strict=True) if w}

    @property
    def journal(self):
        return [(e.action, e.phase_to, e.step, e.weight_bp) for e in self.disk.entries]

    async def order(self, event):
        move = self.reconciler.order("r", event)
        await self.settle()
        return move


@pytest.fixture
def world():
    return World


@pytest.fixture
def policy():
    return canary


@pytest.fixture
def counts():
    def make(route, version, role, ok, bad=0, latency=()):  # noqa: PLR0917 - reads as a row
        outcomes = [0] * len(Outcome)
        outcomes[0], outcomes[1] = ok, bad
        return VersionCounts(route, version, role, tuple(outcomes), (0, ok, 0, 0, bad), latency)

    return make
