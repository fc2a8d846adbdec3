"""How large a sample is enough: with it a candidate that fails `detect` would have been convicted.

A bettor's log capital is a random walk whose mean and variance an outcome of such a candidate has.
It has reached ``nats`` in 90 % of cases after about ``0.82 n``, where

    n * mean - z * sqrt(n * variance) = nats            z = 1.2816, the 90 % point of the normal

(Wald's first passage, Sequential Analysis, 1947; the normal is too careful, since whole bad answers
jump over the limit: in simulations of 12 combinations of rates and weights the 90 % point lay at
0.76 to 0.87 ``n``). Fewer bad answers than a rollback needs convict nobody either.

Worked example: stable 1 %, weight 10 %, default tolerance, `detect` 6 %, one gate at 200 : 1:
328 candidate answers; simulated 303.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from router.core.evidence.bettors import TOP_RATE, log_table, tolerated_rate
from router.core.evidence.guard import guard_hypotheses
from router.core.evidence.paired import LAMBDAS, PARTS, START
from router.core.words import FULL_BP

Z_90 = 1.2816
"""90 % point of the standard normal distribution."""

APART = 1.25
"""A bad rate less than this many times the tolerated one is nothing that a gate is asked to see."""

START_SHARE = 0.5
"""Share of the capital that bets from the first outcome."""

CALIBRATED = 0.82
"""See the module."""

NEVER = 10**9
"""More answers than any rollout has: at this weight the gate cannot see it."""

KNOWN_MAX = 4_096
"""Samples of each kind that are remembered: every look of a live rollout asks for the same few."""


@dataclass(frozen=True, slots=True)
class Detect:
    """The regression that a promotion must have been able to see."""

    times: float = 5.0
    """Times the bad rate that a gate takes for granted (stable's, or its own limit)."""
    points: float = 0.05
    """At least so much more of all answers, 0..1."""

    def rate(self, granted: float, tolerated: float | None = None) -> float:
        """Bad rate, 0..1, that must be seen where ``granted`` is normal.

        A gate that tolerates more than that is asked for the same excess over what it tolerates.
        """
        wanted = max(self.times * granted, granted + self.points)
        if tolerated is not None and wanted < APART * tolerated:
            wanted = max(self.times * tolerated, tolerated + self.points)
        normal = max(granted, tolerated or 0.0)
        return min(wanted, max(0.9, (normal + TOP_RATE) / 2))


class Sample(NamedTuple):
    """Outcomes of the candidate that a gate has, and that it needs."""

    seen: int
    wanted: int

    @property
    def left(self) -> int:
        """Outcomes that are still to come."""
        return max(self.wanted - self.seen, 0)


def walk(mean: float, variance: float, nats: float) -> float:
    """Steps after which a random walk has reached ``nats`` in 90 % of cases; inf if it falls."""
    if mean <= 0.0:
        return math.inf
    spread = Z_90 * math.sqrt(variance)
    return ((spread + math.sqrt(spread * spread + 4.0 * mean * nats)) / (2.0 * mean)) ** 2


def moments(outcomes: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Mean and variance of ``(probability, value)``."""
    known = list(outcomes)
    mean = math.fsum(p * x for p, x in known)
    return mean, math.fsum(p * (x - mean) ** 2 for p, x in known)


def enough_bad(bad_rate: float, min_bad: int) -> float:
    """Answers after which at least ``min_bad`` were bad in 90 % of cases."""
    return walk(bad_rate, bad_rate * (1.0 - bad_rate), float(min_bad))


@lru_cache(maxsize=KNOWN_MAX)
def compared(
    weight_bp: int, p0: float, relative: float, absolute: float, detect: Detect,
    *, limit: float, min_bad: int,
) -> int:  # fmt: skip
    """Candidate answers at one weight that a comparison with stable needs (``CompareEvidence``)."""
    if not 0 < weight_bp < FULL_BP:
        return NEVER
    w = weight_bp / FULL_BP
    p = detect.rate(p0, tolerated_rate(p0, relative, absolute))
    table = log_table(weight_bp, p0, relative, absolute, True)
    nats = math.log(limit) + math.log(len(table) / START_SHARE)
    draws = min(
        walk(
            *moments(
                (
                    (w * p, row.candidate_bad), (w * (1 - p), row.candidate_ok),
                    ((1 - w) * p0, row.stable_bad), ((1 - w) * (1 - p0), row.stable_ok),
                )
            ),
            nats,
        )
        for row in table
    )  # fmt: skip
    return _whole(max(CALIBRATED * draws * w, enough_bad(p, min_bad)))


@lru_cache(maxsize=KNOWN_MAX)
def absolute(limit_rate: float, detect: Detect, *, limit: float, min_bad: int) -> int:
    """Outcomes that a test against a fixed limit needs (``GuardEvidence``)."""
    p = detect.rate(limit_rate)
    rates = guard_hypotheses(limit_rate, "above")
    nats = math.log(limit) + math.log(len(rates) / START_SHARE)
    good = 1.0 - limit_rate
    draws = min(
        walk(*moments(((p, math.log(q / limit_rate)), (1 - p, math.log((1 - q) / good)))), nats)
        for q in rates
    )
    return _whole(max(CALIBRATED * draws, enough_bad(p, min_bad)))


@lru_cache(maxsize=KNOWN_MAX)
def paired(margin: float, detect: Detect, *, limit: float, min_bad: int) -> int:
    """Pairs that a test of who alone was wrong needs (``PairedEvidence``)."""
    if math.isinf(limit):
        return NEVER
    p = detect.rate(margin)
    draws = min(
        walk(
            *moments(
                (q, math.log1p(lam * (d - margin) / (1.0 + margin)))
                for q, d in ((p, 1.0), (1.0 - p, 0.0))
            ),
            math.log(limit / (START * part)),
        )
        for lam, part in zip(LAMBDAS, PARTS, strict=True)
    )
    return _whole(max(CALIBRATED * draws, enough_bad(p, min_bad)))


@lru_cache(maxsize=KNOWN_MAX)
def preferred(margin: float, detect: Detect, *, limit: float, min_bad: int) -> int:
    """Verdicts that a test of who is called better needs (``PairedEvidence``).

    The candidate of `detect` is called worse by so much more often than better; there are no ties
    among its pairs, which spread the most.
    """
    more = detect.rate(margin)
    worse = (1.0 + more) / 2.0
    draws = min(
        walk(
            *moments(
                (q, math.log1p(lam * (d - margin) / (1.0 + margin)))
                for q, d in ((worse, 1.0), (1.0 - worse, -1.0))
            ),
            math.log(limit / (START * part)),
        )
        for lam, part in zip(LAMBDAS, PARTS, strict=True)
    )
    return _whole(max(CALIBRATED * draws, enough_bad(worse, min_bad)))


@lru_cache(maxsize=KNOWN_MAX)
def lost(
    weight_bp: int, margin: float, detect: Detect, *, limit: float, min_bad: int, level: float = 0.2
) -> int:  # fmt: skip
    """Candidate answers at one weight that a comparison of losses needs (``LossEvidence``).

    ``level``: stable's mean loss; losses are taken as 0 or 1, which spread the most.
    """
    if not 0 < weight_bp < FULL_BP or math.isinf(limit):
        return NEVER
    w = weight_bp / FULL_BP
    p = detect.rate(level, level + margin)
    allowed = w * (1.0 - w) * margin
    most = max(w, 1.0 - w) + allowed
    nats = math.log(limit) + math.log(len(LAMBDAS) / START_SHARE)
    outcomes = (
        (w * p, (1 - level) * (1 - w)), (w * (1 - p), -level * (1 - w)),
        ((1 - w) * level, -(1 - level) * w), ((1 - w) * (1 - level), level * w),
    )  # fmt: skip
    draws = min(
        walk(*moments((q, math.log1p(lam * (x - allowed) / most)) for q, x in outcomes), nats)
        for lam in LAMBDAS
    )
    return _whole(max(CALIBRATED * draws * w, enough_bad(p, min_bad)))


def part_limits(limit: float, pairs_share: float) -> tuple[float, float]:
    """What the part on pairs, and the one on draws, must reach alone; inf: it has no capital."""
    drawn = 1.0 - pairs_share
    return limit / pairs_share if pairs_share else math.inf, limit / drawn if drawn else math.inf


def _whole(answers: float) -> int:
    return math.ceil(min(answers, NEVER))
