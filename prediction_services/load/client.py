"""A small HTTP/1.1 client: POST over kept-alive connections, cheaper than a general one.

The generator shares its cores with what it measures. It also must not be helpful: no retries, no
redirects, no decompression, so that each request ends in exactly one answer or one named error.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import httptools

IDLE_MAX_S = 15.0
"""A connection idle for longer is not used again: servers close theirs after 30 s and more."""

BODY_MAX = 16 * 1024 * 1024
"""Bytes of one answer; a longer one counts as `too large`."""


class TransportError(Exception):
    """No complete answer came.

    Attributes:
        kind: `connect` (refused, unreachable), `reset` (closed before an answer began),
            `truncated` (closed within it), `timeout`, `not http`, `too large`.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(slots=True)
class Reply:
    """One complete answer; header names in lower case, the last of equal names wins."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Client:
    """Posts to one origin.

    Args:
        url: `http://host:port/path`, the target of every request.
        headers: sent with every request.

    Raises:
        ValueError: not an http URL.
    """

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"expected an http URL, got {url}")
        self._host, self._port = parts.hostname, parts.port or 80
        fixed = {"Host": parts.netloc, **headers}
        self._head = f"POST {parts.path or '/'} HTTP/1.1\r\n" + _lines(fixed)
        self._idle: list[_Connection] = []

    async def post(self, body: bytes, headers: dict[str, str], timeout_s: float) -> Reply:
        """Send one request on an idle connection, or a new one when there is none.

        Args:
            body: sent with its Content-Length.
            headers: of this request; names and values must be free of line ends.
            timeout_s: from now to the last byte of the answer.

        Raises:
            TransportError: no complete answer came.
        """
        head = f"{self._head}{_lines(headers)}Content-Length: {len(body)}\r\n\r\n"
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(timeout_s):
                connection = self._take() or await self._connect()
                reply = await connection.exchange(head.encode() + body)
        except TimeoutError:
            raise TransportError("timeout") from None
        finally:
            if connection is not None:
                self._give_back(connection)
        return reply

    def close(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _take(self) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.usable(time.monotonic()):
                return connection
            connection.close()
        return None

    def _give_back(self, connection: "_Connection") -> None:
        if connection.usable(time.monotonic()):
            self._idle.append(connection)
        else:
            connection.close()

    async def _connect(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(_Connection, self._host, self._port)
        except TimeoutError:
            raise  # ours or the kernel's: a timeout either way
        except OSError:
            raise TransportError("connect") from None
        return connection


class _Connection(asyncio.Protocol):
    """One connection with at most one exchange; the `on_` methods are httptools' callbacks."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Reply] | None = None
        self._reply = Reply()
        self._begun = False
        self._keep_alive = True
        self._idle_since_s = time.monotonic()

    def usable(self, now_s: float) -> bool:
        """Whether a request may be sent: open, nothing under way, not idle for too long."""
        return (
            self._transport is not None
            and not self._transport.is_closing()
            and self._answer is None
            and self._keep_alive
            and now_s - self._idle_since_s < IDLE_MAX_S
        )

    async def exchange(self, request: bytes) -> Reply:
        """Send the bytes and wait for the answer.

        Raises:
            TransportError: the connection ended first, or what came is not HTTP.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            raise TransportError("reset")
        self._reply, self._begun = Reply(), False
        self._answer = asyncio.get_running_loop().create_future()
        transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Close, dropping whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not a check: uvloop's transports do not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail("not http")

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        # RFC 9112 section 6.3: without a length the body ends with the connection.
        framed = self._reply.headers.keys() & {"content-length", "transfer-encoding"}
        if exc is None and self._reply.status and not framed:
            self.on_message_complete()
        self._fail("truncated" if self._begun else "reset")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._reply.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._reply.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._reply.body += body
        if len(self._reply.body) > BODY_MAX:
            self._fail("too large")

    def on_message_complete(self) -> None:
        if 100 <= self._reply.status < 200:
            self._reply = Reply()  # an interim answer; the real one follows
            return
        self._keep_alive = self._parser.should_keep_alive()
        answer, self._answer = self._answer, None
        self._idle_since_s = time.monotonic()
        if answer is not None and not answer.done():
            answer.set_result(self._reply)

    def _fail(self, kind: str) -> None:
        self._keep_alive = False
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(TransportError(kind))
        self.close()


def _lines(headers: dict[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())
