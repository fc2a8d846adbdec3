"""The durable truth about one route: its rollout, who is stable, and who must not come back.

One record a route, replaced as a whole, fenced by ``revision``. Traffic is not in it; it follows
from the rollout (:func:`router.core.rollout.traffic.split_for`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

from router.core.rollout.rollout import Rollout

BLOCKED_MAX: Final = 1_000
"""Candidates of one route remembered as taken back; the oldest is forgotten after that many."""

NOTES: Final = frozenset({"freeze", "wait", "hook", "registry", "router_bug"})
"""Actions of journal entries that move nothing: they never explain where the traffic is."""

RETRIES_MAX: Final = 200
"""Retries of one route remembered: twice the most that ``anti_flap.per_day`` can ask for."""


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
    pinned: dict[str, Any] | None = None
    """The rollout policy it is carried out by, as written; an edit waits for the next attempt."""
    identity: str = ""
    """Digest of candidate, its endpoints and its plan: what the rollout is about."""
    blocked: tuple[str, ...] = ()
    """Candidates that were taken back; only ``retry`` brings one back."""
    done: tuple[str, ...] = ()
    """Identities carried out to an ending that keeps stable (a shadow that ended)."""
    retries: tuple[tuple[str, float], ...] = ()
    """Candidates that were tried again, and when by the rollout clock; the last day of them."""

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return plain | {"rollout": self.rollout.to_json() if self.rollout else None}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The inverse of :meth:`to_json`. Raises KeyError, TypeError or ValueError on damage."""
        fields = dict(data)
        stored = fields["rollout"]
        fields["rollout"] = Rollout.from_json(stored) if stored is not None else None
        fields["blocked"] = tuple(fields["blocked"])
        fields["done"] = tuple(fields["done"])
        retries = fields.get("retries", ())  # records from before retries were counted
        fields["retries"] = tuple((str(key), float(at)) for key, at in retries)
        record = cls(**fields)
        if record.rollout is not None and record.rollout.revision > record.revision:
            raise ValueError(f"{record.route}: rollout revision is ahead of its record")
        return record


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
    complete | await | override | stable | policy, or one of :data:`NOTES`"""
    phase_from: str
    phase_to: str
    step: int
    """1-based; 0 where there is no rollout."""
    weight_bp: int
    """Share of the candidate afterwards."""
    reason: str
    """The sentence, as core made it."""
    evidence: dict[str, Any] = field(default_factory=dict)
    """The judge's reports at that moment: values, limits, counts."""
    id: int = 0

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Change:
    """One transaction: all of it becomes durable, or nothing."""

    clock: float
    records: tuple[RouteRecord, ...] = ()
    entries: tuple[JournalEntry, ...] = ()
    evidence: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Snapshots by route."""
    settings: dict[str, Any] = field(default_factory=dict)
    command: tuple[str, dict[str, Any]] | None = None
    """A command id and its answer, so that the same order twice is carried out once."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Everything a store holds that a start needs."""

    clock: float = 0.0
    records: dict[str, RouteRecord] = field(default_factory=dict)
    evidence: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
