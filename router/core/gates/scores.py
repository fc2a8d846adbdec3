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

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from pydantic import Field

from router.core.evidence.shift import ShiftEvidence
from router.core.gates.gate import GateContext, mean
from router.core.gates.needs import Need
from router.core.gates.output import OutputGate, OutputPool, OutputState
from router.core.gates.verdict import Counts, compared
from router.core.quantities import BasisPoints
from router.core.snapshots import Lasting
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from router.core.wire.sampled import PredictedRow, SampleFacts

FIRST_REQUESTS: Final = 8
"""Requests of stable before there is a scale; nothing is bet before."""
STAGES: Final = ((40, 20), (100, 40), (300, 40))
"""(Scores of stable, parts): with so many the scale is made, and made anew with more. Forty scores
say too little about the highest twentieth, where many a fault shows."""
KEPT_SCORES: Final = 64
"""Scores of one request that are looked at until the scale is final, evenly spaced."""
KEPT_REQUESTS: Final = 1_000
"""Requests of one segment that are kept until then, the first ones, to be sorted in anew."""


class Scale(Lasting, listed="marks shift _first _requests stage"):
    """Where on the axis it is asked; made of stable's first scores."""

    marks: list[float]
    shift: float
    _first: list[float]
    _requests: int
    stage: int

    def __init__(self, shift: float) -> None:
        self.share = shift
        self.marks: list[float] = []
        self.shift = 0.0
        self.stage = 0
        """How often it was made."""
        self._first: list[float] = []
        self._requests = 0

    @property
    def final(self) -> bool:
        """Whether it will not be made anew."""
        return self.stage == len(STAGES)

    def learn(self, scores: list[float]) -> None:
        """One request of stable's."""
        if self.final:
            return
        self._first += some(scores)
        self._requests += 1
        if self._requests < FIRST_REQUESTS:
            return
        count = len(self._first)
        for wanted, parts in STAGES[self.stage :]:
            if count >= wanted:
                self._make(sorted(self._first), parts)
        if count >= STAGES[-1][0]:
            self._first = []

    def _make(self, known: list[float], parts: int) -> None:
        count = len(known)
        self.stage += 1
        self.marks = sorted({known[i * count // parts] for i in range(1, parts)})
        self.shift = self.share * (known[19 * count // 20] - known[count // 20])

    @property
    def tenths(self) -> list[float]:
        """Nine of the marks, evenly spaced, or all."""
        count = len(self.marks)
        return sorted({self.marks[i * count // 10] for i in range(1, 10)} if count else ())


def some(scores: list[float]) -> list[float]:
    """All of them, or :data:`KEPT_SCORES` evenly spaced."""
    count = len(scores)
    if count <= KEPT_SCORES:
        return scores
    return [scores[i * count // KEPT_SCORES] for i in range(KEPT_SCORES)]


def shares(scores: list[float], marks: list[float], offset: float = 0.0) -> list[float]:
    """The share of the scores, moved by ``offset``, in each bin; a mark is of the one below."""
    found = [0.0] * (len(marks) + 1)
    for score in scores:
        found[bisect_left(marks, score + offset)] += 1.0 / len(scores)
    return found


class Scores(OutputPool, listed="requests *_sides rows sums early stage"):
    """Scores of one segment."""

    declared: ClassVar[str] = "score"

    rows: list[int]
    sums: list[float]
    early: list[tuple[bool, list[float]]]
    stage: int

    def __init__(self, margin: float, deciles: float, scale: Scale) -> None:
        super().__init__()
        self.heard = False
        self.scale = scale
        self.lower = ShiftEvidence(margin, order="first")
        self.higher = ShiftEvidence(margin, order="last")
        self.deciles = ShiftEvidence(deciles)
        self.early: list[tuple[bool, list[float]]] = []
        """(Candidate's, scores) of requests from before the scale was final."""
        self.stage = 0
        """Of the scale that the sides are of."""
        self.rows = [0, 0]
        self.sums = [0.0, 0.0]

    @property
    def _sides(self) -> tuple[ShiftEvidence, ...]:
        return self.lower, self.higher, self.deciles

    @property
    def capital(self) -> float:
        """The average of all three."""
        return mean(side.capital for side in self._sides)

    def take(self, weight_bp: int, candidate: bool, rows: Sequence[PredictedRow]) -> None:
        """One request; rows without a score say nothing here."""
        scores = [row.score for row in rows if row.score is not None]
        if not scores:
            return
        self.heard = True
        arm = 0 if candidate else 1
        self.rows[arm] += len(scores)
        self.sums[arm] += sum(scores)
        if self.stage < self.scale.stage:
            self._sort_anew()
        if self.stage:
            for side, found in zip(self._sides, self._shares(candidate, scores), strict=True):
                side.observe(weight_bp, candidate, found)
        if not self.scale.final and len(self.early) < KEPT_REQUESTS:
            self.early.append((candidate, some(scores)))

    def _sort_anew(self) -> None:
        """Capital stays: what was bet on is from before the next request, as ever."""
        self.stage = self.scale.stage
        for side in self._sides:
            side.forget()
        for candidate, scores in self.early:
            for side, found in zip(self._sides, self._shares(candidate, scores), strict=True):
                side.learn(candidate, found)
        if self.scale.final:
            self.early = []

    def _shares(self, candidate: bool, scores: list[float]) -> Iterator[list[float]]:
        """Of each side: the candidate's scores moved by what it may have moved."""
        scale = self.scale
        shift = scale.shift if candidate else 0.0
        yield shares(scores, scale.marks, shift)
        yield shares(scores, scale.marks, -shift)
        yield shares(scores, scale.tenths)

    def doubt(self, weight_bp: int, candidate: bool) -> None:
        """As little against the candidate as it could be."""
        for side in self._sides:
            side.doubt(weight_bp, candidate)

    @property
    def _leading(self) -> ShiftEvidence:
        return max(self._sides, key=lambda side: side.capital)

    def _most(self) -> int:
        """The leading side's mark at which both lie furthest apart, or its tenth; -1: none."""
        side = self._leading
        if side is self.deciles:
            return side.furthest
        marks = range(len(side.means.candidate) - 1)
        apart = list(accumulate(c - s for c, s in map(side.means.of, marks)))
        if side is self.higher:
            apart = [-one for one in apart]
        return max(range(len(apart)), key=apart.__getitem__, default=-1)

    def _counts(self, arm: int) -> Counts:
        """Rows on the leading side of that mark, or in that tenth."""
        side, place = self._leading, self._most()
        kinds = range(place, place + 1)
        if side is not self.deciles:
            count = len(side.means.candidate)
            kinds = range(place + 1) if side is self.lower else range(place + 1, count)
        share = sum(side.means.of(kind)[arm] for kind in kinds) if place >= 0 else 0.0
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
        side, place, marks = self._leading, self._most(), self.scale.marks
        if place < 0 or self.stage < self.scale.stage:
            return "scores"
        if side is self.deciles:
            tenths = self.scale.tenths
            low = f"above {tenths[place - 1]:.3g}" if place else ""
            high = f"up to {tenths[place]:.3g}" if place < len(tenths) else ""
            return " ".join(("scores", *filter(None, (low, high))))
        way, by = ("up to", -1) if side is self.lower else ("above", 1)
        moved = marks[place] + by * self.scale.shift
        return f"scores {way} {moved:.3g} (stable: {marks[place]:.3g})"

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


class ScoresState(OutputState):
    """One scale for all segments."""

    scale: Scale

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
