"""How much more often the candidate fails than stable, as a band that holds at every look.

A request that was drawn with the probability ``w`` gives Z = A Y / w - (1 - A) Y / (1 - w), whose
mean is p_candidate - p_stable, whatever the weight was. The band around the mean of Z is a normal
mixture (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas 2021, arXiv 2103.06476, theorem 2.2): it
covers the mean difference so far at all times at once with about the stated chance, asymptotically
in the number of requests. It decides nothing; the bets do.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from router.core.snapshots import Lasting

if TYPE_CHECKING:
    from router.core.evidence.slices import Slice

MISSED = 0.05
"""Chance that the band ever leaves the difference out."""

REQUESTS_MIN = 100
"""Settled requests before which nothing is said: the theorem is about many."""

TIGHTEST_AT = 10_000
"""Requests at which the band is as narrow as it can be."""

_LOG = -2.0 * math.log(MISSED)
_RHO2 = (_LOG + math.log(_LOG) + 1.0) / TIGHTEST_AT


class Edges(NamedTuple):
    """Candidate's bad rate less stable's, -1..1."""

    low: float
    high: float

    def __str__(self) -> str:
        """``-0.4 … +1.2 pp``."""
        return f"{self.low * 100:+.2g} … {self.high * 100:+.2g} pp"


class Band(Lasting, listed="requests total squares"):
    """Three sums over settled requests."""

    __slots__ = ("requests", "squares", "total")

    requests: int
    total: float
    squares: float

    def __init__(self) -> None:
        """Nothing has settled."""
        self.requests = 0
        self.total = self.squares = 0.0

    def add(self, s: Slice) -> None:
        """A slice with nothing open, drawn by a coin."""
        w = s.weight_bp / 10_000
        v = 1.0 - w
        if not self.requests:  # as if each had failed once: without failures nothing is known
            self.squares = 1.0 / w**2 + 1.0 / v**2
        self.requests += s.candidate + s.stable
        self.total += s.candidate_bad / w - s.stable_bad / v
        self.squares += s.candidate_bad / w**2 + s.stable_bad / v**2

    @property
    def limits(self) -> Edges | None:
        """The band; None while too little is known."""
        n = self.requests
        if n < REQUESTS_MIN:
            return None
        mean = self.total / n
        variance = max(self.squares / n - mean * mean, 0.0)
        grown = n * _RHO2 + 1.0
        half = math.sqrt(
            variance * 2.0 * grown / (n * n * _RHO2) * math.log(math.sqrt(grown) / MISSED)
        )
        return Edges(max(mean - half, -1.0), min(mean + half, 1.0))
