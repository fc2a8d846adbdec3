"""A routing table made ready for requests: pools, counters, conditions and choices in place.

Compiling happens once per table, outside any request. A request takes one :class:`Serving` and
nothing else; a swap is one assignment.
"""

from __future__ import annotations

from bisect import bisect_right
from copy import copy
from dataclasses import dataclass
from itertools import accumulate

from router.core.table import Match, Mirror, RouteEntry, RoutingTable, Rule, StickyKind, amended
from router.proxy.matching import RouteIndex
from router.telemetry.recorder import LiveCell, MirrorStats, Recorder, VersionStats
from router.upstream import Pool, Pools


class Version:
    """One version of one route: where its requests go and where they are counted."""

    __slots__ = ("index", "line", "mirrors", "name", "pool", "stats")

    def __init__(self, name: str, index: int, pool: Pool, stats: VersionStats) -> None:
        self.name = name
        self.index = index
        self.pool = pool
        self.stats = stats
        self.line = b"X-Rampway-Version: %b\r\n" % name.encode()
        self.mirrors: list[Target] = []
        """Who gets copies of the requests that this version answers."""


@dataclass(frozen=True, slots=True)
class Target:
    """A mirror: how much of a version's traffic goes to which pool, and its counters."""

    mirror: Mirror
    version: str
    pool: Pool
    stats: MirrorStats
    counts: VersionStats


@dataclass(frozen=True, slots=True)
class RuleTarget:
    """A rule with the conditions an index needs."""

    rule: Rule

    @property
    def match(self) -> Match:
        """The rule's conditions."""
        return self.rule.match


class Route:
    """One route of a table."""

    __slots__ = ("body_fields", "candidate", "cell", "cuts", "entry", "errors", "keep_bytes",
                 "match", "mirrors", "needs_body", "offset", "others", "pins", "rules", "stable",
                 "versions", "weight_bp")  # fmt: skip

    def __init__(self, entry: RouteEntry, pools: Pools, recorder: Recorder) -> None:
        self.entry = entry
        self.match = entry.match
        connect_s = entry.timeouts.connect_s
        self.versions = [
            Version(
                version.name, index,
                pools.live(entry.name, version, connect_s=connect_s),
                recorder.version(entry.name, version.name, role_of(entry, index)),
            )
            for index, version in enumerate(entry.versions)
        ]  # fmt: skip
        self.stable = self.versions[entry.stable]
        self.candidate = self.versions[entry.candidate] if entry.candidate >= 0 else None
        self.cell: LiveCell | None = recorder.cell(entry)
        self.offset = entry.offset
        self.weight_bp = entry.weights_bp[entry.candidate] if entry.candidate >= 0 else 0
        others = [v for v in self.versions if v is not self.candidate and self._weight(v)]
        self.others = others
        self.cuts = list(accumulate(self._weight(version) for version in others))
        self.rules = RouteIndex([RuleTarget(r) for r in entry.rules]) if entry.rules else None
        self.body_fields = any(rule.match.body for rule in entry.rules) or bool(entry.match.body)
        by_body = entry.sticky is not None and entry.sticky.kind is StickyKind.BODY
        self.needs_body = self.body_fields or by_body
        self.keep_bytes = max(
            entry.rescue.buffer_bytes if entry.rescue else 0,
            entry.mirror_limits.body_bytes if entry.mirrors else 0,
        )
        pinnable = entry.pinnable if entry.pin_header else ()
        self.pins = {entry.versions[i].name.encode(): self.versions[i] for i in pinnable}
        self.errors = frozenset(entry.error_statuses)
        self.mirrors = [self._target(mirror, pools, recorder) for mirror in entry.mirrors]
        for target in self.mirrors:
            of = target.mirror.of
            (self.stable if of < 0 else self.versions[of]).mirrors.append(target)

    def _weight(self, version: Version) -> int:
        return self.entry.weights_bp[version.index]

    def _target(self, mirror: Mirror, pools: Pools, recorder: Recorder) -> Target:
        version = self.entry.versions[mirror.version]
        pool = pools.shadow(self.entry.name, version, connect_s=self.entry.timeouts.connect_s)
        return Target(
            mirror, version.name, pool, recorder.mirror(self.entry.name, version.name),
            recorder.version(self.entry.name, version.name, "shadow"),
        )  # fmt: skip

    def draw(self, bucket: int) -> Version:
        """The version whose interval holds a bucket 0..9999: the candidate's comes first."""
        place = (bucket - self.offset) % 10_000
        if place < self.weight_bp and self.candidate is not None:
            return self.candidate
        others = self.others
        if len(others) == 1:
            return others[0]
        return others[bisect_right(self.cuts, place - self.weight_bp)] if others else self.stable

    def is_error(self, status: int) -> bool:
        """Whether an answer of this status counts against its version."""
        return status in self.errors or status // 100 in self.errors


class Serving:
    """A whole table, ready.

    Routes whose entry did not change are taken over from ``before``: a change of one route among
    1,000 must not hold up requests while the other 999 are compiled again.
    """

    __slots__ = ("index", "limits", "revision", "routes", "table")

    def __init__(
        self,
        table: RoutingTable,
        pools: Pools,
        recorder: Recorder,
        before: Serving | None = None,
    ) -> None:
        known = {route.entry.name: route for route in before.routes} if before else {}
        self.table = table
        self.revision = table.revision
        self.limits = table.limits
        self.routes: list[Route] = [
            route
            if (route := known.get(entry.name)) is not None and route.entry == entry
            else Route(entry, pools, recorder)
            for entry in table.routes
        ]
        self.index = RouteIndex(self.routes)

    def amended(
        self, revision: int, entries: tuple[RouteEntry, ...], pools: Pools, recorder: Recorder
    ) -> Serving:
        """This table with some routes changed, at the cost of those alone."""
        new = {entry.name: entry for entry in entries}
        changed = {
            place: Route(new[route.entry.name], pools, recorder)
            for place, route in enumerate(self.routes)
            if route.entry.name in new
        }
        serving = copy(self)
        serving.revision = revision
        serving.table = amended(self.table, revision, entries)
        serving.routes = [changed.get(place, route) for place, route in enumerate(self.routes)]
        serving.index = self.index.replacing(changed) or RouteIndex(serving.routes)
        return serving


def role_of(entry: RouteEntry, index: int) -> str:
    """stable, candidate or other, for counters."""
    if index == entry.stable:
        return "stable"
    return "candidate" if index == entry.candidate else "other"
