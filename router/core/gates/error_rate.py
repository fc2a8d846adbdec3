"""Gate ``error_rate``: does the candidate fail more often than stable, beyond the tolerance?"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from router.core.evidence import CompareEvidence
from router.core.gates.comparison import (
    FIRST_FAILURES,
    FIRST_REQUESTS,
    FRESH,
    FRESH_FIRST_FAILURES,
    FRESH_FIRST_REQUESTS,
    ComparisonState,
    Question,
    Row,
    Tolerance,
    arms,
    row,
)
from router.core.gates.gate import Gate, GateContext
from router.core.gates.needs import Need
from router.core.gates.verdict import tolerance_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from router.core.gates.comparison import Outcomes
    from router.core.wire.outcomes import ArmCounts, Batch


def outcomes(arm: ArmCounts) -> Outcomes:
    """Failures; who left without having seen one saw none."""
    return arm.arrived, arm.bad, arm.ok + arm.left, arm.more


def error_rows(batch: Batch, round_: int | None = None) -> Iterator[Row]:
    """Failures of both arms, of requests or of users' first ones."""
    for cell in batch.cells:
        if (both := arms(cell, round_)) is not None:
            yield row(cell, outcomes(both[0]), outcomes(both[1]), (both[0].by, both[1].by))


def all_error_rows(batch: Batch, *, forced: bool) -> Iterator[Row]:
    """Failures of all requests, whoever made them: what absolute limits look at.

    ``forced``: those that pins and rules sent, or those that were drawn.
    """
    for cell in batch.cells:
        if cell.forced is forced:
            both = cell.candidate, cell.stable
            yield row(cell, outcomes(both[0]), outcomes(both[1]), (both[0].by, both[1].by))


def failure_rows(batch: Batch, round_: int | None = None) -> Iterator[Row]:
    """Where users are drawn: their first failures among their first requests in a round.

    Without one, in the first: whose requests bet in a later one is not told apart.
    """
    for cell in batch.cells:
        if cell.round == (round_ or 0) and (both := cell.betting) is not None and not cell.forced:
            yield row(cell, outcomes(both[0]), outcomes(both[1]), (both[0].by, both[1].by))


def refusals(arm: ArmCounts) -> Outcomes:
    """Answers that are none."""
    return arm.arrived, arm.refused, arm.ok + arm.left + arm.bad - arm.refused, 0


def refusal_rows(batch: Batch, round_: int | None = None) -> Iterator[Row]:
    """Refusals and empty answers of both arms."""
    for cell in batch.cells:
        if (both := arms(cell, round_)) is not None:
            yield row(cell, refusals(both[0]), refusals(both[1]))


def all_refusal_rows(batch: Batch) -> Iterator[Row]:
    """The same of all requests that were drawn, whoever made them."""
    for cell in batch.cells:
        if not cell.forced:
            yield row(cell, refusals(cell.candidate), refusals(cell.stable))


REFUSALS = 0.1
"""Share of the gate's capital that bets on refusals; it costs the others a tenth of a nat."""

REFUSAL_RATE = 0.01
"""Stable's usual share of them; it steers power only."""

REFUSAL_TOLERANCE = 0.01
"""What a candidate may refuse beyond stable, as a share of requests: it may be stricter."""


REFUSED = "refused (4xx) or empty"
"""What such an answer is, for the sentence."""


def refusal_evidence(context: GateContext) -> CompareEvidence:
    """Candidate's refusals against stable's."""
    return CompareEvidence(
        REFUSAL_RATE, relative=0.1, absolute=REFUSAL_TOLERANCE,
        horizon=context.horizon(REFUSAL_RATE),
    )  # fmt: skip


class ErrorRate(Gate):
    """Failures (the route's ``errors``) of the candidate against stable's in the same period."""

    kind: ClassVar[str] = "error_rate"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.COIN})
    half: ClassVar[bool] = True

    tolerance: Tolerance = Tolerance.unwritten()
    """Failures beyond stable's that are tolerated; zero for both finds any regression."""

    def start(self, context: GateContext) -> ComparisonState:
        """One test, with stable's past failure rate as the reference for its bets.

        Where users are drawn, two: half of the capital on first requests, half on first failures.
        """
        if not context.sticky:
            asked = self._question(context, error_rows, "")
            questions = [replace(asked, share=1.0 - REFUSALS), self._refusals(context)]
            return ComparisonState(self.title, context, tuple(questions), dry_run=self.dry_run)
        share = (1.0 - REFUSALS - FRESH) / 2
        both = (
            self._question(context, error_rows, FIRST_REQUESTS),
            self._question(context, failure_rows, FIRST_FAILURES, bad_only=True),
        )
        questions = [*(replace(one, share=share) for one in both), self._refusals(context)]
        return ComparisonState(
            self.title, context, tuple(questions), dry_run=self.dry_run,
            afresh=partial(self._afresh, context),
        )  # fmt: skip

    def _afresh(self, context: GateContext, round_: int, share: float) -> tuple[Question, ...]:
        """The same of one round alone."""
        firsts, failures = (partial(read, round_=round_) for read in (error_rows, failure_rows))
        both = (
            self._question(context, firsts, FRESH_FIRST_REQUESTS),
            self._question(context, failures, FRESH_FIRST_FAILURES, bad_only=True),
        )
        return tuple(replace(one, share=share / 2, aside=True) for one in both)

    @staticmethod
    def _refusals(context: GateContext) -> Question:
        """Does it refuse (4xx but 429), or answer with nothing, where stable does not?"""
        users = FIRST_REQUESTS if context.sticky else ""
        tolerated, evidence = tolerance_text(0.1, REFUSAL_TOLERANCE), refusal_evidence(context)
        return Question(evidence, REFUSED, tolerated, refusal_rows, users, REFUSALS, aside=True)

    def _question(
        self, context: GateContext, read: Callable[[Batch], Iterable[Row]], users: str, *,
        bad_only: bool = False,
    ) -> Question:  # fmt: skip
        p0 = context.baseline.bad_rate
        evidence = CompareEvidence(
            p0, relative=self.tolerance.rho, absolute=self.tolerance.delta,
            bad_only=bad_only, horizon=context.horizon(p0), together=context.baseline.together,
        )  # fmt: skip
        return Question(evidence, "failed", str(self.tolerance), read, users)
