"""Gates on live predictions over the flights of 2013: how soon they find, how rarely they err.

    python -m tests.bench.outputs power [--runs 21] [--weight 5000]
    python -m tests.bench.outputs same [--runs 1000] [--requests 2000]
    python -m tests.bench.outputs equal [--runs 1000] [--requests 2000]
    python -m tests.bench.outputs cost [--share 1000]

The scores are those of the real models, of flights from March on in a random order a run; the gates
are the product's, fed as the judge feeds them, each with its share of the evidence beside
`error_rate` (1/2). All requests are sampled. ``power`` prints the median, the 90th percentile and
how many of the runs found it; ``same`` plays stable against itself (1 and 32 rows, requests and
users) and counts convictions; ``equal`` plays two versions that have the same share of faulty rows
against `nulls`. ``cost`` is the worker's CPU for a request, without the kernel's
and with the reports to control, a tenth of the requests sampled beside none, in turn, one process.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import statistics
import time
from dataclasses import dataclass, replace

import numpy as np

from prediction_services.dataset import load_table
from prediction_services.models import ModelPredictor
from router.core.evidence.combine import average
from router.core.evidence.drawn import Drawn
from router.core.gates import GATES, GateContext
from router.core.gates.by import SegmentKeys
from router.core.wire.outcomes import Batch
from router.core.wire.sampled import Facts, SampleFacts, SamplingEntry
from router.core.wire.sampled import PredictedRow as Row
from router.core.wire.table import RoutingTable
from router.link.messages import Report, SampleReport, encode
from router.proxy.worker import GC_THRESHOLD
from tests.bench.rig import Rig, answer, short
from tests.models_cache import models_cache

MODELS = {
    "v1": ("schedule", 1.0), "v2": ("delay", 1.0), "v3": ("boosted", 1.0),
    "broken-zero": ("delay", 0.0), "broken-seconds": ("delay", 60.0),
}  # fmt: skip
POLICY = {"nulls": {}, "classes": {}, "scores": {}}
LIMIT = 100.0


@dataclass
class Flights:
    """Scores of every model, flight by flight, and the carriers."""

    scores: dict[str, np.ndarray]
    carriers: np.ndarray

    @classmethod
    def load(cls) -> Flights:
        cache = models_cache()
        table = load_table(cache)
        first = table.first_row(3)
        scores = {}
        for name, (model, factor) in MODELS.items():
            predictor = ModelPredictor.load(cache, model, factor)
            features, fitted = predictor._features[first:], predictor._model
            scores[name] = fitted.predict_proba(features)[:, 1]
        return cls(scores, table.carrier[first:])


def row(score, label=None, fault=""):
    return Row(str(int(score >= 0.5)) if label is None else label, float(score), fault)


def broken(flights, name):
    """A row of the broken model for a flight; of the flight before, for one of them."""
    v2, zero = flights.scores["v2"], flights.scores["broken-zero"]
    if name in MODELS:
        model = flights.scores[name]
        return lambda i, _chance: row(model[i])
    return {
        "constant 0.2": lambda _i, _chance: row(0.2),
        "constant 0.8": lambda _i, _chance: row(0.8),
        "labels swapped": lambda i, _c: row(v2[i], str(int(v2[i] < 0.5))),
        "both swapped": lambda i, _c: row(1 - v2[i]),
        "all NaN": lambda i, _c: Row("0", None, "nan"),
        "scores x 0.9": lambda i, _c: row(v2[i] * 0.9),
        "scores + 0.1": lambda i, _c: row(min(v2[i] + 0.1, 1.0)),
        "null in 1 %": lambda i, c: Row("0", None, "null") if c.random() < 0.01 else row(v2[i]),
        "unknown label in 5 %": lambda i, c: (
            row(v2[i], "-1", "unknown") if c.random() < 0.05 else row(v2[i])
        ),
        "delay lost on 20 %": lambda i, c: row((zero if c.random() < 0.2 else v2)[i]),
    }[name]


BROKEN = (
    "broken-zero", "v1", "all NaN", "constant 0.2", "constant 0.8", "broken-seconds",
    "labels swapped", "both swapped", "scores x 0.9", "scores + 0.1", "null in 1 %",
    "unknown label in 5 %", "delay lost on 20 %", "v3", "v2",
)  # fmt: skip


class Trial:
    """The gates of one rollout, with their shares."""

    def __init__(self, policy, *, sticky=False):
        gates = [GATES[name].model_validate(fields) for name, fields in policy.items()]
        self.share = 0.5 / len(gates)
        context = GateContext(limit=LIMIT / self.share, told=SegmentKeys(gates), sticky=sticky)
        self.states = {gate.title: gate.start(context) for gate in gates}
        self.drawn = Drawn(sticky=sticky)

    def feed(self, sample):
        batch = Batch("r", 1, samples=(sample,))
        released = Batch("r", 1, samples=self.drawn.admit(batch, 0.0))
        for state in self.states.values():
            state.observe(released)

    @property
    def convicted(self):
        """The gate that convicts; empty while none does."""
        if average([(self.share, state.capital) for state in self.states.values()]) < LIMIT:
            return ""
        leader = max(self.states, key=lambda name: self.states[name].capital)
        return leader if self.states[leader].candidate.bad >= 2 else ""


def play(flights, candidate, *, seed, requests, weight_bp=5_000, rows=1, users=0, policy=POLICY):
    """(requests until convicted, or all of them; the gate that did it)."""
    chance = random.Random(seed)
    trial = Trial(policy, sticky=bool(users))
    v2, count = flights.scores["v2"], len(flights.carriers)
    salt = chance.getrandbits(32)
    for number in range(requests):
        unit = chance.randrange(1, users + 1) if users else 0
        coin = random.Random(unit * 2**32 + salt) if users else chance
        mine = coin.random() * 10_000 < weight_bp
        places = [chance.randrange(count) for _ in range(rows)]
        made = [candidate(i, chance) if mine else row(v2[i]) for i in places]
        trial.feed(SampleFacts(0, 0, weight_bp, mine, unit, (), Facts(tuple(made))))
        if number % 10 == 9 and (gate := trial.convicted):
            return number + 1, gate
    return requests, ""


def power(flights, options):
    """One line a broken model."""
    for rows, names in ((1, BROKEN), (32, ("broken-zero", "v3"))):
        for name in names:
            found = [
                play(flights, broken(flights, name), seed=seed, requests=options.requests,
                     weight_bp=options.weight, rows=rows)
                for seed in range(options.runs)
            ]  # fmt: skip
            took = sorted(count for count, _ in found)
            gates = sorted({gate for _, gate in found if gate})
            hits = sum(1 for _, gate in found if gate)
            median, late = took[len(took) // 2], took[len(took) * 9 // 10]
            print(f"{rows:2} rows  {name:22} {median:6} / {late:6}  {hits} of {options.runs} "
                  f"by {', '.join(gates) or 'nobody'}", flush=True)  # fmt: skip


def same(flights, options):
    """Stable against itself."""
    for rows, users in ((1, 0), (32, 0), (1, 3_000), (32, 3_000)):
        requests = options.requests // (8 if rows > 1 else 1)
        hits = 0
        for seed in range(options.runs):
            took = play(flights, broken(flights, "v2"), seed=seed, requests=requests, rows=rows,
                        weight_bp=options.weight, users=users)  # fmt: skip
            hits += bool(took[1])
        kind = "users" if users else "requests"
        print(f"same model, {rows} rows, {kind}: {hits} of {options.runs} convicted "
              f"within {requests} requests", flush=True)  # fmt: skip


def equal(_flights, options):
    """Two versions, as faulty as each other: whatever causes it, the candidate is innocent."""
    for share in (0.01, 0.05):
        hits = 0
        for seed in range(options.runs):
            chance, trial = random.Random(seed), Trial({"nulls": {}})
            for _ in range(options.requests):
                made = Row("0", None, "null") if chance.random() < share else Row("0", 0.1)
                mine = chance.random() * 10_000 < options.weight
                told = Facts((made,))
                trial.feed(SampleFacts(0, 0, options.weight, mine, 0, (), told))
                if made.fault and trial.convicted:
                    hits += 1
                    break
        print(f"nulls, {share:.0%} of the rows of both faulty: {hits} of {options.runs} convicted "
              f"within {options.requests} requests", flush=True)  # fmt: skip


BURST, REPORT_EVERY, BURSTS = 2_000, 250, 41


async def cost(options):
    """CPU microseconds of a request without and with sampling, and their ratio."""
    rigs = {"not sampled": Rig(), "sampled": Rig()}
    table = rigs["sampled"].plane.serving.table
    entry = replace(table.routes[0], sampling=SamplingEntry(options.share))
    rigs["sampled"].plane.apply(RoutingTable(2, (entry,)))
    number, took, samples, sent = 0, {name: [] for name in rigs}, 0, 0
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)  # as a worker does
    for _ in range(BURSTS + 2):
        for name, rig in rigs.items():
            recorder = rig.plane.recorder
            began = time.process_time()
            for _ in range(BURST):
                number += 1
                rig.exchange(short(number), answer(number))
                if number % REPORT_EVERY == 0:
                    delta = recorder.delta()
                    told = encode(Report(delta.batches, delta.versions))
                    if found := recorder.take_samples():
                        told += encode(SampleReport(found))
                        samples += len(found)
                    sent += len(told)
            took[name].append((time.process_time() - began) / BURST * 1e6)
            await asyncio.sleep(0)
    plain, read = (took[name][2:] for name in ("not sampled", "sampled"))
    ratios = sorted(b / a for a, b in zip(plain, read, strict=True))
    print(f"CPU of a request: {statistics.median(plain):.1f} us, with {options.share / 100:g} % "
          f"sampled {statistics.median(read):.1f} us: {statistics.median(ratios):.3f} x "
          f"(quartiles {ratios[len(ratios) // 4]:.3f} to {ratios[3 * len(ratios) // 4]:.3f}; "
          f"{samples:,} samples)")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("power", "same", "equal", "cost"))
    parser.add_argument("--runs", type=int)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--weight", type=int, default=5_000, help="basis points")
    parser.add_argument("--share", type=int, default=1_000, help="sampled, basis points")
    options = parser.parse_args()
    if options.what == "cost":
        asyncio.run(cost(options))
        return
    options.runs = options.runs or (21 if options.what == "power" else 1_000)
    options.requests = options.requests or (6_000 if options.what == "power" else 2_000)
    {"power": power, "same": same, "equal": equal}[options.what](Flights.load(), options)


if __name__ == "__main__":
    main()
