"""Thompson sampling by rewards: each version gets the share with which it could be the best one.

Theory. With r rewards of n predictions and a flat prior, what is known of a version's mean reward
is Beta(1 + r, 1 + n - r) (rewards between 0 and 1 count as so much success). Thompson's rule draws
one value from each and takes the largest; the share it gives a version in the long run is the
probability that this version is the best. That probability is computed here by integrating

    P(i is best) = integral over x of  f_i(x) * product over j != i of F_j(x)

so no coin is needed and the same rewards always give the same shares. (W. R. Thompson, "On the
likelihood that one unknown probability exceeds another in view of the evidence of two samples",
Biometrika 25, 1933.)

What it does to measurement: shares follow the past, so the versions' mean rewards are no longer
those of equal samples, and what changes with the time of day is mixed into them. The sequential
gates stay valid, since each request is judged at its own weight; a plain comparison of the means
does not.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import exp, lgamma, log, sqrt
from typing import Final

from router.core.words import FULL_BP

POINTS: Final = 160
"""Points of the integration around each version's mean, over :data:`WIDTH` standard deviations."""

WIDTH: Final = 8.0

MOVE_MIN_BP: Final = 100
"""Smaller changes of every share are not made: each one is a revision with a journal entry."""


@dataclass(slots=True)
class Rewards:
    """What one version earned: the number of rewarded predictions and their sum (each 0..1)."""

    count: int = 0
    total: float = 0.0


def chances(rewards: Mapping[str, Rewards]) -> dict[str, float]:
    """The probability of being the best, by version; they sum to 1."""
    known = {name: (1.0 + r.total, 1.0 + r.count - r.total) for name, r in rewards.items()}
    grid = _grid(list(known.values()))
    curves = {name: _curve(a, b, grid) for name, (a, b) in known.items()}
    found = dict.fromkeys(known, 0.0)
    for index, (left, right) in enumerate(pairwise(grid)):
        for name, (density, _) in curves.items():
            height = (density[index] + density[index + 1]) / 2
            others = 1.0
            for other, (_, below) in curves.items():
                if other != name:
                    others *= (below[index] + below[index + 1]) / 2
            found[name] += height * others * (right - left)
    whole = sum(found.values())
    return {name: value / whole for name, value in found.items()}


def shares(rewards: Mapping[str, Rewards], floor_bp: int) -> dict[str, int]:
    """Basis points by version, summing to 10 000; nobody gets less than ``floor_bp``.

    The floor keeps every version measured, so that a bad beginning can be made good. Raises
    ValueError if the floors exceed the whole.
    """
    free_bp = FULL_BP - floor_bp * len(rewards)
    if free_bp < 0:
        raise ValueError(f"{len(rewards)} floors of {floor_bp} bp exceed the whole")
    wanted = {name: chance * free_bp for name, chance in chances(rewards).items()}
    made = {name: floor_bp + int(value) for name, value in wanted.items()}
    rest = FULL_BP - sum(made.values())
    for name in sorted(wanted, key=lambda name: int(wanted[name]) - wanted[name])[:rest]:
        made[name] += 1
    return made


def worth_moving(present: Mapping[str, int], wanted: Mapping[str, int]) -> bool:
    """Whether some share changes by :data:`MOVE_MIN_BP` or more."""
    return any(abs(wanted[name] - present.get(name, 0)) >= MOVE_MIN_BP for name in wanted)


def _grid(parameters: list[tuple[float, float]]) -> list[float]:
    """Points where some version's density is not negligible, ascending within 0..1."""
    points = [0.0, 1.0]
    for a, b in parameters:
        mean = a / (a + b)
        deviation = sqrt(a * b / ((a + b) ** 2 * (a + b + 1)))
        for step in range(POINTS + 1):
            x = mean + deviation * WIDTH * (2 * step / POINTS - 1)
            if 0.0 < x < 1.0:
                insort(points, x)
    return points


def _curve(a: float, b: float, grid: list[float]) -> tuple[list[float], list[float]]:
    """Density and distribution function of Beta(a, b) on the grid, by the trapezoid rule."""
    scale = lgamma(a + b) - lgamma(a) - lgamma(b)
    density = [_density(x, a, b, scale) for x in grid]
    below = [0.0]
    for (left, right), (low, high) in zip(pairwise(grid), pairwise(density), strict=True):
        below.append(below[-1] + (low + high) / 2 * (right - left))
    whole = below[-1]
    return [value / whole for value in density], [value / whole for value in below]


def _density(x: float, a: float, b: float, scale: float) -> float:
    """At the ends a and b are at least 1, so the density is finite there."""
    if x in (0.0, 1.0):
        at_end = a if x == 0.0 else b
        return exp(scale) if at_end == 1.0 else 0.0
    return exp(scale + (a - 1) * log(x) + (b - 1) * log(1 - x))
