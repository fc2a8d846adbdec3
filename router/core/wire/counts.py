"""What a worker counts beside the evidence: the operational numbers of versions and mirrors.

They travel inside the link's reports and end in metrics, pages and the comparison of answers. They
live here because three packages that may not know each other speak of them: the recorder fills
them, the link carries them, the metrics show them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Final


@dataclass(frozen=True, slots=True)
class VersionCounts:
    """What one version did since the last report; names as in the table, so it survives swaps."""

    route: str
    version: str
    role: str
    """stable | candidate | shadow | other, at the moment of routing."""
    outcomes: tuple[int, ...]
    """Indexed by :class:`router.core.wire.outcomes.Outcome`."""
    classes: tuple[int, ...]
    """Responses by status class: 1xx, 2xx, 3xx, 4xx, 5xx."""
    latency: tuple[tuple[int, int], ...] = ()
    """Sparse (bucket, count) pairs of whole-exchange seconds."""
    first_byte: tuple[tuple[int, int], ...] = ()
    latency_sum_s: float = 0.0
    first_byte_sum_s: float = 0.0
    in_flight: int = 0
    """Gauge: now, not since."""
    rescued: int = 0
    """Failed attempts that stable answered in its place."""
    retries: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    unread_keys: int = 0
    """Requests of a sticky route whose key could not be read, so that a coin chose."""
    tunnels: int = 0
    """Gauge: WebSockets open now."""
    tunnel_ends: dict[str, int] = field(default_factory=dict)
    """WebSockets that ended, by how."""
    clumped: int = 0
    """Of its failures, see :class:`router.core.wire.outcomes.Baseline`."""
    own_cookies: int = 0
    """Set-Cookie lines of the version that had the sticky cookie's name, and went no further."""


@dataclass(frozen=True, slots=True)
class GivenCounts:
    """What of one version's answers came from a cache or a table since the last report."""

    version: str
    cache_hits: int = 0
    """Requests answered by an answer that it had given before."""
    cache_waited: int = 0
    """Requests that waited for the answer to another one."""
    cache_misses: int = 0
    """Requests that were asked, and whose answer could be kept."""
    cache_passed: int = 0
    """Requests whose answer is never kept: their method, a credential, a body that is too large."""
    table_hits: int = 0
    """Requests that its table answered; copies, too."""
    table_misses: int = 0
    """Requests of which its table has nothing."""
    table_stale: int = 0
    """Requests that found its table too old, or not there."""

    def plus(self, other: GivenCounts) -> GivenCounts:
        """Both together."""
        sums = (getattr(self, name) + getattr(other, name) for name in GIVEN)
        return GivenCounts(self.version, *sums)


GIVEN: Final = tuple(one.name for one in fields(GivenCounts) if one.name != "version")
"""The counts, in their order: first those of caches, then those of tables."""


@dataclass(frozen=True, slots=True)
class RouteCounts:
    """What one route did by itself since the last report, whatever its versions did."""

    route: str
    quota_refused: int = 0
    """Requests answered 429, for their client had used its quota."""
    quota_forgotten: int = 0
    """Clients that began anew, because there were more than can be remembered."""
    inputs_refused: int = 0
    """Requests answered 422 for what was in them."""
    inputs_to_stable: int = 0
    """Requests that stable answered for what was in them."""
    inputs_to_review: int = 0
    """Requests that people got for what was in them."""
    answers_shaped: int = 0
    """Answers that went out rounded, or without fields."""
    answers_unshaped: int = 0
    """Answers that could not be read, and went out as they were or not at all."""
    fallbacks: int = 0
    """Requests answered by the fallback."""
    unnamed: int = 0
    """Requests that stable answered because no model's name could be put into their body."""
    cache_evicted: int = 0
    """Answers that went for want of room."""
    given: tuple[GivenCounts, ...] = ()
    """By version, where a cache or a table answers."""


@dataclass(frozen=True, slots=True)
class ClientCounts:
    """One busy client of a route that watches them: all that a worker saw of it in this window."""

    route: str
    client: str
    """For people: an address, or the digest of a header's value."""
    window: int
    """Number of the window since 1970."""
    registers: bytes
    """Of the different inputs; see :mod:`router.core.cardinality`."""
    answers: int = 0
    """Answers that were read."""
    near: int = 0
    """Of these, those close to the threshold."""


@dataclass(frozen=True, slots=True)
class MirrorCounts:
    """What happened to the copies for one shadow version since the last report."""

    route: str
    version: str
    delivered: int = 0
    failed: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    """By cause: sample is no drop; queue | bytes | body | concurrency | rate | deadline |
    drain | stale (connections that were just being closed)."""


@dataclass(frozen=True, slots=True)
class PairSample:
    """One request with both answers, for the comparison in the control process."""

    route: str
    version: str
    revision: int
    request_id: str
    primary_status: int
    shadow_status: int
    """0: the shadow gave no complete answer."""
    primary_body: bytes = b""
    shadow_body: bytes = b""
    primary_s: float = 0.0
    shadow_s: float = 0.0
    segment: str = ""
    """Value of the entry's ``segment_header`` in the client's request; empty without either."""
    primary: str = ""
    """Version that answered the client; empty: stable. ``version`` got the copy, whoever it is."""
    nonce: int = 0
    """Of the client's receipt, by which a late label finds this pair; 0 without one."""
    primary_coding: str = ""
    """Content-Encoding of ``primary_body``, as it was sent."""
    shadow_coding: str = ""
    stripped: bool = False
    """The copy went without a field of ``strip_headers`` that the client had sent."""
    request: bytes = b""
    """Its body, where the entry has ``pair_requests``."""
    request_coding: str = ""
    payload: str = ""
    """Of its path, where that has one of its own; empty: the route's."""
    unit: int = 0
    """Whose request it is, where whole users are copied; 0: requests are, one by one."""
    far: tuple[int, int] = (0, 0)
    """Bytes seen of both answers where one was so much longer than the other that it was not read
    to its end; the bodies are then empty. Zeros: both are here."""


@dataclass(frozen=True, slots=True)
class EndpointState:
    """Health of one endpoint as a worker sees it."""

    route: str
    version: str
    endpoint: str
    healthy: bool
    ejected: bool
    in_flight: int
    open_connections: int
    last_error: str = ""
    ready: bool | None = None
    """What the probes of it said; None: it was not asked yet, or nobody asks."""
    load: str = ""
    """What its last answer said of its load (ORCA), as it came; empty: nothing."""
