"""The whole policy: listeners, limits, state, routes."""

import re
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, StrictInt, StrictStr, model_validator

from router.core.databases import POSTGRES_FORM, POSTGRES_URLS, fault
from router.core.policy.points import AlertList
from router.core.policy.prediction_log import LogFilePolicy
from router.core.policy.route import Route
from router.core.quantities import BasisPoints, Bytes, Flag, Name, Seconds, Text
from router.core.spec import Later, Spec
from router.core.urls import Headers, Url
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from router.core.policy.recording import RecordingPolicy
else:
    RecordingPolicy = Later("router.core.policy.recording:RecordingPolicy")

_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})\Z")


def split_address(address: str) -> tuple[str, int]:
    """Host (without brackets) and port of ``127.0.0.1:8080``. Raises ValueError on other text."""
    match = _ADDRESS.match(address)
    if match is None or int(match["port"]) > 65_535:
        raise ValueError(f"expected host:port such as 127.0.0.1:8080, got {address!r}")
    return match["host"].strip("[]"), int(match["port"])


def _address(text: str) -> str:
    split_address(text)
    return text


Address = Annotated[
    StrictStr,
    AfterValidator(_address),
    Field(examples=["127.0.0.1:8080"], pattern=r"^.+:[0-9]{1,5}$"),
]
"""``host:port`` to listen on; port 0 lets the system choose."""


def _network(text: str) -> str:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ValueError(f"expected a network such as 10.0.0.0/8, got {text!r}: {error}") from None
    return str(network)


Network = Annotated[StrictStr, AfterValidator(_network), Field(examples=["10.0.0.0/8"])]
"""An IP network, or one address."""


def _store(url: str) -> str:
    """A file, or a database; what it says may be shown to people."""
    if not url.startswith(POSTGRES_URLS):
        if not re.fullmatch(r"sqlite:///.+", url):
            got = url.partition("://")[0][:20]
            raise ValueError(f"expected sqlite:///FILE or {POSTGRES_FORM}, got {got!r}")
        return url
    if wrong := fault(url):
        raise ValueError(wrong)
    return url


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Role(StrEnum):
    """What the bearer of a token may do: each includes viewer, and admin all of them."""

    VIEWER = "viewer"
    DATA = "data"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Token(Spec):
    """Somebody who may use the admin interface."""

    name: Name
    """Who it is; the actor in the journal."""
    role: Role
    """viewer reads; data also reads the prediction log; operator moves rollouts and sends feedback;
    admin does all that, reloads and freezes."""
    token: Annotated[SecretStr, Field(min_length=16)]
    """The secret of at least 16 characters; write ${file:...} or ${NAME} instead of the secret."""


class Certificate(Spec):
    """The certificate a listener shows."""

    certificate: Text
    """File with the certificate chain (PEM)."""
    key: Text
    """File with its private key (PEM)."""


class Admin(Spec):
    """The listener of the API, the metrics and the dashboard, apart from client traffic."""

    listen: Address = "127.0.0.1:8081"
    """host:port of the admin interface."""
    hosts: tuple[Name, ...] = Field(default=(), max_length=64)
    """Names it is reached by besides localhost and addresses; requests for others are refused."""
    tokens: tuple[Token, ...] = Field(default=(), max_length=256)
    """Who may use it; without tokens everybody on this machine may do everything."""
    tls: Certificate | None = None
    """Certificate of the admin interface."""

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        host, _ = split_address(self.listen)
        if not is_loopback(host) and not (self.tokens and self.tls):
            raise ValueError(
                f"expected tokens and tls for an admin interface on {host}, which others can "
                "reach. Listen on 127.0.0.1 or add both"
            )
        return self


class LimitsPolicy(Spec):
    """What clients may send and how long they may take, and heads of answers, per worker.

    What a client does is never counted on a version.
    """

    head: Annotated[Bytes, Field(ge=1024)] = 32 * 1024
    """Size of request line and headers together (414 or 431 above)."""
    fields: Annotated[StrictInt, Field(ge=8, le=1024)] = 128
    """Number of header fields (431 above)."""
    body: Bytes = 1024 * 1024 * 1024
    """Size of a request body (413 above)."""
    header_timeout: Annotated[Seconds, Field(gt=0)] = 10.0
    """Time for a complete request head (408 after)."""
    body_timeout: Annotated[Seconds, Field(gt=0)] = 30.0
    """Longest silence inside a request body (408 after)."""
    upload_rate: Bytes = 240
    """Bytes a second that a request body must have arrived at on the whole, from `body_timeout` on
    (408 below); 0B for no bound."""
    answer_head: Annotated[Bytes, Field(ge=1024)] = 32 * 1024
    """Size of the status line and headers of a version's answer (502 above, and counted)."""
    answer_fields: Annotated[StrictInt, Field(ge=8, le=1024)] = 128
    """Number of header fields of a version's answer (502 above, and counted)."""
    keep_alive: Annotated[Seconds, Field(gt=0)] = 75.0
    """How long an idle client connection stays open."""
    connections: Annotated[StrictInt, Field(ge=1, le=1_000_000)] = 20_000
    """Open client connections."""
    in_flight: Annotated[StrictInt, Field(ge=1, le=1_000_000)] = 4_096
    """Requests under way; more are answered 503 at once."""
    buffers: Annotated[Bytes, Field(ge=1024 * 1024)] = 256 * 1024 * 1024
    """Request bodies kept at once; beyond, no rescue, or 503 where the choice needs the body."""
    pipelined: Annotated[StrictInt, Field(ge=1, le=1024)] = 16
    """Requests that a client may send ahead on one connection (and 64KiB); then reading stops."""
    tunnels: Annotated[StrictInt, Field(ge=0, le=1_000_000)] = 1_024
    """WebSockets open at once; further handshakes are answered 503."""
    drain: Seconds = 30.0
    """Time that requests under way may still take when the router stops."""


class AccessLogPolicy(Spec):
    """Which requests are written, and how."""

    format: Literal["json", "common"] = "json"
    """`json`, or `common`: the Common Log Format with key=value pairs behind it."""
    sample: Annotated[BasisPoints, Field(gt=0, le=FULL_BP)] = FULL_BP
    """Share of requests that ended well; all others are written always."""


class TracesPolicy(Spec):
    """Spans of the router, of each try at a version, of rescues and of copies.

    A request is traced if its client says so in its traceparent, or, where it has none, by chance.
    """

    endpoint: Url | None = None
    """Where spans go: an OTLP collector over HTTP, such as http://127.0.0.1:4318/v1/traces. Needs
    the extra `otel`. Absent: nothing is exported, and traces of clients are passed on."""
    headers: Headers = Field(default_factory=dict)
    """Header fields of the call, by name."""
    sample: Annotated[BasisPoints, Field(ge=0, le=FULL_BP)] = 100
    """Share of requests without a trace of their client that begin one."""
    service: Text = "rampway"
    """Name of this router at the collector (service.name)."""


class Policy(Spec):
    """Everything a router does: one file, one object, swapped as a whole."""

    listen: Address = "127.0.0.1:8080"
    """host:port for client traffic."""
    tls: Certificate | None = None
    """Certificate for client traffic, loaded again when its files change; without it plain HTTP."""
    admin: Admin = Admin.unwritten()
    """The listener of the API, the metrics and the dashboard."""
    store: Annotated[Text, AfterValidator(_store)] = "sqlite:///rampway.db"
    """Where rollouts and the journal are kept: sqlite:///FILE, from the working directory, or a
    schema of PostgreSQL, such as postgresql://rampway@db/rampway (needs rampway[postgres]; its
    password is that of PGPASSFILE or PGPASSWORD)."""
    engine: Literal["built-in", "envoy"] = "built-in"
    """What carries the traffic: this router itself, or Envoy, which it starts and tells its routes.
    Envoy speaks HTTP/2 and gRPC as well; needs the extra `envoy`."""
    workers: Annotated[StrictInt, Field(ge=1, le=64)] = 1
    """Processes that serve clients (threads of Envoy); the decisions are made in one more."""
    limits: LimitsPolicy = LimitsPolicy.unwritten()
    """What clients may send and how long they may take."""
    control_silence: Annotated[Seconds, Field(ge=3, le=3600)] = 10.0
    """Without a word of the deciding process for so long, workers send all to stable."""
    trusted_proxies: tuple[Network, ...] = Field(default=(), max_length=256)
    """Networks whose X-Forwarded headers and Forwarded (RFC 7239) are appended to; those of
    others are replaced."""
    access_log: Flag | AccessLogPolicy = False
    """Whether requests write a line to the standard error output; true: all, as JSON."""
    traces: TracesPolicy | None = None
    """Spans of requests for a collector, and trace ids of clients beside the metrics; absent: what
    clients send of a trace is passed on as it is."""
    alerts: AlertList = ()
    """Who is told about rollouts and refused policies."""
    recording: RecordingPolicy | None = None
    """Keeps what decisions are made of, for `rampway replay`; absent: nothing is kept."""
    prediction_log: LogFilePolicy = LogFilePolicy.unwritten()
    """Where the predictions of routes with `log` are kept."""
    routes: tuple[Route, ...] = Field(min_length=1, max_length=1000)
    """Routes in order; the first that matches takes the request."""

    @model_validator(mode="after")
    def _feeds(self) -> Self:
        """A route knows who feeds it."""
        for route in self.routes:
            route.feed_from(tuple(
                one.name for one in self.routes
                if any(feed.route == route.name for feed in one.feeds)
            ))  # fmt: skip
        return self

    def route(self, name: str) -> Route:
        """The route called `name`. KeyError if there is none."""
        for route in self.routes:
            if route.name == name:
                return route
        raise KeyError(name)
