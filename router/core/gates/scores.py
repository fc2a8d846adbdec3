"""Gate ``scores``: do the candidate's scores lie elsewhere than stable's?

Three evidences are averaged, of which two look at a *shift* on the axis of the score, as the gate
latency does on that of time:

    lower     at some score t, fewer of the candidate's scores lie above t - shift than of
              stable's above t, by more than the margin
    higher    likewise, more above t + shift
    deciles   more than `deciles` of the predictions lie in other tenths of stable's scores

A better model moves many scores a little (its tenths differ by 15 points for the flights of 2013),
one that is scaled or offset moves all of them one way. The scores t and the tenths are quantiles of
stable's first scores; earlier requests say at which t is asked (:mod:`.shares` of the evidence).
`shift` is a share of the distance between stable's 5th and 95th percentile, so it has no unit.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import Field

from router.core.evidence.shares import Means, ShareEvidence
from router.core.evidence.shift import LEARN_MIN, ShiftEvidence
from router.core.gates.gate import GateContext, mean
from router.core.gates.needs import Need
from router.core.gates.output import OutputGate, OutputPool, OutputState
from router.core.gates.verdict import Counts, compared
from router.core.quantities import BasisPoints
from router.core.wire.outcomes import FULL_BP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.core.wire.sampled import PredictedRow, SampleFacts

FIRST: Final = 40
"""Requests of stable that the scale is made of; nothing is bet before."""
FIRST_SCORES_MAX: Final = 2_000
"""Scores kept of them."""
STEPS: Final = 20
"""Places on the scale: one each twentieth of stable's scores."""


class Scale:
    """Where on the axis it is asked; made of stable's first scores and fixed from then on."""

    def __init__(self, shift: float) -> None:
        self.share = shift
        self.marks: list[float] = []
        self.shift = 0.0
        self._first: list[float] = []
        self._requests = 0

    def learn(self, scores: list[float]) -> None:
        """One request of stable's."""
        if self.marks:
            return
        self._first += scores[: FIRST_SCORES_MAX - len(self._first)]
        self._requests += 1
        if self._requests >= FIRST:
            known = sorted(self._first)
            places = [known[i * len(known) // STEPS] for i in range(1, STEPS)]
            self.marks = sorted(set(places))
            self.shift = self.share * (places[-1] - places[0])
            self._first = []

    @property
    def tenths(self) -> list[float]:
        """Every second mark."""
        return self.marks[1::2] or self.marks

    def above(self, scores: list[float], offset: float) -> list[float]:
        """At each mark, the share of the scores above it when it is moved by ``offset``."""
        known = sorted(scores)
        return [1.0 - _at_most(known, mark + offset) / len(known) for mark in self.marks]

    def shares(self, scores: list[float]) -> list[float]:
        """The share of the scores in each tenth."""
        tenths = self.tenths
        found = [0.0] * (len(tenths) + 1)
        for score in scores:
            found[bisect_left(tenths, score)] += 1.0 / len(scores)
        return found

    def to_json(self) -> list[Any]:
        """Plain lists."""
        return [self.marks, self.shift, self._first, self._requests]

    def restore(self, data: list[Any]) -> None:
        """Take over a snapshot."""
        marks, shift, first, requests = data
        self.marks, self.shift = list(map(float, marks)), float(shift)
        self._first, self._requests = list(map(float, first)), int(requests)


def _at_most(known: list[float], mark: float) -> int:
    """How many of sorted numbers are not above a mark."""
    place = bisect_left(known, mark)
    while place < len(known) and known[place] <= mark:
        place += 1
    return place


class Lean:
    """One direction: the candidate lies lower than stable, or higher."""

    def __init__(self, margin: float, *, higher: bool) -> None:
        self.higher = higher
        self.evidence = ShareEvidence(margin)
        self.means = Means(0)

    def observe(self, weight_bp: int, candidate: bool, above: list[float]) -> None:
        """One request: at each mark the share that counts as high (moved, of the candidate)."""
        shares = above if self.higher else [1.0 - share for share in above]
        if len(self.means.candidate) < len(shares):
            self.means.grow(len(shares))
        if (place := self.place) >= 0:
            self._bet(weight_bp, candidate, place, shares[place])
        self.means.add(candidate, shares)

    def doubt(self, weight_bp: int, candidate: bool) -> None:
        """As little against the candidate as it could be."""
        if (place := self.place) >= 0:
            self._bet(weight_bp, candidate, place, 0.0 if candidate else 1.0)

    def _bet(self, weight_bp: int, candidate: bool, place: int, share: float) -> None:
        w = weight_bp / FULL_BP
        mine, others = self.means.of(place)
        mean = min(max((1.0 - w) * mine + w * others, 0.0), 1.0)
        self.evidence.bet(weight_bp, candidate=candidate, share=share, mean=mean)

    @property
    def place(self) -> int:
        """The mark at which most is to be won, as far as is known; -1: nothing yet."""
        if min(self.means.candidates, self.means.stables) < LEARN_MIN:
            return -1

        def worth(place: int) -> float:
            mine, others = self.means.of(place)
            mid = (mine + others) / 2.0
            excess = mine - others - self.evidence.margin
            return excess / math.sqrt(mid * (1.0 - mid) + 0.01)

        return max(range(len(self.means.candidate)), key=worth, default=-1)

    def snapshot(self) -> list[Any]:
        """JSON-able state, exact."""
        return [self.evidence.snapshot(), self.means.to_json()]

    def restore(self, data: list[Any]) -> None:
        """Take over a snapshot."""
        evidence, means = data
        self.evidence.restore(evidence)
        self.means = Means.of_json(means)


class Scores(OutputPool):
    """Scores of one segment."""

    declared: ClassVar[str] = "score"

    def __init__(self, margin: float, deciles: float, scale: Scale) -> None:
        super().__init__()
        self.heard = False
        self.scale = scale
        self.lower = Lean(margin, higher=False)
        self.higher = Lean(margin, higher=True)
        self.deciles = ShiftEvidence(deciles)
        self.rows = [0, 0]
        self.sums = [0.0, 0.0]

    @property
    def capital(self) -> float:
        """The average of the three."""
        sides = self.lower.evidence, self.higher.evidence, self.deciles
        return mean(side.capital for side in sides)

    def take(self, weight_bp: int, candidate: bool, rows: Sequence[PredictedRow]) -> None:
        """One request; rows without a score say nothing here."""
        scores = [row.score for row in rows if row.score is not None]
        if not scores:
            return
        self.heard = True
        arm = 0 if candidate else 1
        self.rows[arm] += len(scores)
        self.sums[arm] += sum(scores)
        if not self.scale.marks:
            return
        shift = self.scale.shift if candidate else 0.0
        self.lower.observe(weight_bp, candidate, self.scale.above(scores, -shift))
        self.higher.observe(weight_bp, candidate, self.scale.above(scores, shift))
        self.deciles.observe(weight_bp, candidate, self.scale.shares(scores))

    def doubt(self, weight_bp: int, candidate: bool) -> None:
        """As little against the candidate as it could be."""
        for side in (self.lower, self.higher, self.deciles):
            side.doubt(weight_bp, candidate)

    @property
    def _side(self) -> Lean | None:
        """The leading direction; None where it is the tenths."""
        sides = sorted((self.lower, self.higher), key=lambda side: side.evidence.capital)
        return sides[-1] if sides[-1].evidence.capital >= self.deciles.capital else None

    def _counts(self, arm: int) -> Counts:
        """Rows on the leading side of the leading mark, or in the leading tenth."""
        side = self._side
        means = side.means if side is not None else self.deciles.means
        place = side.place if side is not None else self.deciles.furthest
        share = means.of(place)[arm] if place >= 0 else 0.0
        return Counts(round(share * self.rows[arm]), self.rows[arm])

    @property
    def candidate(self) -> Counts:
        """Its rows there."""
        return self._counts(0)

    @property
    def stable(self) -> Counts:
        """Stable's."""
        return self._counts(1)

    def _where(self) -> str:
        side, marks = self._side, self.scale.marks
        if side is None:
            place, tenths = self.deciles.furthest, self.scale.tenths
            if place < 0:
                return "scores"
            low = f"above {tenths[place - 1]:.3g}" if place else ""
            high = f"up to {tenths[place]:.3g}" if place < len(tenths) else ""
            return " ".join(("scores", *filter(None, (low, high))))
        if (place := side.place) < 0 or not marks:
            return "scores"
        at, moved = marks[place], marks[place] + (1 if side.higher else -1) * self.scale.shift
        return f"scores {'above' if side.higher else 'up to'} {moved:.3g} (stable: {at:.3g})"

    def _means(self) -> tuple[float, float]:
        mine, others = (s / n if n else 0.0 for s, n in zip(self.sums, self.rows, strict=True))
        return mine, others

    def seen(self) -> str:
        """Where they lie apart, and the means."""
        mine, others = self._means()
        apart = compared(self.candidate, self.stable, self._where())
        return f"{apart}; mean {mine:.3g} against {others:.3g}"

    def plain(self) -> str:
        """The means."""
        mine, others = self._means()
        return (
            f"its scores are others: {mine:.3g} in the mean of {self.rows[0]:,}; "
            f"{{stable}}: {others:.3g} of {self.rows[1]:,}"
        )

    def snapshot(self) -> list[Any]:
        """All evidences and the scale."""
        sides = self.lower, self.higher, self.deciles
        return [*(side.snapshot() for side in sides), self.rows, self.sums]

    def restore(self, data: list[Any]) -> None:
        """Take over a snapshot."""
        lower, higher, deciles, rows, sums = data
        self.lower.restore(lower)
        self.higher.restore(higher)
        self.deciles.restore(deciles)
        self.rows, self.sums = list(map(int, rows)), list(map(float, sums))


class ScoresState(OutputState):
    """One scale for all segments."""

    def __init__(self, gate: ScoresGate, context: GateContext) -> None:
        self.scale = Scale(gate.shift / FULL_BP)
        margin, deciles = gate.margin / FULL_BP, gate.deciles / FULL_BP
        tolerated = (
            f"moved by {gate.shift / 100:g} % of their range, beyond it {margin * 100:g} pp; "
            f"{deciles * 100:g} pp in other tenths"
        )
        super().__init__(
            gate, context, lambda: Scores(margin, deciles, self.scale),
            tolerated=tolerated, margin=margin,
        )  # fmt: skip

    def _take(self, sample: SampleFacts) -> None:
        super()._take(sample)
        if not sample.candidate:
            scores = [row.score for row in sample.facts.rows if row.score is not None]
            if scores:
                self.scale.learn(scores)

    def snapshot(self) -> dict[str, Any]:
        """With the scale."""
        return super().snapshot() | {"scale": self.scale.to_json()}

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot."""
        super().restore(data)
        self.scale.restore(data["scale"])


class ScoresGate(OutputGate):
    """Scores of live answers, candidate against stable, at the same time."""

    kind: ClassVar[str] = "scores"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.COIN, Need.PREDICTIONS, Need.SCORE})

    shift: Annotated[BasisPoints, Field(le=10_000)] = 500
    """How far scores may move, as a share of the range between stable's 5th and 95th percentile."""
    margin: Annotated[BasisPoints, Field(gt=0, lt=10_000)] = 200
    """Share of scores that may have moved further, one way."""
    deciles: Annotated[BasisPoints, Field(gt=0, lt=10_000)] = 2_500
    """Share of scores that may lie in other tenths of stable's."""

    def start(self, context: GateContext) -> ScoresState:
        """Evidence 1 : 1."""
        return ScoresState(self, context)
