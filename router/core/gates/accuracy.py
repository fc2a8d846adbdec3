"""Gate ``accuracy``: do late labels show that the candidate is wrong more often than stable?

Labels of served predictions carry the weight with which their request was *routed*; they may arrive
in any order and days later. Labels of shadow pairs need far fewer: only pairs in which exactly one
version was right count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from router.core.evidence import CompareEvidence, PairedEvidence
from router.core.evidence.slices import Slice
from router.core.gates.comparison import ComparisonState, Question, Row, Tolerance
from router.core.gates.gate import COMPARED_BP, GateContext
from router.core.gates.needs import Need
from router.core.gates.sample import NEVER, Detect, Sample, paired, part_limits
from router.core.gates.segmented import LateGate
from router.core.gates.verdict import Counts, judged, tolerance_text
from router.core.quantities import BasisPoints
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.core.wire.outcomes import Batch


def label_rows(batch: Batch) -> Iterator[Row]:
    """Wrong and right predictions of both arms, per routing weight."""
    for label in batch.labels:
        yield Row(
            None,
            Slice.settled(
                label.weight_bp, label.candidate_wrong, label.stable_wrong,
                label.candidate_right, label.stable_right,
            ),
        )  # fmt: skip
    for one in batch.matured:
        if one.candidate is not None and one.correct is not None:
            wrong = not one.correct
            mine = int(one.candidate and wrong), int(one.candidate and not wrong)
            other = int(not one.candidate and wrong), int(not one.candidate and not wrong)
            yield Row(None, Slice.settled(one.weight_bp, mine[0], other[0], mine[1], other[1]))


class AccuracyState(ComparisonState, later="pairs_share"):
    """Split labels and shadow pairs, averaged; the sentence names what there is more of."""

    paired: PairedEvidence
    pairs_share: float

    def __init__(
        self, name: str, context: GateContext, split: Question, paired: PairedEvidence,
        *, dry_run: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(name, context, (split,), dry_run=dry_run)
        self.paired = paired
        self.pairs_share = context.pairs_share

    @property
    def capital(self) -> float:
        """Of pairs and of drawn requests."""
        share = self.pairs_share
        return share * self.paired.capital + (1.0 - share) * super().capital

    @property
    def _pairs(self) -> int:
        return self.paired.worse + self.paired.better + self.paired.same

    @property
    def candidate(self) -> Counts:
        """Wrong predictions, or pairs that the candidate lost."""
        split = super().candidate
        return Counts(self.paired.worse, self._pairs) if self._pairs > split.total else split

    @property
    def stable(self) -> Counts:
        """Wrong predictions, or pairs that stable lost."""
        paired = self._pairs > super().candidate.total
        return Counts(self.paired.better, self._pairs) if paired else super().stable

    def observe(self, batch: Batch) -> None:
        """Labels of either kind."""
        super().observe(batch)
        pairs = batch.labelled_pairs
        if pairs is not None:
            self.paired.observe(pairs.worse, pairs.better, pairs.same)
        for one in batch.matured:
            known = [
                float(pair.stable_correct) - float(pair.candidate_correct)
                for pair in one.pairs
                if pair.stable_correct is not None and pair.candidate_correct is not None
            ]
            if known:
                self.paired.observe_mean(sum(known) / len(known))

    def sample(self, detect: Detect, weight_bp: int) -> Sample:
        """Labels or labelled pairs, whichever is nearer."""
        limits, least = part_limits(self.context.limit, self.pairs_share), self.context.min_bad
        wanted = paired(self.paired.margin, detect, limit=limits[0], min_bad=least)
        drawn = super().sample(detect, weight_bp) if self.pairs_share < 1.0 else Sample(0, NEVER)
        both = drawn, Sample(self._pairs, wanted)
        return min(both, key=lambda one: one.left)

    def plain(self) -> str:
        """Who alone was wrong, or who was how often."""
        if self._pairs <= super().candidate.total:
            return super().plain()
        return (
            f"of {self._pairs:,} labelled predictions it alone was wrong in "
            f"{self.paired.worse:,}, {{stable}} alone in {self.paired.better:,}"
        )

    def sentence(self) -> str:
        """Labels against tolerance."""
        if self._pairs <= super().candidate.total:
            return super().sentence()
        seen = (
            f"labelled pairs: candidate alone wrong in {self.paired.worse:,}, stable alone in "
            f"{self.paired.better:,} of {self._pairs:,}"
        )
        margin = tolerance_text(0.0, self.paired.margin)
        return judged(seen, margin, self.capital, self.context.limit)


class Accuracy(LateGate):
    """Wrong predictions by late labels, candidate against stable."""

    kind: ClassVar[str] = "accuracy"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS})
    brake_bp: ClassVar[int] = COMPARED_BP

    tolerance: Tolerance = Tolerance.model_validate({"relative": "0%", "absolute": "1%"})
    """Wrong predictions beyond stable's that are tolerated."""
    expected_wrong: Annotated[BasisPoints, Field(gt=0, le=5_000)] = 1_000
    """Stable's usual share of wrong predictions; it steers how fast the gate sees, nothing else."""

    def begin(self, context: GateContext) -> AccuracyState:
        """What of the evidence is for pairs says the plan."""
        p0 = self.expected_wrong / FULL_BP
        evidence = CompareEvidence(p0, relative=self.tolerance.rho, absolute=self.tolerance.delta)
        split = Question(evidence, "wrong by label", str(self.tolerance), label_rows)
        paired = PairedEvidence(self.tolerance.delta)
        return AccuracyState(self.title, context, split, paired, dry_run=self.dry_run)
