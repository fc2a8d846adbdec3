"""The bets: hypothesised bad rates and the four factors with which each bettor plays.

A request is drawn to the candidate (``A = 1``) by a real coin of known probability ``w`` and turns
out bad (``Y = 1``) or ok. Tolerating ``rho`` (relative) and ``delta`` (absolute), the statement
under test is

    H0:  p_candidate <= (1 + rho) * p_stable + delta      at every moment, both free to move.

    Z1 = A Y / w - (1 + rho) (1 - A) Y / (1 - w) - delta
    Z0 = (1 - A) (1 - Y) / (1 - w) - A (1 - Y) / w - rho (1 - A) Y / (1 - w) - delta
    e  = 1 + l1 Z1 + l0 Z0                                with l1, l0 >= 0 and e > 0

Both Z have mean ``p_candidate - (1 + rho) p_stable - delta <= 0`` given the past, whatever stable's
rate is, so ``E[e | past] <= 1``: a product of such factors is a non-negative supermartingale, and
the chance that it *ever* reaches 1/alpha is at most alpha (Ville 1939). With rho = delta = 0 the
factor is the likelihood ratio of the *arm* given the *outcome* (compare Lindon & Malek,
arXiv 2011.03567), which is why shared outages and daily cycles cancel exactly.

A bettor hypothesises one candidate bad rate ``p_k``; that fixes ``l1`` and ``l0`` near their
growth-optimal values. Which rates are hypothesised steers power only, never validity.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from router.core.words import FULL_BP

GEOMETRIC_BETTORS = 8
"""Bettors log-spaced between 1.6 times the tolerated rate and :data:`TOP_RATE`, at most."""

APART_RATIO = 1.4
"""Log-spaced bettors are at least this far apart: closer ones are one bet, paid for twice.

At a tolerated rate of one half (stable's median latency) two bettors are left of nine, and a
candidate that is 30 % slower is taken back after a tenth fewer requests.
"""

TOP_RATE = 0.97
"""The largest hypothesised bad rate: a candidate that fails always."""

NEAREST_RATIO = 1.25
"""One more bettor sits this close to the tolerated rate, for small regressions."""

FACTOR_MIN = 0.01
"""No bet may lose more than 99 % of its capital on one request."""

TABLES_MAX = 512
"""Cached factor tables: weights times gates; a ramp uses about ten weights."""


class LogFactors(NamedTuple):
    """Natural logarithms of one bettor's four factors."""

    candidate_bad: float
    stable_bad: float
    candidate_ok: float
    stable_ok: float


class GroupedLogs(NamedTuple):
    """The same where several failures may have one cause."""

    candidate_bad: float
    stable_bad: float
    candidate_ok: float
    stable_ok: float
    candidate_more: float
    """On top for a bad one that has the cause of another one before it (see :func:`together`)."""
    stable_more: float


def together(log_bad: float, size: int) -> tuple[float, float]:
    """Log factors of a cause's first failure, and on top for each further one, up to ``size``.

    With ``x`` = factor - 1 the failures of one cause bet ``1 + x b / size``, which is linear in
    their number b: the mean is the same whether they come alone or together. The first takes
    ``1 + x / size`` of it; what a full cause of ``size`` has beyond is shared out evenly, which is
    less than the linear bet for every b in between.
    """
    if size <= 1:
        return log_bad, 0.0
    first = math.log1p(math.expm1(log_bad) / size)
    return first, (log_bad - first) / (size - 1) - first


def diluted(log_good: float, size: int) -> float:
    """Log factor of a good outcome at the same stake: the ``size``-th part."""
    return log_good if size <= 1 else math.log1p(math.expm1(log_good) / size)


def tolerated_rate(p0: float, relative: float, absolute: float) -> float:
    """``(1 + rho) p0 + delta``, at most 0.9: the candidate's rate where stable has p0."""
    return min((1.0 + relative) * p0 + absolute, 0.9)


def spaced(low: float, high: float, count: int) -> tuple[float, ...]:
    """``count`` >= 2 values from ``low`` to ``high``, evenly spaced on the log axis."""
    step = math.log(high / low) / (count - 1)
    return tuple(low * math.exp(step * i) for i in range(count))


def hypotheses(p0: float, relative: float, absolute: float) -> tuple[float, ...]:
    """Candidate bad rates, ascending, one a bettor: 1.25 b, then up to eight from 1.6 b to 0.97.

    Worked examples, no tolerance: p0 = 1 %: 1.25 %, 1.6 %, 2.9 %, 5.2 % … 97 %;
    p0 = 50 %: 62.5 %, 97 %.
    """
    b = tolerated_rate(p0, relative, absolute)
    low = min(1.6 * b, (b + TOP_RATE) / 2)
    room = 1 + math.floor(math.log(TOP_RATE / low) / math.log(APART_RATIO))
    count = min(room, GEOMETRIC_BETTORS)
    rest = spaced(low, TOP_RATE, count) if count > 1 else (TOP_RATE,)
    return (min(NEAREST_RATIO * b, (b + rest[0]) / 2), *rest)


def factors(
    weight: float, rate: float, p0: float, relative: float, absolute: float, *, ok_channel: bool
) -> tuple[float, float, float, float]:
    """Factors of the bettor at ``rate``: (candidate bad, stable bad, candidate ok, stable ok).

    ``weight`` is the coin's probability, strictly between 0 and 1. ``ok_channel`` False bets on bad
    outcomes only (``l0 = 0``), required when routing is sticky: users differ in how many good
    requests they make, and that must not look like evidence.
    """
    w, v = weight, 1.0 - weight
    b = tolerated_rate(p0, relative, absolute)
    r = max(rate / b, 1.0)  # below 1 the bet would be on a *better* candidate
    s = min(max((1.0 - rate) / (1.0 - b), 0.02), 1.0)
    q0 = w * (1.0 + relative) / (w * (1.0 + relative) + v)
    phi = min(q0 * (r - 1.0) / (1.0 - q0 + q0 * r), 0.97)
    bound = (1.0 + relative) / v + absolute
    l1 = phi / bound
    l0 = w * v * (1.0 - s) / (v + w * s) if ok_channel else 0.0
    table = (
        1.0 + l1 * (1.0 / w - absolute) - l0 * absolute,
        1.0 - l1 * bound - l0 * (relative / v + absolute),
        1.0 - l1 * absolute - l0 * (1.0 / w + absolute),
        1.0 - l1 * absolute + l0 * (1.0 / v - absolute),
    )
    smallest = min(table)
    if smallest >= FACTOR_MIN:
        return table
    shrink = (1.0 - FACTOR_MIN) / (1.0 - smallest)  # mixing with 1 keeps E <= 1
    a, c, d, e = (1.0 + shrink * (f - 1.0) for f in table)
    return a, c, d, e


@lru_cache(maxsize=TABLES_MAX)
def log_table(
    weight_bp: int, p0: float, relative: float, absolute: float, ok_channel: bool
) -> tuple[LogFactors, ...]:
    """Log factors of every bettor at one weight (0 < ``weight_bp`` < 10 000), cached."""
    if not 0 < weight_bp < FULL_BP:
        raise ValueError(f"a forced arm is no evidence: weight {weight_bp} bp is not a coin")
    return tuple(
        LogFactors(*map(math.log, factors(weight_bp / FULL_BP, rate, p0, relative, absolute,
                                          ok_channel=ok_channel)))
        for rate in hypotheses(p0, relative, absolute)
    )  # fmt: skip


@lru_cache(maxsize=TABLES_MAX)
def grouped_table(
    weight_bp: int, p0: float, relative: float, absolute: float, ok_channel: bool, *, size: int
) -> tuple[GroupedLogs, ...]:
    """The same with the stake divided by ``size``: failures that may have one cause."""
    return tuple(
        _grouped(*logs, size=size)
        for logs in log_table(weight_bp, p0, relative, absolute, ok_channel)
    )


def _grouped(cb: float, sb: float, co: float, so: float, *, size: int) -> GroupedLogs:
    (cb, candidate_more), (sb, stable_more) = together(cb, size), together(sb, size)
    return GroupedLogs(cb, sb, diluted(co, size), diluted(so, size), candidate_more, stable_more)
