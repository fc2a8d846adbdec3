"""The breaker of one version: stop trying what has just proved to be unreachable.

    closed      every request is tried; ``FAILURES`` failed connects in a row open it
    open        nothing is tried for ``OPEN_S`` (doubled each time, at most ``OPEN_MAX_S``)
    half-open   one request is tried: its success closes the breaker, its failure opens it again

Only connects count, never answers: a version that answers 500 to one client's odd input must not
become unreachable for all others. What a *candidate's* answers mean is decided by gates.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

FAILURES: Final = 5
"""Failed connects in a row while no endpoint of the version could be reached."""
OPEN_S: Final = 1.0
OPEN_MAX_S: Final = 30.0


class State(StrEnum):
    """Of the breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """Pure state; the caller brings the time (monotonic seconds)."""

    __slots__ = ("_failures", "_open_s", "_until", "state")

    def __init__(self) -> None:
        self.state = State.CLOSED
        self._failures = 0
        self._open_s = OPEN_S
        self._until = 0.0

    def allows(self, now: float) -> bool:
        """Whether to try; asking an open breaker after its time takes the one trial."""
        if self.state is State.CLOSED:
            return True
        if now < self._until:
            return False
        # A trial that never reports (its client left while connecting) must not close the
        # version for ever: the next one is let through after the same time.
        self.state = State.HALF_OPEN
        self._until = now + self._open_s
        return True

    def connected(self) -> None:
        """A connect succeeded."""
        self.state = State.CLOSED
        self._failures = 0
        self._open_s = OPEN_S

    def failed(self, now: float) -> None:
        """A connect failed."""
        self._failures += 1
        if self.state is State.HALF_OPEN:
            self._open_s = min(self._open_s * 2, OPEN_MAX_S)
        elif self.state is State.OPEN or self._failures < FAILURES:
            return
        self.state = State.OPEN
        self._until = now + self._open_s

    def __repr__(self) -> str:
        return f"<Breaker {self.state} failures={self._failures}>"
