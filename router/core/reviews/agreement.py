"""Whether two people who answered the same agree more than chance would have it (Cohen's kappa)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


def kappa(seen: Mapping[tuple[str, str], int]) -> float | None:
    """Cohen's kappa of two raters, -1 to 1; None without pairs, or where chance explains all.

    ``seen``: how often the first said this and the second that. ``(p_o - p_e) / (1 - p_e)``: the
    share on which they agree, beyond what two who answer by their own frequencies agree on by
    chance. J. Cohen, A coefficient of agreement for nominal scales, Educational and Psychological
    Measurement 20 (1960), equation 1.
    """
    total = sum(seen.values())
    if not total:
        return None
    first: Counter[str] = Counter()
    second: Counter[str] = Counter()
    for (one, other), times in seen.items():
        first[one] += times
        second[other] += times
    agreed = sum(times for (one, other), times in seen.items() if one == other) / total
    chance = sum(times * second[name] for name, times in first.items()) / total**2
    return (agreed - chance) / (1.0 - chance) if chance < 1.0 else None
