"""How a connection comes about: one address, and soon another one beside it.

A name may have addresses that answer nobody: an IPv6 route that leads nowhere, a pod that is gone
and swallows packets. Whoever waits must not pay a whole connect time-out for that. So attempts are
raced as in RFC 8305: where one has neither succeeded nor failed after 250 ms, or has failed, the
next endpoint of the version is tried beside it, and the first connection is used. A connection that
comes too late is kept for others. The endpoint that was slow is the last choice from then on; the
pool tries it in the background until it can be connected to.

Where a connection to the same endpoint comes free meanwhile, whoever waits goes on with that one: a
handshake takes as long as several answers, and all of them wait for one loop.
"""

from __future__ import annotations

import asyncio
import errno
import time
from typing import TYPE_CHECKING, Final

from router.loops import background
from router.upstream.connection import Connection
from router.upstream.failure import Failure
from router.upstream.tls import client_context

if TYPE_CHECKING:
    from router.upstream.connection import Endpoint
    from router.upstream.pool import Pool
    from router.upstream.waiter import Waiter

RACE_S: Final = 0.25
"""After this another endpoint is tried as well: "Connection Attempt Delay", RFC 8305 section 5."""
ATTEMPTS_MAX: Final = 4
"""Endpoints tried for one waiter; more tell nothing new within one connect time-out."""
ERROR_TEXT_MAX: Final = 200
"""Characters of an endpoint's last error that are kept for people."""

_OUR_FAULT = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM)
)


class Opening:
    """Attempts at one connection for a waiter, or one attempt for nobody in particular.

    Every attempt gives back what it took of the bounds; the waiter's own share of ``in_flight``
    lies on ``endpoint``, its first, until a connection to another one is handed over.
    """

    __slots__ = ("_under_way", "_until", "endpoint", "failure", "over", "pool", "tried", "waiter")

    def __init__(self, pool: Pool, endpoint: Endpoint, waiter: Waiter | None) -> None:
        self.pool = pool
        self.endpoint = endpoint
        self.waiter = waiter
        self.over = waiter is None
        """Nobody waits for this any more."""
        self.tried: set[Endpoint] = set()
        self.failure = Failure.REFUSED
        self._under_way = 0
        self._until = asyncio.get_running_loop().time() + pool.connect_s
        if waiter is not None:
            pool.opening.add(waiter)
            endpoint.openings[self] = None
        self._try(endpoint)

    def _try(self, endpoint: Endpoint) -> None:
        pool = self.pool
        self.tried.add(endpoint)
        self._under_way += 1
        pool.open += 1
        pool.sockets.open += 1
        endpoint.open += 1
        if endpoint.address.tls:
            pool.handshakes.began(time.monotonic())
        task = background("pool", self._attempt(endpoint))
        pool.tasks.add(task)
        task.add_done_callback(pool.tasks.discard)

    async def _attempt(self, endpoint: Endpoint) -> None:
        """Every path gives back what `_try` took."""
        try:
            async with asyncio.timeout_at(self._until):
                connection = await self._connection(endpoint)
        except TimeoutError:
            self._failed(endpoint, Failure.CONNECT_TIMEOUT, "connect timed out")
        except (OSError, UnicodeError) as error:  # UnicodeError: a name no resolver would take
            ours = isinstance(error, OSError) and error.errno in _OUR_FAULT
            failure = Failure.EXHAUSTED if ours else Failure.REFUSED
            self._failed(endpoint, failure, str(error)[:ERROR_TEXT_MAX])
        except BaseException:
            self._failed(endpoint, Failure.CLOSED, "cancelled")
            raise
        else:
            self.pool.reached(endpoint)
            self._opened(connection)

    async def _connection(self, endpoint: Endpoint) -> Connection:
        pool, address = self.pool, endpoint.address
        if not endpoint.ip:
            await pool.names.lookup(address.host)  # which tells the pool
        loop = asyncio.get_running_loop()
        race = None
        if not self.over and len(pool.available) > 1:
            race = loop.call_later(min(RACE_S, pool.connect_s / 2), self._slow, endpoint)
        context = client_context(pool.entry.tls) if address.tls else None
        name = (pool.entry.tls.server_name or address.host) if context else None
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(pool, endpoint),
                endpoint.ip or address.host, address.port, ssl=context, server_hostname=name,
            )  # fmt: skip
        finally:
            if race is not None:
                race.cancel()
        return connection

    def _slow(self, endpoint: Endpoint) -> None:
        """It takes long: one more beside it, and until it is connected to it is a last choice."""
        if not self.over and self._next():
            self.pool.unreached(endpoint, time.monotonic())

    def _next(self) -> bool:
        """Whoever waits gets an idle connection to another endpoint, or one more is opened."""
        pool = self.pool
        if self.waiter not in pool.opening or len(self.tried) >= ATTEMPTS_MAX:
            return False
        others = [e for e in pool.candidates() if e not in self.tried]
        for endpoint in others:
            while endpoint.idle:
                connection = endpoint.idle.pop()
                if connection.usable(time.monotonic()):
                    self.hand_over(connection)
                    return True
                connection.discard()
        if not others or pool.open >= pool.entry.connections or pool.sockets.full():
            return False
        self._try(others[0])
        return True

    def _opened(self, connection: Connection) -> None:
        pool, tls = self.pool, connection.endpoint.address.tls
        self._under_way -= 1
        if tls:
            pool.handshakes.ended(time.monotonic())
        if self.over:
            pool.release(connection)
        elif self.waiter in pool.opening:
            self.hand_over(connection)
        else:  # who waited has left
            self._give_back()
            pool.release(connection)
        if tls:
            pool.serve()

    def hand_over(self, connection: Connection) -> None:
        """A backend that closed or spoke before it was asked cannot be reached."""
        pool, waiter, endpoint = self.pool, self.waiter, connection.endpoint
        assert waiter is not None  # noqa: S101 - not over
        self._settled()
        pool.opening.discard(waiter)
        self.endpoint.in_flight -= 1
        endpoint.in_flight += 1
        if connection.clean():
            waiter.on_connection(connection)
            return
        endpoint.last_error = "closed or sent bytes before a request"
        connection.discard()
        pool.ended(connection)
        pool.blame.observed(endpoint, True, time.monotonic())
        waiter.on_unavailable(Failure.REFUSED, endpoint)

    def _settled(self) -> None:
        self.over = True
        self.endpoint.openings.pop(self, None)

    def _give_back(self) -> None:
        self._settled()
        self.pool.in_flight -= 1
        self.endpoint.in_flight -= 1

    def _failed(self, endpoint: Endpoint, failure: Failure, error: str) -> None:
        pool = self.pool
        self._under_way -= 1
        pool.open -= 1
        pool.sockets.open -= 1
        endpoint.open -= 1
        if endpoint.address.tls:
            pool.handshakes.ended(time.monotonic())
        if endpoint is self.endpoint:
            self.failure = failure
        if failure in (Failure.REFUSED, Failure.CONNECT_TIMEOUT):
            pool.refused(endpoint, error, time.monotonic())
            if not self.over and self._next():
                return
        if not self.over and not self._under_way:
            waiter, failure = self.waiter, self.failure
            self._give_back()
            if waiter in pool.opening and waiter is not None:
                pool.opening.discard(waiter)
                waiter.on_unavailable(failure, self.endpoint)
        pool.serve()
