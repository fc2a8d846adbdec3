"""Labels until a broken candidate is convicted, and how often an equal one is: labelled pairs.

``python -m tests.log.powers [RUNS] [EQUAL RUNS]``. Stable's mistakes are those of the
demonstration's v2 on the flights: 27 % are late, of these it misses 29 %, of the others it calls
3.5 % late (accuracy 0.896, 21.7 % called late; docs/prediction-log.md). Each label comes with its
pair; the judge is the product's, with the gate accuracy as it is by default, alone or sharing the
evidence with auc.

Three oracles, which know the candidate's mistakes, say what a test of level alpha can do. ``least``
is what none that looks after every label can beat in the mean: ``ln(1 / alpha)`` over the growth of
the best bet on ``E[D] <= margin`` (Wald, Ann. Math. Stat. 1945; every bet on a bounded mean is at
most one of ``1 + lam (D - margin)``, Waudby-Smith & Ramdas, JRSS B 2024). ``best_median`` is the
median of that bet. ``one_look`` is the power of the test that looks only once, at so many labels,
against the nearest harmless candidate (Neyman & Pearson 1933): no test convicts more often by then.
"""

import math
import random
import statistics
import sys

from router.core.evidence.distinct import DistinctUnits
from router.core.gates import GATES
from router.core.judge import Judge, JudgeSettings
from router.core.wire.baseline import Baseline
from router.core.wire.outcomes import Batch
from router.core.wire.ripe import Ripe, RipePair

LABELS_MAX = 4_000
SHADOW = JudgeSettings(pairs_share=1.0)
"""What a shadow's judge has: every label is one of a pair."""
RATE, MISSED, CRIED = 0.27, 0.29, 0.035
"""Share of positives, and of mistakes among positives and negatives."""
BOTH = ("accuracy", "auc")
ALPHA, MARGIN = 0.01, 0.01
"""Of the policy, and of the gate, by default."""


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


KINDS = {
    "broken-zero": (broken_zero, 60),
    "feature lost on 20 %": (feature_lost, 800),
    "one in ten stale": (stale, 2_500),
}


def pairs(kind, rng):
    """One labelled pair after the other."""
    last = (False, RATE)
    while True:
        positive = rng.random() < RATE
        ours = stable(rng, positive)
        theirs = kind(rng, positive, ours, last)
        last = ours
        yield RipePair(positive, ours[0] == positive, theirs[0] == positive, None, None,
                       ours[1], theirs[1])  # fmt: skip


def often_wrong(rng):
    """Both err on four of ten, each on its own."""
    while True:
        positive = rng.random() < 0.5
        ours, theirs = rng.random() < 0.6, rng.random() < 0.6
        yield RipePair(positive, ours, theirs, None, None, rng.random(), rng.random())


def one_row(source):
    """Requests with one prediction."""
    return (Ripe(pairs=(pair,)) for pair in source)


def clusters(rng):
    """Requests of eight rows, which are right or wrong together."""
    for pair in often_wrong(rng):
        yield Ripe(pairs=(pair,) * 8)


def users(rng):
    """A canary of 50 % by users, of whom some are misjudged nearly always, and some ask often.

    Each request gets its label; the first of each user is evidence, as for `Trial.counts`.
    """
    known, people = DistinctUnits(), {}
    while True:
        person = int(rng.paretovariate(0.6))
        if person not in people:
            people[person] = rng.getrandbits(64), rng.random() < 0.5, rng.betavariate(0.3, 0.7)
        unit, candidate, wrong = people[person]
        positive, correct = rng.random() < 0.5, rng.random() >= wrong
        score = rng.gauss(0.7 if positive == correct else 0.3, 0.15)
        if known.add((unit,)) == 1:
            yield Ripe(5_000, candidate, correct, None, score, positive)


def pairs_of_users(rng):
    """The same shadowed, both versions misjudging the same people: first truth of each."""
    known, people = DistinctUnits(), {}
    while True:
        person = int(rng.paretovariate(0.6))
        unit, wrong = people.setdefault(person, (rng.getrandbits(64), rng.betavariate(0.3, 0.7)))
        positive, ours, theirs = (rng.random() < share for share in (0.5, 1 - wrong, 1 - wrong))
        if known.add((unit,)) == 1:
            yield Ripe(pairs=(
                RipePair(positive, ours, theirs, None, None, rng.random(), rng.random()),
            ))  # fmt: skip


def labels_until(requests, most, gates, settings=SHADOW):
    """Labelled requests until the judge convicts; None if it does not."""
    judge = Judge([GATES[gate]() for gate in gates], settings, Baseline(), 0.0)
    for n in range(1, most + 1):
        judge.observe(Batch("r", 1, matured=(next(requests),)), float(n))
        if judge.conviction:
            return n
    return None


def power(kind, runs, gates=("accuracy",)):
    """Median labels; a run that never convicts counts as the most."""
    found = (
        labels_until(one_row(pairs(kind, random.Random(n))), LABELS_MAX, gates) for n in range(runs)
    )
    return statistics.median(n or LABELS_MAX for n in found)


EQUAL = {
    "the same model": lambda rng: one_row(pairs(equal, rng)),
    "as good, other mistakes": lambda rng: one_row(pairs(another, rng)),
    "both wrong in four of ten": lambda rng: one_row(often_wrong(rng)),
    "eight rows a request, alike": clusters,
    "users who are misjudged, drawn": users,
    "users who are misjudged, copied": pairs_of_users,
}
SETTINGS = {
    "users who are misjudged, drawn": JudgeSettings(sticky=True, pairs_share=0.0),
    "users who are misjudged, copied": JudgeSettings(sticky=True, pairs_share=1.0),
}


def false_convictions(name, runs, most=1_000, gates=BOTH):
    """Of so many runs."""
    made = (EQUAL[name](random.Random(10_000 + seed)) for seed in range(runs))
    settings = SETTINGS.get(name, SHADOW)
    return sum(labels_until(requests, most, gates, settings) is not None for requests in made)


def differences(kind, labels=200_000):
    """How often the candidate is worse (1), alike (0), better (-1)."""
    source, seen = pairs(kind, random.Random(1)), {1: 0, 0: 0, -1: 0}
    for _ in range(labels):
        pair = next(source)
        seen[pair.stable_correct - pair.candidate_correct] += 1
    return {d: n / labels for d, n in seen.items()}


def best_bet(shares, margin=MARGIN):
    """Log factors of the bet that grows fastest, by difference."""
    bets = (
        {d: math.log1p(lam * (d - margin) / (1 + margin)) for d in shares}
        for lam in (n / 1000 for n in range(1, 1000))
    )
    return max(bets, key=lambda logs: sum(shares[d] * log for d, log in logs.items()))


def least(shares, alpha=ALPHA):
    """Mean labels of the best test, see the module."""
    logs = best_bet(shares)
    return math.log(1 / alpha) / sum(shares[d] * log for d, log in logs.items())


def best_median(kind, shares, runs, alpha=ALPHA):
    """Median labels of the best bet."""
    logs, found = best_bet(shares), []
    for seed in range(runs):
        source, capital, n = pairs(kind, random.Random(seed)), 0.0, 0
        while capital < math.log(1 / alpha):
            pair, n = next(source), n + 1
            capital += logs[pair.stable_correct - pair.candidate_correct]
        found.append(n)
    return statistics.median(found)


def one_look(shares, labels, alpha=ALPHA):
    """Power of the best test that looks once, see the module."""
    nearest = {d: shares[d] / math.exp(log) for d, log in best_bet(shares).items()}
    found = []
    for worse in range(labels + 1):
        for better in range(labels + 1 - worse):
            counts = {1: worse, -1: better, 0: labels - worse - better}
            ways = math.lgamma(labels + 1) - sum(math.lgamma(n + 1) for n in counts.values())
            ours, theirs = (
                ways + sum(n * math.log(of[d]) for d, n in counts.items())
                for of in (shares, nearest)
            )
            found.append((ours - theirs, math.exp(ours), math.exp(theirs)))
    left, power = alpha, 0.0
    for _, ours, theirs in sorted(found, reverse=True):
        if theirs > left:
            return power + ours * left / theirs
        left, power = left - theirs, power + ours
    return power


if __name__ == "__main__":
    runs, equals = (int(n) for n in (*sys.argv[1:], "101", "1000")[:2])
    for name, (kind, bar) in KINDS.items():
        alone, both, shares = power(kind, runs), power(kind, runs, BOTH), differences(kind)
        once = f"; looking once, at {bar}: {one_look(shares, bar):.0%}" if bar < 100 else ""
        print(f"{name}: median {alone:g} labels, beside auc {both:g} (bar {bar}, {runs} runs); who "
              f"knows it needs {best_median(kind, shares, runs):g}, in the mean at least "
              f"{least(shares):.0f}{once}", flush=True)  # fmt: skip
    for name in EQUAL:
        hits = false_convictions(name, equals)
        print(f"{name}: {hits} of {equals} convicted in 1,000 labels", flush=True)
