"""What workers counted of versions, on its way into the books that people see.

A worker that serves a thousand routes tells of all of them in one report. Evidence is taken in at
once (see :mod:`router.control.rollouts.arrivals`); this waits its turn, or it would hold that up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from router.core.wire.counts import VersionCounts
from router.loops import in_turn, net

COUNTS_A_TURN: Final = 32
"""Booked in one turn of the loop, some 0.07 ms each."""

TakeCounts = Callable[[int, tuple[VersionCounts, ...]], None]
"""``book(worker, counts)``"""


class CountsWaiting:
    """First in, first out."""

    def __init__(self, book: TakeCounts) -> None:
        self._waiting: deque[tuple[int, VersionCounts]] = deque()
        self._book = book
        self._coming = False

    def __repr__(self) -> str:
        return f"<CountsWaiting {len(self._waiting)} waiting>"

    def put(self, worker: int, counts: Iterable[VersionCounts]) -> None:
        """Behind what waits; what one turn can book is booked now."""
        self._waiting.extend((worker, one) for one in counts)
        if not self._coming:
            self._part()

    def rest(self) -> None:
        """All of it now: something comes that must be behind it."""
        while self._waiting:
            self._take()

    def _part(self) -> None:
        self._coming = False
        self._take()
        if self._waiting:
            self._coming = True
            in_turn(self._part)

    def _take(self) -> None:
        """The next ones that are of one worker."""
        part: list[VersionCounts] = []
        worker = self._waiting[0][0] if self._waiting else 0
        while self._waiting and self._waiting[0][0] == worker and len(part) < COUNTS_A_TURN:
            part.append(self._waiting.popleft()[1])
        with net("counts"):
            self._book(worker, tuple(part))
