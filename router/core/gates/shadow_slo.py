"""Gate ``shadow_slo``: are copies slower than a promised time more often than stable's answers?

Both versions worked on the same request at the same moment, so only pairs in which one of them
alone was slow carry information; a shadow finds a slow model before anybody waits for it. Times
are those of the whole exchange. Stable's includes the client's upload, which can only excuse the
candidate; where the client was answered by the candidate it would accuse it, so reverse pairs are
not counted. A copy that fails is the business of ``guard`` and ``agreement``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from router.core.evidence import PairedEvidence
from router.core.gates.gate import Gate, GateContext, GateState
from router.core.gates.needs import Need
from router.core.gates.sample import Detect, Sample, paired
from router.core.gates.verdict import Counts, judged, tolerance_text
from router.core.quantities import BasisPoints, Seconds
from router.core.words import FULL_BP, duration

if TYPE_CHECKING:
    from router.core.wire.outcomes import Batch


class ShadowSloState(GateState, paired="evidence"):
    """Pairs in which one version alone was slow."""

    evidence: PairedEvidence

    def __init__(
        self, name: str, context: GateContext, limit_s: float, margin: float,
        *, dry_run: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(name, context, dry_run=dry_run)
        self.limit_s = limit_s
        self.evidence = PairedEvidence(margin)

    @property
    def capital(self) -> float:
        """Evidence that the share of slow answers grows by more than the margin."""
        return self.evidence.capital

    @property
    def candidate(self) -> Counts:
        """Pairs in which only the candidate was slow."""
        return Counts(self.evidence.worse, self._pairs)

    @property
    def stable(self) -> Counts:
        """Pairs in which only stable was slow."""
        return Counts(self.evidence.better, self._pairs)

    @property
    def _pairs(self) -> int:
        return self.evidence.worse + self.evidence.better + self.evidence.same

    def observe(self, batch: Batch) -> None:
        """Times of pairs that were answered twice."""
        times = batch.pairs.times if batch.pairs is not None else ()
        worse = sum(stable_s <= self.limit_s < own_s for stable_s, own_s in times)
        better = sum(own_s <= self.limit_s < stable_s for stable_s, own_s in times)
        if times:
            self.evidence.observe(worse, better, len(times) - worse - better)

    def sample(self, detect: Detect, weight_bp: int) -> Sample:  # noqa: ARG002 - alike at all
        """Pairs that show a candidate which does worse than the margin by `detect`."""
        limit, least = self.context.limit, self.context.min_bad
        wanted = paired(self.evidence.margin, detect, limit=limit, min_bad=least)
        return Sample(self.candidate.total, wanted)

    def plain(self) -> str:
        """Who alone was slow."""
        e = self.evidence
        return (
            f"of {self._pairs:,} copied requests it alone was slower than "
            f"{duration(self.limit_s)} in {e.worse:,}, {{stable}} alone in {e.better:,}"
        )

    def sentence(self) -> str:
        """Who alone was slow how often."""
        seen = (
            f"slower than {duration(self.limit_s)} by the candidate alone: "
            f"{self.evidence.worse:,}, by stable alone: {self.evidence.better:,} of "
            f"{self._pairs:,} mirrored requests"
        )
        tolerated = tolerance_text(0.0, self.evidence.margin)
        return judged(seen, tolerated, self.capital, self.context.limit)


class ShadowSlo(Gate):
    """Mirrored requests that take longer than a time you promise, candidate against stable."""

    kind: ClassVar[str] = "shadow_slo"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.PAIRS})

    slower_than: Annotated[Seconds, Field(gt=0)]
    """Time of a whole exchange above which it counts as slow, for both versions."""
    margin: Annotated[BasisPoints, Field(gt=0, lt=10_000)] = 100
    """Slow answers beyond stable's that are tolerated, as a share of mirrored requests."""

    def start(self, context: GateContext) -> ShadowSloState:
        """Evidence 1 : 1."""
        margin = self.margin / FULL_BP
        return ShadowSloState(self.title, context, self.slower_than, margin, dry_run=self.dry_run)
