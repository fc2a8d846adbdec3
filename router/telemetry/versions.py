"""The counters of one version: what became of attempts at it, and how long they took."""

from __future__ import annotations

from bisect import bisect_left
from operator import add
from time import monotonic
from typing import TYPE_CHECKING, Final

from router.core.wire.baseline import TOGETHER_S
from router.core.wire.counts import VersionCounts
from router.core.wire.histogram import BOUNDS_S, BUCKETS
from router.core.wire.outcomes import BAD_OUTCOMES, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

_OUTCOMES: Final = len(Outcome)
_BAD: Final = tuple(outcome in BAD_OUTCOMES for outcome in Outcome)


class VersionStats:
    """The counters of one version in one role; incremented in place by exchanges."""

    __slots__ = ("_clump", "_clump_bad", "_clump_before", "bytes_in", "bytes_out", "classes",
                 "clumped", "dirty", "first_byte", "first_byte_sum_s",
                 "in_flight", "latency", "latency_sum_s", "outcomes",
                 "own_cookies", "rescued", "retries", "role", "route",
                 "tunnel_ends", "tunnels", "unread_keys", "version", "whole",
                 "whole_sum_s")  # fmt: skip

    def __init__(self, route: str, version: str, role: str) -> None:
        self.route = route
        self.version = version
        self.role = role
        self.in_flight = self.tunnels = 0
        self._clump = self._clump_bad = self._clump_before = 0
        self._zero()

    def _zero(self) -> None:
        self.dirty = False
        self.outcomes = [0] * _OUTCOMES
        self.classes = [0] * 6
        """By the first digit of the status; the first one is of attempts without an answer."""
        self.latency = [0] * BUCKETS
        self.first_byte = [0] * BUCKETS
        self.whole = [0] * BUCKETS
        """Of both: answers that arrived at once, whose first byte came with the last."""
        self.latency_sum_s = self.first_byte_sum_s = self.whole_sum_s = 0.0
        self.rescued = self.retries = self.bytes_in = self.bytes_out = self.unread_keys = 0
        self.own_cookies = self.clumped = 0
        self.tunnel_ends: dict[str, int] = {}

    def begin(self) -> None:
        """A request was sent this version's way."""
        self.in_flight += 1
        self.dirty = True

    def end(self, outcome: int, status: int, whole_s: float, first_byte_s: float) -> None:
        """The one end of an attempt at this version.

        ``status`` is the version's own, 0 where it gave none; ``first_byte_s`` < 0 likewise.
        """
        self.in_flight -= 1
        self.dirty = True
        self.outcomes[outcome] += 1
        if _BAD[outcome]:
            self.fail(int(monotonic() / TOGETHER_S))
        self.classes[status // 100] += 1
        bucket = bisect_left(BOUNDS_S, whole_s)
        if first_byte_s == whole_s:
            self.whole[bucket] += 1
            self.whole_sum_s += whole_s
            return
        self.latency[bucket] += 1
        self.latency_sum_s += whole_s
        if first_byte_s >= 0.0:
            self.first_byte[bisect_left(BOUNDS_S, first_byte_s)] += 1
            self.first_byte_sum_s += first_byte_s

    def fail(self, stretch: int) -> None:
        """A failure in this stretch of time: with how many others, less the one before's."""
        if stretch != self._clump:
            near = stretch == self._clump + 1
            self._clump_before = self._clump_bad if near else 0
            self._clump, self._clump_bad = stretch, 0
        self.clumped += 2 * self._clump_bad + 1 - self._clump_before
        self._clump_bad += 1

    def take(self) -> VersionCounts:
        """Everything since the last call."""
        counts = VersionCounts(
            self.route, self.version, self.role, tuple(self.outcomes), tuple(self.classes[1:]),
            _sparse(map(add, self.latency, self.whole)),
            _sparse(map(add, self.first_byte, self.whole)),
            self.latency_sum_s + self.whole_sum_s, self.first_byte_sum_s + self.whole_sum_s,
            self.in_flight, self.rescued, self.retries,
            self.bytes_in, self.bytes_out, self.unread_keys, self.tunnels, self.tunnel_ends,
            self.clumped, self.own_cookies,
        )  # fmt: skip
        self._zero()
        return counts


def _sparse(buckets: Iterable[int]) -> tuple[tuple[int, int], ...]:
    return tuple((index, count) for index, count in enumerate(buckets) if count)
