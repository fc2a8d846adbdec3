"""What the disk said, on its way to those who wait for it: a few of them in each turn of the loop.

Sixty-four transactions become one (:mod:`router.control.state.sqlite`), and each of those who
waited goes on when it is on the disk: begins a trial, publishes, tells. All of them in one turn
would keep a bad answer of somebody else's candidate waiting.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from router.control.state.errors import StoreUnavailable

ANSWERS_A_TURN: Final = 8
"""Who waited goes on in some 0.5 ms each."""


class Answered:
    """First in, first out."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[asyncio.Future[None], StoreUnavailable | None]] = deque()
        self._coming = False

    def __repr__(self) -> str:
        return f"<Answered {len(self._waiting)} waiting>"

    def put(self, done: asyncio.Future[None], failure: StoreUnavailable | None) -> None:
        """Behind what waits; called in the loop's own thread."""
        self._waiting.append((done, failure))
        if not self._coming:
            self._coming = True
            self._loop.call_soon(self._part)

    def rest(self) -> None:
        """All of it now: the store closes."""
        while self._waiting:
            self._settle()

    def _part(self) -> None:
        for _ in range(min(ANSWERS_A_TURN, len(self._waiting))):
            self._settle()
        self._coming = bool(self._waiting)
        if self._coming:
            self._loop.call_soon(self._part)

    def _settle(self) -> None:
        done, failure = self._waiting.popleft()
        if done.done():
            return
        if failure is None:
            done.set_result(None)
        else:
            done.set_exception(failure)
