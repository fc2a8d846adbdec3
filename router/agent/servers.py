"""What Envoy connects to: discovery of routes by long poll, and the reader of its records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgpack
from aiohttp import web

from router.agent.offers import Offers, Resource, Say
from router.agent.outcomes import Record
from router.loops import net

POLL_S: Final = 10.0
"""How long a question waits for something new."""
MESSAGE_BYTES_MAX: Final = 67_108_864
"""Of one message of records; Envoy keeps 8 MiB of them."""


class Discovery:
    """Answers Envoy's questions; ``asked`` is called after each."""

    def __init__(self, offers: Offers, asked: Callable[[], None]) -> None:
        self._offers = offers
        self._asked = asked
        self._news = asyncio.Event()
        self._runner: web.AppRunner | None = None

    def news(self) -> None:
        """Something else may be offered now: whoever waits is looked at again."""
        self._news.set()
        self._news = asyncio.Event()

    async def start(self, path: Path) -> None:
        """Listen. Raises OSError."""
        app = web.Application()
        app.router.add_post("/v3/discovery:{kind}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        gone(path)
        await web.UnixSite(self._runner, str(path)).start()

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            kind = Resource(request.match_info["kind"])
            has = str((await request.json()).get("version_info", ""))
        except (ValueError, AttributeError):
            raise web.HTTPBadRequest from None
        offer = self._offers.of[kind]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + POLL_S
        while True:
            news = self._news
            say = offer.asked(has)
            with net("discovery"):
                self._asked()
            if say is Say.NOW:
                return web.Response(body=offer.body, content_type="application/json")
            if news is self._news:
                try:
                    async with asyncio.timeout_at(deadline):
                        await news.wait()
                except TimeoutError:
                    return web.Response(status=304)

    async def close(self) -> None:
        """Answer nobody any more."""
        if self._runner is not None:
            await self._runner.cleanup()


def gone(path: Path) -> None:
    """A former agent's socket; who is connected to it stays so."""
    path.unlink(missing_ok=True)


class Records(asyncio.Protocol):
    """Envoy's Fluentd logger: ``[tag, [[seconds, record], ...], options]``, back to back."""

    def __init__(self, take: Callable[[Record], None], here: set[asyncio.BaseTransport]) -> None:
        self._take = take
        self._here = here
        self._transport: asyncio.BaseTransport | None = None
        self._unpacker = msgpack.Unpacker(
            raw=False, unicode_errors="surrogateescape", max_buffer_size=MESSAGE_BYTES_MAX
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        self._transport = transport
        self._here.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Part of asyncio.Protocol."""
        if self._transport is not None:
            self._here.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol.

        Envoy tells of a request's passing before its record: what both of them brought by now is
        taken in that order, whichever was read first.
        """
        asyncio.get_running_loop().call_soon(self._read, data)

    def _read(self, data: bytes) -> None:
        """Each record in turn; one that is none costs nobody else."""
        try:
            self._unpacker.feed(data)
            for message in self._unpacker:
                self._all(message)
        except (ValueError, msgpack.exceptions.UnpackException):
            if isinstance(self._transport, asyncio.Transport):
                self._transport.abort()  # what follows has no beginning; Envoy connects anew

    def _all(self, message: Any) -> None:
        for entry in message[1] if isinstance(message, list) and len(message) > 1 else ():
            with net("records"):
                self._take(entry[1])


async def read_records(
    path: Path, take: Callable[[Record], None], here: set[asyncio.BaseTransport]
) -> asyncio.AbstractServer:
    """Take records; ``here`` are the connections. Raises OSError."""
    gone(path)
    loop = asyncio.get_running_loop()
    return await loop.create_unix_server(lambda: Records(take, here), str(path))
