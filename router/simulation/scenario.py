"""What happens in a simulated world: traffic, failures, latency, users.

Rates are probabilities 0..1, times in seconds. Nothing here draws anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from router.core.wire.baseline import Baseline
from router.core.wire.histogram import BOUNDS_S, BUCKETS

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Bursts:
    """Outages that both versions share: a database, a network."""

    per_day: float = 6.0
    rate: float = 0.2
    """Bad rate of both versions during one."""
    mean_s: float = 180.0


@dataclass(frozen=True, slots=True)
class LatencyModel:
    """Log-normal latency of stable, and what the candidate does differently."""

    median_s: float = 0.1
    sigma: float = 0.5
    factor: float = 1.0
    """The candidate's whole distribution is this much slower."""
    tail_share: float = 0.0
    """Share of the candidate's requests that take ``tail_s`` longer."""
    tail_s: float = 1.0
    hang: bool = False
    """The candidate never answers."""
    timeout_s: float = 30.0
    """Answers that take longer are errors."""
    past: tuple[int, ...] = ()
    """Answers per bucket of :data:`router.core.wire.histogram.BOUNDS_S`, as an access log has them;
    they replace the log-normal."""

    def buckets(self, requests: int) -> tuple[int, ...]:
        """Stable's past as a histogram of ``requests`` answers, by the exact distribution."""
        if self.past:
            return tuple(round(count * requests / sum(self.past)) for count in self.past)
        below = [self._below(bound) for bound in BOUNDS_S]
        shares = [b - a for a, b in zip([0.0, *below], [*below, 1.0], strict=True)]
        return tuple(round(share * requests) for share in shares)

    def _below(self, seconds: float) -> float:
        z = (math.log(seconds) - math.log(self.median_s)) / self.sigma
        return 0.5 * math.erfc(-z / math.sqrt(2.0))


@dataclass(frozen=True, slots=True)
class Scenario:
    """One world. Equal versions are the default."""

    stable_rate: float = 0.01
    candidate_rate: float = 0.01
    requests_per_s: float = 50.0
    change_at_s: float = 0.0
    """Until then the candidate is as good as stable."""
    bursts: Bursts | None = None
    latency: LatencyModel | None = None
    users: int = 0
    """Sticky users with Zipf popularity; 0: a coin for every request."""
    disagree_rate: float = 0.0
    """Share of mirrored requests to which the candidate answers differently."""
    duration_s: float = DAY_S
    """The simulation ends here, decided or not."""
    history: int = 5_000
    """Requests of stable's past that are known when the rollout starts; 0: none."""
    failures_s: float | None = None
    """How long a failure takes, in both versions; None: as long as an answer."""
    together: int = 1
    """Requests of one version that are served together in the mean, and fail with one cause."""
    patience_s: float | None = None
    """Clients leave after so long without an answer; None: they wait."""
    refuses: float = 0.0
    """Share of the candidate's good answers that refuse the request (4xx) or are empty."""
    pinned: float = 0.0
    """Share of requests that a pin or a rule sends to the candidate, whatever its weight is."""

    def __post_init__(self) -> None:
        """Refuse worlds that cannot be."""
        rates = (
            self.stable_rate, self.candidate_rate, self.disagree_rate, self.refuses, self.pinned,
        )  # fmt: skip
        if not all(0.0 <= r <= 1.0 for r in rates) or not 0.0 < self.requests_per_s < 1e6:
            raise ValueError(f"rates lie in 0..1 and traffic in 0..1e6 requests/s: {self}")

    @property
    def equal(self) -> Scenario:
        """The same world with a candidate that is as good as stable."""
        latency = self.latency
        if latency is not None:
            latency = replace(latency, factor=1.0, tail_share=0.0, hang=False)
        return replace(
            self, candidate_rate=self.stable_rate, change_at_s=0.0, latency=latency, refuses=0.0
        )

    @property
    def followed(self) -> bool:
        """Whether something is to be seen only where each request is followed."""
        alike = (self.failures_s, self.patience_s) == (None, None) and self.together == 1
        return not alike or self.refuses > 0.0 or self.pinned > 0.0

    @property
    def regresses(self) -> bool:
        """Whether the candidate is ever different from stable."""
        slow = self.latency is not None and self.latency != self.equal.latency
        return self.candidate_rate != self.stable_rate or slow or self.refuses > 0.0

    def baseline(self) -> Baseline:
        """What the router knows of stable when the rollout starts."""
        if not self.history:
            return Baseline(requests_per_s=self.requests_per_s)
        buckets = self.latency.buckets(self.history) if self.latency else ()
        bad = round(self.stable_rate * self.history)
        clumped = bad * (2 * self.together - 1)  # geometric numbers of requests with one cause
        return Baseline(self.history, bad, buckets, self.requests_per_s, clumped)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What an access log says about a service."""

    requests: int = 0
    bad: int = 0
    duration_s: float = 0.0
    latency_buckets: tuple[int, ...] = field(default=(0,) * BUCKETS)

    def scenario(self, candidate_rate: float | None = None) -> Scenario:
        """A world with this traffic. Raises ValueError for a log of less than two requests."""
        if self.requests < 2 or self.duration_s <= 0.0:
            raise ValueError("expected at least two requests at different times")
        rate = self.bad / self.requests
        timed = any(self.latency_buckets)
        return Scenario(
            stable_rate=rate,
            candidate_rate=rate if candidate_rate is None else candidate_rate,
            requests_per_s=self.requests / self.duration_s,
            history=self.requests,
            latency=LatencyModel(past=self.latency_buckets) if timed else None,
        )


def edges(changes: Sequence[tuple[float, float]], at: float) -> float:
    """The first time after ``at`` among (time, anything) pairs in order; infinity if none."""
    return next((t for t, _ in changes if t > at), math.inf)
