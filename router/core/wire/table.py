"""The routing table: the immutable value in which control tells the data plane everything.

Control makes a complete new table for every change and sends it down; a worker swaps it by one
assignment, and each request takes it once. Nothing here is YAML: shares are basis points, times
seconds, sizes bytes, and versions are indexes into ``RouteEntry.versions``, so the hot path looks
nothing up by name. Every type is a plain frozen dataclass of plain values: it goes through JSON
and comes back equal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from router.core.wire.credentials import CREDENTIALS
from router.core.wire.edits import EditEntry
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.lookup import LookupEntry
from router.core.wire.origin import FeedsEntry
from router.core.wire.protection import (
    AnswersEntry,
    BatchEntry,
    CacheEntry,
    ExtractionEntry,
    FallbackEntry,
    InputsEntry,
    QuotaEntry,
)
from router.core.wire.review import ReviewEntry
from router.core.wire.sampled import SamplingEntry
from router.core.wire.spans import AccessTerms, TraceTerms
from router.core.wire.tunnels import TunnelEntry
from router.core.words import FULL_BP


@dataclass(frozen=True, slots=True)
class TlsEntry:
    """How connections to a version's TLS endpoints are verified; paths of PEM files."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """Active probe of each endpoint; off where ``path`` is empty and ``connect`` is not set."""

    path: str = ""
    interval_s: float = 5.0
    timeout_s: float = 1.0
    unhealthy_after: int = 3
    healthy_after: int = 1
    host: str = ""
    """Value of the Host field; empty: the endpoint's address."""
    connect: bool = False
    """Of a candidate that declares none: only whether it can be reached, and nothing is avoided."""


@dataclass(frozen=True, slots=True)
class OutlierEntry:
    """Passive ejection of an endpoint, only with two or more: it is blamed before the version."""

    consecutive: int = 5
    """Bad outcomes in a row that eject; 0 switches ejection off."""
    ejection_s: float = 30.0
    max_ejected_bp: int = 5_000


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """One version as the data plane needs it."""

    name: str
    endpoints: tuple[EndpointEntry, ...]
    connections: int = 1_024
    """Upstream connections a worker opens to this version."""
    in_flight: int = 1_024
    """Requests in flight to this version in one worker; more wait in the queue."""
    queue: int = 1_024
    """Requests that may wait; more are shed with 503."""
    queue_timeout_s: float = 1.0
    """Longest wait in the queue; then 503 with Retry-After."""
    keep_alive_s: float = 1.5
    """Idle upstream connections are not used any more after this."""
    connection_age_s: float = 300.0
    """Upstream connections carry no more requests after this; 0: however old."""
    lookup_s: float = 10.0
    """Time between two lookups of an endpoint's host name."""
    warm_connections: int = 0
    """Connections opened before the version gets its first live request."""
    tls: TlsEntry = TlsEntry()
    health: HealthCheck = HealthCheck()
    outlier: OutlierEntry = OutlierEntry()
    person: bool = False
    """Its answers are a person's and come later; without endpoints the request is only taken."""
    edit: EditEntry | None = None
    table: LookupEntry | None = None


class MatchKind(StrEnum):
    """How a value is compared."""

    EXACT = "exact"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    REGEX = "regex"
    PRESENT = "present"


@dataclass(frozen=True, slots=True)
class ValueEntry:
    """One named value of a request compared with a constant. ``name`` is lower case for headers."""

    name: str
    kind: MatchKind = MatchKind.PRESENT
    value: str = ""


@dataclass(frozen=True, slots=True)
class MatchEntry:
    """All conditions must hold; empty ones always do."""

    host: str = ""
    """Exact host without port, or ``*.example.org``; lower case."""
    path: str = "/*"
    """Exact raw path, or a prefix when it ends in ``*``; compared with the bytes forwarded."""
    methods: tuple[str, ...] = ()
    headers: tuple[ValueEntry, ...] = ()
    query: tuple[ValueEntry, ...] = ()
    cookies: tuple[ValueEntry, ...] = ()
    body: tuple[ValueEntry, ...] = ()
    """Dotted JSON paths; such a rule needs the body buffered up to the route's buffer limit."""


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """Requests that match go to ``version`` (an index); they are forced, hence no evidence."""

    match: MatchEntry
    version: int


class StickyKind(StrEnum):
    """Where the sticky key comes from."""

    HEADER = "header"
    COOKIE = "cookie"
    BODY = "json"


@dataclass(frozen=True, slots=True)
class StickyEntry:
    """The key whose hash chooses the version. Without a key in the request: a coin."""

    kind: StickyKind
    name: str
    """Header name in lower case, cookie name, or dotted JSON path."""
    secret: str = ""
    """Cookie only: HMAC key; the router sets and verifies the cookie itself."""
    max_age_s: int = 86_400
    attributes: str = "Path=/; HttpOnly; SameSite=Lax"
    """Cookie only: what follows value and age when it is set."""
    salt: str = ""
    """Put before the key when it is hashed: a secret, so that clients cannot compute their arm."""


@dataclass(frozen=True, slots=True)
class TimeoutsEntry:
    """Deadlines of one exchange with a version, seconds."""

    connect_s: float = 2.0
    response_s: float = 30.0
    """From the request being sent to a complete response head."""
    body_s: float = 30.0
    """Longest silence inside a response body."""
    total_s: float = 0.0
    """Whole exchange; 0: no limit (token streams)."""
    first_token_s: float = 0.0
    """Likewise to the first data of an event stream, its head being held; 0: a head is enough."""


@dataclass(frozen=True, slots=True)
class RescueEntry:
    """Replay of a failed candidate attempt on stable, before any response byte was passed on."""

    statuses: tuple[int, ...] = ()
    """Exact statuses, e.g. (500, 502); a class is written by its hundred: 5 means 5xx."""
    timeout: bool = True
    connect: bool = True
    """Refused, reset or malformed."""
    schema: bool = False
    """A 2xx whose body is not of the route's payload; then all answers of the route are read."""
    answer_buffer_bytes: int = 16_384
    """An answer that is larger is not read."""
    buffer_bytes: int = 65_536
    """A request whose body is larger cannot be replayed."""
    budget_bp: int = 2_000
    """Replays as a share of requests in flight (never less than ``budget_min``)."""
    budget_min: int = 10
    deadline_s: float = 0.0
    """Give up on the candidate after this and replay; 0: the response timeout."""
    excuse_payload: bool = False
    """What fails on stable as well counts against neither version; stable's own failures are then
    replayed once too, or the excuse would be the candidate's alone."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """Copies of the requests that one version answers to another one (both are indexes).

    For each request each mirror whose ``of`` is the version the request was routed to draws a coin
    of its own with ``share_bp``. An entry may have several mirrors of one version:

    * ``of`` -1, another version than stable: the usual shadow.
    * ``of`` -1, ``version`` is stable itself: the same request once more to stable, so that what
      differs between two answers of *one* version is known as noise.
    * ``of`` the candidate, ``version`` stable: a reverse shadow. What the candidate answers in a
      canary is asked of stable too, so that pairing goes on.

    All go through the shadow pools and their limits, are marked as shadows, never retried, and
    counted (``MirrorCounts``, role ``shadow``) under who gets the copy: ``version`` of its
    :class:`~router.core.wire.counts.PairSample`, whose ``primary`` is ``of``'s name, empty for -1.
    What ``of`` failed and stable rescued gives no pair. Forced requests are copied like others.
    """

    version: int
    share_bp: int
    of: int = -1
    """Version whose requests are copied; -1: stable's."""
    users: bool = False
    """The coin is each user's: all requests of a chosen one are copied, and none of others."""


@dataclass(frozen=True, slots=True)
class MirrorLimits:
    """Bounds that keep a shadow from ever hurting; a copy over a bound is dropped and counted."""

    concurrency: int = 64
    queue: int = 256
    queue_bytes: int = 8_388_608
    per_second: int = 0
    """Copies that are begun; 0: no bound."""
    body_bytes: int = 1_048_576
    """Largest request body copied and largest response body kept for comparing."""
    deadline_s: float = 10.0
    methods: tuple[str, ...] = ("GET", "HEAD", "POST")
    paths: tuple[str, ...] = ()
    """Globs as in ``Match.path``; empty: every path of the route."""
    strip_headers: tuple[str, ...] = CREDENTIALS
    compare_bp: int = FULL_BP
    """Share of the delivered copies whose two answers are sent up for comparison."""


@dataclass(frozen=True, slots=True)
class RetryEntry:
    """Retries on the same version after a failed connect (any method) or a stale connection."""

    attempts: int = 1
    budget_bp: int = 2_000
    idempotent: bool = False
    """The policy declares POSTs of this route safe to repeat."""


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """One route as the data plane needs it."""

    name: str
    match: MatchEntry
    versions: tuple[VersionEntry, ...]
    stable: int
    """Index of the version that gets what nobody else gets."""
    candidate: int = -1
    """Index of the rollout's candidate; -1 without a rollout."""
    rollout_id: str = ""
    attempt: int = 0
    """Of the rollout: users count anew in each."""
    revision: int = 0
    offset: int = 0
    weights_bp: tuple[int, ...] = ()
    """One share a version, summing to 10 000; the candidate's interval is first, then by index."""
    mirrors: tuple[Mirror, ...] = ()
    mirror_limits: MirrorLimits = MirrorLimits()
    pair_requests: bool = False
    """Requests go with pairs, since gates tell segments apart by features."""
    segment_header: str = ""
    """Request header (lower case) whose value goes into ``PairSample.segment``; empty: none.

    The first field of that name in the client's request, decoded as Latin-1 and cut to 64
    characters. It is read even where ``strip_headers`` keeps it from the copies.
    """
    rules: tuple[RuleEntry, ...] = ()
    sticky: StickyEntry | None = None
    pin: bool = False
    """Clients may choose a version with ``X-Rampway-Pin``."""
    pinnable: tuple[int, ...] = ()
    """Versions a pin may name (never a rolled-back one)."""
    payload: str = "opaque"
    payload_paths: tuple[tuple[str, str], ...] = ()
    """Globs of paths with another payload, and that; the first that takes a path decides."""
    timeouts: TimeoutsEntry = TimeoutsEntry()
    rescue: RescueEntry | None = None
    retry: RetryEntry = RetryEntry()
    errors: tuple[int, ...] = (5,)
    """Statuses that count as SERVER_ERROR; a class by its hundred."""
    thresholds_s: tuple[float, ...] = ()
    """Latency thresholds of the gates, on stable's axis; index i of every ``slow`` and ``fast``."""
    slow_tolerance: float = 0.0
    """The candidate is slow above ``threshold * (1 + slow_tolerance)``."""
    judge: str = ""
    """The rollout's policy as JSON, for a worker that judges while control is silent; or empty."""
    round: int = 0
    """Of the evidence: where users are drawn, each of them counts anew in a new one."""
    bets_a_user: int = 1
    """Where users are drawn: how many first requests of each bet on its first failure."""
    together: int = 1
    """Failures of one version that may have one cause; 1: each has its own."""
    slow_abort_s: float = 0.0
    """Age from which on a client that leaves without an answer was failed; 0: none was."""
    answer_within_s: float = 0.0
    """Age at which a drawn request without an answer has failed; 0: only by its time-out."""
    quota: QuotaEntry | None = None
    """Asked before a version is chosen; a request beyond it is answered 429."""
    extraction: ExtractionEntry | None = None
    inputs: InputsEntry | None = None
    answers: AnswersEntry | None = None
    review: ReviewEntry | None = None
    fallback: FallbackEntry | None = None
    cache: CacheEntry | None = None
    batch: BatchEntry | None = None
    sampling: SamplingEntry | None = None
    """Which requests are told of with their bodies; None: none."""
    feeds: FeedsEntry | None = None
    """It makes other routes' inputs, or others make its own; None: neither."""
    loads: bool = False
    """Versions are asked for a load header in their answers (ORCA)."""
    buffer_bytes: int = 65_536
    """Body bytes buffered where a rule, a sticky key or a rescue needs them."""
    body_limit_bytes: int = 0
    """Largest request body; 0: the listener's limit."""
    tunnel: TunnelEntry | None = None
    """None: a WebSocket handshake is answered 501."""
    expect_passed: bool = False
    """The version says whether a body is wanted that its client holds back (Expect)."""
    reveal_version: bool = True
    """Answers say which version made them; if not, receipts are encrypted too."""
    receipt_secret: str = ""
    """Key of receipts; empty: none are given. Otherwise every answer that a version was asked for
    (no shadow's) carries ``X-Rampway-Receipt``: what :class:`router.core.wire.receipt.Seal` makes
    of this entry's name and revision, the version that answered (stable after a rescue), the cell's
    ``weight_bp`` (0 without one), the arm (``c``, ``s``: of that cell; ``o``: another version of
    the split; ``f``: pinned, ruled, rescued), the user's hash, seconds and 64 random bits."""

    @property
    def evidence(self) -> bool:
        """Whether unforced outcomes are reported in cells now: while the candidate has a share.

        Between 0 and 10 000 arms are drawn by a real coin, and all gates read the counts. At
        10 000 nothing is drawn: only absolute gates (guard) read them, which is what a bake is for.
        """
        return self.candidate >= 0 and self.weights_bp[self.candidate] > 0


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """Bounds of client connections and messages of one worker."""

    head_bytes: int = 32_768
    fields: int = 128
    body_bytes: int = 1_073_741_824
    header_timeout_s: float = 10.0
    body_timeout_s: float = 30.0
    upload_bytes_per_s: int = 240
    """Mean rate of a body below which it has stalled; 0: none."""
    answer_head_bytes: int = 32_768
    answer_fields: int = 128
    keep_alive_s: float = 75.0
    connections: int = 20_000
    in_flight: int = 4_096
    """Requests in progress in one worker; more are answered 503 at once."""
    buffers_bytes: int = 268_435_456
    """Request bodies that a worker keeps at once, for a rescue or a choice by the body."""
    pipelined: int = 16
    tunnels: int = 1_024
    """WebSockets that a worker carries at once; a further handshake is answered 503."""
    drain_s: float = 30.0
    control_silence_s: float = 10.0
    """Without a word of control for so long, no candidate of a live rollout gets anything."""


@dataclass(frozen=True, slots=True)
class ListenerTls:
    """The certificate clients are shown; paths of PEM files."""

    cert_file: str
    key_file: str


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """Everything a worker knows; one of an older :attr:`rank` than it has is refused."""

    generation: int
    """Grows by one with each table of a term."""
    routes: tuple[RouteEntry, ...] = ()
    limits: ListenerLimits = ListenerLimits()
    trusted_proxies: tuple[str, ...] = ()  # networks whose X-Forwarded-* are appended to
    access_log: AccessTerms | None = None
    traces: TraceTerms | None = None  # None: those of clients are passed on
    tls: ListenerTls | None = None  # None: plain HTTP; settled when a worker starts to listen
    term: int = 0
    """Of the leader that made it: who led before made its tables in an older one."""
    engine: str = "built-in"
    """What the policy was checked to be carried by."""

    @property
    def rank(self) -> tuple[int, int]:
        """Which of two tables counts: the one of the later term, of one term the later one."""
        return self.term, self.generation


def stable_only(entry: RouteEntry) -> RouteEntry:
    """``entry`` with nothing for the versions of its rollout: not by share, pin or rule.

    Copies go on: they reach no client. An entry without a rollout is left as it is. Tunnels of the
    candidate end where the policy wants that of a version that is taken back.
    """
    if entry.candidate < 0:
        return entry
    stable = entry.stable
    out = {i for i, bp in enumerate(entry.weights_bp) if bp} | {entry.candidate}
    out.discard(stable)
    tunnel, batch = entry.tunnel, entry.batch
    if tunnel is not None and tunnel.closing:
        tunnel = replace(tunnel, cut=tuple({*tunnel.cut, *out}))
    return replace(
        entry,
        tunnel=tunnel,
        batch=replace(batch, ahead_bp=0) if batch is not None else None,
        weights_bp=tuple(10_000 if i == stable else 0 for i in range(len(entry.weights_bp))),
        rules=tuple(rule for rule in entry.rules if rule.version not in out),
        pinnable=tuple(index for index in entry.pinnable if index not in out),
    )


def weights_error(entry: RouteEntry) -> str:
    """What is wrong with an entry's shares, or an empty string. Publishing checks it every time."""
    if len(entry.weights_bp) != len(entry.versions):
        return f"{entry.name}: {len(entry.weights_bp)} weights for {len(entry.versions)} versions"
    if sum(entry.weights_bp) != FULL_BP or min(entry.weights_bp) < 0:
        return f"{entry.name}: weights {entry.weights_bp} do not sum to 10000 bp"
    return ""
