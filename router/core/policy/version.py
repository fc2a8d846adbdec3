"""The versions of a model and how the router keeps in touch with their endpoints."""

import hashlib
import re
from typing import Annotated, Final, Self

from pydantic import Field, StrictInt, field_validator, model_validator

from router.core.policy.endpoint import EndpointUrl
from router.core.policy.match import FallbackKey, PathGlob
from router.core.quantities import BasisPoints, Flag, Formed, Number, Seconds, Text, shown
from router.core.spec import Spec
from router.core.urls import Headers


class Health(Spec):
    """Active probes of every endpoint; without them only real requests tell."""

    path: PathGlob
    """Path that answers 2xx while the endpoint is ready, such as /v2/health/ready."""
    interval: Annotated[Seconds, Field(ge=0.1)] = 5.0
    """Time between two probes of one endpoint."""
    timeout: Annotated[Seconds, Field(gt=0)] = 1.0
    """Time a probe may take."""
    unhealthy_after: Annotated[StrictInt, Field(ge=1, le=100)] = 3
    """Failed probes in a row before the endpoint gets no requests."""
    healthy_after: Annotated[StrictInt, Field(ge=1, le=100)] = 1
    """Good probes in a row before it gets requests again."""


class Outlier(Spec):
    """Ejects a single endpoint that fails, before its version is blamed; needs two endpoints."""

    consecutive: Annotated[StrictInt, Field(ge=0, le=1_000)] = 5
    """Bad answers in a row that eject an endpoint; 0 switches ejection off."""
    ejection: Annotated[Seconds, Field(gt=0)] = 30.0
    """How long an ejected endpoint gets no requests."""
    max_ejected: BasisPoints = 5_000
    """Share of a version's endpoints that may be ejected at the same time."""


class UpstreamTls(Spec):
    """How https endpoints are verified; certificates are always checked."""

    ca: Text | None = None
    """PEM file with the certificate authorities to trust; absent means those of the system."""
    certificate: Text | None = None
    """PEM file with the router's own certificate, for endpoints that ask for one."""
    key: Text | None = None
    """PEM file with the key of that certificate."""
    server_name: Text | None = None
    """Name expected in the endpoint's certificate; absent means the host of the endpoint."""


class Price(Spec):
    """What a version costs, in any one currency; `rampway plan --rate` adds it up."""

    per_request: Annotated[Number, Field(ge=0)] = 0.0
    """Of one request or copy that it answers, such as 0.002."""
    per_hour: Annotated[Number, Field(ge=0)] = 0.0
    """Of each endpoint while it is there, such as 3.06 for a GPU."""
    per_1k_input_tokens: Annotated[Number, Field(ge=0)] = 0.0
    """Of 1,000 tokens that it is sent, as a sample of its answers says (`predictions.sample`)."""
    per_1k_output_tokens: Annotated[Number, Field(ge=0)] = 0.0
    """Of 1,000 tokens that it answers."""

    @property
    def tokens(self) -> bool:
        """Whether they cost something."""
        return bool(self.per_1k_input_tokens or self.per_1k_output_tokens)

    def of(self, tokens: tuple[int, int]) -> float:
        """What so many tokens, in and out, cost."""
        used, made = tokens
        return (used * self.per_1k_input_tokens + made * self.per_1k_output_tokens) / 1_000.0


ROUTERS_OWN: Final = frozenset((
    "connection", "content-encoding", "content-length", "expect", "forwarded", "host", "keep-alive",
    "max-forwards", "proxy-connection", "te", "trailer", "traceparent", "tracestate",
    "transfer-encoding", "upgrade", "via", "x-request-id",
))  # fmt: skip
"""Fields that frame a message, or that the router writes for every version alike."""


_PATH: Final = re.compile(r"/(?:[A-Za-z0-9._~!$&'()+,;=:@/-]|%[0-9A-Fa-f]{2})*\*?")
_VALUE: Final = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")
"""Of a field (RFC 9110 section 5.5), without what only some readers take."""


class RequestEdit(Spec):
    """What a version is asked otherwise than the client asked: versions behind one endpoint.

    Everything else of the request stays as it came. Sticky keys, rules, the prediction log and the
    access log see the client's own words.
    """

    model: Text | None = None
    """Value of the field `model` of a JSON object that is the request's body, such as the name of
    an adapter; put in where there is none. Other bodies stay as they are."""
    path: PathGlob | None = None
    """Path to ask for, the query stays. A final `*` stands for what the `*` of the route's own path
    stood for."""
    host: (
        Annotated[Text, Formed(r"^[A-Za-z0-9._:\[\]-]{1,253}$", "a host such as b.models.svc")]
        | None
    ) = None
    """Value of the Host field, of probes too; over https also the name in the certificate, unless
    `tls` has a `server_name`."""
    headers: Headers = Field(default_factory=dict)
    """Fields in the place of the client's of the same name; an empty value takes the field out."""

    @field_validator("path")
    @classmethod
    def _of_path_characters(cls, path: str | None) -> str | None:
        if path is not None and not _PATH.fullmatch(path):
            raise ValueError(f"expected a path of RFC 3986 without a query, got {shown(path)}")
        return path

    @field_validator("headers")
    @classmethod
    def _may_be_set(cls, headers: Headers) -> Headers:
        for name, value in headers.items():
            low = name.lower()
            if low in ROUTERS_OWN or low.startswith(("x-rampway-", "x-forwarded-")):
                raise ValueError(f"expected no field that the router writes itself, got {name}")
            if not _VALUE.fullmatch(value.get_secret_value()):
                raise ValueError(f"expected visible characters of ASCII as the value of {name}")
        return headers

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("expected at least one of model, path, host, headers")
        return self

    @property
    def host_name(self) -> str | None:
        """The host without its port."""
        name, colon, port = (self.host or "").rpartition(":")
        return name if colon and port.isdigit() else self.host

    @property
    def which(self) -> str:
        """Whom it asks for, in a word: what tells two versions at one address apart."""
        if said := self.model or f"{self.host or ''}{self.path or ''}":
            return said
        values = sorted(
            (name.lower(), one.get_secret_value()) for name, one in self.headers.items()
        )
        return f"headers-{hashlib.sha256(repr(values).encode()).hexdigest()[:12]}"


class TableVersion(Spec):
    """Answers that were computed beforehand, in a file that `rampway table` makes."""

    file: Annotated[Text, Field(min_length=1)]
    """The table, from the working directory; a new one is looked into a second after it took the
    place of the old one."""
    key: FallbackKey
    """What a request asks about: a header, or a field of its JSON body."""
    fresh: Annotated[Seconds, Field(gt=0)] = 86_400.0
    """An older table is not looked into; the age is that of its data."""
    miss: Text
    """The version that is asked where the table has no answer; what it says is this version's."""


class Version(Spec):
    """One deployed model revision: a named set of endpoints that answer alike.

    Limits are per worker; what exceeds them waits in the queue and is then answered 503.
    """

    model: Text | None = None
    """Which model this is (a version, a digest, an alias). With another one it is another
    candidate; endpoints may come and go. Absent: the version's name says it."""
    endpoints: tuple[EndpointUrl, ...] = Field(default=(), max_length=256)
    """Where the version answers, each as http://host:port; requests go to the least busy one."""
    person: Flag = False
    """People answer, later, by POST /api/v1/truth. Clients get what its endpoints say, such as
    where to look; without endpoints 202 with the request's id."""
    table: TableVersion | None = None
    """Answers that were computed beforehand; what is not there is asked of a model."""
    set: RequestEdit | None = None
    """What it is asked otherwise than the client asked; for versions behind one endpoint."""
    tls: UpstreamTls = UpstreamTls.unwritten()
    """How https endpoints are verified."""
    price: Price | None = None
    """What it costs, for `rampway plan` and the gate `cost`; absent: nothing is said of that."""
    health: Health | None = None
    """Active probes; absent: a connection each second tells whether a candidate is ready."""
    outlier: Outlier = Outlier.unwritten()
    """When one endpoint is ejected for failing."""
    connections: Annotated[StrictInt, Field(ge=1, le=100_000)] = 1_024
    """Upstream connections a worker opens to this version."""
    in_flight: Annotated[StrictInt, Field(ge=1, le=100_000)] = 1_024
    """Requests under way to this version in one worker; more wait in the queue."""
    queue: Annotated[StrictInt, Field(ge=0, le=100_000)] = 1_024
    """Requests that may wait; more are answered 503 at once."""
    queue_timeout: Seconds = 1.0
    """Longest wait in the queue, then 503 with Retry-After."""
    keep_alive: Seconds = 1.5
    """Idle upstream connections are closed after this; less than what the service itself keeps."""
    connection_age: Seconds = 300.0
    """Upstream connections carry no new requests after this; 0s means however old they are."""
    lookup: Annotated[Seconds, Field(ge=0.1)] = 10.0
    """Time between two lookups of an endpoint's host name; all its addresses get requests."""
    warm_connections: Annotated[StrictInt, Field(ge=0, le=1_000)] = 0
    """Connections opened before the version gets its first live request."""

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if not self.endpoints and not self.person and self.table is None:
            raise ValueError(
                "expected endpoints, such as endpoints: [http://127.0.0.1:9001], got none. "
                "Write person: true where people answer"
            )
        return self

    @property
    def which(self) -> str | None:
        """Which model it is, as far as the policy says it."""
        return self.model or (self.set.which if self.set is not None else None)
