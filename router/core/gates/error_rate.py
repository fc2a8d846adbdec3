"""Gate ``error_rate``: does the candidate fail more often than stable, beyond the tolerance?"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from router.core.evidence import CompareEvidence
from router.core.gates.comparison import ComparisonState, Question, Row, Tolerance
from router.core.gates.gate import Gate, GateContext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.core.wire.outcomes import Batch


def error_rows(batch: Batch) -> Iterator[Row]:
    """Bad and ok answers of both arms, per routing weight."""
    for cell in batch.cells:
        c, s = cell.candidate, cell.stable
        yield Row(cell.weight_bp, c.bad, s.bad, c.ok, s.ok, c.bad_units, s.bad_units)


class ErrorRate(Gate):
    """Failures (the route's ``errors``) of the candidate against stable's in the same period."""

    kind: ClassVar[str] = "error_rate"
    coin: ClassVar[bool] = True
    half: ClassVar[bool] = True

    tolerance: Tolerance = Tolerance()
    """Failures beyond stable's that are tolerated; zero for both finds any regression."""

    def start(self, context: GateContext) -> ComparisonState:
        """One test, with stable's past failure rate as the reference for its bets."""
        p0 = context.baseline.bad_rate
        evidence = CompareEvidence(
            p0, relative=self.tolerance.rho, absolute=self.tolerance.delta,
            sticky=context.sticky, horizon=context.horizon(p0),
        )  # fmt: skip
        question = Question(evidence, "failed", str(self.tolerance), error_rows)
        return ComparisonState(self.title, context, (question,), dry_run=self.dry_run)
