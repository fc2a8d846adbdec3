"""What the control plane answers and announces: plain values that go through JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from router.control.told.answers import OrderView


@dataclass(frozen=True, slots=True)
class AnsweredOrder:
    """An order that was carried out, as it is remembered: the same id twice is one order."""

    result: OrderView
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
