"""The listener for TLS clients: a handshake under way counts as an open connection.

asyncio's own TLS server makes handshakes before anybody is asked, so clients that begin one and
stop would cost memory and a file descriptor each without a bound. Here they count against
``limits.connections`` from the moment they are accepted, and have the time of a request head.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Final

from router.loops import background
from router.proxy.downstream import Downstream

if TYPE_CHECKING:
    from router.config.certificate import ServerCertificate
    from router.proxy.exchange import Exchange
    from router.proxy.shared import Shared

ACCEPT_PAUSE_S: Final = 1.0
"""After an accept that the operating system refused (no file descriptor), as asyncio does."""
TLS_SHUTDOWN_S: Final = 1.0
"""How long a TLS client may take to confirm the end of its connection."""


class Handshakes:
    """See the module. ``bound`` is a bound socket that does not block."""

    def __init__(
        self, plane: Shared[Exchange], certificate: ServerCertificate, bound: socket.socket,
        accepts_per_turn: int,
    ) -> None:  # fmt: skip
        self._plane = plane
        self._certificate = certificate
        self._socket = bound
        self._accepts_per_turn = accepts_per_turn
        self._under_way: set[asyncio.Task[None]] = set()
        self._resume: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._under_way)

    def __repr__(self) -> str:
        return f"<Handshakes {len(self)} under way>"

    def listen(self, backlog: int) -> None:
        """Accept from now on."""
        self._socket.listen(backlog)
        self._loop.add_reader(self._socket, self._accept)

    def close(self) -> None:
        """Accept nobody any more; what is under way goes on."""
        if self._resume is not None:
            self._resume.cancel()
            self._resume = None
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def abort(self) -> None:
        """End what is under way."""
        for task in self._under_way:
            task.cancel()

    def begin(self, client: socket.socket) -> None:
        """Shake hands with an accepted client; one too many sees its connection end."""
        plane = self._plane
        if len(plane.connections) + len(plane.tunnels) + len(self) >= plane.connections_max:
            plane.recorder.reject("connections")
            client.close()
            return
        client.setblocking(False)
        task = background("handshakes", self._shake(client))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def _accept(self) -> None:
        for _ in range(self._accepts_per_turn):
            try:
                client, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                self._loop.remove_reader(self._socket)
                self._resume = self._loop.call_later(
                    ACCEPT_PAUSE_S, self._loop.add_reader, self._socket, self._accept
                )
                return
            self.begin(client)

    async def _shake(self, client: socket.socket) -> None:
        plane = self._plane
        # OSError: no TLS, no common version, gone, or too slow (also ssl.SSLError).
        with contextlib.suppress(OSError):
            await self._loop.connect_accepted_socket(
                lambda: Downstream(plane), client, ssl=self._certificate.context,
                ssl_handshake_timeout=plane.serving.limits.header_timeout_s,
                ssl_shutdown_timeout=TLS_SHUTDOWN_S,
            )  # fmt: skip
