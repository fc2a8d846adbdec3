"""How long a backend keeps an idle connection, learnt from those that it closed.

A backend that closes what idled for half a second loses the request that arrives in that moment:
its loop is busy with a prediction, and behind that finds both, the timer that has run out and the
request, and closes without reading. Nobody can tell whether a POST was carried out then, so it is
not sent again. With a backend that computes for 20 ms between two looks that is one of 180
requests that come about then. What is not used for longer than half that time does not meet it.

Two closes of about the same age are no accident; a process that ends closes connections of any age,
all at once. The shortest age is believed: a backend that was busy closes late, never early.
"""

from __future__ import annotations

from math import inf
from typing import Final

YOUNG_S: Final = 0.05
"""A connection closed so soon behind its answer was not closed for idling."""
ALIKE: Final = 0.25
"""By what part two ages may differ and be of one timer."""
APART_S: Final = 0.05
"""Closes nearer to each other are one event."""
MARGIN: Final = 0.5
"""The part of its patience for which a connection is used."""
KNOWN_S: Final = 60.0
"""For how long it is believed without being seen again."""


class IdlePatience:
    """Of one endpoint."""

    __slots__ = ("_age_s", "_at", "_seen", "used_s")

    def __init__(self) -> None:
        self.used_s = inf
        """What idled for longer carries no request; infinity: nothing is known."""
        self._age_s = 0.0
        """Of the last connection that the backend closed."""
        self._at = -inf
        """When that was, monotonic seconds."""
        self._seen = -inf
        """When what is believed was seen last, monotonic seconds."""

    def __repr__(self) -> str:
        return f"<IdlePatience used for {self.used_s:.3f} s>"

    def closed(self, age_s: float, now: float) -> bool:
        """It closed a connection that had idled for ``age_s``; True: something new is known."""
        before_s, apart_s = self._age_s, now - self._at
        if age_s < YOUNG_S or apart_s < APART_S:
            return False
        self._age_s, self._at = age_s, now
        if not before_s or abs(age_s - before_s) > ALIKE * before_s:
            return False
        used_s = MARGIN * min(age_s, before_s)
        if used_s > (1 + ALIKE) * self.used_s:  # closed late, or by another timer
            return False
        self._seen = now
        if used_s >= self.used_s:
            return False
        self.used_s = used_s
        return True

    def forget(self, now: float) -> bool:
        """Try again what has not been seen for long; True: something is no longer known."""
        if self.used_s == inf or now - self._seen < KNOWN_S:
            return False
        self.used_s, self._age_s = inf, 0.0
        return True
