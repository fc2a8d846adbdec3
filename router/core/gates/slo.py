"""Gate ``slo``: does a larger share of the candidate's answers take longer than a fixed time?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from router.core.evidence import CompareEvidence
from router.core.gates.comparison import FIRST_REQUESTS, ComparisonState, Question, Tolerance
from router.core.gates.gate import Gate, GateContext, SlowLimit
from router.core.gates.latency import slow_rows
from router.core.gates.needs import Need
from router.core.quantities import Seconds
from router.core.wire.histogram import share_above
from router.core.words import duration

if TYPE_CHECKING:
    from router.core.wire.baseline import Baseline

UNKNOWN_RATE = 0.01
"""Assumed share of slow answers where stable's past is unknown; it steers power only."""


class Slo(Gate):
    """Answers slower than a time you promise, candidate against stable."""

    kind: ClassVar[str] = "slo"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.COIN})

    slower_than: Annotated[Seconds, Field(gt=0)]
    """Age above which a request counts as slow, for both versions."""
    tolerance: Tolerance = Tolerance.unwritten()
    """Slow answers beyond stable's that are tolerated."""

    def limits(self, baseline: Baseline) -> tuple[SlowLimit, ...]:  # noqa: ARG002 - it is given
        """The promised time, for both arms alike."""
        return (SlowLimit(self.slower_than, self.slower_than),)

    def start(self, context: GateContext) -> ComparisonState:
        """One test, with stable's past share of slow answers as the reference for its bets."""
        buckets = context.baseline.latency_buckets
        past = share_above(buckets, self.slower_than) if any(buckets) else UNKNOWN_RATE
        p0 = min(max(past, 1e-4), 0.5)
        evidence = CompareEvidence(
            p0, relative=self.tolerance.rho, absolute=self.tolerance.delta,
            horizon=context.horizon(p0),
        )  # fmt: skip
        (limit,) = self.limits(context.baseline)
        question = Question(
            evidence, f"slower than {duration(self.slower_than)}", str(self.tolerance),
            partial(slow_rows, limit), FIRST_REQUESTS if context.sticky else "",
        )  # fmt: skip
        return ComparisonState(self.title, context, (question,), dry_run=self.dry_run)
