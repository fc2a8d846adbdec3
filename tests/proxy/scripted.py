"""A backend that does exactly what a script says, byte by byte, and remembers what it was sent.

A script is a coroutine function over one accepted connection. The ready ones below are the faults
backends really show; a test picks one by name or writes its own.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from router.core.wire.endpoint import EndpointEntry

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Request:
    """What arrived, as the backend reads it."""

    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    whole: bool = False
    """All of it has arrived."""

    @property
    def method(self):
        return self.line.split(b" ")[0]

    def get(self, name):
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass
class Peer:
    """One connection from the router."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    log: list[Request]
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def head(self) -> Request:
        """The next request's head; the body is still unread."""
        raw = await self.reader.readuntil(b"\r\n\r\n")
        line, *fields = raw[:-4].split(b"\r\n")
        headers = [tuple(one.split(b": ", 1)) for one in fields]
        request = Request(line, headers)
        self.log.append(request)
        return request

    async def request(self) -> Request:
        """The next request, whole."""
        request = await self.head()
        if length := request.get(b"content-length"):
            request.body = await self.reader.readexactly(int(length))
        elif request.get(b"transfer-encoding"):
            while size := int(await self.reader.readuntil(b"\n"), 16):
                request.body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readuntil(b"\n")
        request.whole = True
        return request

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Close with RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def wait_gone(self) -> None:
        """Until the router has closed this connection."""
        while await self.reader.read(65_536):
            pass
        self.gone.set()


Script = Callable[[Peer], Awaitable[None]]


class Scripted:
    """``async with Scripted(script) as backend``; ``backend.endpoint`` is where it listens."""

    def __init__(self, script: Script, host: str = "127.0.0.1", port: int = 0) -> None:
        self.script = script
        self.host, self.port = host, port
        self.requests: list[Request] = []
        self.peers: list[Peer] = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, self.host, self.port, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]
        self.endpoint = EndpointEntry(self.host, self.port)
        self._tasks = set()
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        peer = Peer(reader, writer, self.requests)
        self.peers.append(peer)
        try:
            await self.script(peer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            peer.gone.set()
            writer.close()


def closed_port() -> EndpointEntry:
    """An endpoint that refuses: a port that was just given back."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return EndpointEntry("127.0.0.1", probe.getsockname()[1])


def answers(*replies: bytes) -> Script:
    """Each request of a connection is answered with the next of these bytes, the last repeated."""

    async def script(peer):
        left = list(replies)
        while True:
            await peer.request()
            await peer.send(left.pop(0) if len(left) > 1 else left[0])

    return script


def says(reply: bytes, *, then: str = "hang") -> Script:
    """Answer one request with these bytes, then ``hang``, ``eof`` or ``reset``."""

    async def script(peer):
        await peer.request()
        await peer.send(reply)
        if then == "reset":
            await asyncio.sleep(0.02)  # let the bytes go first: a reset discards what is unsent
            peer.reset()
        elif then == "hang":
            await peer.wait_gone()

    return script


def body_of(size: int) -> bytes:
    """A recognisable body."""
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


def ok(body: bytes = b"ok", *extra: bytes, status: int = 200) -> bytes:
    """A plain answer."""
    lines = b"".join(one + b"\r\n" for one in extra)
    return b"HTTP/1.1 %d X\r\n%bContent-Length: %d\r\n\r\n%b" % (status, lines, len(body), body)


async def echo(peer: Peer) -> None:
    """Answers with the body it got."""
    while True:
        request = await peer.request()
        await peer.send(ok(b"" if request.method == b"HEAD" else request.body))


async def hangs(peer: Peer) -> None:
    """Takes everything, says nothing."""
    await peer.wait_gone()


async def closes(peer: Peer) -> None:
    """Closes after the request."""
    await peer.request()


async def resets(peer: Peer) -> None:
    """Resets after the request."""
    await peer.request()
    peer.reset()


async def drips(peer: Peer) -> None:
    """One byte of a head every 20 ms, for ever."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        await peer.send(b"a")
        await asyncio.sleep(0.02)
