"""Gate ``positive_rate``: does the candidate say yes to more, or to fewer, of the same requests?

Both versions answered every pair, so only those that one of them alone answered positively carry
information, and their balance *is* the difference of the two rates: ``(gained - lost) / scored``.
A model whose inputs went missing answers fast, with status 200, and always "no"; this is the gate
that sees it. Agreement sees it too, but cannot tell a candidate that errs both ways alike (a new
model) from one that leans to one side (a threshold that moved).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from router.core.evidence import PairedEvidence
from router.core.gates.gate import Gate, GateContext, GateState, mean
from router.core.gates.needs import Need
from router.core.gates.sample import Detect, Sample, paired
from router.core.gates.verdict import Counts, judged
from router.core.quantities import BasisPoints
from router.core.wire.outcomes import FULL_BP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.core.pairs.compare import Compare
    from router.core.wire.outcomes import Batch


class PositiveRateState(GateState):
    """One evidence for each side, averaged: a mean of two valid bets is a valid bet."""

    def __init__(
        self, name: str, context: GateContext, margin: float, *, dry_run: bool = False
    ) -> None:
        super().__init__(name, context, dry_run=dry_run)
        self.more = PairedEvidence(margin)
        self.fewer = PairedEvidence(margin)

    @property
    def capital(self) -> float:
        """Average evidence that the rates differ by more than the margin."""
        return mean((self.more.capital, self.fewer.capital))

    @property
    def _leading(self) -> PairedEvidence:
        return max(self.more, self.fewer, key=lambda side: side.worse)

    @property
    def candidate(self) -> Counts:
        """Pairs that differ towards the leading side, among all scored ones."""
        side = self._leading
        return Counts(side.worse, side.worse + side.better + side.same)

    @property
    def stable(self) -> Counts:
        """Pairs that differ the other way."""
        side = self._leading
        return Counts(side.better, side.worse + side.better + side.same)

    def observe(self, batch: Batch) -> None:
        """Pairs without a score say nothing."""
        pairs = batch.pairs
        if pairs is not None and pairs.scored:
            same = pairs.scored - pairs.gained - pairs.lost
            self.more.observe(pairs.gained, pairs.lost, same)
            self.fewer.observe(pairs.lost, pairs.gained, same)

    def sample(self, detect: Detect, weight_bp: int) -> Sample:  # noqa: ARG002 - alike at all
        """Pairs that show a candidate which does worse than the margin by `detect`."""
        limit, least = self.context.limit, self.context.min_bad
        wanted = paired(self.more.margin, detect, limit=limit, min_bad=least)
        return Sample(self.candidate.total, wanted)

    def plain(self) -> str:
        """Who alone said yes."""
        return (
            f"of {self.candidate.total:,} predictions it alone was positive in "
            f"{self.more.worse:,}, {{stable}} alone in {self.fewer.worse:,}"
        )

    def sentence(self) -> str:
        """Who alone answered positively how often."""
        seen = (
            f"answered positively by the candidate alone: {self.more.worse:,}, by stable alone: "
            f"{self.fewer.worse:,} of {self.candidate.total:,} compared answers"
        )
        tolerated = f"{self.more.margin * 100:g} pp more or fewer"
        return judged(seen, tolerated, self.capital, self.context.limit)

    def snapshot(self) -> dict[str, Any]:
        """Both sides."""
        return {"more": self.more.snapshot(), "fewer": self.fewer.snapshot()}

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot."""
        self.more.restore(data["more"])
        self.fewer.restore(data["fewer"])


class PositiveRate(Gate):
    """Share of positive answers to mirrored requests, candidate against stable, either way."""

    kind: ClassVar[str] = "positive_rate"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.PAIRS, Need.SCORES})

    margin: Annotated[BasisPoints, Field(gt=0, lt=10_000)] = 300
    """Difference of the two shares that is tolerated; above it, or below it, rolls back."""

    def doubts(self, payload: str, compare: Compare) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - see Gate
        """Which number of an answer is the score should be said."""
        if not (compare.score or compare.decide_on):
            message = f"{self.kind} judges the last number of an answer: no score is named"
            yield message, "add compare: {score: ...}"

    def start(self, context: GateContext) -> PositiveRateState:
        """Evidence 1 : 1."""
        return PositiveRateState(self.title, context, self.margin / FULL_BP, dry_run=self.dry_run)
