"""What single requests leave: spans on their way to a collector, lines of the access log.

W3C Trace Context: https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from router.core.words import FULL_BP

SPANS_MAX: Final = 512
"""Spans of one worker between two reports (a quarter of a second); further ones are dropped."""

ROUTER: Final = "router"
ATTEMPT: Final = "attempt"
RESCUE: Final = "rescue"
SHADOW: Final = "shadow"


@dataclass(frozen=True, slots=True)
class TraceTerms:
    """What a worker needs to know to trace."""

    share_bp: int
    """Of requests whose client began no trace."""
    exported: bool
    """Spans go to a collector. If not, traces of clients are passed on as they are, and their ids
    become exemplars."""


@dataclass(frozen=True, slots=True)
class AccessTerms:
    """Which requests are written to the access log, and how."""

    common: bool = False
    """In the Common Log Format, not as JSON."""
    share_bp: int = FULL_BP
    """Of those that ended well."""


@dataclass(frozen=True, slots=True)
class Span:
    """Something that has ended."""

    kind: str
    """router | attempt | rescue | shadow."""
    trace: str
    """32 hex digits."""
    id: str
    """16 hex digits; empty where nothing is exported."""
    parent: str
    """Likewise; empty: none."""
    at: float
    """When it began, seconds since 1970."""
    seconds: float
    route: str
    version: str
    role: str
    endpoint: str
    method: str
    path: str
    client: str
    status: int
    """0: no answer."""
    outcome: str
    bad: bool
    """It is a fault of whoever was asked."""
