"""What a route does about its clients, as the data plane needs it; part of the table's entries."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class QuotaEntry:
    """What one client may ask of a route; see :mod:`router.link.quotas`."""

    header: str = ""
    """Whose value is the client, in lower case; empty: its address."""
    interval_ns: int = 0
    """Between two requests in the long run; 0: no bound."""
    slack_ns: int = 0
    """How far ahead of that it may be."""
    per_day: int = 0
    """Requests in a day of UTC; 0: no bound."""


@dataclass(frozen=True, slots=True)
class ExtractionEntry:
    """What is counted of clients; see :class:`router.telemetry.extraction.Clients`."""

    header: str = ""
    """Whose value is the client, in lower case; empty: its address."""
    window_s: int = 86_400
    distinct: int = 0
    """Different inputs that are told; 0: only answers are looked at."""
    score: str = ""
    """Path of the score in answers; empty: they are not read."""
    threshold: float = 0.5
    within: float = 0.05
    answers: int = 200


@dataclass(frozen=True, slots=True)
class InputsEntry:
    """What is wrong with a request: (field, what is expected of it)."""

    types: tuple[tuple[str, str], ...] = ()
    """number, text, boolean, list or object."""
    ranges: tuple[tuple[str, float, float], ...] = ()
    required: tuple[str, ...] = ()
    to_stable: bool = False
    """Stable answers such requests; otherwise the router does, with 422."""
    people: int = -1
    """Index of the version of people that gets them instead; -1: none does."""


@dataclass(frozen=True, slots=True)
class AnswersEntry:
    """What becomes of JSON answers before they go out."""

    digits: int = -1
    """Decimal places of numbers; -1: as they are."""
    drop: tuple[str, ...] = ()
    bytes_max: int = 1_048_576
    strict: bool = True
    """What cannot be read is not let out."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """Answers that are given again."""

    ttl_s: float = 60.0
    bytes_max: int = 67_108_864
    """Of all answers of the route, per worker."""
    answer_bytes: int = 262_144
    """Largest answer that is kept."""
    vary: tuple[str, ...] = ()
    """Request headers (lower case) that answers depend on."""
    methods: tuple[str, ...] = ("GET", "POST")


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """Requests that can wait longer than others, and go to a candidate first."""

    header: str
    """Lower case."""
    values: tuple[str, ...]
    """Of it, lower case, that say so."""
    ahead_bp: int = 0
    """Chance that one is the candidate's before a coin is thrown."""


@dataclass(frozen=True, slots=True)
class FallbackEntry:
    """What clients get when stable fails as well."""

    status: int = 200
    content_type: str = "application/json"
    answer: str | None = None
    """None: only what the table has."""
    table: dict[str, str] = field(default_factory=dict)
    """JSON by key."""
    header: str = ""
    """Whose value is the key; empty: a field of the body is."""
    path: str = ""
