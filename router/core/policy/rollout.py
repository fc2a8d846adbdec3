"""How a candidate may take over: strategy, gates, budgets, and what clients are spared."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import Field, StrictInt, StrictStr, model_validator

from router.core.gates import GATES, GONE, Gate
from router.core.gates.sample import Detect
from router.core.pairs.compare import Compare
from router.core.policy.anti_flap import AntiFlap
from router.core.policy.match import Method, PathGlob
from router.core.policy.points import FIRST_POINTS, AlertList, HookList
from router.core.policy.status import FailureStatus
from router.core.policy.windows import TimeWindow
from router.core.quantities import (
    BasisPoints,
    Bytes,
    Flag,
    Formed,
    Name,
    Number,
    Seconds,
    Text,
)
from router.core.rollout.plan import OnInconclusive, Plan, Step
from router.core.spec import OneOf, ShortFor, Spec
from router.core.strategies import STRATEGIES, Auto, Canary, Shadow, Strategy
from router.core.urls import HeaderName
from router.core.wire.credentials import CREDENTIALS
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from router.core.policy.hooks import Hook

SHARING_MAX: Final = 100_000
"""Rollouts that may share one `false_rollback_rate`."""

SegmentName = Annotated[
    StrictStr,
    Formed(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$", "at most 32 letters, digits, dots, _ and -"),
]
"""A value that can be part of a route's name."""


class Rescue(Spec):
    """Replay a failed candidate attempt on stable; it still counts against the candidate.

    Unless stable fails at it as well, and either no coin chose the candidate (at 100 %, by a pin or
    a rule) or `excuse_payload` is set.
    """

    on: tuple[FailureStatus, ...] = Field(default=(5, "timeout", "connect"), min_length=1)
    """What is replayed: 5xx or statuses, timeout, connect (refused, reset or malformed), schema (a
    2xx whose body is not of the route's payload). With schema every answer of the route is read, of
    both versions, and the candidate's is held back until it is whole."""
    buffer: Bytes = 64 * 1024
    """Largest request body kept for a replay; a request with a larger one is not rescued."""
    answer_buffer: Annotated[Bytes, Field(gt=0, le=1024 * 1024)] = 16 * 1024
    """Largest answer that schema reads, in the data path: 20 µs for a few values, 130 µs a KiB of
    numbers. Larger ones, event streams and codings that are not known are passed on unread."""
    budget: BasisPoints = 2_000
    """Replays at any moment, as a share of the requests under way; stable must not drown."""
    budget_min: Annotated[StrictInt, Field(ge=0, le=10_000)] = 10
    """Replays at any moment that are always allowed."""
    deadline: Seconds | None = None
    """Give up on the candidate after this and replay; absent: when its response timeout passes."""
    excuse_payload: Flag = False
    """A request that fails on stable as well counts against neither version: it is the payload.
    Stable's own failures are then replayed once too, so that both are excused alike."""


class Mirroring(Spec):
    """Bounds that keep a shadow from ever hurting; a copy over a bound is dropped and counted."""

    concurrency: Annotated[StrictInt, Field(ge=1, le=1_024)] = 64
    """Copies under way per worker."""
    queue: Annotated[StrictInt, Field(ge=1, le=100_000)] = 256
    """Copies that may wait; the newest is dropped when it is full."""
    queue_bytes: Bytes = 8 * 1024 * 1024
    """Bytes of waiting copies; the newest is dropped when they are exceeded."""
    per_second: Annotated[StrictInt, Field(ge=0, le=100_000)] = 0
    """Copies for each shadow that a worker begins in a second; the others are dropped. 0: no
    bound."""
    body: Bytes = 1024 * 1024
    """Largest request body that is copied, and largest response body that is compared."""
    deadline: Annotated[Seconds, Field(gt=0)] = 10.0
    """Time a copy may take in all."""
    methods: tuple[Method, ...] = Field(default=("GET", "HEAD", "POST"), min_length=1)
    """Methods that are copied; list others only if repeating them does no harm."""
    paths: tuple[PathGlob, ...] = Field(default=(), max_length=64)
    """Paths that are copied; absent means every path of the route."""
    strip_headers: tuple[HeaderName, ...] = Field(default=CREDENTIALS, max_length=64)
    """Headers that copies do not carry: those that usually hold a credential."""
    keep_headers: tuple[HeaderName, ...] = Field(default=(), max_length=64)
    """Headers that copies carry although strip_headers has them; for a shadow that asks for one."""
    compare: BasisPoints = FULL_BP
    """Share of the delivered copies whose two answers are compared."""
    undelivered: Annotated[BasisPoints, Field(gt=0)] = 500
    """Copies that were dropped or failed, as a share of the last minute's, that raise an alarm."""


class WarmUp(Spec):
    """The first answers of a candidate that are not judged, fixed beforehand."""

    requests: Annotated[StrictInt, Field(ge=0, le=10**6)] = 0
    """Candidate answers of the rollout that are not counted as evidence."""
    time: Seconds = 0.0
    """Time from the first traffic in which answers are not counted as evidence."""


class Promotion(Spec):
    """The proof that the candidate is not worse than stable (non-inferiority)."""

    margin: Annotated[BasisPoints, Field(gt=0, le=5_000)] = 100
    """Bad answers in excess of stable's that would still be accepted, as a share of requests."""
    risk: Annotated[BasisPoints, Field(gt=0, le=5_000)] = 500
    """Chance of promoting a candidate that is worse than stable by more than the margin."""


class Regression(Spec):
    """The smallest regression that a promotion must have been able to see: the larger of the two.

    A step is left when every gate had the sample with which a candidate that fails so much more
    would have been convicted in 90 of 100 cases.
    """

    times: Annotated[Number, Field(ge=1.5, le=100)] = 5.0
    """Times stable's bad answers (of a gate with a fixed limit: times that limit)."""
    points: Annotated[BasisPoints, Field(gt=0, le=5_000)] = 500
    """At least so many more of all answers."""

    @property
    def sought(self) -> Detect:
        """The same for the gates."""
        return Detect(self.times, self.points / FULL_BP)


class OnNoData(Spec):
    """What happens when a step that needs answers gets none."""

    after: Annotated[Seconds, Field(gt=0)] = 600.0
    """Time without any judged candidate answer."""
    then: Literal["hold", "abort"] = "hold"
    """`hold` stands still and alerts; `abort` takes the candidate back."""


class ForEach(Spec):
    """One rollout for each value of something in the request, every one with its own gates.

    A version can be good for most and bad for some; all together hide that. Each segment needs data
    of its own: with ten of them every decision takes ten times as long.
    """

    header: HeaderName | None = None
    """Header whose value is the segment; exactly one of header, query and cookie is given."""
    query: Text | None = None
    """Query parameter whose value is the segment."""
    cookie: HeaderName | None = None
    """Cookie whose value is the segment."""
    values: Annotated[tuple[SegmentName, ...], Field(min_length=1, max_length=64)]
    """Values with a rollout of their own, called ROUTE@VALUE in commands and metrics."""
    rest: Literal["rollout", "stable"] = "rollout"
    """What all other requests get: a rollout as well, or only stable."""
    stop_all_when: Annotated[StrictInt, Field(ge=1, le=65)] | None = None
    """Segments taken back that take all others back too; absent: each stands for itself."""

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if sum(way is not None for way in (self.header, self.query, self.cookie)) != 1:
            raise ValueError("expected exactly one of header, query, cookie")
        if len(set(self.values)) != len(self.values):
            raise ValueError("expected each value once")
        if self.stop_all_when is not None and self.stop_all_when > len(self.values) + 1:
            raise ValueError(f"expected stop_all_when of at most {len(self.values) + 1} segments")
        return self

    @property
    def rollouts(self) -> int:
        """How many rollouts it makes of one."""
        return len(self.values) + (self.rest == "rollout")

    @property
    def field(self) -> Literal["headers", "query", "cookies"]:
        """The part of a match that tells segments apart."""
        return "headers" if self.header else "query" if self.query else "cookies"

    @property
    def key(self) -> str:
        """The name in there."""
        return self.header or self.query or self.cookie or ""


class TakingBack(Spec):
    """How traffic returns to stable when the candidate is taken back."""

    over: Annotated[Seconds, Field(gt=0)]
    """Time in which it returns, in ten equal parts, the first at once; for a cold stable version.

    It is for people's orders, `rollback` and `abort`; `rollback --instant` does not wait for it.
    """
    gates: Literal["instant", "stepped"] = "instant"
    """Rollbacks that nobody ordered: `instant`, or `stepped` although the candidate is bad."""


class RolloutPolicy(Spec):
    """One candidate's way to all traffic, and what sends it back."""

    candidate: Annotated[str, Field(strict=True)]
    """The version on trial."""
    strategy: Annotated[Strategy, OneOf(STRATEGIES, "strategy")]
    """How it takes over: exactly one of the strategies with its settings."""
    gates: tuple[Annotated[Gate, OneOf(GATES, "gate", GONE)], ...] = Field(
        default_factory=lambda: tuple(
            GATES[name]() for name in ("error_rate", "guard") if name in GATES
        ),
        max_length=32,
    )
    """Questions asked of the data after every answer; absent: error_rate and guard. Where answers
    are mirrored and the payload can be read, agreement (at_least 95%, on_fail hold) is added unless
    one is written, but for openai, whose texts differ each time."""
    false_rollback_rate: Annotated[BasisPoints, Field(gt=0, le=5_000)] = 100
    """Chance of ever rolling back a candidate within tolerance, all gates and looks together."""
    false_rollback_scope: (
        Literal["segment", "route", "fleet"] | Annotated[StrictInt, Field(ge=1, le=SHARING_MAX)]
    ) = "route"
    """Whose chance that is: each `segment`'s; the `route`'s, all its segments together; the
    `fleet`'s, all rollouts of the file; a number: that of so many rollouts, in other files too."""
    hold_level: Annotated[Number, Field(ge=1, le=1_000)] = 3.0
    """Evidence (x : 1) against the candidate at which it gets no more traffic than it has."""
    min_bad_responses: Annotated[StrictInt, Field(ge=1, le=1_000)] = 2
    """Bad candidate answers that a rollback needs at least."""
    max_bad_responses: Annotated[StrictInt, Field(ge=1, le=10**6)] | None = None
    """Bad candidate answers in all that roll it back, whatever stable does; absent: no cap."""
    detect: Regression = Regression.unwritten()
    """What must have been seen if it were there before a step, a switch or a bake is left."""
    promotion: Promotion | None = None
    """Proof demanded before all traffic; absent: only `ramp: auto` demands it."""
    max_duration: Seconds | None = None
    """Longest rollout, bake included; then `on_inconclusive` decides. Pauses do not count."""
    on_inconclusive: OnInconclusive = OnInconclusive.HOLD
    """What happens at `max_duration` without a decision: hold, promote (a bake is not cut short) or
    rollback."""
    on_no_data: Annotated[OnNoData, ShortFor("then")] = OnNoData.unwritten()
    """What happens when no answers arrive: hold or abort, or {after: 10m, then: abort}."""
    on_new_candidate: Literal["queue", "start", "replace"] = "queue"
    """Another candidate in mid-rollout: `queue` waits for a good end, and after a bad one for a
    person; `start` begins after any end; `replace` takes its place at once."""
    answer_within: Annotated[Seconds, Field(gt=0)] | None = None
    """Age at which a request without an answer counts as failed, in both versions; absent: only its
    time-out, or its client's leaving, ends it. With it a hang is seen that clients wait for."""
    warm_up: WarmUp = WarmUp.unwritten()
    """First answers that are not judged."""
    rescue: Rescue | None = None
    """Replay failed candidate attempts on stable; absent: clients see the candidate's failures."""
    mirroring: Mirroring = Mirroring.unwritten()
    """Bounds of mirroring."""
    compare: Compare = Compare.unwritten()
    """When stable's and the candidate's answer to a mirrored request agree."""
    windows: Annotated[tuple[TimeWindow, ...], Field(max_length=32)] = ()
    """When it may advance, by a wall clock; absent: always. Rollbacks and people's orders may."""
    group: Name | None = None
    """Rollouts of a group leave each step together, and one that is taken back takes all back."""
    hooks: HookList = ()
    """Webhooks that are asked or told at points of its life."""
    alerts: AlertList = ()
    """Who is told about this rollout, besides the alerts of the whole policy."""
    anti_flap: AntiFlap = AntiFlap.unwritten()
    """How soon it may be tried again after it was taken back."""
    for_each: ForEach | None = None
    """A rollout of its own for each segment of the requests; absent: one for all."""
    rollback: TakingBack | None = None
    """How traffic returns when it is taken back; absent: all of it at once, whoever says so."""
    rollback_window: Seconds | None = None
    """How long `rollback` undoes a completed rollout; absent: as long as the old version is there.
    """

    @property
    def alpha(self) -> float:
        """This rollout's part of `false_rollback_rate`, a probability: 100 basis points are 0.01.

        Rollouts that share it have equal parts: by the union bound all together keep it.
        """
        return self.false_rollback_rate / FULL_BP / self._sharing

    @property
    def _sharing(self) -> int:
        scope = self.false_rollback_scope
        if isinstance(scope, int):
            return scope
        return 1 if scope == "segment" or self.for_each is None else self.for_each.rollouts

    @property
    def proof(self) -> Promotion:
        """The proof that steps marked `proof` need, with its defaults when none is written."""
        return self.promotion or Promotion()

    @property
    def asks_first(self) -> bool:
        """Whether a hook is asked before the candidate gets anything."""
        return any(hook.point in FIRST_POINTS for hook in self.hooks)

    def hooks_at(self, *points: str) -> "tuple[Hook, ...]":
        """The hooks of these points, in the order of the points and then of the file."""
        return tuple(hook for point in points for hook in self.hooks if hook.point == point)

    @property
    def ramp_budget(self) -> int:
        """Bad answers that ``ramp: auto`` may have under way; its default for other strategies."""
        ramps = [part.ramp for _, part in self.parts if isinstance(part, Canary)]
        return next((ramp.budget for ramp in ramps if isinstance(ramp, Auto)), 20)

    @property
    def parts(self) -> Iterator[tuple[tuple[str, ...], Strategy]]:
        """The strategy and what follows it, each with its path below the rollout."""
        path, part = ("strategy", STRATEGIES.name(self.strategy)), self.strategy
        yield path, part
        if isinstance(part, Shadow) and part.then is not None:
            yield (*path, "then", STRATEGIES.name(part.then)), part.then

    def plan(self) -> Plan:
        """The strategy's plan with this rollout's duration.

        With hooks that are asked before the candidate gets anything, a step at 0 % comes first:
        asking is a position like any other, so it survives restarts and people see it.

        With `promotion`, the last step in which both versions answer asks for the proof: at 0 %
        and at 100 % there is no coin, hence nothing to prove with.
        """
        made = replace(
            self.strategy.plan(),
            max_duration_s=self.max_duration,
            on_inconclusive=self.on_inconclusive,
            back_s=self.rollback.over if self.rollback else 0.0,
            back_by_gates=self.rollback is not None and self.rollback.gates == "stepped",
        )
        made = replace(made, steps=tuple(s.with_candidate(self.candidate) for s in made.steps))
        if self.asks_first:
            made = replace(made, steps=(Step(label="confirm"), *made.steps))
        if self.promotion is None:
            return made
        mixed = [i for i, step in enumerate(made.steps) if 0 < step.weight_bp < FULL_BP]
        steps = list(made.steps)
        for index in mixed[-1:]:
            steps[index] = replace(steps[index], proof=True)
        return replace(made, steps=tuple(steps))
