"""Python's cycle collector, kept from holding up the decider.

A full collection looks at everything that lives: 0.1 s with a thousand rollouts, at a moment that
nobody chose. So it is never left to itself. What has lived through a few of the small ones is
looked at once more and then *frozen*, left out of all that follow (Python's ``gc.freeze``): a look
costs what came since the last one, a few milliseconds.

What is frozen is freed when nobody refers to it, as ever; only a circle of such things is not. So
everything is looked at again once the process has been larger by half for an hour: what comes and
goes, such as a page of a thousand routes, leaves no circles worth a second of the decider's time.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

LOOK_EVERY_S: Final = 0.1
"""Between two looks at how much there is to do."""

YOUNG: Final = (700, 5)
"""Allocations to a collection of the youngest (Python's own), and of those to one of the next."""

NEVER: Final = 1_000_000_000
"""Collections of the middle-aged before Python makes a full one of its own accord."""

MIDDLE_MOST: Final = 1
"""Collections of the middle-aged before what is left of them is looked at: some 5,000 objects."""

MIDDLE_TOO_MANY: Final = 4
"""So many since the last look, and it would take too long: a policy of many routes is being read,
which stays or is freed without a collector. It is frozen unseen."""

GROWTH: Final = 0.5
ROOM_BYTES: Final = 64 * 1024 * 1024
"""By what part, and how much more, the process may grow until everything is looked at. Many
rollouts that begin at once stay below."""


LASTS_S: Final = 3_600.0
"""How long it must have been larger."""

AT_ONCE: Final = 3.0
"""Times its size at which nobody waits for that."""

STATM: Final = Path("/proc/self/statm")


async def _at_once() -> None:
    """In this turn."""


class Garbage:
    """See the module; one of a process. :meth:`turn` is called for ever."""

    def __init__(self, wait: Callable[[], Awaitable[None]] = _at_once) -> None:
        """``wait``: for a turn of the loop in which little else is done."""
        self._wait = wait
        self.kept_bytes = 0
        """Of memory after the last look at everything."""
        self.looks = 0
        """Looks at everything."""
        self._grown_s: float | None = None
        """Since when it has been larger, monotonic seconds; None: it is not."""

    def __repr__(self) -> str:
        return f"<Garbage {self.kept_bytes} bytes after {self.looks} full looks>"

    def begin(self) -> None:
        """What lives now has come to stay, and from here on nothing is left to chance."""
        gc.set_threshold(*YOUNG, NEVER)
        gc.enable()
        self._look()

    def _everything(self) -> None:
        gc.unfreeze()
        self._look()

    def _look(self) -> None:
        """At everything that is not frozen: at the start, what the first worker does not share."""
        gc.collect()
        gc.freeze()
        self.kept_bytes = resident_bytes()
        self.looks += 1
        self._grown_s = None

    async def turn(self) -> None:
        """Look, if there is something to look at."""
        await asyncio.sleep(LOOK_EVERY_S)
        if gc.get_count()[2] < MIDDLE_MOST:
            return
        await self._wait()
        if gc.get_count()[2] < MIDDLE_TOO_MANY:
            gc.collect()
        gc.freeze()
        if self._grown(resident_bytes(), time.monotonic()):
            self._everything()

    def _grown(self, size: int, now: float) -> bool:
        """Whether it has been too large for long enough, or is so by far."""
        if size <= self.kept_bytes * (1 + GROWTH) + ROOM_BYTES:
            self._grown_s = None
            return False
        if self._grown_s is None:
            self._grown_s = now
        return now - self._grown_s >= LASTS_S or size > self.kept_bytes * AT_ONCE + ROOM_BYTES


def resident_bytes() -> int:
    """Memory of this process; 0 where the system does not tell, and nothing is looked at again.

    (Counting what is frozen takes as long as looking at it.)
    """
    try:
        pages = int(STATM.read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
