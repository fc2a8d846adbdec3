"""What routes did by themselves, counted by a worker until it is told."""

from __future__ import annotations

from router.core.wire.counts import GivenCounts, RouteCounts


class GivenStats:
    """Named as in :class:`~router.core.wire.counts.GivenCounts`."""

    __slots__ = ("cache_hits", "cache_misses", "cache_passed", "cache_waited", "table_hits",
                 "table_misses", "table_stale")  # fmt: skip

    def __init__(self) -> None:
        self.cache_hits = self.cache_waited = self.cache_misses = self.cache_passed = 0
        self.table_hits = self.table_misses = self.table_stale = 0

    def told(self, version: str) -> GivenCounts:
        """All of it."""
        return GivenCounts(
            version, self.cache_hits, self.cache_waited, self.cache_misses, self.cache_passed,
            self.table_hits, self.table_misses, self.table_stale,
        )  # fmt: skip


class RouteStats:
    """What a route did by itself: named as in :class:`~router.core.wire.counts.RouteCounts`."""

    __slots__ = ("answers_shaped", "answers_unshaped", "cache_evicted", "dirty", "fallbacks",
                 "given", "inputs_refused", "inputs_to_review", "inputs_to_stable",
                 "quota_forgotten", "quota_refused", "route", "unnamed")  # fmt: skip

    def __init__(self, route: str) -> None:
        self.route = route
        self._zero()

    def _zero(self) -> None:
        self.dirty = False
        self.quota_refused = self.quota_forgotten = self.inputs_refused = 0
        self.inputs_to_stable = self.inputs_to_review = self.unnamed = 0
        self.answers_shaped = self.answers_unshaped = self.fallbacks = 0
        self.cache_evicted = 0
        self.given: dict[str, GivenStats] = {}
        """By version."""

    def of(self, version: str) -> GivenStats:
        """What a cache or a table did for a version; it will be told."""
        self.dirty = True
        known = self.given.get(version)
        if known is None:
            known = self.given[version] = GivenStats()
        return known

    def looked_up(self, version: str, hits: int, misses: int, stale: int) -> None:
        """What became of questions to a version's table."""
        one = self.of(version)
        one.table_hits += hits
        one.table_misses += misses
        one.table_stale += stale

    def take(self) -> RouteCounts:
        """Everything since the last call."""
        counts = RouteCounts(
            self.route, self.quota_refused, self.quota_forgotten, self.inputs_refused,
            self.inputs_to_stable, self.inputs_to_review,
            self.answers_shaped, self.answers_unshaped, self.fallbacks, self.unnamed,
            self.cache_evicted,
            tuple(one.told(name) for name, one in self.given.items()),
        )  # fmt: skip
        self._zero()
        return counts
