"""Latency buckets shared by every counter of the program.

Twenty buckets a decade (ratio about 1.12) between 0.1 ms and 60 s. The 1-2-5 grid is a subset, so
the exposed Prometheus histogram is an exact sum of these and decisions never depend on dashboards.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

_DECADE = (1.0, 1.1, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.5, 2.8, 3.2, 3.6, 4.0, 4.5, 5.0, 5.6, 6.3,
           7.1, 8.0, 9.0)  # fmt: skip

BOUNDS_S: tuple[float, ...] = tuple(
    round(mantissa * 10.0**exponent, 9)
    for exponent in range(-4, 2)
    for mantissa in _DECADE
    if mantissa * 10.0**exponent <= 60.0
)
"""Inclusive upper bounds in seconds; one more bucket behind the last one is unbounded."""

BUCKETS = len(BOUNDS_S) + 1
"""Length of a counts array."""

EXPOSED_S: tuple[float, ...] = tuple(
    b for b in BOUNDS_S if f"{b:e}"[0] in "125" and float(f"{b:e}".split("e")[0]) in (1, 2, 5)
)
"""The 1-2-5 grid of the Prometheus histogram."""


def bucket_of(seconds: float) -> int:
    """Index of the bucket that counts a duration of ``seconds`` >= 0."""
    return bisect_left(BOUNDS_S, seconds)


def quantile(counts: Sequence[int], q: float) -> float:
    """The ``q`` quantile in seconds, read within its bucket on the log axis; 0.0 without data.

    Rounding up to the bucket's bound would move a threshold by 6 % in the mean, more than half of
    a tolerated slow-down of 10 %. A bucket with more than half of all answers says nothing of where
    in it they lie, and answers with its upper bound: all of them are then below.

    Worked example: counts of 90 requests at <= 1 ms and 10 at 4.5..5 ms: quantile 0.95 is half of
    the way, 4.74 ms; quantile 0.5 is 1 ms. The unbounded bucket answers with the last bound: "at
    least 60 s".
    """
    total = sum(counts)
    if total == 0:
        return 0.0
    rank = q * total
    seen = 0
    for index, count in enumerate(counts):
        seen += count
        if count and seen >= rank:
            if index >= len(BOUNDS_S):
                break
            part = 1.0 if 2 * count > total else (rank - (seen - count)) / count
            low, high = _edges(index)
            return high * math.exp((1.0 - part) * math.log(low / high))
    return BOUNDS_S[-1]


def share_above(counts: Sequence[int], seconds: float) -> float:
    """Share of requests slower than ``seconds``, 0..1, on the log axis; 0.0 without data."""
    total = sum(counts)
    if not total:
        return 0.0
    index = bucket_of(seconds)
    above = float(sum(counts[index + 1 :]))
    if index < len(BOUNDS_S):
        low, high = _edges(index)
        above += counts[index] * min(math.log(high / max(seconds, low)) / math.log(high / low), 1.0)
    return above / total


def _edges(index: int) -> tuple[float, float]:
    """Ends of a bounded bucket; the first one is taken to be as wide as the second."""
    below = BOUNDS_S[index - 1] if index else BOUNDS_S[0] ** 2 / BOUNDS_S[1]
    return below, BOUNDS_S[index]
