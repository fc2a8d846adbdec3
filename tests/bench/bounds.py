"""How many requests any rule needs that spares models whose scores moved a little: a lower bound.

    python -m tests.bench.bounds [--shift 0.02 0.05] [--margin 0.02 0.002] [--parts 6]

A rule that takes the innocent back in at most 1 % of rollouts, and the broken model in 90 %, needs
in the mean at least ``0.9 ln(0.9 / 0.01) + 0.1 ln(0.1 / 0.99)`` = 3.82 nats over D requests of an
even coin (Wald, Sequential tests of statistical hypotheses, 1945), however it looks and whatever it
knows of the model before. D is the mean divergence of what it sees, the arm and the score, from a
pair of versions that is innocent; here: the candidate's scores are stable's, each moved by at most
``shift`` of their range. The smallest D over all such pairs is a convex problem, solved by
expectation maximisation. The pair found is the reverse information projection, so no bet grows
faster than D a request, either (Grunwald, de Heide and Koolen, Safe testing, 2024). Scores are read
in 200 equal parts of 0 to 1: their last digits tell nothing.

Behind it, how fast the gate's own bet grows if it knew both models from the first request on, with
its margin and forty marks: in all requests together, and in the one of ``--parts`` parts of the
departure delay (with equally many flights) in which most of the evidence is, where requests say it.
"""

from __future__ import annotations

import argparse
import math

import numpy as np

from prediction_services.dataset import load_table
from prediction_services.models import ModelPredictor
from prediction_services.versions import VERSIONS
from router.core.evidence.shares import LOSS_MAX
from router.core.evidence.shift import _cut, _falling, _stakes_of
from tests.models_cache import models_cache

PARTS = 200
ROUNDS = 3_000
NATS = 0.9 * math.log(0.9 / 0.01) + 0.1 * math.log(0.1 / 0.99)
SHARED = 6.0 * 3.0 * 2.0 * 4.0
"""What the evidence is divided by in a policy of error_rate, nulls, classes and scores: a sixth is
the gate's, a third of it one side's, half of that waits, a quarter of the rest is one size's."""
MODELS = ("v1", "v3", "broken-zero", "broken-lost", "broken-dropped")


def scores():
    """Of each model, of the flights from March on, and of v2 scaled."""
    table, found = load_table(models_cache()), {}
    first = table.first_row(3)
    for name in ("v2", *MODELS):
        version = VERSIONS[name]
        predictor = ModelPredictor.load(
            models_cache(), version.model, version.delay_factor,
            lost_share=version.lost_share, dropped=version.dropped,
        )  # fmt: skip
        found[name] = predictor._model.predict_proba(predictor._features[first:])[:, 1]
    return found | {"scores x 0.9": 0.9 * found["v2"]}


def parts(values):
    """Shares of the scores in each part."""
    places = np.minimum((values * PARTS).astype(int), PARTS - 1)
    return np.bincount(places, minlength=PARTS) / len(values)


def divergence(mine, others):
    seen = mine > 0
    return float(np.sum(mine[seen] * np.log(mine[seen] / others[seen])))


def smallest(candidate, stable, shift):
    """D: the mean divergence from the nearest innocent pair, nats a request."""
    places = (np.arange(PARTS) + 0.5) / PARTS
    pair = (np.abs(places[:, None] - places[None, :]) <= shift + 1e-9).astype(float)
    pair /= pair.sum()
    for _ in range(ROUNDS):
        mine, others = pair.sum(axis=1), pair.sum(axis=0)
        ours = np.divide(candidate, mine, out=np.zeros(PARTS), where=mine > 0)
        theirs = np.divide(stable, others, out=np.zeros(PARTS), where=others > 0)
        pair *= 0.5 * ours[:, None] + 0.5 * theirs[None, :]
    mine, others = pair.sum(axis=1), pair.sum(axis=0)
    return 0.5 * divergence(candidate, mine) + 0.5 * divergence(stable, others)


SIDES = (("first", 1.0), ("last", -1.0))
MARKS = 40
KNOWN_SIZES = (0.1, 0.35, 0.6, 1.0, 1.5, 2.0, 3.0)


def growth(candidate, stable, shift, margin):
    """Nats a request of the gate's own bet on either side, at its best size; 0: it bets nothing."""
    known = np.sort(stable)
    marks = np.unique([known[i * len(known) // MARKS] for i in range(1, MARKS)])
    return max(_side(_bins(candidate + way * shift, marks), _bins(stable, marks), margin, order)
               for order, way in SIDES)  # fmt: skip


def _bins(values, marks):
    found = np.bincount(np.searchsorted(marks, values), minlength=len(marks) + 1)
    return found / len(values) + 1e-9


def _side(mine, others, margin, order):
    turn = slice(None, None, 1 if order == "first" else -1)
    one, other = (np.array(part)[turn] for part in _falling(list(mine[turn]), list(others[turn])))
    most, least = _cut(list(one), list(other), margin), _cut(list(other), list(one), margin)
    if most <= 1.0 or least <= 1.0:
        return 0.0
    known = _stakes_of(list(np.clip(one / other, 1.0 / least, most)), 5_000, margin)
    stakes, w = np.array(known.stakes), 0.5
    worst = max(-stakes.min(), stakes.max()) / w + known.paid
    return max(
        float(w * mine @ np.log1p(size * (stakes / w - known.paid))
              + w * others @ np.log1p(size * (-stakes / w - known.paid)))
        for size in KNOWN_SIZES if size * worst < LOSS_MAX
    )  # fmt: skip


def by_delay(candidate, stable, delays, told):
    """The largest growth of one part, a request of all, by shift and margin."""
    cuts = np.quantile(delays, np.arange(1, told.parts) / told.parts)
    place = np.digitize(delays, np.unique(cuts), right=True)
    for shift, margin in zip(told.shift, told.margin, strict=True):
        parts_ = [place == one for one in np.unique(place)]
        found = [growth(candidate[p], stable[p], shift, margin) * p.mean() for p in parts_]
        yield shift, margin, growth(candidate, stable, shift, margin), max(found)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shift", type=float, nargs="*", default=[0.02, 0.05])
    parser.add_argument("--margin", type=float, nargs="*", default=[0.002, 0.02])
    parser.add_argument("--parts", type=int, default=6)
    told, found = parser.parse_args(argv), scores()
    v2 = found.pop("v2")
    stable = parts(v2)
    product = math.log(100.0 * SHARED)
    for name, values in found.items():
        for shift in told.shift:
            d = smallest(parts(values), stable, shift)
            least, ours = (f"{nats / d:,.0f}" if d > 1e-5 else "never" for nats in (NATS, product))
            print(
                f"{name:16} shift {shift:4.0%}  D {d:.5f}  any rule {least:>7}  "
                f"the gate's share, the bet known {ours:>7}", flush=True,
            )  # fmt: skip
    table = load_table(models_cache())
    delays = np.nan_to_num(table.dep_delay[table.first_row(3) :])
    for name, values in found.items():
        for shift, margin, all_, one in by_delay(values, v2, delays, told):
            print(f"{name:16} shift {shift:4.0%} margin {margin:4.1%}  its own bet {all_:.5f} nats "
                  f"a request, in one of {told.parts} parts {one:.5f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
