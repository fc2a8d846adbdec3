"""What others are told: delivered in order for each of them, with retries, never waited for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from router.loops import background, net
from router.telemetry.log import get_logger

QUEUE_MAX: Final = 100
"""Deliveries that wait for one destination; the oldest is dropped beyond and counted."""

TROUBLES_MAX: Final = 64
"""Destinations that are told as out of reach."""

AT_ONCE_MAX: Final = 16
"""Deliveries under way to all destinations."""

PAUSE_S: Final = 1.0
"""Before the first retry; each further pause is twice as long."""

PAUSE_MAX_S: Final = 300.0

log = get_logger("router.control")


class Undelivered(Exception):  # noqa: N818 - reads as the answer it is
    """One try failed; the text says why, without secrets."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.final = final
        """Trying again would end the same way."""


def refused(status: int) -> bool:
    """Whether an answer is a clear no, which a repetition does not change."""
    return 400 <= status < 500 and status not in (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something to be carried out once, tried again when it fails."""

    kind: str
    """For metrics: alert, event, post_rollout, registry."""
    send: Callable[[], Awaitable[None]]
    """One try. Raises Undelivered."""
    retries: int
    done: Callable[[str], None] = lambda _error: None
    """Called once at the end: with an empty text, or with the last error."""


CountSent = Callable[[str, str], None]
"""``count(kind, result)`` with a result of delivered, failed or dropped."""


class Outbox:
    """See the module. Destinations are told apart by any text, such as a URL."""

    def __init__(
        self, count: CountSent = lambda _kind, _result: None, *, pause_s: float = PAUSE_S
    ) -> None:
        self._count = count
        self._pause_s = pause_s
        self._waiting: dict[str, deque[Delivery]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE_MAX)
        self._undelivered: dict[str, tuple[str, str]] = {}
        """By destination: the kind and error of its last delivery, while that failed."""

    def __repr__(self) -> str:
        waiting = sum(map(len, self._waiting.values()))
        return f"<Outbox {waiting} waiting for {len(self._tasks)} destinations>"

    def put(self, to: str, delivery: Delivery) -> None:
        """Deliver in the background, after what waits for ``to`` already."""
        queue = self._waiting.setdefault(to, deque())
        if len(queue) >= QUEUE_MAX:
            dropped = queue.popleft()
            self._count(dropped.kind, "dropped")
            dropped.done(f"{QUEUE_MAX} deliveries wait already")
        queue.append(delivery)
        if to not in self._tasks:
            self._tasks[to] = background("outbox", self._work(to, queue))

    def troubles(self) -> list[str]:
        """Whom nothing reaches now, as sentences; no URL, which may be a secret."""
        return [f"undelivered {kind}: {error}" for kind, error in self._undelivered.values()]

    async def close(self, within_s: float) -> None:
        """Let what is under way finish for a moment, then drop the rest."""
        tasks = list(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks, timeout=within_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, to: str) -> None:
        self._tasks.pop(to, None)
        for delivery in self._waiting.pop(to, ()):
            self._count(delivery.kind, "dropped")

    async def _work(self, to: str, queue: deque[Delivery]) -> None:
        try:
            while queue:
                with net("outbox"):
                    await self._carry_out(to, queue.popleft())
        finally:
            self._forget(to)

    async def _carry_out(self, to: str, delivery: Delivery) -> None:
        error = "the router failed to send it"
        with net("outbox"):
            error = await self._deliver(delivery)
        self._count(delivery.kind, "failed" if error else "delivered")
        self._undelivered.pop(to, None)
        if error:
            log.warning("undelivered", kind=delivery.kind, error=error)
            if len(self._undelivered) < TROUBLES_MAX:
                self._undelivered[to] = delivery.kind, error
        delivery.done(error)

    async def _deliver(self, delivery: Delivery) -> str:
        error = ""
        for attempt in range(delivery.retries + 1):
            if attempt:
                await asyncio.sleep(min(self._pause_s * 2.0 ** (attempt - 1), PAUSE_MAX_S))
            async with self._at_once:
                try:
                    await delivery.send()
                except Undelivered as failed:
                    error = str(failed)
                    if failed.final:
                        return error
                else:
                    return ""
        return error
