"""Does the candidate fail as it did not before? Quick, and no proof: it moves the brake only.

Page's cumulative sum (Biometrika 1954): the log likelihood ratio of "it fails at rate r since some
moment" against "at the tolerated rate", never below nothing, for a few rates r. It reaches
``log(n)`` once in at least ``n`` requests of a candidate that is within the tolerance (Lorden
1971), so it blames nobody; but after a thousand good requests it is as quick as after none, which
no evidence with a bound can be.

The tolerated rate is stable's past, or stable's present where that is higher: an outage that both
versions share raises no alarm for long.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from router.core.evidence.bettors import TOP_RATE, spaced, tolerated_rate
from router.core.snapshots import Lasting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.core.evidence.ledger import Addition

RATES = 4
"""Hypothesised rates, log-spaced from :data:`FROM_RATIO` times the tolerated one to 0.97."""

FROM_RATIO = 3.0

RINGS = math.log(1_000.0)
"""Where it rings."""

STABLE_KEPT = 500.0
"""Answers of stable that its present rate is taken from."""


BAD_MAX = 64
"""Failures of one report that are taken one by one; more are one step."""


def _walk(total: float, bad: int, up: float, down: float) -> float:
    if bad > BAD_MAX:
        return max(total + bad * (up + down), 0.0)
    total = max(total + down, 0.0)
    for _ in range(bad):
        total = max(total + up + down, 0.0)
    return total


class FailureAlarm(Lasting, listed="*_sums _bad _total _rung"):
    """The sums, and stable's present rate."""

    __slots__ = ("_bad", "_rung", "_sums", "_total", "p0")

    _sums: list[float]
    _bad: float
    _total: float
    _rung: bool

    def __init__(self, p0: float) -> None:
        """``p0``: stable's failure rate in the past, 0 < p0 < 1."""
        self.p0 = p0
        self._sums = [0.0] * RATES
        self._bad = self._total = 0.0
        self._rung = False

    def rings(self) -> bool:
        """Whether it has begun to ring since it was asked last; it ends at half of the level."""
        before, self._rung = self._rung, self.level >= (RINGS / 2 if self._rung else RINGS)
        return self._rung and not before

    @property
    def level(self) -> float:
        """The largest sum, nats."""
        return max(self._sums)

    def observe(self, bad: int, good: int, stable_bad: int, stable_total: int) -> None:
        """What is new: the candidate's failures and other requests, stable's failures of all."""
        self._learn(stable_bad, stable_total)
        b = self._tolerated()
        rates = spaced(min(FROM_RATIO * b, (b + TOP_RATE) / 2), TOP_RATE, RATES)
        between = good / (bad + 1)  # as if the good ones lay evenly between the bad
        self._sums = [
            _walk(s, bad, math.log(r / b), between * math.log((1.0 - r) / (1.0 - b)))
            for s, r in zip(self._sums, rates, strict=True)
        ]

    def take(self, changes: Sequence[Addition]) -> None:
        """The same of what reports add."""
        bad = sum(change.candidate_bad for change in changes)
        good = max(sum(change.candidate_answers for change in changes) - bad, 0)
        stable_bad = sum(change.stable_bad for change in changes)
        self.observe(bad, good, stable_bad, sum(change.stable_answers for change in changes))

    def _learn(self, bad: int, total: int) -> None:
        self._bad, self._total = self._bad + bad, self._total + total
        if self._total > STABLE_KEPT:
            kept = STABLE_KEPT / self._total
            self._bad, self._total = self._bad * kept, STABLE_KEPT

    def _tolerated(self) -> float:
        present = self._bad / self._total if self._total >= STABLE_KEPT / 10 else 0.0
        return min(tolerated_rate(max(self.p0, present), 0.1, 0.001), 0.9)
