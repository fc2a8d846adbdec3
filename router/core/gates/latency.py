"""Gate ``latency``: is the candidate slower than stable at its p50, p95, p99?

The thresholds are quantiles of stable's *past*, fixed before the data they judge. Stable is slow
above T, the candidate above (1 + tolerance) T, so "at most 10 % slower" is exactly the statement
under question. A request is counted slow when its *age* passes its threshold, answered or not: a
candidate that hangs is seen before its time-out.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from router.core.evidence import CompareEvidence
from router.core.gates.comparison import (
    FIRST_REQUESTS,
    ComparisonState,
    Question,
    Row,
    arms,
    row,
)
from router.core.gates.gate import Gate, GateContext, SlowLimit
from router.core.gates.needs import Need
from router.core.quantities import BasisPoints, Number
from router.core.wire.histogram import quantile, share_above
from router.core.words import FULL_BP, duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.core.gates.comparison import Outcomes
    from router.core.wire.baseline import Baseline
    from router.core.wire.outcomes import ArmCounts, Batch, Cell

REQUESTS_MIN = 500
"""Answers of stable's past that make a quantile worth fixing: p99 then rests on five."""

_SAME = 1e-6
"""Relative difference within which two thresholds are the same (they travel through divisions)."""


def position(cell: Cell, seconds_on_stable_axis: float) -> int | None:
    """Index of a threshold in a cell; None if these requests were not counted against it."""
    for index, threshold in enumerate(cell.thresholds_s):
        if math.isclose(threshold, seconds_on_stable_axis, rel_tol=_SAME):
            return index
    return None


def slow_rows(limit: SlowLimit, batch: Batch) -> Iterator[Row]:
    """Slow and fast requests of both arms (or users' first ones), per slice.

    A cell counts the candidate at ``threshold * (1 + tolerance)``; a limit with another tolerance
    therefore reads the candidate at another index than stable.
    """
    for cell in batch.cells:
        s = position(cell, limit.stable_s)
        c = position(cell, limit.candidate_s / (1.0 + cell.tolerance))
        both = arms(cell)
        if s is None or c is None or both is None:
            continue
        candidate, stable = both
        if c < len(candidate.slow) and s < len(stable.slow):
            yield row(cell, _outcomes(candidate, c), _outcomes(stable, s))


def _outcomes(arm: ArmCounts, index: int) -> Outcomes:
    return arm.arrived, arm.slow[index], arm.fast[index], 0


class Latency(Gate):
    """Slow answers of the candidate against stable's, at quantiles of stable's own past."""

    kind: ClassVar[str] = "latency"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.COIN})

    quantiles: tuple[Annotated[Number, Field(gt=0, lt=1)], ...] = Field(
        default=(0.5, 0.95, 0.99), min_length=1, max_length=8
    )
    """Quantiles of stable's latency at which the two are compared."""
    tolerance: BasisPoints = 1_000
    """Tolerated slow-down of the whole time axis."""

    @property
    def gamma(self) -> float:
        """The tolerated slow-down as a fraction."""
        return self.tolerance / FULL_BP

    def ready(self, baseline: Baseline) -> bool:
        """At least :data:`REQUESTS_MIN` answers of stable are known."""
        return sum(baseline.latency_buckets) >= REQUESTS_MIN

    def limits(self, baseline: Baseline) -> tuple[SlowLimit, ...]:
        """One limit a quantile, three digits; equal quantiles of a narrow distribution give one."""
        if not self.ready(baseline):
            return ()
        past = baseline.latency_buckets
        found = sorted({float(f"{quantile(past, q):.3g}") for q in self.quantiles})
        return tuple(SlowLimit(t, t * (1.0 + self.gamma)) for t in found)

    def start(self, context: GateContext) -> ComparisonState:
        """One question a limit, averaged."""
        questions = tuple(self._question(limit, context) for limit in self.limits(context.baseline))
        return ComparisonState(self.title, context, questions, dry_run=self.dry_run)

    def _question(self, limit: SlowLimit, context: GateContext) -> Question:
        buckets = context.baseline.latency_buckets
        p0 = min(max(share_above(buckets, limit.stable_s), 1.0 / sum(buckets)), 0.9)
        evidence = CompareEvidence(p0, relative=0.0, absolute=0.0, horizon=context.horizon(p0))
        return Question(
            evidence, f"slower than {duration(limit.stable_s)}",
            f"candidate {self.gamma * 100:g} % slower ({duration(limit.candidate_s)})",
            partial(slow_rows, limit), FIRST_REQUESTS if context.sticky else "",
        )  # fmt: skip
