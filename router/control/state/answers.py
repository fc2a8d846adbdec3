"""What the control plane answers and announces: plain values that go through JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The answer to a command, given after it is durable and in force in every live worker."""

    route: str
    command: str
    changed: bool
    """False for a dry run, or a command id that was carried out before."""
    revision: int
    """Revision of the rollout afterwards."""
    phase: str
    step: int
    """1-based."""
    weight_bp: int
    """Share of the candidate afterwards, basis points."""
    reason: str
    """The sentence that went into the journal."""
    dry_run: bool = False
    durable: bool = True
    """False: taken back in memory, but the store is broken; it is written as soon as it works."""
    repeated: bool = False
    """This command id had been carried out before; this is the old answer."""
    next: str = ""
    """What follows of itself: which candidate starts, or what it waits for; empty: nothing."""
    took_s: float = 0.0
    draining: dict[str, int] = field(default_factory=dict)
    """Versions that get nothing new but still answer what they had, with the number of requests
    under way when workers last reported (at most a quarter of a second ago)."""


@dataclass(frozen=True, slots=True)
class AnsweredOrder:
    """An order that was carried out, as it is remembered: the same id twice is one order."""

    result: CommandResult
    asked: str = ""
    """See :class:`OrderKey`; empty: an older router's, which did not say."""


class OrderKey(NamedTuple):
    """An order that is carried out once, however often it arrives."""

    id: str
    """What the caller calls it."""
    asked: str = ""
    """Digest of who asked for what on which route: another order needs another id."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One event for everybody who listens (``GET /api/v1/events``)."""

    id: int
    """Grows by one; a gap means that the listener was too slow and lost some."""
    kind: str
    """transition | policy | worker | store | problem"""
    at: float
    """Wall clock, seconds since 1970."""
    route: str
    """Empty where it concerns the whole router."""
    text: str
    """One sentence."""
    data: dict[str, Any] = field(default_factory=dict)
