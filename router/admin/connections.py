"""Bounds of the admin listener's connections, which aiohttp leaves to a proxy in front.

A client that never completes a request head, or never begins one, holds a file descriptor of the
control process for ever; enough of them and the store cannot be opened any more. So a connection
without a request under way has :data:`HEAD_S`, and there are at most :data:`CONNECTIONS_MAX`.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any, Final, cast

from aiohttp import web

HEAD_S: Final = 10.0
"""Time for a complete request head, on a new connection as on a kept one; then it is closed."""
SWEEP_S: Final = 1.0
"""How often connections are looked at, hence how late one is closed."""
CONNECTIONS_MAX: Final = 256
"""Open connections; one more is closed before a byte of it is read."""


class _Refused(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()


class Connections:
    """Makes the protocols of a listener and closes what waits too long."""

    def __init__(self, server: web.Server) -> None:
        self._server = server
        self._idle_since: dict[Any, float] = {}
        self._busy: dict[Any, int] = {}
        self._fresh: set[Any] = set()
        """Made, but the server does not count them yet: many are accepted in one turn."""

    def __repr__(self) -> str:
        return f"<Connections {len(self._server.connections)} open, {len(self._busy)} busy>"

    def protocol(self) -> asyncio.BaseProtocol:
        """For one accepted connection."""
        self._fresh.difference_update(self._server.connections)
        if len(self._server.connections) + len(self._fresh) >= CONNECTIONS_MAX:
            return _Refused()
        made = self._server()
        self._fresh.add(made)
        return cast("asyncio.BaseProtocol", made)

    def began(self, request: web.BaseRequest) -> None:
        """Its head is complete; what follows has limits of its own."""
        self._busy[request.protocol] = self._busy.get(request.protocol, 0) + 1

    def ended(self, request: web.BaseRequest) -> None:
        """It was answered: the connection may wait for the next."""
        left = self._busy.pop(request.protocol) - 1
        if left:
            self._busy[request.protocol] = left
        self._idle_since[request.protocol] = monotonic()

    def sweep(self) -> None:
        """Close connections that have waited too long for a head."""
        self._fresh.clear()
        now = monotonic()
        live = self._server.connections
        since = self._idle_since
        self._idle_since = {one: since.get(one, now) for one in live}
        for one in live:
            if one not in self._busy and now - self._idle_since[one] > HEAD_S:
                one.force_close()
