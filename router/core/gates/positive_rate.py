"""Gate ``positive_rate``: does the candidate say yes to more, or to fewer, of the same requests?

Both versions answered every pair, so only those that one of them alone answered positively carry
information, and their balance *is* the difference of the two rates: ``(gained - lost) / scored``.
A model whose inputs went missing answers fast, with status 200, and always "no"; this is the gate
that sees it. Agreement sees it too, but cannot tell a candidate that errs both ways alike (a new
model) from one that leans to one side (a threshold that moved).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from pydantic import Field

from router.core.evidence import PairedEvidence
from router.core.gates.gate import GateContext, GateState, mean
from router.core.gates.needs import Need
from router.core.gates.sample import Detect, Sample, paired
from router.core.gates.segmented import SegmentedGate
from router.core.gates.verdict import Counts, judged
from router.core.quantities import BasisPoints
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.core.pairs.compare import Compare
    from router.core.wire.outcomes import Batch
    from router.core.wire.paired import PairRows


CLIP: Final = 0.25
"""A score that moves by more than this share of its range counts as moved by this much: the bets
can be four times as large then, and how often scores lie far apart is for the gate agreement."""

SCORED_LEAST: Final = 100
"""Compared answers before it is said that none of them has a score."""


class PositiveRateState(GateState, sides="*_sides", moved="moved moves"):
    """One evidence for each side, averaged: a mean of two valid bets is a valid bet."""

    compared: int
    moved: float
    moves: int
    rows: list[int]

    def __init__(self, gate: PositiveRate, context: GateContext) -> None:
        super().__init__(gate.title, context, dry_run=gate.dry_run)
        self.more = PairedEvidence(gate.margin / FULL_BP)
        self.fewer = PairedEvidence(gate.margin / FULL_BP)
        self.score_margin = None if gate.score_margin is None else gate.score_margin / FULL_BP
        clipped = (self.score_margin or 0.0) / CLIP
        self.higher, self.lower = PairedEvidence(clipped), PairedEvidence(clipped)
        self.compared = 0
        self.moved = 0.0
        """Sum of the mean moves of requests, each clipped."""
        self.moves = 0
        """Requests with scores of both."""
        self.rows = [0, 0, 0]
        """Rows that only the candidate answered positively, that only stable did, all scored."""

    @property
    def _sides(self) -> tuple[PairedEvidence, ...]:
        scores = () if self.score_margin is None else (self.higher, self.lower)
        return (self.more, self.fewer, *scores)

    @property
    def capital(self) -> float:
        """Average evidence that the rates, or the mean scores, differ by more than the margins."""
        return mean(side.capital for side in self._sides)

    @property
    def scores_lead(self) -> bool:
        """Whether the mean score says more than the rate."""
        return max(self._sides, key=lambda side: side.capital) in (self.higher, self.lower)

    @property
    def candidate(self) -> Counts:
        """Rows that differ towards the leading side, among all scored ones."""
        if self.scores_lead:
            side = max(self.higher, self.lower, key=lambda one: one.capital)
            return Counts(side.worse, self.moves)
        return Counts(max(self.rows[:2]), self.rows[2])

    @property
    def stable(self) -> Counts:
        """Rows that differ the other way."""
        if self.scores_lead:
            side = max(self.higher, self.lower, key=lambda one: one.capital)
            return Counts(side.better, self.moves)
        return Counts(min(self.rows[:2]), self.rows[2])

    @property
    def held(self) -> bool:
        """Answers are compared and none has a score."""
        return self.compared >= SCORED_LEAST and not self.rows[2] and not self.moves

    def observe(self, batch: Batch) -> None:
        """Pairs without a score say nothing."""
        pairs = batch.pairs
        if pairs is None:
            return
        self.compared += pairs.agreed + pairs.disagreed
        for one in pairs.rows:
            self._one(one)
        if pairs.scored:
            same = pairs.scored - pairs.gained - pairs.lost
            self.more.observe(pairs.gained, pairs.lost, same)
            self.fewer.observe(pairs.lost, pairs.gained, same)
            self._count(pairs.gained, pairs.lost, pairs.scored)

    def _one(self, one: PairRows) -> None:
        """One request, by the mean of its rows."""
        if changes := one.changes:
            change = sum(changes) / len(changes)
            self.more.observe_mean(change)
            self.fewer.observe_mean(-change)
            self._count(changes.count(1), changes.count(-1), len(changes))
        if self.score_margin is not None and (moves := one.moves):
            move = sum(min(max(move, -CLIP), CLIP) for move in moves) / len(moves) / CLIP
            self.higher.observe_mean(move)
            self.lower.observe_mean(-move)
            self.moved += move * CLIP
            self.moves += 1

    def _count(self, gained: int, lost: int, scored: int) -> None:
        before = self.rows
        self.rows = [before[0] + gained, before[1] + lost, before[2] + scored]

    def sample(self, detect: Detect, weight_bp: int) -> Sample:  # noqa: ARG002 - alike at all
        """Pairs that show a candidate which does worse than the margin by `detect`."""
        limit, least = self.context.limit, self.context.min_bad
        wanted = paired(self.more.margin, detect, limit=limit, min_bad=least)
        side = self.more
        return Sample(side.worse + side.better + side.same, wanted)

    def plain(self) -> str:
        """Who alone said yes, or how far scores moved."""
        if self.scores_lead:
            way = "higher" if self.moved > 0 else "lower"
            return f"its scores are {way} than {{stable}}'s by {self._mean_move} of the range"
        return (
            f"of {self.rows[2]:,} predictions it alone was positive in "
            f"{self.rows[0]:,}, {{stable}} alone in {self.rows[1]:,}"
        )

    @property
    def _mean_move(self) -> str:
        return f"{abs(self.moved) / max(self.moves, 1) * 100:.2g} %"

    def sentence(self) -> str:
        """Who alone answered positively how often, or how far scores moved in the mean."""
        if self.held:
            return f"no answer of {self.compared:,} has a score that is a number"
        if self.scores_lead:
            way = "above" if self.moved > 0 else "below"
            seen = (
                f"scores {self._mean_move} of the range {way} stable's in the mean of "
                f"{self.moves:,} compared answers"
            )
            tolerated = f"{(self.score_margin or 0.0) * 100:g} % of the range"
            return judged(seen, tolerated, self.capital, self.context.limit)
        rows = "rows" if self.rows[2] > self.compared else "answers"
        seen = (
            f"answered positively by the candidate alone: {self.rows[0]:,}, by stable alone: "
            f"{self.rows[1]:,} of {self.rows[2]:,} compared {rows}"
        )
        tolerated = f"{self.more.margin * 100:g} pp more or fewer"
        return judged(seen, tolerated, self.capital, self.context.limit)


class PositiveRate(SegmentedGate):
    """Share of positive answers to mirrored requests, candidate against stable, either way."""

    kind: ClassVar[str] = "positive_rate"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.PAIRS, Need.SCORES})

    margin: Annotated[BasisPoints, Field(gt=0, lt=10_000)] = 300
    """Difference of the two shares that is tolerated; above it, or below it, rolls back."""
    score_margin: Annotated[BasisPoints, Field(gt=0, le=2_000)] | None = None
    """Share of the declared range by which the mean score may lie above or below stable's; a move
    of one score counts up to 25%. Absent: 1% where `predictions` has a score and its range."""

    def doubts(self, payload: str, compare: Compare) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - see Gate
        """Which number of an answer is the score should be said."""
        if not (compare.score or compare.decide_on):
            message = f"{self.kind} judges the last number of an answer: no score is named"
            yield message, "add compare: {score: ...}"

    def begin(self, context: GateContext) -> PositiveRateState:
        """Evidence 1 : 1, of everything or of one segment."""
        return PositiveRateState(self, context)
