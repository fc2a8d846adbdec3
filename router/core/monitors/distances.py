"""How far two samples lie apart, and how likely that is by chance.

Counts are those of the same cells on both sides. Samples may count less than they are: rows of one
request depend on each other, so ``weight`` is the share of independent ones among them.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

Numbers = Sequence[float]

FLOOR: Final = 1e-4
"""The share of a cell that is empty on one side (Evidently fills zeros the same way)."""

SERIES_MAX: Final = 500
TINY: Final = 1e-300


def shares(counts: Numbers) -> list[float]:
    """Counts as shares of their sum; all zero without any."""
    total = math.fsum(counts)
    return [count / total for count in counts] if total else [0.0] * len(counts)


def psi(reference: Numbers, current: Numbers) -> float:
    """Population stability index of two counts: 0 when equal; from 0.1 on people call it a change.

    The sum of ``(q - p) ln(q / p)`` (symmetric Kullback-Leibler divergence, Jeffreys 1946).
    """
    return math.fsum(
        (q - p) * math.log(q / p)
        for p, q in zip(map(_filled, shares(reference)), map(_filled, shares(current)), strict=True)
    )


def _filled(share: float) -> float:
    return share or FLOOR


def by_chance(cells: int, reference: float, current: float) -> float:
    """The index that two equal samples of so many observations show on average.

    ``n PSI`` of equal samples is about chi-square with ``cells - 1`` degrees of freedom.
    """
    if not reference or not current:
        return 0.0
    return max(cells - 1, 0) * (1.0 / reference + 1.0 / current)


def jensen_shannon(reference: Numbers, current: Numbers) -> float:
    """Jensen-Shannon distance, 0 to 1 (the square root of the divergence in bits; Lin 1991)."""
    p, q = shares(reference), shares(current)
    middle = [(a + b) / 2.0 for a, b in zip(p, q, strict=True)]
    return math.sqrt(max((_kl(p, middle) + _kl(q, middle)) / 2.0, 0.0))


def _kl(p: Numbers, q: Numbers) -> float:
    return math.fsum(a * math.log2(a / b) for a, b in zip(p, q, strict=True) if a)


def kolmogorov_smirnov(reference: Numbers, current: Numbers) -> float:
    """The largest distance of two empirical distributions; both samples sorted, none empty.

    Between two values of ``current`` one distribution stands still and the other only grows, so the
    largest distance is at, or just before, one of these values.
    """
    n, m = len(reference), len(current)
    return max(
        max(
            abs(bisect_right(reference, v) / n - bisect_right(current, v) / m),
            abs(bisect_left(reference, v) / n - bisect_left(current, v) / m),
        )
        for v in set(current)
    )


def ks_chance(distance: float, reference: float, current: float) -> float:
    """How often equal distributions show at least this distance, by sample sizes.

    Kolmogorov's limit with Stephens' correction for small samples (1970); with ties it is too
    large, which is the careful side.
    """
    if not reference or not current:
        return 1.0
    root = math.sqrt(reference * current / (reference + current))
    x = (root + 0.12 + 0.11 / root) * distance
    if x < 0.2:  # the series needs many terms there, and the answer is 1 to nine digits
        return 1.0
    terms = (2.0 * (-1) ** (k - 1) * math.exp(-2.0 * (k * x) ** 2) for k in range(1, 101))
    return min(max(math.fsum(terms), 0.0), 1.0)


def chi_square(reference: Numbers, current: Numbers, weights: tuple[float, float]) -> float:
    """P of Pearson's test that two counts are of one distribution; cells without counts are none.

    ``weights``: what one observation of each side counts for.
    """
    a, b = [c * weights[0] for c in reference], [c * weights[1] for c in current]
    n, m = math.fsum(a), math.fsum(b)
    if not n or not m:
        return 1.0
    found, cells = 0.0, 0
    for one, other in zip(a, b, strict=True):
        both = one + other
        if both:
            cells += 1
            wanted, rest = both * n / (n + m), both * m / (n + m)
            found += (one - wanted) ** 2 / wanted + (other - rest) ** 2 / rest
    return chi_square_tail(found, cells - 1)


def chi_square_tail(statistic: float, freedom: int) -> float:
    """How often a chi-square variable is at least that large; 1 without a degree of freedom."""
    if freedom < 1 or statistic <= 0:
        return 1.0
    a, x = freedom / 2.0, statistic / 2.0
    scale = math.exp(max(a * math.log(x) - x - math.lgamma(a), -745.0))
    return 1.0 - scale * _series(a, x) if x < a + 1.0 else scale * _fraction(a, x)


def _series(a: float, x: float) -> float:
    """The lower incomplete gamma function over ``x^a e^-x`` (DLMF 8.11.4)."""
    term = total = 1.0 / a
    for k in range(1, SERIES_MAX):
        term *= x / (a + k)
        total += term
        if term < total * 1e-16:
            break
    return total


def _fraction(a: float, x: float) -> float:
    """The upper one as a continued fraction (DLMF 8.9.2, evaluated after Lentz)."""
    b = x + 1.0 - a
    c, d = 1.0 / TINY, 1.0 / b
    value = d
    for k in range(1, SERIES_MAX):
        factor = -k * (k - a)
        b += 2.0
        d = 1.0 / ((factor * d + b) or TINY)
        c = (b + factor / c) or TINY
        value *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    return value


def discoveries(chances: Sequence[float], rate: float) -> list[bool]:
    """Which of many questions are answered yes, so that at most ``rate`` of the yes are wrong.

    Benjamini and Hochberg (1995): the largest k whose k-th smallest p is at most ``k rate / m``.
    """
    ranked = sorted(chances)
    limit = max((p for k, p in enumerate(ranked, 1) if p <= k * rate / len(ranked)), default=-1.0)
    return [p <= limit for p in chances]


def quantiles(values: Numbers, number: int) -> tuple[float, ...]:
    """The inner cuts of ``number`` parts of equal weight; values sorted, not empty; ties once."""
    last = len(values) - 1
    cuts = [values[round(k * last / number)] for k in range(1, number)]
    return tuple(b for a, b in pairwise([values[0], *cuts]) if b > a)


def slope(values: Iterable[float]) -> tuple[float, float]:
    """Least squares through equally spaced values: growth a step, and the share it explains."""
    y = list(values)
    if len(y) < 3:
        return 0.0, 0.0
    x_mean, y_mean = (len(y) - 1) / 2.0, math.fsum(y) / len(y)
    xx = math.fsum((i - x_mean) ** 2 for i in range(len(y)))
    xy = math.fsum((i - x_mean) * (v - y_mean) for i, v in enumerate(y))
    yy = math.fsum((v - y_mean) ** 2 for v in y)
    return xy / xx, xy * xy / (xx * yy) if yy else 0.0
