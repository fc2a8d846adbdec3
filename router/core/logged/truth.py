"""What becomes known about a prediction, hours or days later, and what that says of who made it.

A truth names a request (and a row of it) or a receipt, and brings one or several of:

======== ==================================================================================
label    what was right: a class, a yes or no, a number
correct  whether the prediction was right, from whoever judged it without naming the label
score    how good it was, 0 to 1 (a rating)
value    what it brought, in the unit of the business
accepted whether the person who got it took it, or overruled it
answer   what a person answered, where people are the version that serves (`person: true`), or
         audit what another one served
======== ==================================================================================

Each counts once for a prediction, however often it is sent: the first one holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from router.core.wire.origin import Origin

TrueValue = bool | float | str
"""What was right: yes or no, a number, or a text such as a class."""

LABEL_CHARS_MAX: Final = 100
"""A longer text is no label."""
ID_CHARS_MAX: Final = 128
"""Of a request's id; longer ones are cut in the log, too."""
FACTS: Final = ("label", "correct", "score", "value", "accepted", "answer")
"""What a truth may bring."""


@dataclass(frozen=True, slots=True)
class Truth:
    """One statement about one prediction."""

    request_id: str = ""
    row: int = 0
    receipt: str = ""
    """16 hexadecimal digits of a verified receipt, in place of the request's id."""
    label: TrueValue | None = None
    correct: bool | None = None
    score: float | None = None
    value: float | None = None
    accepted: bool | None = None
    answer: TrueValue | None = None
    source: str = "system"
    """human | system | review: people were asked since the version was unsure, so it is a truth and
    no evidence: such requests were chosen by what the version had said of them."""

    @property
    def key(self) -> str:
        """What it waits under: the request's id, or ``#`` and the receipt's digits."""
        return self.request_id or f"#{self.receipt}"


@dataclass(frozen=True, slots=True)
class Judged:
    """One version's prediction in the light of a truth; None: it says nothing about that."""

    version: str
    correct: bool | None = None
    error: float | None = None
    """Distance of the number it gave from the true one."""
    score: float | None = None
    """The score it gave, where the truth is positive or negative."""


class AnsweredTruth(NamedTuple):
    """A person's answer, and what a version had said to the same row."""

    agreed: bool | None
    """None: the copy made no prediction."""
    person: TrueValue
    said: TrueValue | None
    positive: tuple[bool | None, bool | None]
    """Whether the person's answer is, and the copy's."""
    score: float | None
    seconds: float
    """What the copy took."""


@dataclass(frozen=True, slots=True)
class MaturedRow:
    """One row of a request; what was not told now, or before, is None."""

    served: Judged
    shadow: Judged | None = None
    positive: bool | None = None
    """Whether the truth is positive, where it is a yes or no."""
    rating: float | None = None
    value: float | None = None
    accepted: bool | None = None
    answered: AnsweredTruth | None = None
    """Where a person answered just now, and a copy, or who served, before."""


@dataclass(frozen=True, slots=True)
class Matured:
    """A request whose truth has come; with a second version where it was copied."""

    route: str
    revision: int
    arm: str
    """As in the log, of the version that served."""
    weight_bp: int
    unit: int
    rows: tuple[MaturedRow, ...]
    """Those that are told of together: of a batch they are one outcome, not many."""
    counts: bool = True
    """Whether it is evidence: of a request with several rows only what is told first is."""
    human: bool = False
    request_id: str = ""
    segment: str = ""
    lag_s: float = 0.0
    """From the request to what is told now, seconds."""
    number: int = 0
    """Grows with each that the log tells; what was booked up to one is told no more."""
    made: tuple[Origin, ...] = ()
    """Which draws of other routes made its input."""
