"""Is the coin fair? All arrivals, whatever became of them, against the weight they were drawn with.

An alarm here is a bug of the router (a lost arm, a wrong weight, a retry counted as a draw) and
never a fault of the candidate: comparisons that rest on this coin must not be believed any more.
"""

from __future__ import annotations

import math
from functools import lru_cache

from router.core.evidence.bettors import TABLES_MAX
from router.core.snapshots import Lasting
from router.core.words import FULL_BP

ODDS = (0.5, 0.8, 0.9, 0.97, 1.03, 1.1, 1.25, 2.0)
"""Hypothesised distortions of the odds of being drawn to the candidate, both ways."""

ALARM = 10_000.0
"""Evidence at which the coin counts as broken: never, in 9 999 of 10 000 sound rollouts."""

_LOG_MAX = 500.0


@lru_cache(maxsize=TABLES_MAX)
def _table(weight_bp: int) -> tuple[tuple[float, float], ...]:
    """Of every distortion: the log odds, and the log of what both arms come to together."""
    w = weight_bp / FULL_BP
    return tuple((math.log(r), math.log(1.0 - w + w * r)) for r in ODDS)


class SampleRatio(Lasting, counts="candidate stable"):
    """Evidence that the candidate's share of arrivals is not the weight it was routed with."""

    __slots__ = ("best", "candidate", "logs", "stable")

    logs: list[float]
    best: float
    candidate: int
    stable: int

    def __init__(self) -> None:
        """Start at evidence 1 : 1."""
        self.logs = [0.0] * len(ODDS)
        self.best = 1.0
        self.candidate = self.stable = 0

    @property
    def capital(self) -> float:
        """The present evidence of a router bug, ``capital : 1``."""
        return math.fsum(math.exp(min(x, _LOG_MAX)) for x in self.logs) / len(self.logs)

    @property
    def broken(self) -> bool:
        """Whether the alarm was ever reached."""
        return self.best >= ALARM

    def observe(self, weight_bp: int, candidate: int, stable: int) -> None:
        """Arrivals drawn at ``weight_bp``; at 0 or 10 000 one on the wrong side is proof."""
        self.candidate += candidate
        self.stable += stable
        if not 0 < weight_bp < FULL_BP:
            wrong = candidate if weight_bp <= 0 else stable
            self.best = max(self.best, ALARM if wrong else 1.0)
            return
        n = candidate + stable
        if n == 0:
            return
        self.logs = [
            log + candidate * drawn - n * either
            for log, (drawn, either) in zip(self.logs, _table(weight_bp), strict=True)
        ]
        self.best = max(self.best, self.capital)

    def _restored(self) -> None:
        if len(self.logs) != len(ODDS) or not all(map(math.isfinite, self.logs)):
            raise ValueError(f"expected {len(ODDS)} finite log capitals")
