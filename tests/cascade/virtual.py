"""Two routes in a row in virtual time: control, reader, log and messages are the product's.

What workers do (draw, mark, sample) is done here, as they do it.
"""

from __future__ import annotations

import asyncio
import json
import random
from functools import partial

import xxhash

from router.config.check import loads
from router.control.fleet.feedback import Feedback, Statement
from router.control.fleet.samples import Samples
from router.control.predictions.booked import PredictionLog
from router.control.predictions.cascades import Cascades
from router.core.logged.truth import Truth
from router.core.policy.kept import log_terms
from router.core.wire.origin import Origin
from router.core.wire.outcomes import ArmCounts, Batch, Cell, Outcome
from router.core.wire.sampled import Sampled
from router.telemetry.metrics import Metrics
from tests.control.conftest import World
from tests.control.inline_reader import LogReader

POLICY = """
prediction_log: {{file: "{folder}/log.db"}}
recording: {{file: "{folder}/r.jsonl"}}
routes:
  - name: r
    match: {{path: /forecast}}
    payload: json
    predictions: {{score: delay_min}}
    versions: {{a1: {{endpoints: ["http://127.0.0.1:1"]}}, a2: {{endpoints: ["http://127.0.0.1:2"]}}}}
    stable: a1
    log: {{}}
    feeds: {feeds}
    {sticky}
    rollout:
      candidate: a2
      strategy: {{canary: {{steps: [{{weight: 50%, hold: {hold}}}], bake: 10m}}}}
      gates: [error_rate, {gate}]
      detect: {{times: 100, points: 50%}}
  - name: late
    match: {{path: /late}}
    payload: json
    predictions: {{label: late, score: p, features: [delay_min], sample: 100%}}
    versions: {{b1: {{endpoints: ["http://127.0.0.1:3"]}}}}
    stable: b1
    log: {{}}
"""
BY_KEY = "{route: late, by: {json: user.id}, within: 7d}"
FLAGGED_ABOVE = 0.25


class Row:
    """What was made for one user, and at which draw."""

    def __init__(self, user, minutes, late, mark):
        self.user, self.minutes, self.late, self.mark = user, minutes, late, mark


class Cascade:
    """A control plane whose clock moves by hand; ``forecast(version, n)`` is the first model."""

    def __init__(self, folder, forecast, second, *, feeds="late", gate="cascade", hold="1h",
                 sticky="", seed=1):  # fmt: skip
        self.text = POLICY.format(folder=folder, feeds=feeds, gate=gate, hold=hold, sticky=sticky)
        self.keyed = "by:" in feeds
        self.world = World(self.text)
        self.draw = random.Random(seed)
        self.forecast, self.second = forecast, second
        self.made = 0

    async def start(self):
        await self.world.start()
        reconciler, clock = self.world.reconciler, self.world.clock
        self.reader = LogReader(clock)
        runs = partial(getattr, reconciler, "runs")
        self.samples = Samples(runs, reconciler.observe, lambda *_: None, self.reader)
        self.log = PredictionLog(reconciler, self.reader, clock, lambda *_: None)
        self.cascades = Cascades(reconciler, self.samples, self.log)
        self.feedback = Feedback(reconciler, clock, Metrics(), self.log)
        self.log.settle(log_terms(loads(self.text).policy))
        self.reader.pump()
        return self

    def ask_first(self, row, late, user=""):
        """A request of the first route: drawn, answered, sampled."""
        entry = self.world.reconciler.runs["r"].entry
        weight = entry.weights_bp[entry.candidate] if entry.candidate >= 0 else 0
        candidate = self.draw.random() * 10_000 < weight
        version, arm = ("a2", "c") if candidate else ("a1", "s" if weight else "f")
        self.made += 1
        name, at = f"made-{self.made}", self.world.clock.wall()
        minutes = self.forecast(version, row)
        user = user or f"u{self.made}"
        if weight:
            cell = Cell(weight, *(ArmCounts(ok=int(c), arrived=int(c)) for c in (
                candidate, not candidate)))  # fmt: skip
            self.world.reconciler.observe((Batch("r", entry.revision, (cell,)),))
        self.samples.put([Sampled(
            "r", version, entry.revision, "candidate" if candidate else "stable", arm,
            weight_bp=weight, request_id=name, at=at, status=200, outcome=int(Outcome.OK),
            request=json.dumps({"user": {"id": user}}).encode(),
            answer=json.dumps({"delay_min": minutes}).encode(), read=False,
        )])  # fmt: skip
        draw = xxhash.xxh64_intdigest(name.encode())
        mark = Origin("r", version, entry.revision, weight, arm, 0, draw, at)
        return Row(user, minutes, late, mark)

    def ask_second(self, row, name, *, status=200, joined=True):
        """A request of the second route, made of what the first one said."""
        p = self.second(row.minutes)
        entry = self.world.reconciler.runs["late"].entry
        outcome = Outcome.OK if status == 200 else Outcome.SERVER_ERROR
        self.samples.put([Sampled(
            "late", "b1", entry.revision, "stable", "o", request_id=name,
            at=self.world.clock.wall(), status=status, outcome=int(outcome),
            request=json.dumps({"delay_min": row.minutes, "user": {"id": row.user}}).encode(),
            answer=json.dumps({"late": p > FLAGGED_ABOVE, "p": p}).encode(),
            made=(row.mark,) if joined and not self.keyed else (),
        )])  # fmt: skip

    async def truths(self, told):
        """What became known: (request, late)."""
        statements = [Statement(Truth(name, label=late)) for name, late in told]
        task = asyncio.ensure_future(self.feedback.tell(statements))
        await asyncio.sleep(0)
        self.reader.pump()
        await task
        for _ in range(len(told) // 100 + 1):
            await asyncio.sleep(0)

    async def pass_time(self, seconds):
        """Let the reader and the decider have it."""
        self.reader.pump()
        self.world.clock.advance(seconds)
        await self.world.settle()
        self.reader.pump()

    @property
    def phase(self):
        return self.world.rollout.phase.value

    @property
    def reason(self):
        return self.world.rollout.reason

    @property
    def gate(self):
        return self.world.reconciler.runs["r"].trial.judge.states["cascade"]
