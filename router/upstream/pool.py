"""All connections to one version for one purpose: who gets which, who waits, who is turned away.

Choosing is pure (:meth:`Pool.assign` looks at counts and says what to do); opening sockets comes
after it. A request gets an idle connection at once, or one is opened for it, or it waits in a queue
bounded in length here and in time by whoever waits, who must then :meth:`Pool.cancel`.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final

from router.upstream.balance import least_in_flight
from router.upstream.blame import Blame
from router.upstream.breaker import Breaker, State
from router.upstream.connection import Connection, Endpoint, Keeper
from router.upstream.failure import Failure
from router.upstream.handshakes import STUCK_S, UpstreamHandshakes
from router.upstream.names import Names, literal
from router.upstream.opening import Opening
from router.upstream.sockets import Sockets
from router.upstream.tls import keep_context
from router.upstream.waiter import Unavailable, Waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from router.core.wire.table import VersionEntry

UNREACHABLE_S: Final = 1.0
"""An endpoint that cannot be reached is the last choice; connects to it are tried after this,
doubled each time, as long as others answer."""
UNREACHABLE_S_MAX: Final = 30.0


def _nothing() -> None:
    """Nobody wants to know."""


class Pool(Keeper):
    """See the module's text. One event loop owns it."""

    def __init__(
        self,
        entry: VersionEntry,
        *,
        connect_s: float,
        sockets: Sockets | None = None,
        names: Names | None = None,
    ) -> None:
        self.entry = entry
        self.sockets = sockets or Sockets()
        self.names = names or Names()
        self._followed: set[str] = set()
        self.connect_s = connect_s
        self.breaker = Breaker()
        self.endpoints: list[Endpoint] = []
        self.available: list[Endpoint] = []
        self.sole: Endpoint | None = None
        """The one endpoint offered, where there is no choice."""
        self.blame = Blame(entry.outlier, self._ejected)
        self.in_flight = 0
        """Requests that hold a connection or have one being opened for them."""
        self.most = entry.in_flight
        """Of them at a time."""
        self.open = 0
        """Connections open or being opened."""
        self._turn = 0
        self._unreachable = False
        """Some endpoint's last connect failed."""
        self._waiting: dict[Waiter, float] = {}
        """Who waits for a turn, and since when."""
        self._yielding: dict[Waiter, None] = {}
        """Those of them who make room for others."""
        self.opening: set[Waiter] = set()
        """For whom a connection is being opened."""
        self.handshakes = UpstreamHandshakes()
        self._again: asyncio.TimerHandle | None = None
        """Who waits for a handshake is looked after once more then."""
        self.tasks: set[asyncio.Task[None]] = set()
        self.changed: Callable[[], None] = _nothing
        """Called when a name has other addresses than before."""
        self.update(entry, connect_s=connect_s)

    def update(self, entry: VersionEntry, *, connect_s: float) -> None:
        """Take a new entry; addresses that stay keep their connections and their history."""
        changed_tls = self.entry.tls != entry.tls
        self.entry = entry
        self.most = entry.in_flight
        self.blame.outlier = entry.outlier
        self.connect_s = connect_s
        hosts = {address.host for address in entry.endpoints if not literal(address.host)}
        for host in self._followed - hosts:
            self.names.leave(host, self._moved)
        for host in hosts:
            self.names.follow(host, entry.lookup_s, self._moved)
        self._followed = hosts
        self._locate()
        keep_context(entry)
        if changed_tls:  # what was verified by other rules carries no more requests
            self.close_idle()
        self.refresh()
        self.serve()

    def _moved(self) -> None:
        """A name has other addresses: those that are gone end with what is under way on them."""
        self._locate()
        self.refresh()
        self.changed()
        self.serve()

    def _locate(self) -> None:
        """One endpoint for each address of each name; without one as yet, one that looks it up."""
        before = {(endpoint.address, endpoint.ip): endpoint for endpoint in self.endpoints}
        joins = bool(self.entry.health.path) and any(e.ip and e.healthy for e in self.endpoints)
        self.endpoints = []
        for address in self.entry.endpoints:
            for ip in self.names.known(address.host) or ("",):
                endpoint = before.pop((address, ip), None) or before.pop((address, ""), None)
                if endpoint is None:
                    endpoint = Endpoint(address)
                    # Where others answer, one that joins them has to pass its probe first.
                    endpoint.healthy = not (joins and endpoint.ip != ip)
                endpoint.ip = ip
                self.endpoints.append(endpoint)
        for endpoint in self.endpoints:
            self._bear(endpoint)
        self.blame.endpoints = self.endpoints
        for endpoint in before.values():
            self._retire(endpoint)

    def refresh(self) -> None:
        """Recompute which endpoints are offered; all of them when none is available.

        Sending to endpoints believed dead beats refusing everybody on a broken health check
        (Envoy's panic threshold).
        """
        self.available = [e for e in self.endpoints if e.available] or self.endpoints
        self.sole = self.available[0] if len(self.available) == 1 else None

    # Asking.

    def acquire(
        self, waiter: Waiter, avoid: Endpoint | None = None, now: float = 0.0
    ) -> Connection | None:
        """A connection now, or None when the waiter will be called. Raises Unavailable.

        ``avoid``: an endpoint that has just failed this request; another is taken if there is one.
        ``now``: monotonic seconds, 0.0 where the caller has not looked.
        """
        sole = self.sole
        if sole is not None and sole.idle and not self._waiting and self.in_flight < self.most:
            connection = sole.idle.pop()
            if connection.usable(now or monotonic()):
                self.in_flight += 1
                sole.in_flight += 1
                return connection
            connection.discard()
        choice = self.assign(avoid)
        while isinstance(choice, Endpoint) and choice.idle:
            connection = choice.idle.pop()
            if connection.usable(monotonic()):
                self._begin(choice)
                return connection
            connection.discard()
            choice = self.assign(avoid)
        if choice in (None, Failure.QUEUE_FULL):
            self._queue(waiter, full=choice is not None)
        elif isinstance(choice, Failure):
            raise Unavailable(choice)
        elif self.sockets.full():
            raise Unavailable(Failure.EXHAUSTED)
        elif self.breaker.allows(monotonic()):
            self._begin(choice)
            self._open(choice, waiter)
        else:
            raise Unavailable(Failure.BREAKER_OPEN)
        return None

    def assign(self, avoid: Endpoint | None = None) -> Endpoint | Failure | None:
        """Whom the next request goes to; None: it waits. Changes nothing but whose turn it is.

        The endpoint's newest idle connection is to be used if it has one, else one is opened.
        """
        entry, waiting = self.entry, len(self._waiting)
        if self.in_flight >= entry.in_flight or 0 < waiting < entry.queue:
            return self._wait()
        offered = self.available
        if not offered:
            return Failure.CLOSED
        endpoint = offered[0] if len(offered) == 1 else next(self.candidates(avoid))
        if endpoint.idle or (self.open < entry.connections and not self._held_up(endpoint)):
            return endpoint
        return next((other for other in offered if other.idle), None) or self._wait()

    def _held_up(self, endpoint: Endpoint) -> bool:
        """Another handshake would only hold up those under way; in the queue there is room."""
        return endpoint.address.tls and len(self._waiting) < self.entry.queue and (
            self.handshakes.enough(monotonic()))  # fmt: skip

    def candidates(self, avoid: Endpoint | None = None) -> Iterator[Endpoint]:
        """Endpoints in order of preference; the one to avoid comes last, before it what is down."""
        offered = self.available
        if len(offered) == 1:
            return iter(offered)
        self._turn += 1
        ordered = least_in_flight(offered, self._turn)
        if avoid is None and not self._unreachable:
            return ordered
        return iter(sorted(ordered, key=lambda e: (e is avoid, bool(e.unreachable_until))))

    def cancel(self, waiter: Waiter) -> None:
        """The waiter has left: its client went away, or it waited long enough."""
        if waiter in self._waiting:
            self._take(waiter)
        else:
            self.opening.discard(waiter)  # the connection, when it comes, goes to somebody else

    def queued(self, waiter: Waiter) -> bool:
        """Whether it still waits for its turn, rather than for a connection being opened."""
        return waiter in self._waiting

    def warm(self, connections: int) -> None:
        """Open connections ahead of the first request, spread over the endpoints."""
        if not self.available:
            return
        for number in range(min(connections, self.entry.connections) - self.open):
            self._open(self.available[number % len(self.available)], None)

    # Called by connections.

    def ended(self, connection: Connection) -> None:
        """The exchange on it is over, however."""
        self.in_flight -= 1
        connection.endpoint.in_flight -= 1

    def finished(self, connection: Connection, reusable: bool) -> None:
        """Its answer is complete: count it, and keep the connection where that is safe."""
        endpoint = connection.endpoint
        self.in_flight -= 1
        endpoint.in_flight -= 1
        if not reusable:
            connection.discard()
        elif endpoint.retired or self._waiting or endpoint.openings:
            self.release(connection)
        else:
            self._keep(connection)

    def _keep(self, connection: Connection) -> None:
        """Idle, for as long as its backend is sure to keep it and while it is young enough."""
        now, ends_at = monotonic(), connection.ends_at
        if ends_at <= now:
            connection.discard()
            return
        endpoint = connection.endpoint
        connection.idle_since = now
        connection.idle_until = min(now + endpoint.keep_s, ends_at)
        endpoint.idle.append(connection)

    def release(self, connection: Connection) -> None:
        """It may carry another request: for who waits longest, else it is kept."""
        endpoint = connection.endpoint
        if endpoint.retired:
            connection.discard()
        elif endpoint.openings and self._instead(connection):
            return
        elif self._waiting and self.in_flight < self.entry.in_flight:
            if connection.clean():
                self._give(connection, self._first())
            else:
                connection.discard()
        else:
            self._keep(connection)

    def _instead(self, connection: Connection) -> bool:
        """For who waits longest for a new one to the same endpoint."""
        for opening in connection.endpoint.openings:
            if opening.waiter in self.opening:
                if connection.clean():
                    opening.hand_over(connection)
                else:
                    connection.discard()
                return True
        return False

    def lost(self, connection: Connection) -> None:
        """It is closed; somebody who waits may have a new one opened."""
        endpoint = connection.endpoint
        endpoint.open -= 1
        self.open -= 1
        self.sockets.open -= 1
        if connection in endpoint.idle:
            endpoint.idle.remove(connection)
        self.serve()

    def left(self, connection: Connection) -> None:
        """Its backend has closed it while it was idle."""
        endpoint, now = connection.endpoint, monotonic()
        if endpoint.patience.closed(now - connection.idle_since, now):
            self._bear(endpoint)

    def _bear(self, endpoint: Endpoint) -> None:
        """Use its idle connections for no longer than it keeps them, as far as that is known."""
        endpoint.keep_s = min(self.entry.keep_alive_s, endpoint.patience.used_s)
        for connection in endpoint.idle:
            until = connection.idle_since + endpoint.keep_s
            connection.idle_until = min(until, connection.ends_at)

    def tunnel_began(self, connection: Connection) -> None:
        """It carries a tunnel: a socket still, and load of its endpoint, but no request's place."""
        self.in_flight -= 1
        self.open -= 1
        connection.endpoint.open -= 1
        self.serve()

    def tunnel_ended(self, endpoint: Endpoint) -> None:
        """The socket is closed."""
        endpoint.in_flight -= 1
        self.sockets.open -= 1
        self.serve()

    # In time.

    def sweep(self, now: float) -> None:
        """Close what idled too long, readmit what was ejected long enough; about once a second.

        Warm connections that a backend has closed meanwhile are opened again.
        """
        self.blame.sweep(now)
        for endpoint in self.endpoints:
            while endpoint.idle and endpoint.idle[0].idle_until <= now:
                endpoint.idle.popleft().discard()
            if endpoint.patience.forget(now):
                self._bear(endpoint)
            if endpoint.ejected_until and endpoint.ejected_until <= now:
                endpoint.ejected_until = 0.0
                endpoint.dirty = True
                self.refresh()
        self._look_for_lost(now)
        missing = self.entry.warm_connections > self.open
        if missing and self.breaker.state is State.CLOSED and not self.sockets.full():
            self.warm(self.entry.warm_connections)

    def _ejected(self, endpoint: Endpoint) -> None:
        self._close_idle(endpoint)
        self.refresh()

    def close_idle(self) -> None:
        """Close every connection that nobody uses now."""
        for endpoint in self.endpoints:
            self._close_idle(endpoint)

    def close(self) -> None:
        """The version is gone: nothing new; what is in flight may end."""
        self.blame.settle_all()
        for host in self._followed:
            self.names.leave(host, self._moved)
        self._followed = set()
        for endpoint in self.endpoints:
            self._retire(endpoint)
        self.endpoints = self.blame.endpoints = []
        self.available = []
        self.sole = None
        waiting, self._waiting, self._yielding = self._waiting, {}, {}
        for waiter, since in waiting.items():
            waiter.on_turn(since)
            waiter.on_unavailable(Failure.CLOSED, None)

    # Opening.

    def _begin(self, endpoint: Endpoint) -> None:
        self.in_flight += 1
        endpoint.in_flight += 1

    def _wait(self) -> Failure | None:
        return None if len(self._waiting) < self.entry.queue else Failure.QUEUE_FULL

    def serve(self) -> None:
        """Connections for those who wait, as far as bounds allow: idle ones, else new ones."""
        while self._waiting and self.in_flight < self.entry.in_flight and self.available:
            idle = next((endpoint.idle for endpoint in self.available if endpoint.idle), None)
            if idle is not None:
                connection = idle.pop()
                if connection.usable(monotonic()):
                    self._give(connection, self._first())
                else:
                    connection.discard()
                continue
            if self.open >= self.entry.connections or self.sockets.full():
                return
            endpoint = next(self.candidates())
            if self._held_up(endpoint):
                self._look_again()
                return
            waiter = self._first()
            if not self.breaker.allows(monotonic()):
                waiter.on_unavailable(Failure.BREAKER_OPEN, None)
                continue
            self._begin(endpoint)
            self._open(endpoint, waiter)

    def _first(self) -> Waiter:
        """Who waits longest, taken from the queue."""
        waiter = next(iter(self._waiting))
        self._take(waiter)
        return waiter

    def _queue(self, waiter: Waiter, *, full: bool) -> None:
        """Behind the others; into a full queue only where one of them makes room."""
        batch = waiter.batch
        if full:
            if batch or not self._yielding:
                raise Unavailable(Failure.QUEUE_FULL)
            self._make_room()
        self._waiting[waiter] = monotonic()
        if batch:
            self._yielding[waiter] = None
        if self.handshakes.under_way:
            self._look_again()

    def _look_again(self) -> None:
        """UpstreamHandshakes that get stuck hold up nobody for longer than that."""
        if self._again is None:
            self._again = asyncio.get_running_loop().call_later(STUCK_S, self._stuck)

    def _stuck(self) -> None:
        self._again = None
        self.serve()

    def _take(self, waiter: Waiter) -> None:
        """Out of the queue."""
        since = self._waiting.pop(waiter)
        self._yielding.pop(waiter, None)
        waiter.on_turn(since)

    def _make_room(self) -> None:
        """Refuse the last of those who make room: it has waited least."""
        last = next(reversed(self._yielding))
        self._take(last)
        last.on_unavailable(Failure.QUEUE_FULL, None)

    def _give(self, connection: Connection, waiter: Waiter) -> None:
        self._begin(connection.endpoint)
        waiter.on_connection(connection)

    def _open(self, endpoint: Endpoint, waiter: Waiter | None) -> None:
        Opening(self, endpoint, waiter)

    def reached(self, endpoint: Endpoint) -> None:
        """It can be connected to."""
        self.breaker.connected()
        if endpoint.unreachable_until:
            endpoint.unreachable_until = 0.0
            endpoint.refusals = 0
            self._unreachable = any(other.unreachable_until for other in self.endpoints)

    def unreached(self, endpoint: Endpoint, now: float) -> None:
        """It cannot, or not soon: the last choice until it was reached in the background."""
        again_s = min(UNREACHABLE_S * 2 ** min(endpoint.refusals, 10), UNREACHABLE_S_MAX)
        endpoint.unreachable_until = now + again_s
        self._unreachable = True

    def refused(self, endpoint: Endpoint, error: str, now: float) -> None:
        """A connect failed."""
        self.unreached(endpoint, now)
        endpoint.refusals += 1
        if all(other.unreachable_until for other in self.available):
            self.breaker.failed(now)
        endpoint.last_error = error
        self.blame.observed(endpoint, True, now)

    def _look_for_lost(self, now: float) -> None:
        """Connect to what could not be reached, while others answer; requests are no probes."""
        if not self._unreachable or all(e.unreachable_until for e in self.available):
            return
        for endpoint in self.available:
            if 0.0 < endpoint.unreachable_until <= now and not endpoint.open:
                self.unreached(endpoint, now)
                self._open(endpoint, None)

    def _retire(self, endpoint: Endpoint) -> None:
        endpoint.retired = True
        self._close_idle(endpoint)

    def _close_idle(self, endpoint: Endpoint) -> None:
        while endpoint.idle:
            endpoint.idle.pop().discard()

    def __repr__(self) -> str:
        return (f"<Pool {self.entry.name} in_flight={self.in_flight} open={self.open} "
                f"waiting={len(self._waiting)} {self.breaker.state} {self.endpoints}>")  # fmt: skip
