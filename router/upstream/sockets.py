"""How many sockets towards versions this process may have, over all pools.

File descriptors are shared with the clients: without a bound of their own, busy versions would take
the ones that the listener needs, and an accept that fails costs a client its answer.
"""

from __future__ import annotations

from collections.abc import Callable

from router.http1 import DEFAULT_LIMITS

UNBOUNDED = 1 << 30


class Sockets:
    """The count and its bound; ``reclaim`` is asked to close what is idle when it is reached."""

    __slots__ = ("answers", "most", "open", "reclaim")

    def __init__(self, most: int = UNBOUNDED, reclaim: Callable[[], None] = lambda: None) -> None:
        self.most = most
        self.open = 0
        self.reclaim = reclaim
        self.answers = DEFAULT_LIMITS
        """Bounds of the answers that are read from those opened from now on."""

    def full(self) -> bool:
        """Whether no more may be opened now; idle ones are then on their way out."""
        if self.open < self.most:
            return False
        self.reclaim()
        return True

    def __repr__(self) -> str:
        return f"<Sockets {self.open} of {self.most}>"
