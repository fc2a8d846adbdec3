"""A routing table made ready for requests: pools, counters, conditions and choices in place.

Compiling happens once per table, outside any request. A request takes one :class:`Serving` and
nothing else; a swap is one assignment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from router.config.payloads import payload
from router.core.rollout.traffic import Draw
from router.core.wire.receipt import Seal
from router.core.wire.table import (
    MatchEntry,
    Mirror,
    RouteEntry,
    RoutingTable,
    RuleEntry,
    StickyEntry,
    StickyKind,
    VersionEntry,
)
from router.core.words import FULL_BP
from router.proxy.ahead import ServedBatch
from router.proxy.editing import Editing
from router.proxy.marks import Marker, Marking
from router.proxy.matching import RouteIndex
from router.telemetry.recorder import MirrorStats, Recorder
from router.telemetry.slices import Arm, LiveCell
from router.telemetry.versions import VersionStats
from router.upstream import Pool, Pools

if TYPE_CHECKING:
    from router.core.wire.protection import QuotaEntry
    from router.http1 import RequestHead


class ServedVersion:
    """One version of one route: where its requests go and where they are counted."""

    __slots__ = ("answer_s", "arm", "chance_s", "edit", "forced", "index", "line", "mirrors",
                 "name", "pool", "stats")  # fmt: skip

    def __init__(
        self, name: str, index: int, pool: Pool, stats: VersionStats, *, reveal: bool = True,
        edit: Editing | Marking | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.index = index
        self.pool = pool
        self.stats = stats
        self.arm: Arm | None = None
        """Where requests drawn to it are counted as evidence."""
        self.forced: Arm | None = None
        """Where requests are counted that a pin or a rule sends to a candidate."""
        self.chance_s = inf
        """How long an attempt may take before stable answers in its place."""
        self.answer_s = inf
        """How long an attempt that is sent at once may take until its answer begins."""
        told = b"X-Rampway-Version: %b\r\n" % name.encode() if reveal else b""
        self.line = told + b"X-Request-Id: "
        """Of an answer: it and the beginning of the line that follows it."""
        self.edit = edit
        """What it is asked otherwise than the client asked."""
        self.mirrors: list[Target] = []
        """Who gets copies of the requests that this version answers."""


class Target:
    """A mirror: how much of a version's traffic goes to which pool, and its counters."""

    __slots__ = ("counts", "edit", "mirror", "pool", "stats", "version")

    def __init__(
        self, mirror: Mirror, version: str, pool: Pool, stats: MirrorStats, counts: VersionStats
    ) -> None:
        self.mirror = mirror
        self.version = version
        self.pool = pool
        self.stats = stats
        self.counts = counts
        self.edit: Editing | None = None


class ServedQuota:
    """The quota of one route, with what its clients' keys begin with."""

    __slots__ = ("ahead", "by_header", "entry", "header", "prefix")

    def __init__(self, route: str, entry: QuotaEntry) -> None:
        self.entry = entry
        self.header = entry.header.encode()
        # Segments of a route (`route@value`) share one quota.
        self.prefix = b"%b\0" % route.partition("@")[0].encode()
        self.by_header = self.prefix + b"h"
        self.ahead = 0
        """Requests that are counted together; 0: that was not looked up yet."""


@dataclass(frozen=True, slots=True)
class RuleTarget:
    """A rule with the conditions an index needs."""

    rule: RuleEntry

    @property
    def match(self) -> MatchEntry:
        """The rule's conditions."""
        return self.rule.match


class ServedRoute:
    """One route of a table."""

    __slots__ = ("_payload_paths", "answer_bytes", "asks", "batch", "body_fields", "body_s",
                 "callers", "candidate", "cell", "checks", "clients", "copied", "counts", "draw",
                 "entry", "errors", "first_token_s", "holds", "keep_bytes", "keeps_back",
                 "key_header", "loads", "marker", "match", "mirror_salt", "mirrors", "needs_body",
                 "others", "own_cookie", "pins", "quota", "renames", "response_s", "rules",
                 "salt", "sampled_bp", "seal", "simple", "sole", "stable", "stripped", "tells",
                 "total_s", "versions")  # fmt: skip

    def __init__(self, entry: RouteEntry, pools: Pools, recorder: Recorder) -> None:
        self.entry, self.match = entry, entry.match
        self.counts, self.clients = recorder.route(entry.name), recorder.clients(entry)
        times = entry.timeouts
        self.versions = [
            ServedVersion(
                version.name, index,
                pools.live(entry.name, version, connect_s=times.connect_s),
                recorder.version(entry.name, version.name, role_of(entry, index)),
                reveal=entry.reveal_version, edit=_editing(version, entry),
            )
            for index, version in enumerate(entry.versions)
        ]  # fmt: skip
        self.stable = self.versions[entry.stable]
        self.candidate = self.versions[entry.candidate] if entry.candidate >= 0 else None
        self.response_s, self.body_s, self.total_s = times.response_s, times.body_s, times.total_s
        self.first_token_s = times.first_token_s
        self.answer_bytes = entry.rescue.answer_buffer_bytes if entry.rescue else 0
        asked = entry.rescue is not None and entry.rescue.schema
        self.checks = asked
        """Answers have to be readable by their payload."""
        for one in (entry.payload, *(one for _, one in entry.payload_paths)) if asked else ():
            payload(one)  # imports one of another package, before there is traffic
        self._payload_paths = [
            (path.removesuffix("*").encode(), path.endswith("*"), one)
            for path, one in entry.payload_paths
        ]
        """Path, whether all below it are meant, payload."""
        self.holds = bool(
            asked or self.first_token_s or entry.answers or entry.extraction or entry.review
        )
        """Some answers are looked at before they go out."""
        self.cell: LiveCell | None = recorder.cell(entry)
        if self.cell is not None and self.candidate is not None:
            self.cell.count_for(self.candidate, self.stable)
        self._tell(entry)
        self.callers = recorder.callers(entry)
        """Places of clients that were seen, to be marked."""
        forced = recorder.forced(entry)
        if forced is not None and self.candidate is not None:
            forced.count_for(self.candidate, self.stable)
        self._bound(entry)
        self.draw = Draw(self.versions, entry.weights_bp, entry.candidate, entry.offset)
        self.others = [v for v in self.versions if v is not self.candidate and self._weight(v)]
        whole = [version for version in self.versions if self._weight(version) == FULL_BP]
        self.sole: ServedVersion | None = whole[0] if whole else None
        """The version that every draw leads to, if there is one."""
        self.rules = RouteIndex([RuleTarget(r) for r in entry.rules]) if entry.rules else None
        kind, name, self.salt = _key(entry.sticky)
        self._look_into(entry, kind)
        self._charge(entry)
        self.key_header = name if kind is StickyKind.HEADER else b""
        self._keep_back(entry, name if kind is StickyKind.COOKIE else b"")
        self.keep_bytes = _kept_bytes(entry)
        pinnable = entry.pinnable if entry.pin else ()
        self.pins = {entry.versions[i].name.encode(): self.versions[i] for i in pinnable}
        self.errors = _statuses(entry.errors)
        """Statuses that count against the version that answers with them."""
        self.sampled_bp = entry.sampling.share_bp if entry.sampling else 0
        self._copy(entry, pools, recorder)

    def payload_at(self, path: bytes) -> str:
        """The payload of this path, where it has one of its own; else empty."""
        for stem, below, name in self._payload_paths:
            if path == stem or (below and path.startswith(stem)):
                return name
        return ""

    def payload_of(self, path: bytes) -> str:
        """What bodies are read as, of requests to this path and of their answers."""
        return self.payload_at(path) or self.entry.payload

    def _keep_back(self, entry: RouteEntry, cookie: bytes) -> None:
        self.own_cookie, self.loads = cookie, entry.loads  # only the router sets that cookie
        self.keeps_back = bool(self.own_cookie or self.loads)
        """Some lines of answers are not for clients."""

    def _charge(self, entry: RouteEntry) -> None:
        """What clients may ask, and which of it can wait."""
        self.quota = ServedQuota(entry.name, entry.quota) if entry.quota else None
        self.batch = ServedBatch(entry.batch, b"batch\0" + self.salt) if entry.batch else None

    def _bound(self, entry: RouteEntry) -> None:
        """How long an attempt of each version may take."""
        if self.candidate and entry.rescue and entry.rescue.deadline_s:
            self.candidate.chance_s = entry.rescue.deadline_s
        for version in self.versions:
            version.answer_s = min(version.chance_s, self.response_s)

    def _look_into(self, entry: RouteEntry, kind: StickyKind | None) -> None:
        self.body_fields = any(rule.match.body for rule in entry.rules) or bool(entry.match.body)
        self.renames = any(v.edit is not None and v.edit.model for v in self.versions)
        """Some version is asked in another name than the client wrote into its body."""
        by_body = self.body_fields or kind is StickyKind.BODY or self.renames
        looked = any(v.table is not None and v.table.path for v in entry.versions)
        kept = entry.inputs is not None or entry.cache is not None
        self.needs_body = by_body or kept or looked
        self.asks = self.needs_body or entry.answers is not None
        """Something is looked at before a version is chosen."""
        self.simple = not (self.asks or entry.body_limit_bytes)
        """It can be chosen at the head, of whatever length the body is."""

    def _copy(self, entry: RouteEntry, pools: Pools, recorder: Recorder) -> None:
        limits = entry.mirror_limits
        self.copied = frozenset(method.encode() for method in limits.methods)
        """Methods whose requests are mirrored."""
        self.stripped = frozenset(name.encode() for name in limits.strip_headers)
        """Fields that copies go without."""
        self.mirror_salt = b"mirror\0%b\0%b" % (entry.rollout_id.encode(), self.salt)
        """Of the coins of whole users: other users than get the candidate's answers."""
        self.mirrors = [self._target(mirror, pools, recorder) for mirror in entry.mirrors]

    def _tell(self, entry: RouteEntry) -> None:
        """Answers say how their requests were routed; so do requests to versions, not copies."""
        weight_bp = 0 if self.cell is None else self.cell.weight_bp
        self.seal, self.marker = _seal(entry, weight_bp), _marker(entry, weight_bp)
        self.tells = self.seal is not None or self.marker is not None
        if self.marker is not None:
            for version, told in zip(self.versions, entry.versions, strict=True):
                version.edit = Marking(self.marker, _editing(told, entry))

    def _weight(self, version: ServedVersion) -> int:
        return self.entry.weights_bp[version.index]

    def _target(self, mirror: Mirror, pools: Pools, recorder: Recorder) -> Target:
        version = self.entry.versions[mirror.version]
        pool = pools.shadow(self.entry.name, version, connect_s=self.entry.timeouts.connect_s)
        target = Target(
            mirror, version.name, pool, recorder.mirror(self.entry.name, version.name),
            recorder.version(self.entry.name, version.name, "shadow"),
        )  # fmt: skip
        target.edit = _editing(version, self.entry)
        (self.stable if mirror.of < 0 else self.versions[mirror.of]).mirrors.append(target)
        return target


def _seal(entry: RouteEntry, weight_bp: int) -> Seal | None:
    """Of its receipts, on routes that give them; ``weight_bp``: that of the coin."""
    if not (secret := entry.receipt_secret):
        return None
    return Seal(entry.name, entry.revision, weight_bp, secret, hidden=not entry.reveal_version)


def _marker(entry: RouteEntry, weight_bp: int) -> Marker | None:
    """Of a route that feeds others by baggage."""
    feeds = entry.feeds
    if feeds is None or not feeds.marks:
        return None
    return Marker(entry, feeds.secret, weight_bp)


def _editing(version: VersionEntry, entry: RouteEntry) -> Editing | None:
    return Editing(version.edit, entry.buffer_bytes) if version.edit is not None else None


class Assignment:
    """A version, and how it was chosen.

    ``drawn``: by coin or hash, at the split's weights, so that it is evidence where its version
    counts. ``unit``: the user's name in evidence on sticky routes.
    ``cookie``: a Set-Cookie line to give the client. ``fixed``: the same head leads to the same
    assignment as long as the table is in force.
    """

    __slots__ = ("cookie", "drawn", "fixed", "unit", "version")

    def __init__(
        self,
        version: ServedVersion,
        drawn: bool,
        unit: int = 0,
        cookie: bytes = b"",
        fixed: bool = True,
    ) -> None:
        self.version = version
        self.drawn = drawn
        self.unit = unit
        self.cookie = cookie
        self.fixed = fixed


class Destination:
    """Where requests with one remembered head go, under one table.

    ``at_once``: the version can be chosen without a body. ``choice``: None where it has to be made
    for each request. ``payer``: whose quota they use, where the head says it; else empty.
    """

    __slots__ = ("at_once", "choice", "payer", "route")

    def __init__(
        self, route: ServedRoute, at_once: bool, choice: Assignment | None, payer: bytes = b""
    ) -> None:
        self.route = route
        self.at_once = at_once
        self.choice = choice
        self.payer = payer


class Serving:
    """A whole table, ready.

    Routes whose entry did not change are taken over from ``before``: a change of one route among
    1,000 must not hold up requests while the other 999 are compiled again.
    """

    __slots__ = ("generation", "in_flight", "index", "limits", "places", "reviews", "routes",
                 "table")  # fmt: skip

    def __init__(
        self,
        table: RoutingTable,
        pools: Pools,
        recorder: Recorder,
        before: Serving | None = None,
    ) -> None:
        known = {route.entry.name: route for route in before.routes} if before else {}
        self.table = table
        self.generation = table.generation
        self.limits = table.limits
        self.in_flight = table.limits.in_flight
        """Requests under way at a time."""
        self.routes: list[ServedRoute] = [
            route
            if (route := known.get(entry.name)) is not None
            and (route.entry is entry or route.entry == entry)
            else ServedRoute(entry, pools, recorder)
            for entry in table.routes
        ]
        self.index = self._index(before) or RouteIndex(self.routes)
        self.reviews = any(route.entry.review is not None for route in self.routes)
        """Clients may look again what people have answered."""
        self.places: dict[RequestHead, Destination] = {}
        """Of the heads that parsers remember, which are the same objects each time."""

    def _index(self, before: Serving | None) -> RouteIndex[ServedRoute] | None:
        """The index of ``before`` with the routes that changed; None where paths did as well."""
        if before is None or len(before.routes) != len(self.routes):
            return None
        pairs = enumerate(zip(before.routes, self.routes, strict=True))
        return before.index.replacing({i: new for i, (old, new) in pairs if new is not old})


def _key(sticky: StickyEntry | None) -> tuple[StickyKind | None, bytes, bytes]:
    """Where the key of a route is, its name there, and the salt of its hash."""
    if sticky is None:
        return None, b"", b""
    return sticky.kind, sticky.name.encode(), sticky.salt.encode()


def _statuses(named: Iterable[int]) -> frozenset[int]:
    """Each by itself; 5 stands for all of 500 to 599."""
    spans = (
        range(one * 100, one * 100 + 100) if one < 10 else range(one, one + 1) for one in named
    )
    return frozenset(status for span in spans for status in span)


def _kept_bytes(entry: RouteEntry) -> int:
    """The largest request body that is still wanted once it was sent."""
    asked = entry.extraction is not None or (entry.fallback is not None and entry.fallback.path)
    return max(
        entry.review.bytes_max if entry.review else 0,
        entry.rescue.buffer_bytes if entry.rescue else 0,
        entry.mirror_limits.body_bytes if entry.mirrors else 0,
        entry.buffer_bytes if asked else 0,
    )


def role_of(entry: RouteEntry, index: int) -> str:
    """stable, candidate or other, for counters."""
    if index == entry.stable:
        return "stable"
    return "candidate" if index == entry.candidate else "other"
