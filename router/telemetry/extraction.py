"""Who asks for how many different things: the busiest clients of a route, in bounded memory.

A worker keeps :data:`CLIENTS_MAX` of them, a kilobyte each; of more, the half that asked least is
forgotten. What it saw of the busiest is told whole, now and then: control adds up the workers.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from router.core.cardinality import REGISTERS, add
from router.core.wire.counts import ClientCounts

if TYPE_CHECKING:
    from router.core.wire.protection import ExtractionEntry

CLIENTS_MAX: Final = 1_024
"""Clients of a route that a worker remembers."""
TOLD_MAX: Final = 32
"""Clients that are told at a time, a kilobyte each."""
TELL_EVERY_S: Final = 1.0
WORKERS_MAX: Final = 32
"""A client that is over a limit has sent one worker at least this part of it."""
READ_EVERY: Final = 8
"""Answers of a client from one that is read to the next."""


class BusyClient:
    """What one client did in this window."""

    __slots__ = ("answers", "dirty", "name", "near", "registers", "requests")

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests = self.answers = self.near = 0
        self.registers = bytearray(REGISTERS)
        self.dirty = False


class Clients:
    """Those of one route."""

    def __init__(self, route: str, about: ExtractionEntry) -> None:
        self.route = route
        self.about = about
        wanted = [about.distinct] if about.distinct else []
        wanted += [about.answers * READ_EVERY] if about.score else []
        self._busy = max(min(wanted, default=0) // WORKERS_MAX, 1)
        self._known: dict[bytes, BusyClient] = {}
        self._window = 0
        self._told_s = 0.0

    def find(self, key: bytes) -> BusyClient | None:
        """The client of this key, where it is known in this window."""
        window = int(time.time()) // self.about.window_s
        if window != self._window:
            self._window = window
            self._known.clear()
        return self._known.get(key)

    def meet(self, key: bytes, name: str) -> BusyClient:
        """A client that :meth:`find` did not find."""
        if len(self._known) >= CLIENTS_MAX:
            by_requests = sorted(self._known.items(), key=lambda item: -item[1].requests)
            self._known = dict(by_requests[: CLIENTS_MAX // 2])
        client = self._known[key] = BusyClient(name)
        return client

    def take(self) -> list[ClientCounts]:
        """The busiest of those that asked since they were told of last."""
        now = time.monotonic()
        if now - self._told_s < TELL_EVERY_S:
            return []
        self._told_s = now
        busy = [one for one in self._known.values() if one.dirty and one.requests >= self._busy]
        busy.sort(key=lambda one: -one.requests)
        for one in busy[:TOLD_MAX]:
            one.dirty = False
        return [
            ClientCounts(
                self.route, one.name, self._window, bytes(one.registers), one.answers, one.near
            )
            for one in busy[:TOLD_MAX]
        ]


def count(client: BusyClient, number: int) -> bool:
    """One more request, of an input with this hash; True: its answer is to be read."""
    client.requests += 1
    client.dirty = True
    add(client.registers, number)
    return client.requests % READ_EVERY == 1
