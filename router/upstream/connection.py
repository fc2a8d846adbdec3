"""An endpoint, and a connection to it: a protocol that carries one request at a time.

It takes a head and pieces of a body and knows how they go out; no bytes of HTTP are made above it.
Whoever uses it is a :class:`Receiver`. It calls :meth:`Connection.start` (and ``write`` for the
rest of a streamed body) and is called back with the answer, and exactly once with its end: either
``complete``, or ``on_failure``, or it calls :meth:`Connection.abandon` itself.

A connection goes back to the pool only when nothing can be left of this exchange on the wire: the
answer ended by its own framing, the request was sent in full (an early answer leaves body bytes
that the backend would read as the next request), no byte came behind the answer. Before it is used
again the socket is asked once more: bytes nobody asked for, or an end of stream, and it is thrown
away (response queue poisoning; aiohttp issue 13656).
"""

from __future__ import annotations

import asyncio
import os
import random
import select
import time
from collections import deque
from math import inf
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from router.http1 import (
    NO_BODY,
    MessageHandler,
    ResponseParser,
    UpstreamFramingError,
    body_piece,
    request_head,
)
from router.http1.derivable import mypyc_attr
from router.http1.messages import CHUNKED
from router.http1.switching import SwitchingParser
from router.upstream.failure import Failure
from router.upstream.names import literal
from router.upstream.patience import IdlePatience

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.core.wire.endpoint import EndpointEntry as Address
    from router.core.wire.table import VersionEntry
    from router.http1 import Peer, RequestHead, ResponseHead
    from router.upstream.sockets import Sockets

WRITE_HIGH_BYTES: Final = 65_536
"""Unsent bytes towards a backend above which the sender is asked to pause."""
LAST_READ_BYTES: Final = 65_536
"""Looked for after a failed write: an early answer may lie before the reset that followed it."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Receiver:
    """Who sent the request and takes the answer. A base class, so calls are compiled."""

    __slots__ = ()

    def on_interim(self, head: ResponseHead, /) -> None:
        """A 1xx answer."""

    def on_response(self, head: ResponseHead, body: bytes, complete: bool, /) -> None:
        """The final answer began; with ``complete`` the connection is no longer the receiver's."""

    def on_body(self, piece: bytes, complete: bool, chunk: bytes = b"", /) -> None:
        """More of it; with ``chunk`` it came as a whole one, framed as the writer frames it."""

    def on_failure(self, failure: Failure, /) -> None:
        """The connection is gone and the answer will never be complete."""

    def pause_upload(self) -> None:
        """The backend reads slower than the request body arrives."""

    def resume_upload(self) -> None:
        """It caught up."""


class Awaited(Protocol):
    """A connection that is being opened for a waiter."""

    waiter: Any
    """Of it: a `Waiter`, or None."""

    def hand_over(self, connection: Connection, /) -> None:
        """The waiter goes on with this one."""


class Endpoint:
    """Live state of one address; a name of several has one for each. Only its pool changes it."""

    __slots__ = ("address", "authority", "dirty", "ejected_until", "failed_probes",
                 "healthy", "idle", "in_flight", "ip", "keep_s", "last_error", "load", "open",
                 "openings", "passed_probes", "patience", "ready", "refusals", "retired", "streak",
                 "unreachable_until")  # fmt: skip

    def __init__(self, address: Address) -> None:
        self.address = address
        self.ip = address.host if literal(address.host) else ""
        """The address connected to; empty while the host's name was not looked up yet."""
        host = f"[{address.host}]" if ":" in address.host else address.host
        self.authority = f"{host}:{address.port}".encode()
        """For the Host field where a client sent none."""
        self.idle: deque[Connection] = deque()
        """Longest idle first; used from the other end, so that surplus ones age and expire."""
        self.keep_s = 0.0
        """How long an idle connection may be used: the policy's word, or less."""
        self.patience = IdlePatience()
        self.open = 0
        """Connections open or being opened."""
        self.openings: dict[Awaited, None] = {}
        """Those for a waiter who asked for this endpoint, the longest under way first."""
        self.in_flight = 0
        self.streak = 0
        """Bad outcomes in a row."""
        self.ejected_until = 0.0
        """Monotonic seconds; 0.0 when not ejected."""
        self.unreachable_until = 0.0
        """Monotonic seconds, when a connect is tried again; 0.0: it can be reached, it seems."""
        self.refusals = 0
        """Failed connects in a row."""
        self.healthy = True
        self.ready: bool | None = None
        """What its probes said; None before the first one."""
        self.passed_probes = 0
        self.failed_probes = 0
        self.retired = False
        """No longer in the policy: connections close as they become free."""
        self.last_error = ""
        self.load = b""
        """What its last answer said of its load; empty: nothing, or nobody asked."""
        self.dirty = False

    @property
    def available(self) -> bool:
        """Whether balancing should consider it."""
        return self.healthy and not self.ejected_until

    def __repr__(self) -> str:
        state = "up" if self.available else "ejected" if self.ejected_until else "unhealthy"
        return (f"<Endpoint {self.address} {state} open={self.open} idle={len(self.idle)} "
                f"in_flight={self.in_flight}>")  # fmt: skip


class Keeper:
    """Whose connections they are: who hears of their ends. A base class, so calls are compiled."""

    __slots__ = ()
    entry: VersionEntry
    sockets: Sockets

    def ended(self, connection: Connection) -> None:
        """The exchange on it is over, however."""
        raise NotImplementedError

    def finished(self, connection: Connection, reusable: bool) -> None:
        """Its answer is complete."""
        raise NotImplementedError

    def lost(self, connection: Connection) -> None:
        """It is closed."""
        raise NotImplementedError

    def left(self, connection: Connection) -> None:
        """Its backend has closed it while it was idle."""
        raise NotImplementedError

    def tunnel_began(self, connection: Connection) -> None:
        """Its socket carries a tunnel from now on."""
        raise NotImplementedError


class Connection(MessageHandler, asyncio.Protocol):
    """One connection to an endpoint; it carries one exchange at a time."""

    __slots__ = (
        "_poll",
        "closed",
        "endpoint",
        "ends_at",
        "exchanges",
        "framing",
        "idle_since",
        "idle_until",
        "parser",
        "pool",
        "reading",
        "receiver",
        "sent_all",
        "transport",
    )  # fmt: skip

    def __init__(self, pool: Keeper, endpoint: Endpoint) -> None:
        self.pool = pool
        self.endpoint = endpoint
        self.parser: ResponseParser = ResponseParser(self, pool.sockets.answers)
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.receiver: Receiver | None = None
        self.sent_all = True
        self.framing = NO_BODY
        """Of the request's body."""
        self.exchanges = 0
        """Requests begun on this connection."""
        self.idle_since = 0.0
        self.idle_until = 0.0
        """Monotonic seconds; idle beyond that, its backend may be about to close it."""
        # A tenth of jitter keeps connections made together from ending together.
        age_s = pool.entry.connection_age_s * random.uniform(0.9, 1.0)  # noqa: S311  # not secret
        self.ends_at = time.monotonic() + age_s if age_s else inf
        """Monotonic seconds; it carries no request that comes later."""
        self.closed = False
        self.reading = True
        """The receiver takes what comes."""
        self._poll: Any = None

    # What a receiver may do.

    def start(  # noqa: PLR0917 - keywords cost, for every request
        self,
        receiver: Receiver,
        head: RequestHead,
        body: bytes,
        last: bool,
        peer: Peer,
        request_id: bytes,
        trace: bytes = b"",
        extra: bytes = b"",
        host: bytes = b"",
    ) -> None:
        """Send a request: its head and what there is of its body, in one write.

        Args:
            receiver: Who takes the answer.
            head: As the client sent it; what goes out is written anew.
            body: What there is of the body.
            last: Nothing of it will follow.
            peer: The client's connection, for X-Forwarded-*.
            request_id: Value of X-Request-Id.
            trace: Ready lines from `headers.child_span`.
            extra: Further ready lines, each with its CRLF.
            host: Value of the Host field, if not the client's.
        """
        self.receiver = receiver
        self.sent_all = last
        self.exchanges += 1
        self.framing = framing = head.framing
        if framing == CHUNKED and (body or last):
            body = body_piece(CHUNKED, body, last)
        self.parser.expect(head.method == b"HEAD")
        host = host or head.host or self.endpoint.authority
        self.transport.write(request_head(head, host, peer, request_id, trace, extra, body))

    def write(self, piece: bytes, *, last: bool) -> None:
        """More of the request body."""
        self.sent_all = last
        data = body_piece(self.framing, piece, last)
        if data:
            self.transport.write(data)

    def abandon(self) -> None:
        """The receiver wants nothing more of this exchange: the backend sees a reset.

        Without effect once the answer was complete: the connection is then no longer its own.
        """
        if self.receiver is not None:
            self.receiver = None
            self.pool.ended(self)
            self.discard()

    def offer_switch(self, take: Callable[[ResponseHead, bytes], None]) -> None:
        """Before `start`: 101 may be the answer, and ``take`` gets it. Never used again."""
        self.parser = SwitchingParser(self, self.pool.sockets.answers, take)

    def detach(self) -> asyncio.Transport:
        """The receiver takes the socket over: a tunnel, which is no request under way any more."""
        self.receiver = None
        self.closed = True
        self.pool.tunnel_began(self)
        return self.transport

    def pause_reading(self) -> None:
        """The client reads slower than the backend sends."""
        self.reading = False
        if not self.closed:
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """It caught up."""
        self.reading = True
        if not (self.closed or self.parser.behind):
            self.transport.resume_reading()

    # What the pool may do.

    def clean(self) -> bool:
        """Whether the socket is silent and open: one system call, made before each use."""
        if self.closed:
            return False
        events = self._poll.poll(0)
        return not events or self._greeted(events)

    def _greeted(self, events: list[tuple[int, int]]) -> bool:
        # Behind a TLS handshake lie the session tickets, unread as yet: they answer nobody.
        fresh_tls = self.endpoint.address.tls and not self.exchanges
        return bool(fresh_tls and events[0][1] == select.POLLIN)

    def usable(self, now: float) -> bool:
        """Whether an idle one may carry a request now."""
        if self.idle_until <= now or self.closed:
            return False
        events = self._poll.poll(0)  # `clean`, without a further call
        return not events or self._greeted(events)

    def discard(self) -> None:
        """Close at once; whatever is unsent or unread is lost."""
        if not self.closed:
            self.closed = True
            self.transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        self._poll = select.poll()
        self._poll.register(
            transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLRDHUP
        )

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer that is due, or of none."""
        if self.closed:
            return
        receiver = self.receiver
        if receiver is None:
            self.endpoint.last_error = "sent bytes nobody asked for"
            self.discard()
            return
        parser = self.parser
        behind = parser.behind
        try:
            if parser.chunks is not None and (piece := parser.whole_chunk(data)):
                receiver.on_body(piece, False, data)
                return
            parser.feed(data)
        except UpstreamFramingError as error:
            self._malformed(error)
            return
        if parser.behind:
            if not behind:
                self._later()
        elif self.receiver is None and not self.closed:
            self._finish()

    def _malformed(self, error: UpstreamFramingError) -> None:
        self.endpoint.last_error = error.reason
        self._fail(Failure.HEAD_SIZE if error.too_large else Failure.MALFORMED)

    def _later(self) -> None:
        """The rest of a costly read in the next turn of the loop; nothing is read meanwhile."""
        if not self.closed:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        if self.closed:
            return
        try:
            self.parser.resume()
        except UpstreamFramingError as error:
            self._malformed(error)
            return
        if self.parser.behind:
            self._later()
            return
        if self.reading:
            self.transport.resume_reading()
        if self.receiver is None and not self.closed:
            self._finish()

    def eof_received(self) -> bool:
        """The backend sends nothing more: the end of an answer delimited that way, or of hope."""
        receiver = self.receiver
        if receiver is not None:
            try:
                self.parser.feed_eof()
            except UpstreamFramingError:
                self._fail(self._lost())
            else:
                if self.receiver is None:
                    self.pool.ended(self)
        elif not self.closed and self.exchanges:
            self.pool.left(self)
        self.discard()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone, by whoever's hand."""
        if exc is not None and self.receiver is not None and not self.endpoint.address.tls:
            self._last_read()
        self.closed = True
        if self.receiver is not None:
            self._fail(self._lost())
        self.pool.lost(self)

    def _last_read(self) -> None:
        """A write failed: the backend has closed, perhaps behind an answer not yet read.

        It answered early (413, 401) and its close with our body unread became a reset. Both event
        loops close the socket only after `connection_lost`.
        """
        sock = self.transport.get_extra_info("socket")
        try:
            data = os.read(sock.fileno(), LAST_READ_BYTES) if sock is not None else b""
        except OSError:
            return
        if data:
            self.data_received(data)

    def pause_writing(self) -> None:
        """More than WRITE_HIGH_BYTES are unsent."""
        if self.receiver is not None:
            self.receiver.pause_upload()

    def resume_writing(self) -> None:
        """They have been sent."""
        if self.receiver is not None:
            self.receiver.resume_upload()

    # The parser's handler.

    def on_interim(self, head: ResponseHead, /) -> None:
        """A 1xx answer."""
        if self.receiver is not None:
            self.receiver.on_interim(head)

    def on_response(self, head: ResponseHead, body: bytes, complete: bool, /) -> None:
        """The final answer, or its beginning."""
        receiver = self.receiver
        if receiver is None:  # abandoned within this very read
            return
        if complete:
            self.receiver = None
        receiver.on_response(head, body, complete)

    def on_body(self, piece: bytes, complete: bool, /) -> None:
        """More of it."""
        receiver = self.receiver
        if receiver is None:
            return
        if complete:
            self.receiver = None
        receiver.on_body(piece, complete)

    def _finish(self) -> None:
        """An answer is complete and the bytes behind it, if any, have been seen."""
        if not self.reading:  # a slow client paused it in the very read that held the end
            self.resume_reading()
        sent = self.sent_all and not self.transport.get_write_buffer_size()
        self.pool.finished(self, sent and self.parser.reusable)

    def _lost(self) -> Failure:
        fresh = self.exchanges == 1 or self.parser.started
        return Failure.RESET if fresh else Failure.STALE

    def _fail(self, failure: Failure) -> None:
        receiver, self.receiver = self.receiver, None
        self.pool.ended(self)
        self.discard()
        if receiver is not None:
            receiver.on_failure(failure)

    def __repr__(self) -> str:
        state = "closed" if self.closed else "busy" if self.receiver is not None else "idle"
        return f"<Connection {self.endpoint.address} {state} exchanges={self.exchanges}>"
