"""The durable truth about one route: its rollout, who is stable, and who must not come back.

One record a route, replaced as a whole, fenced by ``revision``. Traffic is not in it; it follows
from the rollout (:func:`router.core.rollout.traffic.split_for`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, Self, TypeVar

from pydantic import SecretStr, ValidationError

from router.control.state.answers import AnsweredOrder
from router.control.state.evidence import TrialState
from router.control.state.settings import NO_SETTINGS, StoreSettings
from router.control.told.answers import NOTHING_SAID, JudgementView
from router.core.gates.polled import Calling
from router.core.policy import RolloutPolicy
from router.core.policy.hooks import Hook
from router.core.rollout.plan import Plan
from router.core.rollout.rollout import Rollout
from router.core.rollout.traffic import Split, split_for
from router.core.spoken import headline

BLOCKED_MAX: Final = 1_000
"""Candidates of one route remembered as taken back; the oldest is forgotten after that many."""

NOTES: Final = frozenset(
    {"acknowledged", "drift", "freeze", "gate", "hook", "registry", "router_bug", "wait"}
)
"""Actions of journal entries that move nothing: they never explain where the traffic is."""

RETRIES_MAX: Final = 200
"""Retries of one route remembered: twice the most that ``anti_flap.per_day`` can ask for."""


_Asks = TypeVar("_Asks", Hook, Calling)

_UNKEPT: Final = SecretStr("**********")
"""What is kept of a secret: that there was one."""


_UNDIGESTED: Final = re.compile(r"@[0-9a-f]{16}\Z")
"""What older records have behind a candidate's name: a digest of its endpoints."""


class Identity(NamedTuple):
    """What a rollout is about: a candidate, and its plan as a digest."""

    candidate: str
    """Its name, and behind an @ its model where the policy tells one."""
    plan: str

    def __str__(self) -> str:
        """As the store has it."""
        return f"{self.candidate}+{self.plan}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of :meth:`__str__`; names may have a plus, digests have none."""
        candidate, _, plan = text.rpartition("+")
        return cls(candidate, plan)


class Convicted(NamedTuple):
    """A candidate that evidence took back."""

    key: str
    model: str = ""
    endpoints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pinned:
    """By what a rollout is carried out from its beginning to its end."""

    policy: RolloutPolicy
    identity: Identity
    plan: Plan
    text: str
    """The policy as JSON, made once, at the beginning: for the store, recordings and workers."""

    @classmethod
    def of(cls, policy: RolloutPolicy, identity: Identity) -> Self:
        """The policy as it is kept, with its plan: defaults spelled out, those may change."""
        policy = kept(policy)
        return cls(policy, identity, policy.plan(), policy.model_dump_json(exclude={"alerts"}))


def kept(policy: RolloutPolicy) -> RolloutPolicy:
    """A rollout policy without what an edit changes at once: alerts, secrets of hooks and gates."""
    return policy.model_copy(
        update={
            "alerts": (),
            "hooks": tuple(_without_secrets(hook) for hook in policy.hooks),
            "gates": tuple(
                _without_secrets(gate) if isinstance(gate, Calling) else gate
                for gate in policy.gates
            ),
        }
    )


def _without_secrets(asks: _Asks) -> _Asks:
    return asks.model_copy(update={"headers": dict.fromkeys(asks.headers, _UNKEPT)})


@dataclass(frozen=True, slots=True)
class Carried:
    """A rollout, live or ended, together with what it is carried out by."""

    rollout: Rollout
    pinned: Pinned

    @property
    def policy(self) -> RolloutPolicy:
        """The policy that it began with."""
        return self.pinned.policy

    @property
    def plan(self) -> Plan:
        """That policy's plan."""
        return self.pinned.plan

    @property
    def key(self) -> str:
        """The candidate's, see :attr:`Identity.candidate`."""
        return self.pinned.identity.candidate

    @property
    def split(self) -> Split:
        """The shares that it asks for."""
        return split_for(self.rollout, self.plan)


@dataclass(frozen=True, slots=True)
class RouteRecord:
    """What survives a restart of one route."""

    route: str
    declared_stable: str
    """``stable`` of the policy as last accepted; a change of it is an order."""
    stable: str
    """The version that is stable now: the declared one, or a candidate promoted since."""
    revision: int = 0
    """Largest revision of any rollout of this route; only grows."""
    number: int = 0
    """Rollouts begun so far; the next one is ``<route>-<number + 1>``."""
    rollout: Rollout | None = None
    """The last rollout, live or ended."""
    pinned: Pinned | None = None
    """What it is carried out by; an edit waits for the next attempt. None only without a rollout,
    or for one that ended under an older router by a policy that is not understood any more."""
    blocked: tuple[str, ...] = ()
    """Candidates that were taken back; only ``retry`` brings one back."""
    done: tuple[Identity, ...] = ()
    """What was carried out to an ending that keeps stable (a shadow that ended)."""
    given_up: tuple[str, ...] = ()
    """Candidates that a person ended; ``retry``, or another name in the file, brings one back."""
    convicted: tuple[Convicted, ...] = ()
    """What is known of the blocked ones besides their names, so that a new name does not help."""
    endpoints: tuple[str, ...] = ()
    """Where the rollout's candidate is."""
    queued: str = ""
    """The candidate that waits for the end of the present one."""
    decided_at: float = 0.0
    """Wall clock of the move that made this record, seconds since 1970; 0: not known."""
    retries: tuple[tuple[str, float], ...] = ()
    """Candidates that were tried again, and when by the rollout clock; the last day of them."""
    former: tuple[tuple[str, float], ...] = ()
    """Names of the route before, the newest first, and the wall time of the last move under each;
    0: not known. The journal under those names is this route's too."""

    @property
    def carried(self) -> Carried | None:
        """The last rollout with what it was carried out by."""
        if self.rollout is None or self.pinned is None:
            return None
        return Carried(self.rollout, self.pinned)

    @property
    def live(self) -> Carried | None:
        """The rollout that is being carried out now."""
        carried = self.carried
        return carried if carried is not None and carried.rollout.phase.live else None

    def to_json(self) -> dict[str, Any]:
        """As the store has it."""
        pinned = self.pinned
        return {
            "route": self.route,
            "declared_stable": self.declared_stable,
            "stable": self.stable,
            "revision": self.revision,
            "number": self.number,
            "rollout": self.rollout.to_json() if self.rollout else None,
            "pinned": json.loads(pinned.text) if pinned else None,
            "identity": str(pinned.identity) if pinned else "",
            "blocked": list(self.blocked),
            "done": [str(one) for one in self.done],
            "given_up": list(self.given_up),
            "convicted": [list(one) for one in self.convicted],
            "endpoints": list(self.endpoints),
            "queued": self.queued,
            "decided_at": self.decided_at,
            "retries": [list(one) for one in self.retries],
            "former": [list(one) for one in self.former],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The inverse of :meth:`to_json`. Raises KeyError, TypeError or ValueError on damage."""
        fields = dict(data)
        stored = fields["rollout"]
        rollout = fields["rollout"] = Rollout.from_json(stored) if stored is not None else None
        policy, identity = fields.pop("pinned"), Identity.parse(fields.pop("identity"))
        if "endpoints" not in fields:  # from before a candidate was its name and model
            fields["blocked"] = [_UNDIGESTED.sub("", key) for key in fields["blocked"]]
            identity = Identity(_UNDIGESTED.sub("", identity.candidate), identity.plan)
        fields["blocked"] = tuple(fields["blocked"])
        fields["given_up"] = tuple(fields.get("given_up", ()))
        fields["endpoints"] = tuple(fields.get("endpoints", ()))
        convicted = fields.get("convicted", ())
        fields["convicted"] = tuple(Convicted(k, m, tuple(at)) for k, m, at in convicted)
        fields["done"] = tuple(map(Identity.parse, fields["done"]))
        retries = fields.get("retries", ())  # records from before retries were counted
        fields["retries"] = tuple((str(key), float(at)) for key, at in retries)
        former = fields.get("former", ())
        fields["former"] = tuple((str(name), float(at)) for name, at in former)
        record = cls(**fields)
        if rollout is not None and rollout.revision > record.revision:
            raise ValueError(f"{record.route}: rollout revision is ahead of its record")
        if rollout is None or policy is None:
            return record
        return replace(record, pinned=_read(record.route, rollout, policy, identity))


def _read(route: str, rollout: Rollout, policy: Any, identity: Identity) -> Pinned | None:
    """The policy of a stored rollout. Raises ValueError for one that is live and not understood."""
    try:
        return Pinned.of(RolloutPolicy.model_validate(policy), identity)
    except ValidationError as error:
        if not rollout.phase.live:
            return None
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(
            f"{route}: the rollout of {rollout.candidate} began with a policy that this version "
            f"does not read ({where}: {first['msg']}); end it with the version that began it"
        ) from None


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One event or decision, for ever. ``id`` is 0 until it is stored."""

    at: float
    """Wall clock, seconds since 1970."""
    clock: float
    """Rollout clock, seconds."""
    route: str
    rollout: str
    revision: int
    actor: str
    action: str
    """start | advance | ramp | share |
    pause | resume | promote | abort | rollback | retry | set_weight |
    complete | await | override | stable | policy | redraw | rename | keep,
    or one of :data:`NOTES`"""
    phase_from: str
    phase_to: str
    step: int
    """1-based; 0 where there is no rollout."""
    weight_bp: int
    """Share of the candidate afterwards."""
    reason: str
    """The sentence, as core made it."""
    evidence: JudgementView = NOTHING_SAID
    """What the judge said at that moment: values, limits, counts."""
    id: int = 0

    @property
    def line(self) -> str:
        """What a person would say of it; stored with the evidence of the decision."""
        return self.evidence.line or headline(self.reason)


@dataclass(frozen=True, slots=True)
class Change:
    """One transaction: all of it becomes durable, or nothing."""

    clock: float
    records: tuple[RouteRecord, ...] = ()
    entries: tuple[JournalEntry, ...] = ()
    evidence: dict[str, TrialState] = field(default_factory=dict)
    """By route."""
    settings: StoreSettings = NO_SETTINGS
    commands: tuple[tuple[str, AnsweredOrder], ...] = ()
    """Command ids and their answers, so that the same order twice is carried out once."""
    receipts: tuple[int, ...] = ()
    """Marks of receipts that labels have used, stored with the evidence that they made."""
    urgent: bool = False
    """It takes traffic away: a store keeps it where a lost log cannot undo it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Everything a store holds that a start needs."""

    clock: float = 0.0
    records: dict[str, RouteRecord] = field(default_factory=dict)
    evidence: dict[str, TrialState] = field(default_factory=dict)
    settings: StoreSettings = NO_SETTINGS
    receipts: tuple[int, ...] = ()
    """Marks of receipts that were used, the oldest first."""
    term: int = 0
    """In which this process holds it: later than that of everybody who held it before."""
