"""One client connection: requests in, one exchange at a time, answers out in order.

The connection outlives its exchanges. While one is under way the parser hands on nothing further;
bytes of pipelined requests wait in it, and when too many of them arrive reading stops, so a client
that never reads its answers costs one receive buffer.
"""

from __future__ import annotations

import asyncio
import random
import select
import socket
import struct
import sys
from fcntl import ioctl
from ipaddress import ip_address
from termios import TIOCOUTQ
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from router.http1 import ClientFramingError, Peer, RequestParser
from router.http1.messages import UPGRADE
from router.proxy.admission import begin
from router.proxy.exchange import Exchange
from router.proxy.quota import grouped
from router.proxy.replies import LINGER_BYTES_MAX, LINGER_S, Refusal, reply
from router.proxy.shared import ClientSide
from router.proxy.upgrade import exchange_for
from router.telemetry.recorder import unit_of

if TYPE_CHECKING:
    from router.http1 import RequestHead
    from router.proxy.shared import Shared

WRITE_HIGH_BYTES: Final = 65_536
"""Unsent bytes towards a client above which its version's connection stops being read."""
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 s: the close is a reset, HTTP/1.0's only sign of an incomplete answer."""
PIPELINED_BYTES_MAX: Final = 65_536
"""Bytes of further requests read while one is under way; then reading stops, however few they are
(``limits.pipelined`` bounds their number)."""
REST_S: Final = 0.1
"""How long a connection rests on average that was answered 429."""
OVER_MAX: Final = 16
"""Connections beyond the limit that are given time to read that there are too many."""


class Downstream(ClientSide, asyncio.Protocol):
    """One client connection: parser, the exchange under way, and when to read."""

    __slots__ = ("choked", "closing", "exchange", "lingered", "parser", "peer", "plane", "reading",
                 "since", "transport", "unsent", "who")  # fmt: skip

    peer: Peer

    def __init__(self, plane: Shared[Exchange]) -> None:
        self.plane = plane
        self.parser = RequestParser(self, plane.parser_limits)
        self.exchange: Exchange | None = None
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.since = monotonic()
        """When the present wait began: for a request, the rest of its head, the reader, the end."""
        self.reading = True
        self.choked = False
        """More than WRITE_HIGH_BYTES are unsent; no further request is begun meanwhile."""
        self.unsent = 0
        """Bytes unsent at the last look at a client that is slow to take them."""
        self.closing = False
        self.lingered = 0

    # --- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        plane = self.plane
        self.transport = cast("asyncio.Transport", transport)
        plane.connections.add(self)
        if len(plane.connections) + len(plane.tunnels) > plane.connections_max:
            plane.recorder.reject("connections")
            self.write(reply(503, "connections", "too many connections", keep_alive=False,
                             retry_after_s=1))  # fmt: skip
            self.close(linger=len(plane.connections) <= plane.connections_max + OVER_MAX)
            return
        self.transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        name = transport.get_extra_info("peername")
        address = str(name[0]) if name else "unknown"
        secure = transport.get_extra_info("sslcontext") is not None
        self.peer = Peer(
            address.encode(), scheme=b"https" if secure else b"http",
            trusted=self.is_trusted(address),
        )  # fmt: skip
        self.who = 0 if self.peer.trusted else unit_of(b"a" + grouped(self.peer.address)) or 1

    def is_trusted(self, address: str) -> bool:
        """Whether this is the address of one of our proxies."""
        networks = self.plane.trusted
        if not networks:
            return False
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in networks)

    def data_received(self, data: bytes) -> None:
        """Bytes of requests."""
        if self.closing:
            self._drain(data)
            return
        parser = self.parser
        behind = parser.behind
        if self.exchange is None and not parser.rest:
            self.since = monotonic()
        try:
            parser.feed(data)
        except ClientFramingError as error:
            self.broken(error)
            return
        if parser.behind:
            if not behind:
                self._later()
        elif parser.rest and parser.paused and self._ahead():
            self.flow()

    def _drain(self, data: bytes) -> None:
        self.lingered += len(data)
        if self.lingered > LINGER_BYTES_MAX:
            self.abort()

    def eof_received(self) -> bool:
        """The client sends nothing more; one that half-closes has left (as nginx counts it)."""
        self.parser.feed_eof()
        if self.exchange is not None:
            exchange, self.exchange = self.exchange, None
            exchange.client_left()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The socket is gone."""
        self.plane.connections.discard(self)
        self.closing = True
        self.parser.close()
        if self.exchange is not None:
            exchange, self.exchange = self.exchange, None
            exchange.client_left()

    def pause_writing(self) -> None:
        """More than WRITE_HIGH_BYTES are unsent."""
        self.choked = True
        self.since = monotonic()
        self.unsent = self.transport.get_write_buffer_size()
        if self.exchange is not None:
            self.exchange.pause_download()

    def resume_writing(self) -> None:
        """They have been sent."""
        self.choked = False
        if self.exchange is not None:
            self.exchange.resume_download()
        elif not self.closing:
            self.since = monotonic()
            self._next()

    # --- the parser's handler -----------------------------------------------------------------

    def on_request(self, head: RequestHead, body: bytes, complete: bool, /) -> None:
        """A request; the parser goes on when it has been answered."""
        if complete:
            self.parser.paused = True
        if head.kinds & UPGRADE:
            exchange = exchange_for(self, head, body, complete)
        else:
            exchange = Exchange(self, head, body, complete)
        self.exchange = exchange
        begin(exchange)

    def on_body(self, piece: bytes, complete: bool, /) -> None:
        """More of its body; of one that was answered early, nobody wants it."""
        if complete:
            self.parser.paused = True
        if self.exchange is not None:
            self.exchange.on_upload(piece, complete)

    # --- what an exchange may do --------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Bytes of an answer."""
        self.transport.write(data)

    def flow(self) -> None:
        """Read, or stop reading: a body that nobody takes now, or too much that is pipelined.

        To be called whenever one of these may have changed.
        """
        exchange, parser = self.exchange, self.parser
        wanted = exchange is None or exchange.takes
        reading = wanted and not (parser.behind or (parser.paused and self._ahead()))
        if reading is not self.reading:
            self.reading = reading
            if reading:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def _ahead(self) -> bool:
        """Whether more waits behind the present request than a client may send ahead."""
        parser = self.parser
        return (
            parser.buffered_bytes > PIPELINED_BYTES_MAX
            or parser.waiting > self.plane.serving.limits.pipelined
        )

    def done(self, keep: bool, now: float = 0.0) -> None:
        """The exchange is over and its answer is written."""
        self.exchange = None
        if not keep or self.closing:
            # The client may still be sending: a body nobody wants, or requests behind a last one.
            self.close(linger=True)
            return
        self.since = now or monotonic()
        if self.choked:
            return
        if self.parser.rest or not self.reading:
            self._next()
        else:
            self.parser.paused = False

    def _next(self) -> None:
        """The next request, which may be here already."""
        try:
            self.parser.resume()
        except ClientFramingError as error:
            self.broken(error)
        if self.parser.behind:
            self._later()
        elif not self.reading:
            self.flow()

    def _later(self) -> None:
        """The rest of a costly read in the next turn of the loop; nothing is read meanwhile."""
        self.flow()
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        if self.parser.behind:
            self._next()

    def broken(self, error: ClientFramingError) -> None:
        """A message with no reading, or with two: refuse it and everything behind it."""
        exchange = self.exchange
        if exchange is not None:
            exchange.client_broke(Refusal(error.status, "framing", error.reason))
            return
        self.plane.recorder.reject("framing")
        self.write(reply(error.status, "framing", error.reason,
                         keep_alive=False))  # fmt: skip
        self.close(linger=True)

    def close(self, *, linger: bool = False) -> None:
        """Close when everything is written; ``linger`` first reads the client's rest away.

        Otherwise bytes that arrive behind the close answer with a reset, which may overtake what
        was written (RFC 9112 section 9.6). A TLS transport does the same by its own shutdown.
        """
        if self.closing:
            return
        self.closing = True
        self.parser.close()
        self.since = monotonic()
        self.unsent = self.transport.get_write_buffer_size()
        if not linger or not self.transport.can_write_eof():
            self.transport.close()
            return
        try:
            self.transport.write_eof()
        except OSError:  # the client has reset the connection, and nobody has noticed yet
            self.transport.close()
            return
        self.plane.lingering.add(self)
        self.flow()

    def detach(self) -> asyncio.Transport:
        """Hand the socket over: what follows on it is no HTTP."""
        self.exchange = None
        self.closing = True
        self.parser.close()
        self.plane.connections.discard(self)
        return self.transport

    def rest(self) -> None:
        """Let its next request wait, unless it carries those of many clients."""
        if not self.peer.trusted:
            self.choked = True
            self.plane.resting.add(self)
            self._rest()

    def _rest(self) -> None:
        # Not all for the same time: they would come back together, and others wait behind them.
        asyncio.get_running_loop().call_later(REST_S * (0.5 + random.random()), self._rested)  # noqa: S311 - no secret

    def _rested(self) -> None:
        resting = self.plane.resting
        if self.closing or not self.transport.get_write_buffer_size():
            resting.discard(self)
            if not self.closing:
                self.go_on()
        elif self in resting:
            self._rest()

    def go_on(self) -> None:
        """It has rested: begin the next request."""
        if self.choked and self.exchange is None:
            self.resume_writing()

    @property
    def sent_ahead(self) -> bool:
        """Whether bytes wait behind the present request."""
        return bool(self.parser.rest)

    def close_idle(self) -> None:
        """Close, unless a request is under way or on its way."""
        if self.exchange is None and not self.closing and not self.parser.buffered_bytes:
            self.close()

    def cut(self) -> None:
        """Close in the middle of an answer, behind what was written of it."""
        self.exchange = None
        self.close()

    def abort(self) -> None:
        """Reset the connection: a mere end of stream would complete an answer that ends with it."""
        self.exchange = None
        self.closing = True
        self.parser.close()
        if self._fd() >= 0:
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    # --- the sweeper --------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """Called about once a second: waits that took too long."""
        if self.choked or self.closing:
            self._sweep_unsent(now)
        elif self.exchange is not None:
            if not self.reading and self.gone():
                self.leave()
        elif self.parser.buffered_bytes:
            if now - self.since > self.plane.serving.limits.header_timeout_s:
                self.plane.recorder.reject("header_timeout")
                self.write(reply(408, "header_timeout", "the request did not arrive in time",
                                 keep_alive=False))  # fmt: skip
                self.close(linger=True)
        elif now - self.since > self.plane.serving.limits.keep_alive_s:
            self.close()

    def _sweep_unsent(self, now: float) -> None:
        """A client that takes nothing of its answer for the body timeout is as good as gone."""
        unsent = self.transport.get_write_buffer_size() + self._in_kernel()
        if unsent != self.unsent:
            self.unsent = unsent
            self.since = now
        elif unsent:
            if now - self.since > self.plane.serving.limits.body_timeout_s:
                self.leave()
        elif self.closing and now - self.since > LINGER_S:
            self.transport.close()

    def _in_kernel(self) -> int:
        """Bytes that the kernel holds unacknowledged: a slow reader moves these first."""
        fd = self._fd()
        if fd < 0:
            return 0
        return int.from_bytes(ioctl(fd, TIOCOUTQ, bytes(4)), sys.byteorder)

    def _fd(self) -> int:
        """The socket's, -1 when it is closed (uvloop's would go on naming the number)."""
        if self not in self.plane.connections:
            return -1
        connection = self.transport.get_extra_info("socket")
        return connection.fileno() if connection is not None else -1

    def gone(self) -> bool:
        """Whether a client that is not being read from has left: its end of stream goes unseen."""
        fd = self._fd()
        if fd < 0:
            return False
        poll = select.poll()
        poll.register(fd, select.POLLRDHUP)
        return bool(poll.poll(0))

    def leave(self) -> None:
        """The client has left, or is as good as gone; nobody is to blame."""
        exchange = self.exchange
        self.abort()
        if exchange is not None:
            exchange.client_left()

    def __repr__(self) -> str:
        state = "closing" if self.closing else "busy" if self.exchange else "idle"
        return f"<Downstream {state} {self.parser!r}>"
