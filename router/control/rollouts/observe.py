"""What the workers reported, as the deciders and people need it.

Two rings of time slots a version: the last minute for display, the last ten minutes of stable as
the baseline that sets thresholds and first bets. Both run on the rollout clock, are bounded, and
exist only for versions that had traffic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, TypedDict

from router.control.rollouts.readiness import Readiness
from router.control.told.given import Given
from router.control.told.views import UsageView, VersionView, WindowView
from router.core.wire.baseline import Baseline
from router.core.wire.counts import VersionCounts
from router.core.wire.histogram import BUCKETS, quantile
from router.core.wire.outcomes import BAD_OUTCOMES, Outcome
from router.core.words import FULL_BP

WINDOW_S: Final = 60.0
"""What "now" means on pages: the last minute."""
WINDOW_SLOTS: Final = 12

UNREAD_REPORTS_MAX: Final = 1_000
"""Reports about sticky keys that could not be read, kept for each route."""

BASELINE_S: Final = 600.0
"""Stable's past that thresholds come from; thirty slots of it."""
BASELINE_SLOTS: Final = 30

_SPLIT_ROLES: Final = ("stable", "candidate")
_ANSWERING: Final = tuple(
    int(o) for o in Outcome if o is Outcome.OK or o in BAD_OUTCOMES or o is Outcome.CLIENT_ABORT
)
_BAD: Final = tuple(int(o) for o in BAD_OUTCOMES)


@dataclass(slots=True)
class _Slot:
    number: int
    requests: int = 0
    bad: int = 0
    clumped: int = 0
    latency: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sums:
    """Everything in a ring."""

    requests: int
    bad: int
    latency: tuple[int, ...]
    span_s: float
    """Time that these counts cover, seconds."""
    clumped: int = 0

    @property
    def requests_per_s(self) -> float:
        """Mean rate; 0.0 for an empty span."""
        return self.requests / self.span_s if self.span_s > 0 else 0.0


class Ring:
    """Counts of the last ``slots * slot_s`` seconds, forgotten slot by slot."""

    def __init__(self, length_s: float, slots: int) -> None:
        self._slot_s = length_s / slots
        self._length = slots
        self._slots: list[_Slot] = []
        self._first_s: float | None = None

    def add(self, now: float, counts: VersionCounts) -> None:
        """Book one report at ``now``."""
        number = int(now / self._slot_s)
        if self._first_s is None:
            self._first_s = now
        if not self._slots or self._slots[-1].number < number:
            self._slots.append(_Slot(number))
            del self._slots[: -self._length]
        slot = self._slots[-1]
        slot.requests += sum(counts.outcomes[i] for i in _ANSWERING)
        slot.bad += sum(counts.outcomes[i] for i in _BAD)
        slot.clumped += counts.clumped
        for bucket, count in counts.latency:
            slot.latency[bucket] = slot.latency.get(bucket, 0) + count

    def sums(self, now: float) -> Sums:
        """What happened within the ring's length before ``now``."""
        oldest = int(now / self._slot_s) - self._length + 1
        live = [slot for slot in self._slots if slot.number >= oldest]
        latency = [0] * BUCKETS
        for slot in live:
            for bucket, count in slot.latency.items():
                latency[bucket] += count
        since = now if self._first_s is None else max(self._first_s, oldest * self._slot_s)
        return Sums(
            sum(s.requests for s in live),
            sum(s.bad for s in live),
            tuple(latency),
            max(now - since, self._slot_s) if live else 0.0,
            sum(s.clumped for s in live),
        )


class Observatory:
    """All windows, gauges and endpoint states of the router."""

    def __init__(self, *, probed: bool = False) -> None:
        """``probed``: see :class:`~router.control.rollouts.readiness.Readiness`."""
        self.readiness = Readiness(probed=probed)
        self._windows: dict[tuple[str, str, str], Ring] = {}
        self._past: dict[tuple[str, str], Ring] = {}
        self._in_flight: dict[tuple[str, str], dict[tuple[str, int], int]] = {}
        """By route and version; then by role and worker."""
        self._tunnels: dict[tuple[str, str], dict[tuple[str, int], int]] = {}
        self._unread: dict[str, deque[tuple[float, int]]] = {}
        self.usage: Callable[[str, str], UsageView | None] = lambda _route, _version: None
        """What a version of a route says that it uses."""
        self.given = Given()
        """What caches and tables answered."""

    def unread_keys(self, route: str, now: float) -> int:
        """Requests of the last minute whose sticky key could not be read."""
        seen = self._unread.get(route, deque())
        while seen and now - seen[0][0] > WINDOW_S:
            seen.popleft()
        return sum(number for _, number in seen)

    def add(self, worker: int, counts: Iterable[VersionCounts], now: float) -> None:
        """Book one worker's counts."""
        for one in counts:
            if one.unread_keys:
                unread = self._unread.setdefault(one.route, deque(maxlen=UNREAD_REPORTS_MAX))
                unread.append((now, one.unread_keys))
            key = (one.route, one.version, one.role)
            if any(one.outcomes):
                self._ring(key).add(now, one)
                if one.role in ("stable", "other"):
                    self._history(one.route, one.version).add(now, one)
            of, seen_by = key[:2], (one.role, worker)
            self._in_flight.setdefault(of, {})[seen_by] = one.in_flight
            if one.tunnels or of in self._tunnels:
                self._tunnels.setdefault(of, {})[seen_by] = one.tunnels

    def forget_worker(self, worker: int) -> None:
        """Its gauges are history."""
        for gauges in (*self._in_flight.values(), *self._tunnels.values()):
            for seen_by in [one for one in gauges if one[1] == worker]:
                del gauges[seen_by]
        self.readiness.forget_worker(worker)

    def keep_only(self, versions: Collection[tuple[str, str]]) -> None:
        """Forget versions that left the policy: it grows with no edit."""
        self.readiness.keep_only(versions)
        for key in [key for key in self._windows if key[:2] not in versions]:
            del self._windows[key]
        for table in (self._in_flight, self._tunnels):
            for of in [of for of in table if of not in versions]:
                del table[of]
        routes = {route for route, _ in versions}
        for route in [route for route in self._unread if route not in routes]:
            del self._unread[route]
        for name in [name for name in self._past if name not in versions]:
            del self._past[name]

    def baseline(self, route: str, stable: str, now: float) -> Baseline:
        """Stable's past, for thresholds and first bets."""
        ring = self._past.get((route, stable))
        if ring is None:
            return Baseline()
        sums = ring.sums(now)
        return Baseline(sums.requests, sums.bad, sums.latency, sums.requests_per_s, sums.clumped)

    def measured_bp(
        self, route: str, stable: str, candidate: str, now: float, others: Iterable[str] = ()
    ) -> int | None:
        """The candidate's share of the drawn requests of the last minute; None without any.

        ``others`` are the further versions of the split; requests that rules send them are counted.
        """
        keys = [(route, candidate, "candidate"), (route, stable, "stable")]
        keys += [(route, name, "other") for name in others]
        drawn = [
            self._windows[key].sums(now).requests if key in self._windows else 0 for key in keys
        ]
        return round(FULL_BP * drawn[0] / sum(drawn)) if sum(drawn) else None

    def in_flight(self, route: str, version: str) -> int:
        """Requests under way to a version in all workers, copies included."""
        return sum(self._in_flight.get((route, version), {}).values())

    def tunnels(self, route: str, version: str) -> int | None:
        """WebSockets open to a version in all workers; None where there never was one."""
        seen = self._tunnels.get((route, version))
        return sum(seen.values()) if seen is not None else None

    def view(self, route: str, version: str, now: float) -> VersionView:
        """The last minute of one version for people, with its endpoints."""
        served = [
            ring.sums(now)
            for role in (*_SPLIT_ROLES, "other")
            if (ring := self._windows.get((route, version, role))) is not None
        ]
        shadow = self._windows.get((route, version, "shadow"))
        return VersionView(
            **_figures(served),
            in_flight=self.in_flight(route, version),
            shadow=WindowView(**_figures([shadow.sums(now)])) if shadow else None,
            endpoints=self.readiness.view(route, version),
            usage=self.usage(route, version),
            cache=self.given.cache(route, version),
            table=self.given.table(route, version),
        )

    def requests(self, route: str, version: str, now: float) -> tuple[int, float]:
        """What a version answered in the last minute, and how many a second."""
        parts = [
            ring.sums(now) for role in (*_SPLIT_ROLES, "other")
            if (ring := self._windows.get((route, version, role))) is not None
        ]  # fmt: skip
        return sum(part.requests for part in parts), sum(part.requests_per_s for part in parts)

    def _ring(self, key: tuple[str, str, str]) -> Ring:
        if key not in self._windows:
            self._windows[key] = Ring(WINDOW_S, WINDOW_SLOTS)
        return self._windows[key]

    def _history(self, route: str, version: str) -> Ring:
        if (route, version) not in self._past:
            self._past[(route, version)] = Ring(BASELINE_S, BASELINE_SLOTS)
        return self._past[(route, version)]


class _Figures(TypedDict):
    requests: int
    requests_per_s: float
    errors: int
    error_ratio: float
    p50_s: float | None
    p99_s: float | None
    window_s: float


def _figures(parts: list[Sums]) -> _Figures:
    requests = sum(part.requests for part in parts)
    bad = sum(part.bad for part in parts)
    latency = [sum(counts) for counts in zip(*(part.latency for part in parts), strict=True)]
    span_s = max((part.span_s for part in parts), default=0.0)
    return {
        "requests": requests,
        "requests_per_s": round(requests / span_s, 3) if span_s else 0.0,
        "errors": bad,
        "error_ratio": round(bad / requests, 6) if requests else 0.0,
        "p50_s": quantile(latency, 0.5),
        "p99_s": quantile(latency, 0.99),
        "window_s": min(span_s, WINDOW_S),
    }
