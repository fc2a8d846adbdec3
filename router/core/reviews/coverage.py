"""The accuracy-coverage curve: how much a version may answer by itself, at which confidence.

Each point is a threshold: of the predictions at or above it (their share is the coverage), how many
were wrong, and an upper bound of that with 1 - ``risk`` confidence. The bound is the exact one of
Clopper and Pearson (Biometrika 26, 1934). Thresholds are tried from the highest downwards, and the
last one before the first failure is proposed: a fixed sequence of tests keeps the risk of all of
them together (fixed sequence testing, as in Angelopoulos et al., Learn then Test, 2021, section 2),
so that nothing is paid for looking at many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

POINTS_MAX: Final = 50
"""Thresholds that are tried: evenly many predictions lie between two of them."""
LEAST: Final = 50
"""Predictions at or above the first threshold: fewer bound nothing that is worth knowing."""
START: Final = 3.0
"""Times the predictions without a mistake that prove an error share: room for a few mistakes."""
_STEPS: Final = 60
"""Halvings of the interval in which a bound is looked for: beyond a double's digits."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One threshold of the curve."""

    threshold: float
    count: int
    """Predictions at or above it."""
    coverage: float
    """Their share of all, 0 to 1."""
    wrong: int
    error: float
    """Their share that was wrong."""
    at_most: float
    """Upper bound of that."""


def upper_bound(wrong: int, count: int, risk: float) -> float:
    """The error share above which ``wrong`` of ``count`` or fewer have a chance below ``risk``."""
    if wrong >= count:
        return 1.0
    low, high = wrong / count, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _at_most(wrong, count, middle) > risk:
            low = middle
        else:
            high = middle
    return high


def _at_most(wrong: int, count: int, share: float) -> float:
    """The chance of ``wrong`` or fewer of ``count`` (binomial)."""
    one, other = math.log(share), math.log1p(-share)
    logs = [
        math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        + k * one + (count - k) * other
        for k in range(wrong + 1)
    ]  # fmt: skip
    top = max(logs)
    return min(1.0, math.exp(top) * sum(math.exp(log - top) for log in logs))


def curve(said: Sequence[tuple[float, bool]], risk: float = 0.05) -> list[CurvePoint]:
    """Points from the highest threshold down. ``said``: confidence, and whether it was right."""
    ordered = sorted(said, key=lambda one: -one[0])
    total, wrong = len(ordered), 0
    every = max((total - LEAST) // POINTS_MAX, 1)
    points: list[CurvePoint] = []
    due = False
    for number, (sure, right) in enumerate(ordered, 1):
        wrong += not right
        last = number == total
        due = due or last or (number >= LEAST and not (number - LEAST) % every)
        if due and (last or ordered[number][0] != sure):  # all of one confidence on the same side
            bound = upper_bound(wrong, number, risk)
            points.append(CurvePoint(sure, number, number / total, wrong, wrong / number, bound))
            due = False
    return points


def proposed(points: Sequence[CurvePoint], error: float, risk: float = 0.05) -> CurvePoint | None:
    """The lowest threshold whose error is proven to be at most ``error``; None: none is.

    The sequence begins where a version with a quarter of ``error`` would pass as a rule: fewer
    predictions prove nothing, however right they are. That depends on no data.
    """
    first = START * math.log(1 / risk) / error
    best: CurvePoint | None = None
    for point in points:
        if point.count < first:
            continue
        if point.at_most > error:
            break
        best = point
    return best
