"""One answered request out of many, with both bodies, so that its prediction can be read.

Which requests are sampled is decided with the draw, by a coin of its own: neither the arm nor what
becomes of the request has a part in it. A worker tells of each sampled request once, when it has
ended, however it ended; the bodies are read in the reader's process, and what is found comes back
as :class:`Facts`, which are small. Gates get facts in the order of drawing only
(:mod:`router.core.evidence.drawn`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from router.core.wire.origin import Origin

ROWS_MAX: Final = 256
"""Rows of one answer whose facts are told; of more, so many evenly spaced ones."""

TEXT_CHARS_MAX: Final = 60
"""Characters of a label or of a segment's value."""


LOGGED_MAX: Final = 3_840
"""The same where there is a prediction log: 15,360 a second, of which those beyond the first
``recorder.SAMPLES_MAX`` are for the log alone. One costs a worker about 15 us."""
SAMPLES_AT_ONCE: Final = 128
"""Samples of one message: so many are told at once, so that no turn encodes a second's worth."""
SAMPLES_OPEN_MAX: Final = 1_024
"""Sampled requests under way, per worker."""


@dataclass(frozen=True, slots=True)
class SamplingEntry:
    """How a worker samples one route."""

    share_bp: int
    """Of all requests that a version is chosen for."""
    headers: tuple[str, ...] = ()
    """Request headers (lower case) whose values are told, see :attr:`Sampled.segments`."""
    judged: bool = True
    """Gates or monitors read them."""
    logged: bool = False
    """The prediction log has them."""
    heads: bool = False
    """It keeps requests so that they can be sent once more: with their heads."""


@dataclass(slots=True)  # not frozen: to make a frozen one of 24 fields takes 4 us longer
class Sampled:
    """One sampled request, when it has ended; nobody changes it."""

    route: str
    version: str
    revision: int
    """Of the table's entry that routed it."""
    role: str
    """stable | candidate | other, at the moment of routing."""
    arm: str
    """How the version was chosen: a letter of :class:`router.core.wire.receipt.Chosen`."""
    weight_bp: int = 0
    """Of the coin; 0 without one."""
    source: int = 0
    slice: int = 0
    """Which slice of draws it was drawn in, by which worker (see ``Cell``)."""
    counted: bool = False
    """It is one of ``ArmCounts.sampled`` of that slice: evidence. Where users are drawn, only
    their first requests are."""
    unit: int = 0
    nonce: int = 0
    """Of the receipt that the client got, by which labels find it; 0 without one."""
    request_id: str = ""
    key: str = ""
    """The text of a sticky header; empty without one."""
    segments: tuple[str, ...] = ()
    """Values of the headers that the entry asks for, in its order."""
    at: float = 0.0
    """When it arrived, seconds since 1970."""
    seconds: float = 0.0
    """From its arrival to the end of its answer."""
    status: int = 0
    """Of the version's answer; 0: there was none, or not a whole one."""
    outcome: int = 0
    """How its attempt ended, see :class:`router.core.wire.outcomes.Outcome`."""
    target: str = ""
    request: bytes = b""
    request_coding: str = ""
    answer: bytes = b""
    answer_coding: str = ""
    first_s: float = 0.0
    """From its arrival to the first piece of the answer that says something; 0.0: none did."""
    gap_s: float = 0.0
    """The longest wait between two such pieces."""
    cut: str = ""
    """Why bodies are missing: "body" (larger than is kept) or "shed" (no room); empty: all here."""
    payload: str = ""
    """Of its path, where that has one of its own; empty: the route's."""
    head: bytes = b""
    """Of the request, as it is kept (``http1.kept_head``), where the log wants that."""
    read: bool = True
    """By gates and monitors; otherwise the log alone has it."""
    made: tuple[Origin, ...] = ()
    """Which draws of other routes made its input, as its baggage says."""

    @property
    def size(self) -> int:
        """Bytes of both bodies, and of the head."""
        return len(self.request) + len(self.answer) + len(self.head)


class PredictedRow(NamedTuple):
    """One row of one answer."""

    label: str | None = None
    """What it says, as text; None where it has none."""
    score: float | None = None
    """A finite number, or None."""
    fault: str = ""
    """What is wrong with it: null | nan | infinite | unknown | range | missing; empty: nothing."""
    features: tuple[str, ...] = ()
    """Values of the features that gates tell segments apart by, in the order of their names."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one sampled request's prediction."""

    rows: tuple[PredictedRow, ...] = ()
    """At most :data:`ROWS_MAX`."""
    why: str = ""
    """Why there are no rows: "none" (no prediction was made: it failed, was refused, or nobody
    waited for it), "unreadable" (an answer that is not of the payload), "lost" (it was not read),
    "logged" (only the log reads it); empty: there are."""
    tokens: tuple[int, int] | None = None
    """Sent and answered, as the answer says; None: it does not, or nobody asked."""
    waits: tuple[float, float] | None = None
    """Seconds until its first piece that says something, and the longest between two pieces; None:
    there was no answer."""


@dataclass(frozen=True, slots=True)
class SampleFacts:
    """Facts with the draw that they belong to, as gates get them."""

    source: int
    slice: int
    weight_bp: int
    candidate: bool
    unit: int
    segments: tuple[str, ...]
    facts: Facts
