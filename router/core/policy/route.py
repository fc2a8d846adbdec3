"""A route: what clients address, and the versions that may answer."""

from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    SecretStr,
    StrictInt,
    StrictStr,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue

from router.core.gates.agreement import Agreement
from router.core.gates.gate import Gate
from router.core.gates.segmented import SegmentedGate
from router.core.pairs.compare import Segment
from router.core.payloads import PAYLOADS
from router.core.policy.feeds import Feeds
from router.core.policy.match import JsonPath, Match, PathGlob
from router.core.policy.prediction_log import LogPolicy
from router.core.policy.registry import REGISTRIES, Registry
from router.core.policy.rollout import RolloutPolicy
from router.core.policy.status import Status
from router.core.policy.version import Version
from router.core.predictions.rows import NOTHING, Declared, leaf_name
from router.core.predictions.schema import Predictions
from router.core.quantities import BasisPoints, Bytes, Flag, Formed, Name, Seconds, Text
from router.core.spec import Later, OneOf, ShortFor, Spec
from router.core.urls import HeaderName
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from router.core.policy.answers import AnswersPolicy, FallbackPolicy, InputsPolicy
    from router.core.policy.cache import CachePolicy
    from router.core.policy.metrics import MetricsPolicy
    from router.core.policy.monitors import MonitorsPolicy
    from router.core.policy.priority import Priority
    from router.core.policy.quota import Extraction, Quota
    from router.core.policy.review import ReviewPolicy
    from router.core.policy.tunnels import Tunnels
else:
    AnswersPolicy = Later("router.core.policy.answers:AnswersPolicy")
    FallbackPolicy = Later("router.core.policy.answers:FallbackPolicy")
    InputsPolicy = Later("router.core.policy.answers:InputsPolicy")
    CachePolicy = Later("router.core.policy.cache:CachePolicy")
    MetricsPolicy = Later("router.core.policy.metrics:MetricsPolicy")
    MonitorsPolicy = Later("router.core.policy.monitors:MonitorsPolicy")
    Priority = Later("router.core.policy.priority:Priority")
    Extraction = Later("router.core.policy.quota:Extraction")
    Quota = Later("router.core.policy.quota:Quota")
    ReviewPolicy = Later("router.core.policy.review:ReviewPolicy")
    Tunnels = Later("router.core.policy.tunnels:Tunnels")


def _payload(name: str) -> str:
    if name not in PAYLOADS:
        close = get_close_matches(name, PAYLOADS, n=1)
        hint = f". Did you mean {close[0]}?" if close else ""
        raise ValueError(f"expected one of {', '.join(PAYLOADS)}, got {name!r}{hint}")
    return name


class _PayloadEnum:
    """The names as they are when a schema is asked for: extensions may have added some."""

    def __get_pydantic_json_schema__(self, *_: Any) -> JsonSchemaValue:
        return {"type": "string", "enum": list(PAYLOADS)}


PayloadName = Annotated[StrictStr, AfterValidator(_payload), _PayloadEnum()]
"""One of the inference protocols whose answers can be read."""


class StickyCookie(Spec):
    """A cookie of the router's own that remembers a client, signed so that nobody can choose."""

    name: HeaderName = "rampway"
    """Name of the cookie."""
    secret: Annotated[SecretStr, Field(min_length=16)]
    """Key that signs it, the same on every replica; write ${file:...} or ${NAME}."""
    max_age: Annotated[Seconds, Field(ge=60)] = 86_400.0
    """How long the client keeps it."""
    secure: Flag = False
    """Whether browsers send it over https only; true where clients come by https."""
    same_site: Literal["lax", "strict", "none"] = "lax"
    """From which pages browsers send it: `none`, which needs `secure`, is for embedded ones."""
    path: Annotated[StrictStr, Formed(r"^/[!-:<-~]{0,255}$", "a path such as /v2")] = "/"
    """Path below which browsers send it."""
    domain: (
        Annotated[StrictStr, Formed(r"^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$", "a name such as a.org")]
        | None
    ) = None
    """Domain with all hosts below it that browsers send it to; absent: the host that set it."""

    @model_validator(mode="after")
    def _browsers_take_it(self) -> Self:
        """They drop the others without a word (RFC 6265bis, 4.1.2.7 and 4.1.3)."""
        if self.same_site == "none" and not self.secure:
            raise ValueError("expected secure: true with same_site: none, got false")
        if self.name.startswith(("__Secure-", "__Host-")) and not self.secure:
            raise ValueError(f"expected secure: true with the name {self.name}, got false")
        if self.name.startswith("__Host-") and (self.domain or self.path != "/"):
            raise ValueError(f"expected no domain and no path with the name {self.name}")
        return self

    @property
    def attributes(self) -> str:
        """What follows its value and age in a Set-Cookie line; scripts never see it."""
        domain = f"; Domain={self.domain}" if self.domain else ""
        secure = "; Secure" if self.secure else ""
        same_site = self.same_site.capitalize()
        return f"Path={self.path}{domain}; HttpOnly{secure}; SameSite={same_site}"


def _salt(salt: SecretStr) -> SecretStr:
    text = salt.get_secret_value()
    if text != "none" and len(text) < 16:
        raise ValueError("expected none, or a secret of at least 16 characters")
    return salt


class Sticky(Spec):
    """What identifies a user, who then keeps the version; exactly one way is given.

    A request without the key is routed by a coin.
    """

    header: HeaderName | None = None
    """Header whose value is the key, such as X-User-Id."""
    cookie: StickyCookie | None = None
    """A signed cookie that the router sets itself."""
    json_path: JsonPath | None = Field(default=None, alias="json")
    """Dotted path of a field of a JSON body, such as user.id; needs the body within the buffer."""

    salt: Annotated[SecretStr, AfterValidator(_salt)] | None = None
    """Secret that is hashed with the key, so that clients cannot compute their version. Absent: the
    store's own, made once. Several routers: the same ${file:...}. `none`: no salt."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(way is not None for way in (self.header, self.cookie, self.json_path)) != 1:
            raise ValueError("expected exactly one of header, cookie, json")
        return self


class Rule(Spec):
    """Requests that always go to one version, whatever the split; they are no evidence."""

    match: Match
    """Which requests, besides the conditions of the route."""
    version: Text
    """The version that answers them."""


class FeedbackPolicy(Spec):
    """The truth about predictions, sent later to POST /api/v1/feedback with their receipts.

    Every answer carries X-Rampway-Receipt, which says how its request was routed. It is signed: it
    cannot be made or changed by those who hold it, and counts once.
    """

    secret: Annotated[SecretStr, Field(min_length=16)]
    """Key that signs receipts, the same on every replica; write ${file:...} or ${NAME}."""
    expires: Annotated[Seconds, Field(ge=60)] = 30 * 86_400.0
    """How long after the answer its receipt is taken."""


class Timeouts(Spec):
    """How long a version may take; each ends the attempt as a timeout."""

    connect: Annotated[Seconds, Field(gt=0)] = 2.0
    """Time to open a connection to an endpoint."""
    response: Annotated[Seconds, Field(gt=0)] = 30.0
    """Time from the whole request sent to the whole response head received."""
    body: Annotated[Seconds, Field(gt=0)] = 30.0
    """Longest silence inside a response body; a stream that keeps sending may last longer."""
    total: Seconds = 0.0
    """Longest exchange in all, rescue included; 0s means no limit, for token streams."""
    first_token: Seconds = 0.0
    """Time to the first event with data of an event stream, whose head is held until then so that
    rescue can still answer; 0s means that a head is enough."""


class RetryPolicy(Spec):
    """A second try on the same version after a failed connect or a stale connection."""

    attempts: Annotated[StrictInt, Field(ge=0, le=3)] = 1
    """Further attempts."""
    budget: BasisPoints = 2_000
    """Retries at any moment, as a share of the requests under way (Envoy's default is 20%)."""
    idempotent: Flag = False
    """Whether a POST of this route may be repeated when it is unknown if it arrived."""


TOKENS_BP = 1_000
"""Share of live answers that are read for their tokens, where `predictions` says no other."""


def _looks_at_scores(gate: Gate) -> Gate:
    """A gate on pairs with what it says of scores, where a range makes that mean something."""
    if gate.kind == "agreement" and "apart" not in gate.model_fields_set:
        return gate.model_copy(update={"apart": 5_000})
    if gate.kind == "positive_rate" and "score_margin" not in gate.model_fields_set:
        return gate.model_copy(update={"score_margin": 100})
    return gate


class Route(Spec):
    """What a client addresses (host, path, headers) and which versions may answer."""

    name: Name
    """Name of the route in commands, metrics and the journal."""
    formerly: Name | None = None
    """The name that it had before; its rollouts and who is stable go on under the new one.
    Absent: a renamed route is known by its versions, where only one fits."""
    match: Match = Match.unwritten()
    """Which requests belong to it; the first route that matches takes the request."""
    payload: PayloadName = "opaque"
    """Protocol of the bodies, so that predictions can be read; opaque reads nothing."""
    payload_paths: dict[PathGlob, PayloadName] = Field(default_factory=dict, max_length=16)
    """Where a path has another one than `payload`, such as {"/v1/*": v1}: an exact path, or all
    below one that ends in `*`; of several the longest."""
    predictions: Predictions | None = None
    """What a prediction is in these bodies: label, score, features. Absent: answers are compared
    as a whole, and no gate looks at what they say."""
    rules: tuple[Rule, ...] = Field(default=(), max_length=64)
    """Requests with a fixed version, tried in order before the split."""
    sticky: Sticky | None = None
    """What identifies a user, who then keeps the version; absent: a coin per request."""
    pin: Flag = False
    """Whether a client may choose the version by the header X-Rampway-Pin."""
    versions: dict[Name, Version] = Field(min_length=1, max_length=64)
    """The deployed versions by name."""
    stable: Text
    """The version that answers by default and that the candidate is compared with."""
    split: dict[Name, BasisPoints] = Field(default_factory=dict, max_length=32)
    """Fixed shares by version that sum to 100%, without a rollout; absent: stable has all."""
    monitors: MonitorsPolicy | None = None
    """Watches what requests ask and versions answer for change (drift). Absent: nobody looks."""
    metrics: Annotated[MetricsPolicy, ShortFor("path")] | None = None
    """How versions are asked what they use (memory, CPU, GPU, queue), such as /metrics, for people
    and the gate `resources`. Absent: nobody asks."""
    rollout: RolloutPolicy | None = None
    """How the candidate may take over; absent: stable answers everything."""
    registry: Annotated[Registry, OneOf(REGISTRIES, "registry")] | None = None
    """A model registry that is told who is stable and who is on trial."""
    feedback: FeedbackPolicy | None = None
    """Receipts for late labels and rewards, for gates on truth and for experiments; with `log`
    they are told by the request's id as well."""
    log: LogPolicy | None = None
    """What the prediction log keeps, for late truth by request id; absent: nothing is kept."""
    feeds: Feeds = ()
    """Routes whose inputs this one's answers are, for the gate `cascade`: how those do is told
    apart by who made their input. Absent: nobody else uses its answers."""
    errors: tuple[Status, ...] = (5,)
    """Statuses that count as bad; no connection, timeouts, resets and broken answers always do."""
    timeouts: Timeouts = Timeouts.unwritten()
    """How long a version may take."""
    retry: RetryPolicy = RetryPolicy.unwritten()
    """When the same version is tried again."""
    expect: Literal["answer", "pass"] = "answer"
    """Who tells a client that holds its body back (`Expect: 100-continue`) that it is wanted: the
    router at once, or the version, which may refuse it before it is sent. A body that is read for
    the choice of a version is asked for at once."""
    upgrade: Literal["websocket"] | None = None
    """Whether WebSocket handshakes are passed on and become tunnels; absent: they are answered 501.
    The handshake's status is its outcome; what passes through a tunnel is not read."""
    tunnels: Tunnels | None = None
    """Bounds of the WebSockets; absent: the defaults."""
    buffer: Bytes = 64 * 1024
    """Bytes of a request body that are buffered where a rule or a sticky key needs them."""
    reveal_version: Flag = True
    """Whether answers say which version made them; with false clients cannot tell their arm."""
    quota: Quota | None = None
    """What one client may ask of the route; more is answered 429. Absent: no bound."""
    extraction: Extraction | None = None
    """Clients that ask as those do who copy a model, for an alert. Absent: nobody looks."""
    inputs: InputsPolicy | None = None
    """Requests that no version should have to answer, and what becomes of them."""
    answers: AnswersPolicy | None = None
    """What becomes of JSON answers before they go out. Absent: they pass as they are."""
    review: ReviewPolicy | None = None
    """Which answers people look at, and what clients get meanwhile. Absent: none."""
    fallback: FallbackPolicy | None = None
    """What clients get when stable fails as well. Absent: the error."""
    cache: CachePolicy | None = None
    """Answers that are given again, by the version that made them. Absent: each is asked for."""
    priority: Priority | None = None
    """Which requests can wait: they meet a candidate first, and are shed first. Absent: all are
    alike."""
    body_limit: Bytes | None = None
    """Largest request body (413 above); absent: the limit of the listener."""

    _fed_by: tuple[str, ...] = PrivateAttr(default=())

    @property
    def fed_by(self) -> tuple[str, ...]:
        """Names of the routes that feed it, as the whole policy says."""
        private = self.__pydantic_private__  # by its own name it is found ten times as slowly
        names: tuple[str, ...] = private["_fed_by"] if private else ()
        return names

    def feed_from(self, names: tuple[str, ...]) -> None:
        """These routes feed it; the policy says so once it is whole."""
        self._fed_by = names

    @property
    def stem(self) -> str | None:
        """What stands before the `*` of its path; None: it has no `*`."""
        path = self.match.path or "/*"
        return path[:-1] if path.endswith("*") else None

    @property
    def payloads(self) -> tuple[str, ...]:
        """All that it may meet, its own first."""
        return tuple(dict.fromkeys((self.payload, *self.payload_paths.values())))

    @property
    def declared(self) -> Declared:
        """Where a prediction stands in bodies; without `predictions`: what `compare` decides on."""
        if self.predictions is not None:
            return self.predictions.declared
        if self.rollout is None:
            return NOTHING
        compare = self.rollout.compare
        return Declared(compare.decide_on[0] if compare.decide_on else "", compare.score or "")

    @property
    def sampled(self) -> float:
        """Share of live requests whose predictions are read, 0..1; 1.0 where nothing is said."""
        return self.predictions.sample / FULL_BP if self.predictions is not None else 1.0

    def person(self, version: str) -> bool:
        """Whether people give this version's answers."""
        known = self.versions.get(version)
        return known is not None and known.person

    @property
    def tokens_bp(self) -> int:
        """Share of the answers that are read for their tokens; 0 where those have no price."""
        if not any(one.price is not None and one.price.tokens for one in self.versions.values()):
            return 0
        return self.predictions.sample if self.predictions is not None else TOKENS_BP

    @model_validator(mode="after")
    def _compares(self) -> Self:
        """Answers that are mirrored and can be read are compared, and one gate judges that.

        Text that is written anew each time (openai) differs between equal models as well.
        """
        rollout = self.rollout
        if rollout is None or self.payload in {"opaque", "openai"}:
            return self
        if any(gate.kind in {"agreement", "judge"} for gate in rollout.gates):
            return self
        if any(step.mirror_bp for step in rollout.plan().steps):
            written = "gates" in rollout.model_fields_set
            gates = (
                *rollout.gates,
                Agreement.model_validate({"at_least": "95%", "on_fail": "hold"}),
            )
            rollout = rollout.model_copy(update={"gates": gates})
            if not written:
                rollout.model_fields_set.discard("gates")
            object.__setattr__(self, "rollout", rollout)
        return self

    @model_validator(mode="after")
    def _tells_segments_apart(self) -> Self:
        """A gate `by` a header needs its value with each pair, or logged prediction."""
        rollout = self.rollout
        gates = rollout.gates if rollout is not None else ()
        kinds = Agreement | SegmentedGate
        told = [g.by.header for g in gates if isinstance(g, kinds) and g.by is not None]
        headers = {header for header in told if header}
        if rollout is None or not headers:
            return self
        segment = rollout.compare.segment
        if len(headers | ({segment.header} if segment else set())) > 1:
            raise ValueError(
                f"expected one header in compare.segment and by of gates on pairs and truths, "
                f"got {', '.join(sorted(map(str, headers)))}"
            )
        if segment is None:
            compare = rollout.compare.model_copy(
                update={"segment": Segment.model_validate({"header": headers.pop()})}
            )
            written = "gates" in rollout.model_fields_set
            rollout = rollout.model_copy(update={"compare": compare})
            if not written:
                rollout.model_fields_set.discard("gates")
            object.__setattr__(self, "rollout", rollout)
        return self

    @model_validator(mode="after")
    def _decides_on_what_is_declared(self) -> Self:
        """`compare` means the label and the score that `predictions` names, unless it says so."""
        rollout, declared = self.rollout, self.predictions
        if rollout is None or declared is None:
            return self
        compare, decisive = rollout.compare, declared.label or declared.score
        if decisive and "decide_on" not in rollout.compare.model_fields_set:
            compare = compare.model_copy(update={"decide_on": (leaf_name(self.payload, decisive),)})
        if declared.score and "score" not in rollout.compare.model_fields_set:
            compare = compare.model_copy(update={"score": leaf_name(self.payload, declared.score)})
        if compare is not rollout.compare:
            rollout = rollout.model_copy(update={"compare": compare})
        if declared.score and declared.range:
            written = "gates" in rollout.model_fields_set
            gates = tuple(map(_looks_at_scores, rollout.gates))
            rollout = rollout.model_copy(update={"gates": gates})
            if not written:
                rollout.model_fields_set.discard("gates")
        if rollout is not self.rollout:
            object.__setattr__(self, "rollout", rollout)
        return self

    @model_validator(mode="after")
    def _monitors_see_something(self) -> Self:
        if self.monitors is None:
            return self
        if self.predictions is None:
            raise ValueError(
                "expected predictions beside monitors, such as predictions: {features: [age]}"
            )
        by = self.monitors.by
        if by is not None and by.feature and by.feature not in self.predictions.features:
            known = ", ".join(self.predictions.features) or "none"
            raise ValueError(
                f"expected monitors.by.feature among predictions.features ({known}), "
                f"got {by.feature}"
            )
        if by is not None and by.parts is not None:
            raise ValueError(
                "expected monitors.by without parts: values of a number are bins there"
            )
        if by is not None and by.header and self.monitors.reference.file:
            raise ValueError(
                f"expected monitors.by.feature with monitors.reference.file, since a file has no "
                f"headers, got header {by.header}"
            )
        if self.monitors.reference.file and not self.predictions.features:
            raise ValueError("expected predictions.features with monitors.reference.file, got none")
        return self

    @model_validator(mode="after")
    def _tunnels_are_opened(self) -> Self:
        if self.tunnels is not None and self.upgrade is None:
            raise ValueError("expected upgrade: websocket beside tunnels, got tunnels alone")
        methods = self.match.methods
        if self.upgrade is not None and methods and "GET" not in methods:
            raise ValueError(
                f"expected GET among match.methods with upgrade: websocket, since a handshake is "
                f"a GET, got {', '.join(methods)}"
            )
        return self
