"""How good predictions were, as people measure it: accuracy, AUC, mean absolute error, kappa."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final


def auc(positive: Sequence[bool], scores: Sequence[float]) -> float | None:
    """Area under the ROC curve: the chance that a positive scores higher, ties half.

    By ranks (Mann-Whitney): ``(sum of the positives' ranks - P (P + 1) / 2) / (P N)`` with mean
    ranks for ties. None without a positive or without a negative.
    """
    order = sorted(range(len(scores)), key=scores.__getitem__)
    yes = sum(positive)
    no = len(order) - yes
    if not yes or not no:
        return None
    ranks, at = 0.0, 0
    while at < len(order):
        end = at
        while end < len(order) and scores[order[end]] == scores[order[at]]:
            end += 1
        ranks += (at + 1 + end) / 2 * sum(positive[i] for i in order[at:end])
        at = end
    return (ranks - yes * (yes + 1) / 2) / (yes * no)


def mae(truths: Sequence[float], said: Sequence[float]) -> float | None:
    """Mean absolute error; None of nothing."""
    if not truths:
        return None
    return math.fsum(abs(a - b) for a, b in zip(truths, said, strict=True)) / len(truths)


def kappa(truths: Sequence[str], said: Sequence[str]) -> float | None:
    """Cohen's kappa: agreement beyond chance (Cohen, Educ. Psychol. Meas. 1960).

    ``(observed - by chance) / (1 - by chance)``; None where chance alone agrees always.
    """
    count = len(truths)
    if not count:
        return None
    ours, theirs = Counter(truths), Counter(said)
    chance = sum(ours[one] * theirs[one] for one in ours) / count**2
    agreed = sum(a == b for a, b in zip(truths, said, strict=True)) / count
    return (agreed - chance) / (1.0 - chance) if chance < 1.0 else None


Interval = tuple[float, float]
"""Lowest and highest value that is believed, 95 %, of one look."""
Z: Final = 1.959964
"""Of the normal distribution, two sides of 5 %."""
HALVINGS: Final = 40
"""Of an interval that is searched: 1e-12 of it is left."""


def share_band(hits: int, count: int) -> Interval | None:
    """Of a share, by Wilson's score (J. Am. Stat. Assoc. 1927); None of nothing."""
    if not count:
        return None
    share, part = hits / count, Z * Z / count
    middle = (share + part / 2) / (1 + part)
    half = Z / (1 + part) * math.sqrt(share * (1 - share) / count + part / (4 * count))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def mean_band(values: Sequence[float]) -> Interval | None:
    """Of a mean, by the central limit theorem; None of fewer than two."""
    count = len(values)
    if count < 2:
        return None
    mean = math.fsum(values) / count
    spread = math.fsum((one - mean) ** 2 for one in values) / (count - 1)
    half = Z * math.sqrt(spread / count)
    return mean - half, mean + half


def auc_band(area: float, positives: int, negatives: int) -> Interval:
    """Of an area under the curve, by its score (Newcombe, Stat. Med. 2006, method 5).

    The areas that are no further off than ``Z`` of their own standard errors (Hanley and McNeil,
    Radiology 1982), so that an area of 1 of few cases has a band as well.
    """
    few = (positives + negatives) / 2 - 1

    def within(true: float) -> bool:
        more = few * ((1 - true) / (2 - true) + true / (1 + true))
        error = true * (1 - true) * (1 + more) / (positives * negatives)
        return (true - area) ** 2 <= Z * Z * error

    return _edge(within, area, 0.0), _edge(within, area, 1.0)


def _edge(within: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where ``within`` ends between the two."""
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        if within(middle):
            inside = middle
        else:
            outside = middle
    return inside
