"""Counted outcomes on their way to the evidence: no turn takes in more than its part."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from router.core.wire.outcomes import Batch

BATCHES_A_TURN: Final = 8
"""Taken in at once, some 0.2 ms each."""


class Arrivals:
    """First in, first out."""

    def __init__(self) -> None:
        self._waiting: deque[Batch] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __repr__(self) -> str:
        return f"<Arrivals {len(self._waiting)} waiting>"

    def put(self, batches: tuple[Batch, ...]) -> None:
        """Behind what waits."""
        self._waiting.extend(batches)

    def part(self) -> Iterator[Batch]:
        """What one turn takes in."""
        for _ in range(min(BATCHES_A_TURN, len(self._waiting))):
            yield self._waiting.popleft()

    def rest(self) -> Iterator[Batch]:
        """All of it: something comes that must be behind it."""
        while self._waiting:
            yield self._waiting.popleft()
