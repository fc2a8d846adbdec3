"""TLS handshakes of the admin listener: strangers who never finish one, or begin many at once.

Whoever can reach the port can open connections and begin handshakes. asyncio's own TLS server makes
them all, whenever their bytes come: 512 in one turn of the loop are half a second in which nobody
is taken back, and who stops in the middle holds a place until its time is over. Here

* at most :data:`WAITING_MAX` are accepted and not finished; one more closes the oldest of them,
* at most :data:`BEGUN_A_TURN` are begun in one turn of the loop, in the order of their first bytes
  (the server signs when it has read a client's first message, 1 ms of CPU with RSA),
* each has :data:`HANDSHAKE_S` from its connection on.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

from router.loops import background

HANDSHAKE_S: Final = 3.0
"""Time for a TLS handshake."""
WAITING_MAX: Final = 512
"""Connections that have not finished their handshake, beside those that can speak."""
BEGUN_A_TURN: Final = 4
"""AdminHandshakes begun in one turn of the loop."""
ACCEPTS_A_TURN: Final = 64
"""Connections accepted in one turn of the loop."""
ACCEPT_PAUSE_S: Final = 1.0
"""After an accept that the operating system refused (no file descriptor), as asyncio does."""


class _Stranger:
    """One accepted connection."""

    __slots__ = ("job", "until", "wire")

    def __init__(self, wire: socket.socket) -> None:
        self.wire = wire
        self.until = monotonic() + HANDSHAKE_S
        self.job: asyncio.Task[None] | None = None


class AdminHandshakes:
    """Accepts on ``bound``; who has finished speaks to a protocol of ``protocol()``."""

    def __init__(
        self,
        bound: socket.socket,
        context: Callable[[], ssl.SSLContext],
        protocol: Callable[[], asyncio.BaseProtocol],
    ) -> None:
        self._bound = bound
        self._context = context
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[_Stranger, None] = {}
        """In the order in which they came."""
        self._spoken: deque[_Stranger] = deque()
        """Their first bytes are there."""
        self._resume: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<AdminHandshakes {len(self)} waiting>"

    def __len__(self) -> int:
        """Accepted and not finished."""
        return len(self._waiting)

    def listen(self, backlog: int) -> None:
        """Accept from now on."""
        self._bound.setblocking(False)
        self._bound.listen(backlog)
        self._loop.add_reader(self._bound, self._accept)

    def close(self) -> None:
        """Accept nobody any more, and end what is not finished."""
        if self._resume is not None:
            self._resume.cancel()
        if self._bound.fileno() >= 0:
            self._loop.remove_reader(self._bound)
            self._bound.close()
        for one in tuple(self._waiting):
            self._drop(one)

    def sweep(self) -> None:
        """Close who has said nothing for too long; called about once a second."""
        now = monotonic()
        for one in tuple(self._waiting):
            if one.until > now:
                return
            self._drop(one)

    def _accept(self) -> None:
        for _ in range(ACCEPTS_A_TURN):
            try:
                wire, _ = self._bound.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                self._loop.remove_reader(self._bound)
                self._resume = self._loop.call_later(
                    ACCEPT_PAUSE_S, self._loop.add_reader, self._bound, self._accept
                )
                return
            if len(self._waiting) >= WAITING_MAX:
                self._drop(next(iter(self._waiting)))
            wire.setblocking(False)
            one = _Stranger(wire)
            self._waiting[one] = None
            self._loop.add_reader(wire, self._spoke, one)

    def _spoke(self, one: _Stranger) -> None:
        """Its first bytes are there, or its end."""
        self._loop.remove_reader(one.wire)
        self._spoken.append(one)
        if len(self._spoken) == 1:
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        for _ in range(min(BEGUN_A_TURN, len(self._spoken))):
            one = self._spoken.popleft()
            if one in self._waiting:
                one.job = background("handshakes", self._shake(one))
        if self._spoken:
            self._loop.call_soon(self._begin)

    async def _shake(self, one: _Stranger) -> None:
        # OSError: no TLS, no common version, gone, or too slow (also ssl.SSLError).
        with contextlib.suppress(OSError):
            await self._loop.connect_accepted_socket(
                self._protocol, one.wire, ssl=self._context(),
                ssl_handshake_timeout=max(0.01, one.until - monotonic()),
            )  # fmt: skip
        self._waiting.pop(one, None)

    def _drop(self, one: _Stranger) -> None:
        del self._waiting[one]
        if one.job is not None:
            one.job.cancel()
            return
        self._loop.remove_reader(one.wire)
        one.wire.close()
