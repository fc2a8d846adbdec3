"""How long truths take: a histogram of their ages, for people and for plans."""

from __future__ import annotations

import math
from typing import Final

STEP: Final = 1.25
"""Ratio of neighbouring bounds: a quantile is right within a quarter."""
BUCKETS: Final = 90
"""From one second up; the last bound is about 17 years."""


class Lag:
    """Ages at which truths came, by logarithmic buckets."""

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        self.total = 0

    def __repr__(self) -> str:
        return f"<Lag of {self.total:,} truths>"

    def add(self, seconds: float) -> None:
        """One more."""
        place = math.ceil(math.log(max(seconds, 1.0), STEP))
        self.counts[min(place, BUCKETS - 1)] += 1
        self.total += 1

    def quantile(self, share: float) -> float | None:
        """Seconds within which ``share`` of the truths came; None without any."""
        if not self.total:
            return None
        left = share * self.total
        for place, count in enumerate(self.counts):
            left -= count
            if left <= 0:
                return STEP**place
        return STEP ** (BUCKETS - 1)
