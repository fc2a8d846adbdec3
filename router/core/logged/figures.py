"""How good predictions were, as people measure it: accuracy, AUC, mean absolute error, kappa."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence


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
