"""What is known of stable before a rollout: gates are set by it before anything is counted."""

from __future__ import annotations

from dataclasses import dataclass

TOGETHER_S = 0.05
"""Failures of one version that end within this time may have one cause."""

TOGETHER_MAX = 16
"""Of them, at most: beyond, a rollback would take too many bad answers."""

CLUMPED_MIN = 30
"""Failures that must be known before they can be said to come together."""

CLUMPED_FROM = 1.25
"""Dispersion from which on they do; less is chance."""

GOOD_MIN = 49
"""Fewer requests of stable, all good, tell as much of its bad rate as so many: after one,
(0 + 1/2) / (1 + 1) would be a quarter, and a candidate that fails always would look usual."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Stable's past, measured before the decisions that use it; it steers power, never validity."""

    requests: int = 0
    bad: int = 0
    latency_buckets: tuple[int, ...] = ()
    """Counts per bucket of :data:`router.core.wire.histogram.BOUNDS_S`, the last one unbounded."""
    requests_per_s: float = 0.0
    clumped: int = 0
    """Sum of b^2 over stretches of :data:`TOGETHER_S`, b failures in each, less the sum of b times
    the next stretch's: as large as ``bad`` where each failure has a cause of its own, whatever the
    rate and however it changes."""

    @property
    def together(self) -> int:
        """Failures that may have one cause: twice the dispersion of stable's, 1 where it is none.

        For causes of L failures in the mean (geometric) the dispersion is 2 L - 1; half of what
        several workers share of a cause is not seen, hence twice.
        """
        if self.bad < CLUMPED_MIN or self.clumped < CLUMPED_FROM * self.bad:
            return 1
        return min(-(-2 * self.clumped // self.bad), TOGETHER_MAX)

    @property
    def bad_rate(self) -> float:
        """``(x + 1/2) / (n + 1)`` clipped to [1e-4, 0.5]; 0.01 where nothing is known.

        No good answer of stable ever raises it: see :data:`GOOD_MIN`.
        """
        n = self.requests if self.bad else max(self.requests, GOOD_MIN)
        return min(max((self.bad + 0.5) / (n + 1), 1e-4), 0.5)
