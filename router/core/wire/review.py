"""Answers that people look at: what a worker needs, asks for, and is told."""

from __future__ import annotations

from dataclasses import dataclass

from router.core.logged.truth import TrueValue


@dataclass(frozen=True, slots=True)
class ReviewTerms:
    """What becomes of a question once it is asked; for whoever keeps it."""

    within_s: float
    """How long people have for it."""
    second_bp: int
    """Share of the questions that two people answer."""
    open_max: int
    """Questions of the route that may be open."""
    stands: bool
    """What the version had said holds where nobody answers."""


@dataclass(frozen=True, slots=True)
class ReviewEntry:
    """Which answers of a route people are asked about, and what its client gets meanwhile."""

    below: float = 0.0
    """Confidence below which a version's answer is unsure; 0: none is."""
    audit_bp: int = 0
    """Share of the sure answers that are looked at as well; these go out at once."""
    probability: bool = True
    """The score is the probability of a yes; otherwise it is the confidence."""
    label: str = ""
    score: str = ""
    """Where an answer's rows have both; see :class:`router.core.predictions.rows.Declared`."""
    then: str = "hold"
    """hold | provisional | refuse: what becomes of an unsure answer."""
    deadline_s: float = 30.0
    """How long an answer is held; then the client gets 202 and looks again."""
    held: int = 256
    """Clients of this route that a worker lets wait at once."""
    bytes_max: int = 65_536
    """A larger answer is not let out; a larger request is reviewed without its body."""
    people: tuple[int, ...] = ()
    """Indexes of the versions that are people: they are asked about each of their requests."""
    terms: ReviewTerms | None = None
    """For a router that keeps questions and does not lead; workers need none of it."""


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """One request that people are asked about."""

    id: str
    """128 random bits, hexadecimal: whoever has it may see the outcome."""
    route: str
    version: str
    """Who answered; a version of people: nobody yet."""
    revision: int
    request_id: str
    reason: str
    """One of :class:`router.core.reviews.confidence.Reason`."""
    confidence: float
    """-1.0: it is not known."""
    at: float
    """When it was asked, seconds since 1970."""
    labels: tuple[TrueValue | None, ...] = ()
    """What the version predicted, one for each row."""
    request: bytes = b""
    """Without a coding; empty where it was too large, or under a coding that is not read."""
    answer: bytes = b""
    content_type: str = ""
    """Of the request."""
    target: str = ""


@dataclass(frozen=True, slots=True)
class SettledReview:
    """What a waiting client is told."""

    ref: str
    """The item's id, or that of a look."""
    state: str
    """kept (durable, still open) | full | open | decided | expired | unknown."""
    body: bytes = b""
    """What people answered, where they did."""
