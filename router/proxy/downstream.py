"""One client connection: requests in, one exchange at a time, answers out in order.

The connection outlives its exchanges. While one is under way the parser hands on nothing further;
bytes of pipelined requests wait in it, and when more of them arrive reading stops, so a client that
never reads its answers costs one receive buffer.
"""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from router.http1 import ClientFramingError, Peer, RequestParser
from router.proxy.exchange import Exchange
from router.proxy.replies import LINGER_BYTES_MAX, LINGER_S, reply

if TYPE_CHECKING:
    from router.http1 import RequestHead
    from router.proxy.plane import DataPlane

WRITE_HIGH_BYTES: Final = 65_536
"""Unsent bytes towards a client above which its version's connection stops being read."""
PIPELINED_BYTES_MAX: Final = 65_536
"""Bytes of further requests read while one is under way; then reading stops."""


class Downstream(asyncio.Protocol):
    """See the module."""

    __slots__ = ("closing", "exchange", "holds", "lingered", "parser", "peer", "plane", "since",
                 "transport")  # fmt: skip

    def __init__(self, plane: DataPlane) -> None:
        self.plane = plane
        self.parser = RequestParser(self, plane.parser_limits)
        self.exchange: Exchange | None = None
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.peer: Peer = cast("Peer", None)
        self.since = monotonic()
        """When the present wait began: for a request, for the rest of its head, for the end."""
        self.holds = 0
        """Reasons for not reading: the version is slow, a connection is awaited, pipelining."""
        self.closing = False
        self.lingered = 0

    # --- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        plane = self.plane
        self.transport = cast("asyncio.Transport", transport)
        plane.connections.add(self)
        if len(plane.connections) > plane.connections_max:
            plane.recorder.reject("connections")
            self.write(reply(503, "connections", "too many connections", keep_alive=False,
                             retry_after_s=1))  # fmt: skip
            self.close()
            return
        self.transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        name = transport.get_extra_info("peername")
        address = str(name[0]) if name else "unknown"
        secure = transport.get_extra_info("sslcontext") is not None
        self.peer = Peer(
            address.encode(), scheme=b"https" if secure else b"http",
            trusted=self._trusted(address),
        )  # fmt: skip

    def _trusted(self, address: str) -> bool:
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
        if self.exchange is None and not self.parser.buffered_bytes:
            self.since = monotonic()
        try:
            self.parser.feed(data)
        except ClientFramingError as error:
            self.broken(error)
            return
        if self.parser.paused and self.parser.buffered_bytes > PIPELINED_BYTES_MAX:
            self.transport.pause_reading()

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
        if self.exchange is not None:
            self.exchange.pause_download()

    def resume_writing(self) -> None:
        """They have been sent."""
        if self.exchange is not None:
            self.exchange.resume_download()

    # --- the parser's handler -----------------------------------------------------------------

    def on_request(self, head: RequestHead, body: bytes, complete: bool, /) -> None:
        """A request; the parser goes on when it has been answered."""
        if complete:
            self.parser.pause()
        exchange = self.exchange = Exchange(self, head, body, complete)
        exchange.begin()

    def on_body(self, piece: bytes, complete: bool, /) -> None:
        """More of its body; of one that was answered early, nobody wants it."""
        if complete:
            self.parser.pause()
        if self.exchange is not None:
            self.exchange.on_upload(piece, complete)

    # --- what an exchange may do --------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Bytes of an answer."""
        self.transport.write(data)

    def hold(self) -> None:
        """Stop reading the body: nobody takes it now. Counted; each hold needs its unhold."""
        self.holds += 1
        if self.holds == 1 and self.exchange is not None and not self.exchange.uploaded:
            self.transport.pause_reading()

    def unhold(self) -> None:
        """One reason less."""
        self.holds = max(0, self.holds - 1)
        if not self.holds and not self.transport.is_closing():
            self.transport.resume_reading()

    def done(self, *, keep: bool) -> None:
        """The exchange is over and its answer is written."""
        exchange, self.exchange = self.exchange, None
        if self.holds:
            self.holds = 0
            self.transport.resume_reading()
        if not keep or self.closing:
            self.close(linger=exchange is not None and not exchange.uploaded)
            return
        self.since = monotonic()
        if self.parser.buffered_bytes:
            self.transport.resume_reading()
        try:
            self.parser.resume()
        except ClientFramingError as error:
            self.broken(error)

    def broken(self, error: ClientFramingError) -> None:
        """A message with no reading, or with two: refuse it and everything behind it."""
        self.plane.recorder.reject("framing")
        exchange = self.exchange
        if exchange is not None:
            exchange.client_broke(error.status, "framing", "the request is not valid HTTP")
            return
        self.write(reply(error.status, "framing", "the request is not valid HTTP",
                         keep_alive=False))  # fmt: skip
        self.close(linger=True)

    def close(self, *, linger: bool = False) -> None:
        """Close when everything is written; ``linger`` first reads the client's rest away."""
        if self.closing:
            return
        self.closing = True
        self.parser.close()
        self.since = monotonic()
        if linger and self.transport.can_write_eof():
            self.transport.write_eof()
            self.plane.lingering.add(self)
        else:
            self.transport.close()

    def abort(self) -> None:
        """Reset the connection."""
        self.exchange = None
        self.closing = True
        self.parser.close()
        self.transport.abort()

    # --- the sweeper --------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """Called about once a second: waits that took too long."""
        if self.exchange is not None:
            return
        limits = self.plane.serving.limits
        waited = now - self.since
        if self.closing:
            if waited > LINGER_S:
                self.abort()
        elif self.parser.buffered_bytes:
            if waited > limits.header_timeout_s:
                self.plane.recorder.reject("header_timeout")
                self.write(reply(408, "header_timeout", "the request did not arrive in time",
                                 keep_alive=False))  # fmt: skip
                self.close(linger=True)
        elif waited > limits.keepalive_s:
            self.transport.close()

    def __repr__(self) -> str:
        state = "closing" if self.closing else "busy" if self.exchange else "idle"
        return f"<Downstream {state} {self.parser!r}>"
