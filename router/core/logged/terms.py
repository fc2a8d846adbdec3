"""How predictions are logged: what a policy says, as the reader gets it, without policy types."""

from __future__ import annotations

from dataclasses import dataclass, field

from router.core.pairs.comparison import Likeness
from router.core.predictions.rows import NOTHING, Declared


@dataclass(frozen=True, slots=True)
class RouteLog:
    """One route's rules."""

    route: str
    payload: str
    likeness: Likeness
    """When a prediction is right, and when a number is a yes."""
    bodies: bool = False
    redact: tuple[str, ...] = ()
    """Names of fields that are kept nowhere."""
    person: str = ""
    """Dotted path in a request's body of whom it is about; empty: the text of the sticky key."""
    segment: int = -1
    """Which of a sample's segments is the log's; -1: none."""
    sample_bp: int = 10_000
    """Of the requests that workers tell of."""
    persons: tuple[str, ...] = ()
    """Versions whose answers people give, later."""
    declared: Declared = NOTHING
    """Where a prediction stands in bodies."""
    again_s: float = 0.0
    """A user who asks again within it has not taken the answer; 0: nobody wants to know."""
    mature_s: float = 0.0
    """Age that a prediction must have before its truth is evidence."""


@dataclass(frozen=True, slots=True)
class KeyedFeed:
    """A route whose answers another one uses later, for whom both requests name."""

    feeder: str
    fed: str
    path: str
    """Of the key, in both bodies."""
    within_s: float
    """How long what was made is used."""


@dataclass(frozen=True, slots=True)
class LogTerms:
    """To the reader: the log from now on. Without a file nothing is kept any more."""

    file: str = ""
    age_s: float = 0.0
    """Older predictions go."""
    bytes_max: int = 0
    """The oldest ones go beyond it."""
    early_s: float = 0.0
    """How long a truth waits for its prediction."""
    routes: tuple[RouteLog, ...] = field(default=())
    feeds: tuple[KeyedFeed, ...] = ()
