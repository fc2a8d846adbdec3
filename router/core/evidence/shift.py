"""Do the candidate's predictions fall into other kinds than stable's? All kinds asked at once.

The kinds may be labels, or bins of scores. For each request the kinds that the candidate has said
more often than stable so far are put together, and the bet is on "more of them again" (see
:mod:`router.core.evidence.shares`). What is chosen is known before the request, so under "no set of
kinds has a share that is larger by more than the margin" (total variation) nothing can be won in
the mean, and if there is such a set it is found by itself.
"""

from __future__ import annotations

from typing import Any, Final

from router.core.evidence.shares import Means, ShareEvidence
from router.core.wire.outcomes import FULL_BP

LEARN_MIN: Final = 8
"""Requests of each arm before anything is bet: until then nothing is known to bet on."""


class ShiftEvidence:
    """Evidence that more than ``margin`` of the candidate's predictions would have to be others."""

    __slots__ = ("evidence", "means")

    def __init__(self, margin: float, kinds: int = 0, *, size: int = 1) -> None:
        """Start at evidence 1 : 1."""
        self.evidence = ShareEvidence(margin, size=size)
        self.means = Means(kinds)

    @property
    def capital(self) -> float:
        """The evidence against the candidate, ``capital : 1``."""
        return self.evidence.capital

    @property
    def learning(self) -> bool:
        """Too little is known for a bet."""
        return min(self.means.candidates, self.means.stables) < LEARN_MIN

    def _excess(self) -> list[int]:
        return [
            place
            for place in range(len(self.means.candidate))
            if (both := self.means.of(place)) and both[0] > both[1]
        ]

    def _mean(self, places: list[int], weight_bp: int) -> float:
        """Of their share, as it varies least: each arm's mean with the other's weight."""
        w = weight_bp / FULL_BP
        both = [self.means.of(place) for place in places]
        mean = sum((1.0 - w) * c + w * s for c, s in both)
        return min(max(mean, 0.0), 1.0)

    def observe(self, weight_bp: int, candidate: bool, shares: list[float]) -> None:
        """One request: the share of its rows of each kind."""
        if len(shares) > len(self.means.candidate):
            self.means.grow(len(shares))
        if not self.learning and (places := self._excess()):
            share = min(sum(shares[place] for place in places if place < len(shares)), 1.0)
            self.evidence.bet(
                weight_bp, candidate=candidate, share=share, mean=self._mean(places, weight_bp)
            )
        self.means.add(candidate, shares)

    def doubt(self, weight_bp: int, candidate: bool) -> None:
        """One request of which nothing will be known: at its least for the evidence."""
        if not self.learning and (places := self._excess()):
            mean = self._mean(places, weight_bp)
            share = 0.0 if candidate else 1.0
            self.evidence.bet(weight_bp, candidate=candidate, share=share, mean=mean)

    @property
    def furthest(self) -> int:
        """The kind whose shares differ most; -1 without kinds."""

        def apart(place: int) -> float:
            candidate, stable = self.means.of(place)
            return abs(candidate - stable)

        return max(range(len(self.means.candidate)), key=apart, default=-1)

    def snapshot(self) -> list[Any]:
        """JSON-able state, exact."""
        return [self.evidence.snapshot(), self.means.to_json()]

    def restore(self, data: list[Any]) -> None:
        """Take over a snapshot. Raises ValueError, KeyError or TypeError if it is damaged."""
        evidence, means = data
        self.evidence.restore(evidence)
        self.means = Means.of_json(means)
