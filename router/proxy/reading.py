"""Answers that are read before a client sees them, or beside their going out.

What is read, and why, say :mod:`inspection` (the payload) and :mod:`streams` (the first token).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.http1 import ResponseHead
    from router.proxy.serving import ServedRoute


class AnswerReading:
    """One answer while it is read."""

    __slots__ = ("body", "head", "holds", "route", "said", "unreadable", "withheld")

    first_byte_at_end = False
    """The head alone is no answer: its time to the first byte is that of the end of the reading."""

    def __init__(self, route: ServedRoute, head: ResponseHead, *, holds: bool) -> None:
        self.route = route
        self.head = head
        self.holds = holds
        """The client gets nothing until the reading is over."""
        self.unreadable = False
        """It was read to its end, and is no answer."""
        self.withheld = False
        """The client must not see it."""
        self.said: tuple[ResponseHead, bytes] | None = None
        """What the version said, where ``head`` and ``body`` have become something else."""
        self.body = bytearray()

    def more(self, piece: bytes, complete: bool) -> bool:
        """A piece came; True: the reading is over, well or not."""
        raise NotImplementedError

    def due(self, now: float, since: float) -> float:
        """When the version has to have said more; ``since``: the attempt's beginning."""
        raise NotImplementedError
