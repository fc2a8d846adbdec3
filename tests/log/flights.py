"""A person is shadowed on the flights of 2013, in virtual time: is the model promoted, and when?

``python -m tests.log.flights [VERSION ...]``. Dispatchers decide which flights will be late; what
they answer is told by ``POST /api/v1/truth`` an hour after the case, here what really happened. A
model gets copies of the cases, flights from March on in one seeded random order, three a minute,
and serves nobody. Control, the reader's code, its file and its messages are the product's; clocks
and workers are not.
"""

import asyncio
import json
import random
import sys
import tempfile
from collections import deque
from pathlib import Path

from prediction_services.dataset import load_table
from prediction_services.predictor import load_predictor
from router.config.check import loads
from router.control.fleet.feedback import Feedback, Statement
from router.control.fleet.samples import reads_of
from router.control.predictions.booked import PredictionLog
from router.core.logged.truth import Truth
from router.core.policy.kept import log_terms
from router.core.rollout.rollout import Phase
from router.core.wire.counts import PairSample
from router.core.wire.outcomes import ArmCounts, Batch, Cell
from router.core.wire.sampled import Sampled
from router.link.reading import Look
from router.telemetry.metrics import Metrics
from tests.control.conftest import World
from tests.control.inline_reader import LogReader
from tests.models_cache import models_cache

LAG_S = 3_600.0
CASES_A_MINUTE = 3
LATE_ABOVE = 0.5
BEGIN = """
prediction_log: {{file: "{folder}/log.db"}}
routes:
  - name: r
    payload: json
    predictions: {{label: late, score: p}}
    versions: {{desk: {{person: true}}, model: {{endpoints: ["http://127.0.0.1:9001"]}}}}
    stable: desk
    log: {{}}
"""
"""A route that people answer, beside whom a model may be tried."""
POLICY = (
    BEGIN
    + """\
    rollout:
      candidate: model
      strategy:
        shadow:
          mirror: 100%
          until: {{samples: 300}}
          then: {{canary: {{steps: [{{weight: 50%, mirror: 100%, hold: 1h}}], bake: 1h}}}}
      gates: [agreement: {{at_least: 85%}}, error_rate, guard: {{error_rate: 2%}}]
"""
)


class Shadowed:
    """A control plane whose clock moves by hand, in front of a model and of people."""

    def __init__(self, folder):
        self.world = World(POLICY.format(folder=folder))
        self.due = deque()
        self.counted = {"answered": 0, "copied": 0}

    async def start(self):
        await self.world.start()
        reconciler, clock = self.world.reconciler, self.world.clock
        self.reader = LogReader(clock)
        self.log = PredictionLog(reconciler, self.reader, clock, lambda *_: None)
        self.feedback = Feedback(reconciler, clock, Metrics(), self.log)
        self.log.settle(log_terms(loads(self.world.text).policy))
        self.reader.pump()
        return self

    def case(self, name, score, late):
        """A case is taken and copied; a person will answer it."""
        revision, wall = self.world.record.revision, self.world.clock.wall()
        answer = json.dumps({"late": score > LATE_ABOVE, "p": score}).encode()
        self.reader.send(Look(0, Sampled(
            "r", "desk", revision, "stable", "f", request_id=name, at=wall, status=202,
        )))  # fmt: skip
        self.reader.reader._reads.setdefault("r", reads_of(self.world.reconciler.runs["r"]))
        self.log.copied([PairSample("r", "model", revision, name, 202, 200, shadow_body=answer)])
        self.counted["copied"] += 1
        self.due.append((wall + LAG_S, name, late))

    async def answers(self):
        """What people say by now."""
        told = []
        while self.due and self.due[0][0] <= self.world.clock.wall():
            _, name, late = self.due.popleft()
            told.append(Statement(Truth(name, answer=late)))
        if told:
            task = asyncio.ensure_future(self.feedback.tell(told))
            await asyncio.sleep(0)
            self.reader.pump()
            assert (await task).joined == len(told)
            self.counted["answered"] += len(told)

    def served(self, drawn):
        """Requests that a coin routed; both answer well."""
        weight = self.world.weight
        if weight:
            mine, other = ArmCounts(ok=drawn, arrived=drawn), ArmCounts()
            if weight < 10_000:
                mine = other = ArmCounts(ok=drawn // 2, arrived=drawn // 2)
            revision = self.world.record.revision
            self.world.reconciler.observe((Batch("r", revision, (Cell(weight, mine, other),)),))

    async def run(self, cases, most):
        """Until the model is promoted or taken back; figures."""
        for number, (name, score, late) in enumerate(cases):
            if number >= most or self.world.rollout.phase in (Phase.COMPLETED, Phase.ROLLED_BACK):
                break
            if self.world.entry.mirrors:
                self.case(name, score, late)
            self.world.clock.advance(60.0 / CASES_A_MINUTE)
            await self.answers()
            self.reader.pump()
            self.served(20)
            self.world.reconciler.turn()
            for _ in range(3):  # the store's answers
                await asyncio.sleep(0)
        rollout, run = self.world.rollout, self.world.reconciler.runs["r"]
        shown = run.trial.shadow.candidate if run.trial is not None else None
        return {
            "phase": rollout.phase.value, "reason": rollout.reason,
            "hours": round(self.world.clock.now() / 3600, 1),
            "agreement": shown.agreement if shown else None, **self.counted,
        }  # fmt: skip


def flights(version, most):
    """(id, score, late) of flights that arrived, from March on, in one seeded random order."""
    cache = models_cache()
    table, predictor = load_table(cache), load_predictor(version, cache)
    places = list(range(table.first_row(3), len(table)))
    random.Random(2013).shuffle(places)
    rows = [row for row in places if table.late(row) is not None][:most]
    found = [table.row_flight(row) for row in rows]
    scores = predictor.scores(found)
    return [
        (f"{row}-{flight.flight_id}", score, bool(table.late(row)))
        for row, flight, score in zip(rows, found, scores, strict=True)
    ]


async def shadowed(version, most=5_000):
    """The figures of one model."""
    one = await Shadowed(Path(tempfile.mkdtemp())).start()
    return await one.run(flights(version, most), most)


if __name__ == "__main__":
    for name in sys.argv[1:] or ("v1", "v2", "v3", "broken-zero", "broken-seconds"):
        print(name, json.dumps(asyncio.run(shadowed(name))), flush=True)
