"""A control plane in virtual time whose workers sample, and whose reader reads in the test."""

import json
import random

import pytest

from router.control.fleet.samples import Samples
from router.control.predictions.watching import Watching
from router.control.state import layout
from router.core.wire.sampled import Sampled
from tests.control.conftest import World, canary
from tests.control.inline_reader import InlineReader

PREDICTIONS = "predictions: {score: score, features: {age: numeric, plan: categorical}}"
MONITORS = "monitors: {reference: {past: 24s}, season: 168s, window: 24s, requests: 200}"


def monitored(monitors=MONITORS, predictions=PREDICTIONS, **more):
    text = canary(steps="[{weight: 1%, hold: 1h}, {weight: 50%, hold: 1h}]", **more)
    return text.replace("match:", f"payload: json\n    {predictions}\n    {monitors}\n    match:")


class Plant(World):
    """A world with monitors; ``slots`` lets time pass with traffic."""

    async def start(self, *, force=False):
        await super().start(force=force)
        self.alerts = []
        self.watching = Watching(
            self.reconciler, self.store, self.clock, lambda *told: self.alerts.append(told)
        )
        self.watching.resume(layout.settings_of(self.disk.settings))
        self.reconciler.restraint.monitors = self.watching
        self.reader = InlineReader()
        self.samples = Samples(
            lambda: self.reconciler.runs, self.reconciler.observe, lambda *_: None, self.reader
        )
        self.samples.on_watched = self.watching.take
        self.draw = random.Random(1)
        for part in self.watching.parts():
            part()
        return self

    headers = ()
    """Request headers that are told of; the last one is the plan."""

    async def slots(self, number, *, age=40.0, own=0.0, per_slot=30, older=0.0):
        """``own``: by how much the candidate's scores are off; ``older``: plan b alone is."""
        for _ in range(number):
            self.clock.advance(1.0)
            self.traffic(per_slot, 0.0, 0.0)
            revision = self.reconciler.runs["r"].entry.revision
            self.samples.put([self._sample(k, revision, age, own, older) for k in range(per_slot)])
            while self.reader.pump():
                pass
            for part in self.watching.parts():
                part()
            await self.settle()

    def _sample(self, k, revision, age, own, older):
        role = "candidate" if k % 2 else "stable"
        asked = {"age": self.draw.gauss(age, 10.0), "plan": (plan := self.draw.choice("ab"))}
        asked["age"] += older * (plan == "b")
        said = {"score": self.draw.random() / 2 + (own if role == "candidate" else 0.0)}
        version = "v2" if role == "candidate" else "v1"
        return Sampled(
            "r", version, revision, role, "c", status=200,
            request=json.dumps(asked).encode(), answer=json.dumps(said).encode(),
            segments=(*("de" for _ in self.headers[1:]), plan) if self.headers else (),
        )  # fmt: skip

    @property
    def run_(self):
        return self.reconciler.runs["r"]

    def told_of(self, action):
        return [entry.reason for entry in self.told.entries if entry.action == action]


@pytest.fixture
async def plant():
    async def make(text=None):
        return await Plant(text or monitored()).start()

    return make
