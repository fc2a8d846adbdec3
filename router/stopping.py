"""What the operating system asks of the router, and jobs that end with it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from router.loops import awaited


@dataclass
class Signals:
    """What the operating system asked for. Handlers only set events; work is done elsewhere."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    reload: asyncio.Event = field(default_factory=asyncio.Event)

    def install(self) -> None:
        """Listen to SIGTERM, SIGINT and SIGHUP."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)

    def asked_to_stop(self) -> None:
        """The first time drain, the second time hurry."""
        (self.hurry if self.stop.is_set() else self.stop).set()


async def unless_stopped(
    job: Coroutine[Any, Any, None], asked: Signals, begun: Callable[[], bool] = lambda: False
) -> bool:
    """Whether ``job`` was done; a signal to stop cancels what has not ``begun``.

    Raises what it raises.
    """
    task = awaited(job)
    stop = awaited(asked.stop.wait())
    await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not task.done() and not begun():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return False
    await task
    return True


async def unless_hurried(job: Coroutine[Any, Any, None], asked: Signals) -> None:
    """Until it is done, or a second signal says to end at once."""
    task, hurry = awaited(job), awaited(asked.hurry.wait())
    await asyncio.wait({task, hurry}, return_when=asyncio.FIRST_COMPLETED)
    for one in (task, hurry):
        one.cancel()
    await asyncio.gather(task, hurry, return_exceptions=True)
