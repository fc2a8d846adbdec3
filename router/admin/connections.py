"""The admin listener's connections: bounded, and never so full of strangers that none can order.

Whoever can reach the port can open connections. So there is room of three kinds:

* At most :data:`STRANGERS_MAX` connections that have shown no right yet. One more closes the oldest
  of them that waits without a complete request head; if all have one, the oldest at all. Who knows
  what to say says it within milliseconds and is no stranger any more.
* At most :data:`CONNECTIONS_MAX` in all. Beyond, the oldest that waits between two requests goes.
* :data:`ORDERS_MAX` more for orders alone: what else is asked there is answered 503.

A connection without a request under way has :data:`HEAD_S`. What a client sends that is no HTTP is
answered and logged in our own words: the framework's would repeat it, tokens included, in a stack.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from router.admin.problems import HttpProblem
from router.telemetry.log import get_logger

HEAD_S: Final = 10.0
"""Time for a complete request head, on a new connection as on a kept one; then it is closed."""
SWEEP_S: Final = 1.0
"""How often connections are looked at, hence how late one is closed."""
CONNECTIONS_MAX: Final = 256
"""Open connections of all kinds."""
STRANGERS_MAX: Final = 160
"""Of these, connections on which nobody has shown a right to anything."""
ORDERS_MAX: Final = 32
"""Connections above all others, for orders."""
TOLD_EVERY_S: Final = 1.0
"""Between two lines of the log about requests that are none."""

log = get_logger("router.admin")


class Handler(RequestHandler):
    """One connection, as aiohttp speaks it, in our words where it is not spoken."""

    __slots__ = ("owner",)
    owner: Connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol; after the handshake where there is TLS."""
        super().connection_made(transport)
        self.owner.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Part of asyncio.Protocol."""
        super().connection_lost(exc)
        self.owner.lost(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - repeats what the client sent
    ) -> web.StreamResponse:
        """A problem document for what is no request. Raises ConnectionError in mid-answer."""
        self.owner.tell(status, type(exc).__name__ if exc is not None else "")
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        said = "this is no HTTP request" if status == 400 else "this request cannot be answered"
        response = HttpProblem(status, said).response()
        self.owner.protect(response)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **more: Any) -> None:
        """One line without what the client sent."""
        error = more.get("exc_info")
        self.owner.tell(0, type(error).__name__ if error is not None else str(args[:1]))


class Connections:
    """Makes the protocols of a listener, knows who is who, and closes what must give way."""

    def __init__(
        self,
        server: web.Server,
        protect: Callable[[web.StreamResponse], None] = lambda _answer: None,
    ) -> None:
        self._server = server
        self.protect = protect
        self._waiting: dict[Handler, float] = {}
        """Without a request under way, since when; the oldest first."""
        self._busy: dict[Handler, int] = {}
        self._known: set[Handler] = set()
        """Somebody has shown a right here."""
        self._told_s = float("-inf")
        self._untold = 0

    def __repr__(self) -> str:
        return f"<Connections {self.open} open, {len(self._busy)} busy, {len(self._known)} known>"

    @property
    def open(self) -> int:
        """Connections that can speak."""
        return len(self._waiting) + len(self._busy)

    @property
    def crowded(self) -> bool:
        """Only orders are answered now."""
        return self.open > CONNECTIONS_MAX

    def protocol(self) -> asyncio.BaseProtocol:
        """For one accepted connection."""
        made = Handler(
            self._server,
            loop=asyncio.get_running_loop(),
            **self._server._kwargs,  # noqa: SLF001 - what Server.__call__ gives its own class
        )
        made.owner = self
        return made

    def opened(self, one: Handler) -> None:
        """It can speak now; somebody else may have to go."""
        if self.open - len(self._known) >= STRANGERS_MAX:
            self._give_way(lambda other: other not in self._known)
        elif self.open >= CONNECTIONS_MAX + ORDERS_MAX:
            self._give_way(lambda _other: True)
        self._waiting[one] = monotonic()

    def _give_way(self, may: Callable[[Handler], bool]) -> None:
        """The oldest that waits goes, or the oldest that is busy where none waits."""
        for one in (*self._waiting, *self._busy):
            if may(one):
                if one.transport is not None:
                    one.transport.abort()
                self.lost(one)  # its place is free in this turn of the loop
                return

    def lost(self, one: Handler) -> None:
        """It is closed."""
        self._waiting.pop(one, None)
        self._busy.pop(one, None)
        self._known.discard(one)

    def admitted(self, request: web.BaseRequest) -> None:
        """Whoever asks has shown a right."""
        one = cast("Handler", request.protocol)
        if one in self._busy or one in self._waiting:
            self._known.add(one)

    def began(self, request: web.BaseRequest) -> None:
        """Its head is complete; what follows has limits of its own."""
        one = cast("Handler", request.protocol)
        self._waiting.pop(one, None)
        self._busy[one] = self._busy.get(one, 0) + 1

    def ended(self, request: web.BaseRequest) -> None:
        """It was answered: the connection may wait for the next."""
        one = cast("Handler", request.protocol)
        left = self._busy.pop(one, 0) - 1
        if left > 0:
            self._busy[one] = left
        elif one.transport is not None:
            self._waiting[one] = monotonic()

    def sweep(self) -> None:
        """Close connections that have waited too long for a head."""
        late = monotonic() - HEAD_S
        for one in [one for one, since in self._waiting.items() if since < late]:
            one.force_close()

    def tell(self, status: int, why: str) -> None:
        """One line of the log, once a second at most: strangers must not fill a disk."""
        now = monotonic()
        if now - self._told_s < TOLD_EVERY_S:
            self._untold += 1
            return
        log.warning("admin_bad_request", status=status, error=why, more=self._untold)
        self._told_s, self._untold = now, 0
