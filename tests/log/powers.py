"""Labels until a broken candidate is convicted, and how often an equal one is: labelled pairs.

``python -m tests.log.powers [RUNS]``. Stable's mistakes are those of the demonstration's v2 on the
flights: 27 % are late, of these it misses 29 %, of the others it calls 3.5 % late (accuracy 0.896,
21.7 % called late; docs/prediction-log.md). Each label comes with its pair; the judge is the
product's, with the gate accuracy as it is by default, alone or sharing the evidence with auc.
"""

import random
import statistics
import sys

from router.core.gates import GATES
from router.core.judge import Judge, JudgeSettings
from router.core.wire.outcomes import Baseline, Batch
from router.core.wire.ripe import Ripe, RipePair

LABELS_MAX = 4_000
RATE, MISSED, CRIED = 0.27, 0.29, 0.035
"""Share of positives, and of mistakes among positives and negatives."""


def stable(rng, positive):
    """Label and score of a model as good as v2."""
    said = positive ^ (rng.random() < (MISSED if positive else CRIED))
    return said, min(max(rng.gauss(0.7 if said else 0.15, 0.15), 0.0), 1.0)


def broken_zero(rng, positive, ours, last):
    return False, min(max(rng.gauss(0.1, 0.05), 0.0), 1.0)


def feature_lost(rng, positive, ours, last):
    """On 20 % of the rows the answer is that of no feature: no, and a score of the base rate."""
    return (False, RATE) if rng.random() < 0.2 else ours


def stale(rng, positive, ours, last):
    """One answer in ten is the one before."""
    return last if rng.random() < 0.1 else ours


def equal(rng, positive, ours, last):
    return ours


def another(rng, positive, ours, last):
    """As good, but not the same: it errs on other requests."""
    return stable(rng, positive)


BOTH = ("accuracy", "auc")
KINDS = {
    "broken-zero": (broken_zero, 60),
    "feature lost on 20 %": (feature_lost, 800),
    "one in ten stale": (stale, 2_500),
}


def run(kind, seed, most=LABELS_MAX, gates=("accuracy",)):
    """Labels until the judge convicts; None if it does not."""
    rng, last = random.Random(seed), (False, RATE)
    judge = Judge([GATES[gate]() for gate in gates], JudgeSettings(), Baseline(), 0.0)
    for n in range(1, most + 1):
        positive = rng.random() < RATE
        ours = stable(rng, positive)
        theirs = kind(rng, positive, ours, last)
        last = ours
        pair = RipePair(positive, ours[0] == positive, theirs[0] == positive, None, None,
                        ours[1], theirs[1])  # fmt: skip
        judge.observe(Batch("r", 1, matured=(Ripe(pairs=(pair,)),)), float(n))
        if judge.conviction:
            return n
    return None


def power(kind, runs, gates=("accuracy",)):
    """Median labels; a run that never convicts counts as the most."""
    return statistics.median(run(kind, n, gates=gates) or LABELS_MAX for n in range(runs))


def false_convictions(kind, runs, most=2_000):
    return sum(run(kind, 10_000 + seed, most, BOTH) is not None for seed in range(runs))


if __name__ == "__main__":
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    for name, (kind, bar) in KINDS.items():
        alone, both = power(kind, runs), power(kind, runs, BOTH)
        print(f"{name}: median {alone:g} labels, beside auc {both:g} (bar {bar})", flush=True)
    for name, kind in (("the same model", equal), ("as good, other mistakes", another)):
        hits = false_convictions(kind, 10 * runs, 1_000)
        print(f"{name}: {hits} of {10 * runs} convicted in 1,000 labels", flush=True)
