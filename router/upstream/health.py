"""Active probes: a small GET to each endpoint in its interval, over a connection of its own.

A probe uses neither the pool nor its bounds: a version whose slots are all taken is busy, not ill.
"""

from __future__ import annotations

import asyncio
import os
import random
from functools import partial
from typing import TYPE_CHECKING, Final

from router.http1 import MessageHandler, ResponseParser, UpstreamFramingError
from router.loops import background, forever
from router.upstream.names import addresses
from router.upstream.tls import client_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.core.wire.table import HealthCheck, TlsEntry, VersionEntry
    from router.http1 import ResponseHead
    from router.upstream.connection import Endpoint

READ_BYTES: Final = 16_384
"""Bytes taken from the socket at once."""


class _Verdict(MessageHandler):
    """Takes the status of the one answer."""

    def __init__(self) -> None:
        self.status = 0

    def on_interim(self, head: ResponseHead, /) -> None:
        """A 1xx answer says nothing."""

    def on_response(self, head: ResponseHead, body: bytes, complete: bool, /) -> None:  # noqa: ARG002  # the parser's signature
        """The head is enough: a body of any length is left unread."""
        self.status = head.status

    def on_body(self, piece: bytes, complete: bool, /) -> None:
        """Not looked at."""


async def probe(endpoint: Endpoint, check: HealthCheck, tls: TlsEntry) -> str:
    """Ask once; an empty string when it answered 2xx in time, else why not.

    A redirect is no answer of the service: it leads to a login page, or to another host.
    """
    try:
        async with asyncio.timeout(check.timeout_s):
            status = await _status(endpoint, check, tls)
    except TimeoutError:
        return f"probe timed out after {check.timeout_s:g} s"
    except (OSError, UnicodeError) as error:
        return f"probe failed: {_plain(error)}"[:200]
    except UpstreamFramingError as error:
        return f"probe failed: {error.reason}"
    return "" if 200 <= status < 300 else f"probe answered {status}"


async def reach(endpoint: Endpoint, timeout_s: float) -> str:
    """Connect once; an empty string when that was possible in time, else why not."""
    address = endpoint.address
    try:
        async with asyncio.timeout(timeout_s):
            host = endpoint.ip or (await addresses(address.host))[0]
            _, writer = await asyncio.open_connection(host, address.port)
    except TimeoutError:
        return f"no connection within {timeout_s:g} s"
    except (OSError, UnicodeError) as error:
        return _plain(error)[:200]
    writer.transport.abort()
    return ""


def _plain(error: OSError | UnicodeError) -> str:
    """``connection refused`` instead of a number and the words of the library."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return str(error)


async def _status(endpoint: Endpoint, check: HealthCheck, tls: TlsEntry) -> int:
    address = endpoint.address
    context = client_context(tls) if address.tls else None
    reader, writer = await asyncio.open_connection(
        endpoint.ip or (await addresses(address.host))[0], address.port, ssl=context,
        server_hostname=(tls.server_name or address.host) if context else None,
    )  # fmt: skip
    try:
        verdict = _Verdict()
        parser = ResponseParser(verdict)
        parser.expect()
        writer.write(
            b"GET %b HTTP/1.1\r\nHost: %b\r\nUser-Agent: rampway-health\r\n"
            b"Connection: close\r\n\r\n"
            % (check.path.encode(), check.host.encode() or endpoint.authority)
        )
        while not verdict.status:
            data = await reader.read(READ_BYTES)
            if not data:
                parser.feed_eof()
                break
            parser.feed(data)
        return verdict.status
    finally:
        writer.transport.abort()


def judge(endpoint: Endpoint, check: HealthCheck, error: str) -> bool:
    """Count one probe's result; True when it changed whether the endpoint is healthy."""
    before = endpoint.healthy
    if error:
        endpoint.failed_probes += 1
        endpoint.passed_probes = 0
        endpoint.last_error = error
        if endpoint.failed_probes >= check.unhealthy_after:
            endpoint.healthy = False
    else:
        endpoint.passed_probes += 1
        endpoint.failed_probes = 0
        if endpoint.passed_probes >= check.healthy_after:
            endpoint.healthy = True
    return endpoint.healthy != before


def settle(endpoint: Endpoint, check: HealthCheck, error: str) -> bool:
    """Count one probe's result; True when it changed what is known of the endpoint.

    The first probe says at once whether it is ready, as a server's first check does in HAProxy.
    A mere connect moves no traffic: real requests may find good what it could not reach.
    """
    before, first = (endpoint.ready, endpoint.healthy), endpoint.ready is None
    if check.connect:
        endpoint.last_error = error or endpoint.last_error
        endpoint.ready = not error
    else:
        judge(endpoint, check, error)
        endpoint.ready = not error if first or not error else endpoint.ready and endpoint.healthy
    return before != (endpoint.ready, endpoint.healthy)


class Prober:
    """One task per endpoint of a version, as long as something asks for its health."""

    def __init__(self, refresh: Callable[[], None]) -> None:
        self._refresh = refresh
        self._tasks: dict[Endpoint, asyncio.Task[None]] = {}
        self._plan: tuple[HealthCheck, TlsEntry] | None = None

    def update(self, entry: VersionEntry, endpoints: list[Endpoint]) -> None:
        """Probe exactly these from now on."""
        plan = (entry.health, entry.tls)
        wanted = endpoints if entry.health.path or entry.health.connect else []
        for endpoint in list(self._tasks):
            if endpoint not in wanted or plan != self._plan:
                self._stop(endpoint)
        self._plan = plan
        for endpoint in wanted:  # in their order: nothing may depend on where objects lie
            if endpoint in self._tasks:
                continue
            self._tasks[endpoint] = background(
                "health", forever("health", partial(self._watch, endpoint, *plan))
            )
        if not entry.health.path:
            for endpoint in endpoints:
                endpoint.healthy = True
                if not wanted and endpoint.ready is not None:
                    endpoint.ready, endpoint.dirty = None, True
            self._refresh()

    def close(self) -> None:
        """Stop probing."""
        for endpoint in list(self._tasks):
            self._stop(endpoint)

    def _stop(self, endpoint: Endpoint) -> None:
        task = self._tasks.pop(endpoint)
        task.cancel()

    async def _watch(self, endpoint: Endpoint, check: HealthCheck, tls: TlsEntry) -> None:
        reached = reach(endpoint, check.timeout_s) if check.connect else None
        if settle(endpoint, check, await (reached or probe(endpoint, check, tls))):
            endpoint.dirty = True
            self._refresh()
        # A tenth of jitter keeps workers and replicas from probing in step.
        await asyncio.sleep(check.interval_s * random.uniform(0.9, 1.1))  # noqa: S311  # not secret
