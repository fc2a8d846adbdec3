"""Gate ``error_rate``: does the candidate fail more often than stable, beyond the tolerance?"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from router.core.evidence import CompareEvidence
from router.core.gates.comparison import (
    FIRST_FAILURES,
    FIRST_REQUESTS,
    ComparisonState,
    Question,
    Row,
    Tolerance,
    arms,
    row,
)
from router.core.gates.gate import Gate, GateContext
from router.core.gates.needs import Need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.core.gates.comparison import Outcomes
    from router.core.wire.outcomes import ArmCounts, Batch


def outcomes(arm: ArmCounts) -> Outcomes:
    """Failures; who left without having seen one saw none."""
    return arm.arrived, arm.bad, arm.ok + arm.left


def error_rows(batch: Batch) -> Iterator[Row]:
    """Failures of both arms, of requests or of users' first ones."""
    for cell in batch.cells:
        if (both := arms(cell)) is not None:
            yield row(cell, outcomes(both[0]), outcomes(both[1]))


def all_error_rows(batch: Batch) -> Iterator[Row]:
    """Failures of all requests, whoever made them: what absolute limits look at."""
    for cell in batch.cells:
        yield row(cell, outcomes(cell.candidate), outcomes(cell.stable))


def failure_rows(batch: Batch) -> Iterator[Row]:
    """Where users are drawn: their first failures among their first requests."""
    for cell in batch.cells:
        if cell.betting is not None:
            yield row(cell, outcomes(cell.betting[0]), outcomes(cell.betting[1]))


class ErrorRate(Gate):
    """Failures (the route's ``errors``) of the candidate against stable's in the same period."""

    kind: ClassVar[str] = "error_rate"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.COIN})
    half: ClassVar[bool] = True

    tolerance: Tolerance = Tolerance()
    """Failures beyond stable's that are tolerated; zero for both finds any regression."""

    def start(self, context: GateContext) -> ComparisonState:
        """One test, with stable's past failure rate as the reference for its bets.

        Where users are drawn, two: half of the capital on first requests, half on first failures.
        """
        p0 = context.baseline.bad_rate
        questions = [self._question(context, p0, sticky=context.sticky)]
        if context.sticky:
            evidence = self._evidence(context, p0, bad_only=True)
            questions.append(
                Question(evidence, "failed", str(self.tolerance), failure_rows, FIRST_FAILURES)
            )
        return ComparisonState(self.title, context, tuple(questions), dry_run=self.dry_run)

    def _question(self, context: GateContext, p0: float, *, sticky: bool) -> Question:
        return Question(
            self._evidence(context, p0), "failed", str(self.tolerance), error_rows,
            FIRST_REQUESTS if sticky else "",
        )  # fmt: skip

    def _evidence(
        self, context: GateContext, p0: float, *, bad_only: bool = False
    ) -> CompareEvidence:
        return CompareEvidence(
            p0, relative=self.tolerance.rho, absolute=self.tolerance.delta,
            bad_only=bad_only, horizon=context.horizon(p0),
        )  # fmt: skip
