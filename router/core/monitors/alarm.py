"""What monitors have to say: an alarm with its kind, its course and one sentence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from router.core.monitors.checks import Deviation
from router.core.snapshots import ByName
from router.core.words import duration

CHARS_MAX = 400


class AlarmCause(StrEnum):
    """Who or what changed."""

    DATA = "data drift"
    """What clients ask has changed, for both versions: nobody is to blame."""
    REFERENCE = "reference unlike traffic"
    """Traffic never was what the reference (the training data) is."""
    CANDIDATE = "candidate drift"
    """The candidate alone answers otherwise than it did."""
    CONCEPT = "concept drift"
    """For equal inputs something else is right now."""


class Course(StrEnum):
    """How it changed."""

    SUDDEN = "sudden"
    GRADUAL = "gradual"
    TEMPORARY = "temporary"
    """It came, and went within a season."""
    OVER = "over"
    """It went after a longer time."""
    FROM_THE_START = "from the start"


@dataclass(frozen=True, slots=True)
class Alarm(ByName):
    """One change of one signal."""

    signal: str
    check: str
    cause: AlarmCause
    course: Course
    since: float
    """Wall seconds of the look that found it."""
    size: float
    limit: float
    chance: float
    text: str
    """What was seen."""
    until: float | None = None
    """Of the look that found it gone; None while it lasts."""
    accepted: bool = False
    """A person has said that this is how it is now."""
    low: int = 0
    """Looks in a row at which it was as good as gone."""

    @property
    def holds(self) -> bool:
        """Whether it is a reason to wait."""
        return self.until is None and not self.accepted

    def sentence(self) -> str:
        """All of it."""
        lasted = "" if self.until is None else f", over after {duration(self.until - self.since)}"
        return (
            f"{self.cause} in {self.signal} ({self.check}, {self.course}{lasted}): {self.text}, "
            f"limit {self.limit:g}{_WHO[self.cause]}"
        )[:CHARS_MAX]

    def seen(self, deviation: Deviation, *, low: bool) -> Self:
        """The same, as it is now; ``low``: as good as gone."""
        return replace(
            self, size=deviation.size, chance=deviation.chance, text=deviation.text,
            low=self.low + 1 if low else 0,
        )  # fmt: skip

    def ended(self, now: float, season_s: float) -> Self:
        """It is gone."""
        short = now - self.since <= season_s
        return replace(self, until=now, course=Course.TEMPORARY if short else Course.OVER)


_WHO = {
    AlarmCause.DATA: "; requests changed, for both versions alike: nobody is taken back for it",
    AlarmCause.REFERENCE: "; traffic is not what the reference is, for any version",
    AlarmCause.CANDIDATE: "; stable answers as before, so it is the candidate",
    AlarmCause.CONCEPT: "; inputs are as before, so what is right has changed",
}
