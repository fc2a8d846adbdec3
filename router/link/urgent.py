"""When counts are told before their time: at once, but not so often that the link fills up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

SOON_S: Final = 0.05
"""At least between reports of slow candidate requests only: a busy candidate has hundreds a second,
none of which decides alone, and each report costs the control process one to two milliseconds."""
SOON_MOST_S: Final = 0.2
"""The same where slow requests have come all along, as every second one does where a threshold is
stable's median: the pause doubles up to this, and is short again after one without any."""
ASKED_S: Final = 0.01
"""At least between two answers to control: who leads asks when a candidate fails at another router,
and hears that failure after 0.1 s at the latest, answered or not."""


class Urgent:
    """Calls ``report`` for those who cannot wait for its regular time.

    ``spared``: whether nobody reads reports now, so that none comes more often than :data:`SOON_S`.
    """

    __slots__ = (
        "_answer_at", "_asked", "_due", "_pause_s", "_report", "_soon_at", "_spared", "_woken",
    )  # fmt: skip

    def __init__(self, report: Callable[[], None], spared: Callable[[], bool]) -> None:
        self._report, self._spared = report, spared
        self._woken = self._due = self._asked = False
        self._soon_at = self._pause_s = self._answer_at = 0.0

    def wake(self) -> None:
        """Something a rollback may depend on: report once, at the end of this loop turn."""
        if self._spared():
            self.soon()
        elif not self._woken:
            self._woken = True
            asyncio.get_running_loop().call_soon(self._now)

    def soon(self) -> None:
        """A request of the candidate is slow: report at once, unless that was just done."""
        if not self._due:
            self._due = True
            loop = asyncio.get_running_loop()
            now = loop.time()
            if now < self._soon_at:
                loop.call_at(self._soon_at, self._later)
            else:
                self._pause_s = 0.0
                loop.call_soon(self._later)

    def asked(self) -> None:
        """Control waits for what was counted by now: at once, or :data:`ASKED_S` after the last."""
        if not self._asked:
            self._asked = True
            loop = asyncio.get_running_loop()
            loop.call_at(max(self._answer_at, loop.time()), self._answer)

    def _answer(self) -> None:
        self._asked = False
        self._answer_at = asyncio.get_running_loop().time() + ASKED_S
        self._report()

    def _now(self) -> None:
        self._woken = False
        self._report()

    def _later(self) -> None:
        self._due = False
        self._pause_s = min(max(2 * self._pause_s, SOON_S), SOON_MOST_S)
        self._soon_at = asyncio.get_running_loop().time() + self._pause_s
        self._report()
