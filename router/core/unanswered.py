"""Requests that went to the candidate and did not come back: news after seconds."""

from __future__ import annotations

from router.core.snapshots import Lasting
from router.core.words import count, duration

UNANSWERED_MIN = 5
"""Requests without an answer that are news."""

UNANSWERED_S = 5.0
"""After this without any answer to them; what slow versions take for one is no news."""


class Unanswered(Lasting, bare="requests"):
    """Since the candidate's last answer."""

    __slots__ = ("requests",)

    requests: int

    def __init__(self) -> None:
        """Nothing was asked."""
        self.requests = 0

    def count(self, drawn: int, *, answered: bool) -> None:
        """So many more were sent to it; it has answered one or more."""
        self.requests = 0 if answered else self.requests + drawn

    def sentence(self, silent_s: float) -> str:
        """That none came back for ``silent_s``; empty while that is no news."""
        if self.requests < UNANSWERED_MIN or silent_s < UNANSWERED_S:
            return ""
        return (
            f"no answers: {count(self.requests, 'request')} went to the candidate in the last "
            f"{duration(silent_s)} and none was answered, limit {duration(UNANSWERED_S)}"
        )
