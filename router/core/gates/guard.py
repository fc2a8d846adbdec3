"""Gate ``guard``: is the candidate's failure rate above a fixed limit, whatever stable does?

A shared outage breaks an absolute limit although the candidate is innocent (in simulation on every
day with an outage). So the guard convicts only together with some *relative* evidence: reached and
the candidate looks worse than stable at ``hold_level`` : 1 or more, it counts; reached alone, it
holds the ramp and says so. Where there is nothing to compare with (the candidate has all the
traffic, or only mirrored requests), it counts alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from router.core.evidence import CompareEvidence, GuardEvidence
from router.core.gates.comparison import FULL_BP
from router.core.gates.error_rate import error_rows
from router.core.gates.gate import Gate, GateContext, GateState
from router.core.gates.verdict import Counts, compared, judged, odds
from router.core.quantities import BasisPoints

if TYPE_CHECKING:
    from router.core.wire.outcomes import Batch


class GuardState(GateState):
    """The absolute evidence, and a relative one beside it as the witness."""

    def __init__(
        self, name: str, context: GateContext, limit: float, *, dry_run: bool = False
    ) -> None:
        super().__init__(name, context, dry_run=dry_run)
        p0 = context.baseline.bad_rate
        self.absolute = GuardEvidence(limit, horizon=context.horizon(limit))
        self.relative = CompareEvidence(p0, sticky=context.sticky, horizon=context.horizon(p0))
        self.alone = False
        self._stable = Counts()

    @property
    def capital(self) -> float:
        """The absolute evidence where a witness supports it, else at most 1."""
        present = self.absolute.capital
        return present if self._supported else min(present, 1.0)

    @property
    def _supported(self) -> bool:
        return self.alone or self.relative.capital >= self.context.hold_level

    @property
    def held(self) -> bool:
        """Reached, but by both arms as it seems: no more traffic until it is over."""
        return self.absolute.capital >= self.context.limit and not self._supported

    @property
    def candidate(self) -> Counts:
        """All judged answers of the candidate."""
        return Counts(self.absolute.bad, self.absolute.bad + self.absolute.ok)

    @property
    def stable(self) -> Counts:
        """Stable's answers in the same period."""
        return self._stable

    def observe(self, batch: Batch) -> None:
        """Cells of any weight, and mirrored copies (a failed copy is a failed answer)."""
        for row in error_rows(batch):
            self.relative.observe(*row[:5])
            if self.relative.sticky:
                self.relative.observe_units(row.weight_bp, row.candidate_units, row.stable_units)
            self.absolute.observe(row.candidate_bad, row.candidate_ok)
            if row.candidate_bad or row.candidate_ok:
                self.alone = row.weight_bp == FULL_BP
            self._stable = Counts(
                self._stable.bad + row.stable_bad,
                self._stable.total + row.stable_bad + row.stable_ok,
            )
        pairs = batch.pairs
        if pairs is not None and not batch.cells and not pairs.reverse:
            self.absolute.observe(pairs.failed, pairs.agreed + pairs.disagreed)
            self.alone = True

    def sentence(self) -> str:
        """The candidate's rate against the limit, and whether stable fails as well."""
        text = judged(
            compared(self.candidate, self.stable, "failed"),
            f"{self.absolute.limit * 100:g} % whatever stable does",
            self.absolute.capital, self.context.limit,
        )  # fmt: skip
        if not self.held:
            return text
        return f"{text}; stable fails as well (relative {odds(self.relative.capital)}), so it holds"

    def snapshot(self) -> dict[str, Any]:
        """Both evidences and the counts for the sentence."""
        return {
            "absolute": self.absolute.snapshot(),
            "relative": self.relative.snapshot(),
            "alone": self.alone,
            "stable": [self._stable.bad, self._stable.total],
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot."""
        self.absolute.restore(data["absolute"])
        self.relative.restore(data["relative"])
        self.alone = bool(data["alone"])
        self._stable = Counts(*map(int, data["stable"]))


class Guard(Gate):
    """An absolute limit for the candidate's failures; the only gate that still acts at 100 %."""

    kind: ClassVar[str] = "guard"

    error_rate: Annotated[BasisPoints, Field(gt=0, le=9_000)] = 500
    """Failures the candidate may have, whatever stable has."""

    def start(self, context: GateContext) -> GuardState:
        """Evidence 1 : 1."""
        return GuardState(self.title, context, self.error_rate / FULL_BP, dry_run=self.dry_run)
