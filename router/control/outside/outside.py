"""Calls to servers of other people: bounded, and never to where a cloud keeps its keys."""

from __future__ import annotations

import asyncio
import socket
import ssl
from errno import EACCES
from functools import cache
from ipaddress import ip_address
from socket import AF_INET, AddressFamily
from typing import Final

import aiohttp
from aiohappyeyeballs import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from router.core.policy import refusal
from router.core.urls import checked_url
from router.core.words import duration

CALLS_AT_ONCE_MAX: Final = 32
ERROR_CHARS_MAX: Final = 200
NO_ANSWER: Final = (aiohttp.ClientError, OSError, ValueError, TimeoutError)
"""What a call without an answer raises."""


class GuardedResolver(AbstractResolver):
    """Resolves names, and refuses those that lead to a forbidden address (DNS rebinding)."""

    def __init__(self) -> None:
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily | int = AF_INET
    ) -> list[ResolveResult]:
        """As the system says, without forbidden addresses. Raises OSError when none is left."""
        found = await self._inner.resolve(host, port, AddressFamily(family))
        allowed = [one for one in found if refusal(ip_address(one["host"].split("%")[0])) is None]
        if found and not allowed:
            raise OSError(f"{host} leads to an address that must not be called")
        return allowed

    async def close(self) -> None:
        """Nothing is held."""
        await self._inner.close()


def guarded_socket(found: AddrInfoType) -> socket.socket:
    """The socket of one connection, if its address may be called: the last look before it is made.

    A literal address in a URL is never resolved, so only here all addresses pass. Raises
    PermissionError.
    """
    family, kind, protocol, _, address = found
    if reason := refusal(ip_address(str(address[0]).partition("%")[0])):
        raise PermissionError(EACCES, f"{address[0]} must not be called: {reason}")
    return socket.socket(family, kind, protocol)


class SystemTrust(ssl.SSLContext):
    """Believes whom this machine believes, which it reads when the first connection asks.

    That takes 1 MB and 20 ms, and most routers call nobody by https.
    """

    _known = False

    def wrap_bio(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, server_side: bool = False,
        server_hostname: str | bytes | None = None, session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:  # fmt: skip
        """The TLS of one connection."""
        if not self._known:
            self.load_default_certs()
            self._known = True
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)


@cache
def system_trust() -> SystemTrust:
    """The one of this process; it verifies certificates and names."""
    made = SystemTrust(ssl.PROTOCOL_TLS_CLIENT)
    made.set_alpn_protocols(["http/1.1"])
    return made


def outside_session() -> aiohttp.ClientSession:
    """A client without cookies, proxies of the environment or decompression.

    Answers are asked for plain, or Prometheus would compress them: a bound on the bytes that are
    read is then a bound on the memory as well.
    """
    return aiohttp.ClientSession(
        headers={"Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(
            limit=CALLS_AT_ONCE_MAX,
            resolver=GuardedResolver(),
            socket_factory=guarded_socket,
            ssl=system_trust(),
        ),
        trust_env=False,
        auto_decompress=False,
    )


async def post(
    session: aiohttp.ClientSession,
    url: str,
    body: object,
    *,
    headers: dict[str, str],
    timeout_s: float,
) -> int:
    """The status that ``url`` answers to ``body`` as JSON; redirects are answers, not orders.

    ``body`` is plain values.
    Raises one of :data:`NO_ANSWER`.
    """
    checked_url(url)
    async with (
        asyncio.timeout(timeout_s),
        session.post(url, json=body, headers=headers, allow_redirects=False) as answer,
    ):
        return answer.status


async def body_of(answer: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    """The body, whole. Raises ValueError beyond ``bytes_max``, or one of :data:`NO_ANSWER`.

    ``answer.content.read(n)`` would give what has arrived so far.
    """
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > bytes_max:
            raise ValueError(f"its answer is longer than {bytes_max:,} bytes")
    return bytes(body)


def no_answer(error: BaseException, timeout_s: float) -> str:
    """Why a call was not answered, in a few words and without the URL, which may be a secret."""
    if isinstance(error, TimeoutError):
        return f"no answer within {duration(timeout_s)}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection ({error.os_error.strerror or error.os_error})"[:ERROR_CHARS_MAX]
    return f"no answer ({type(error).__name__})"
