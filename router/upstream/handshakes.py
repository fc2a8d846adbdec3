"""How many TLS handshakes of one pool are under way, and whether they get on.

A handshake takes a worker's loop about a millisecond, in pieces, and everything else waits for each
of them. Where a pause of some milliseconds lets thirty requests find no idle connection, thirty
handshakes hold up the very answers that would have made connections free. So a few are made at a
time, and whoever comes then takes what comes free first: one of the new connections or one whose
answer is complete. Those that do not get on (a backend that is busy, or hangs) bound nobody.
"""

from __future__ import annotations

from math import inf
from typing import Final

AT_ONCE: Final = 2
"""Handshakes of one pool under way, beyond which requests wait rather than open one more."""
STUCK_S: Final = 0.05
"""Where none has come to its end for so long, the bound does not hold: it is not us who is busy."""


class UpstreamHandshakes:
    """Of one pool."""

    __slots__ = ("_moved_at", "under_way")

    def __init__(self) -> None:
        self.under_way = 0
        self._moved_at = -inf
        """When one began beside no other, or ended; monotonic seconds."""

    def began(self, now: float) -> None:
        """One more is under way."""
        if not self.under_way:
            self._moved_at = now
        self.under_way += 1

    def ended(self, now: float) -> None:
        """Whether it succeeded or not."""
        self.under_way -= 1
        self._moved_at = now

    def enough(self, now: float) -> bool:
        """As many are under way as do each other good."""
        return self.under_way >= AT_ONCE and now - self._moved_at < STUCK_S

    def __repr__(self) -> str:
        return f"<UpstreamHandshakes under_way={self.under_way}>"
