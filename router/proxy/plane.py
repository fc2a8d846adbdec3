"""One data plane: a listener, its connections, and the table they are served by.

The same class runs in a worker process and, with both ends in one loop, in tests. There is one
sweeper for every deadline of every exchange, connection and copy; requests set no timers.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from dataclasses import dataclass
from ipaddress import ip_network
from time import monotonic
from typing import Final

from router.config.certificate import ServerCertificate
from router.core.wire.succession import amended
from router.core.wire.table import ListenerLimits, RouteEntry, RoutingTable
from router.http1 import Limits
from router.proxy.access_log import AccessLog
from router.proxy.deadlines import sweep
from router.proxy.downstream import Downstream
from router.proxy.exchange import Exchange
from router.proxy.handshakes import Handshakes
from router.proxy.held import sweep_held
from router.proxy.serving import ServedRoute, Serving
from router.proxy.shared import Shared
from router.proxy.tracing import Tracer
from router.telemetry.recorder import Recorder

SWEEP_S: Final = 0.05
"""How often deadlines of exchanges and copies are looked at, hence how late one can be noticed."""
CUT_SWEEP_EVERY: Final = 2
"""Sweeps between cuts of what is drawn into slices: a tenth of a second."""
UNREAD_SWEEP_EVERY: Final = 10
"""Sweeps between looks whether clients that are not being read from are still there."""
SLOW_SWEEP_EVERY: Final = 20
"""Sweeps between looks at idle connections and pools: once a second."""
QUIET_S: Final = 1.0
"""How far ahead it is looked which exchanges need no look until then: streams, mostly."""
BACKLOG: Final = 4_096
ACCEPTS_PER_TURN: Final = 32
"""Clients accepted before everybody else gets a turn; FDS_RESERVED has room for those too many."""
FDS_RESERVED: Final = 64
"""File descriptors kept for everything but client and upstream connections."""
DRAIN_IDLE_S: Final = 1.0
"""In a drain an idle client may still send one request, which is answered with Connection: close;
after this long the connection is closed, so that no request meets a closing socket sooner."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen; port 0 lets the kernel choose."""

    host: str
    port: int
    fd: int = -1
    """A socket that control has bound already and keeps, so that who connects while no worker is
    there waits in its queue; -1: bind one here."""


class DataPlane(Shared[Exchange]):
    """See the module. One event loop owns it."""

    def __init__(self, recorder: Recorder, listen: Listen) -> None:
        super().__init__(recorder)
        self.listen = listen
        self.handshakes: Handshakes | None = None
        """The listener where clients speak TLS, and those that are not connections yet."""
        self.certificate: ServerCertificate | None = None
        """What TLS clients are shown; None where they speak plain HTTP."""
        self.lag_s = 0.0
        """Largest delay of the loop since somebody last asked."""
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._sweeps = 0
        self._amended = False
        """A table was amended since unused pools were last closed."""
        self._late = False
        """The last sweep was put off because the loop had been held up."""
        self._due = 0.0
        self._quiet: set[Exchange] = set()
        self._quiet_until = 0.0
        """No deadline of those in ``_quiet`` passes before."""

    # --- the table ------------------------------------------------------------------------------

    def apply(self, table: RoutingTable) -> bool:
        """Use ``table`` from the next request on; an older one than in force is refused."""
        if table.rank < self.serving.table.rank:
            return False
        serving = Serving(table, self.pools, self.recorder, self.serving)
        _warm(serving.routes)
        limits = table.limits
        if limits != self.serving.limits or self.serving.generation == 0:
            self.parser_limits = Limits(
                head_bytes=limits.head_bytes, fields=limits.fields,
                body_bytes=limits.body_bytes,
            )  # fmt: skip
            self._bound_answers(limits)
            spare = _files()
            self.connections_max = min(limits.connections, max(16, spare * 3 // 4))
            self.pools.sockets.most = max(16, spare - self.connections_max)
        self.trusted = tuple(ip_network(network) for network in table.trusted_proxies)
        self._watch_requests(table)
        self.serving = serving
        self.caches.follow(table.routes)
        self._forget_what_is_gone()
        self._tell_tunnels()
        return True

    def _watch_requests(self, table: RoutingTable) -> None:
        """What is written and traced of requests from now on."""
        if (logged := table.access_log) is None:
            self.access_log = None
        elif self.access_log is None or self.access_log.terms != logged:
            self.access_log = AccessLog(logged)
        if (traced := table.traces) is None:
            self.tracer = None
        elif self.tracer is None or self.tracer.terms != traced:
            self.tracer = Tracer(traced, self.trace_id, self.span_id)

    def _bound_answers(self, limits: ListenerLimits) -> None:
        """For connections to versions from now on; those that are idle give way to new ones."""
        answers = Limits(head_bytes=limits.answer_head_bytes, fields=limits.answer_fields)
        if answers != self.pools.sockets.answers:
            self.pools.sockets.answers = answers
            self.pools.sockets.reclaim()

    def amend(
        self, generation: int, base: int, routes: tuple[RouteEntry, ...], *, term: int = 0
    ) -> bool:
        """Use ``routes`` in place of those of the same names; refused on another table.

        The step of one route among 1,000 costs what one route costs; what became unused is closed
        by the sweeper.
        """
        if (term, base) != self.serving.table.rank or generation < base:
            return False
        table = amended(self.serving.table, generation, routes)
        self.serving = Serving(table, self.pools, self.recorder, self.serving)
        self.caches.follow(table.routes)
        names = {entry.name for entry in routes}
        _warm([route for route in self.serving.routes if route.entry.name in names])
        self._amended = True
        self._tell_tunnels()
        return True

    def _tell_tunnels(self) -> None:
        """Those of a version that was taken back end now, if its policy wants that."""
        if self.tunnels:
            entries = {route.name: route for route in self.serving.table.routes}
            for tunnel in list(self.tunnels):
                tunnel.follow(entries, monotonic(), self.serving.limits.drain_s)

    def _forget_what_is_gone(self) -> None:
        table = self.serving.table
        self.recorder.keep_routes({route.name for route in table.routes})
        self.pools.keep(table)
        self.mirrors.keep(table)
        self._amended = False

    # --- life -----------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port listened on, known from `bind` on."""
        assert self._socket is not None  # noqa: S101 - asked after bind
        port: int = self._socket.getsockname()[1]
        return port

    def bind(self) -> socket.socket:
        """Take the port without listening yet. Raises OSError when it cannot be had."""
        if self.listen.fd >= 0:
            self._socket = socket.socket(fileno=self.listen.fd)
            self._socket.setblocking(False)
            return self._socket
        host = self.listen.host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.setblocking(False)
        bound.bind((host, self.listen.port))
        self._socket = bound
        return bound

    async def start(self) -> None:
        """Listen as the table says. Raises OSError for a port or a certificate."""
        loop = asyncio.get_running_loop()
        if (tls := self.serving.table.tls) is not None:
            self.certificate = ServerCertificate(tls.cert_file, tls.key_file)
        bound = self._socket or self.bind()
        if self.certificate is not None:
            self.handshakes = Handshakes(self, self.certificate, bound, ACCEPTS_PER_TURN)
            self.handshakes.listen(BACKLOG)
        else:
            self._server = await loop.create_server(
                lambda: Downstream(self), sock=bound, backlog=ACCEPTS_PER_TURN
            )
            bound.listen(BACKLOG)  # asyncio takes one number for the queue and for each turn
        self._due = loop.time() + SWEEP_S
        self._sweeper = loop.call_at(self._due, self._sweep)

    async def _take_queued(self) -> None:
        """Accept who waits in the kernel's queue: closing the listener would reset them."""
        if self._socket is None:
            return
        loop = asyncio.get_running_loop()
        queued: list[socket.socket] = []
        with contextlib.suppress(OSError):  # BlockingIOError: the queue is empty
            while len(queued) < BACKLOG:
                queued.append(self._socket.accept()[0])
        self._close_listener()
        for client in queued:
            if self.handshakes is not None:
                self.handshakes.begin(client)
                continue
            client.setblocking(False)
            with contextlib.suppress(OSError):  # gone meanwhile
                await loop.connect_accepted_socket(lambda: Downstream(self), client)

    def _close_listener(self) -> None:
        if self._server is not None:
            self._server.close()
        if self.handshakes is not None:
            self.handshakes.close()

    async def drain(self, within_s: float) -> bool:
        """Stop accepting, finish what is under way; True when nothing had to be cut."""
        self.accepting = self.mirrors.accepting = False
        await self._take_queued()
        began = monotonic()
        until = began + within_s
        while monotonic() < until:
            if monotonic() - began > min(DRAIN_IDLE_S, within_s / 2):
                self._close_idle()
            idle = not self.connections and not self.handshakes and not self.tunnels
            if idle and not self.mirrors.active:
                break
            if idle and monotonic() - began > DRAIN_IDLE_S:
                break  # copies for a shadow are not worth waiting for
            await asyncio.sleep(SWEEP_S / 2)
        clean = not self.exchanges and not self.tunnels
        await self.close()
        return clean

    def _close_idle(self) -> None:
        for client in list(self.connections):
            client.close_idle()

    async def close(self) -> None:
        """Stop at once; what is under way is cut."""
        self.accepting = self.mirrors.accepting = False
        self._close_listener()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        self.mirrors.close()
        if self.handshakes is not None:
            self.handshakes.abort()
        for client in list(self.connections):
            client.transport.abort()
        for tunnel in list(self.tunnels):
            tunnel.end("drain")
        self.pools.close()
        if self.access_log is not None:
            self.access_log.flush()
        await asyncio.sleep(0)

    # --- the sweeper ----------------------------------------------------------------------------

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        lag_s = started - self._due
        self.lag_s = max(self.lag_s, lag_s)
        if lag_s > SWEEP_S and not self._late:
            # What arrived while this process was held up is still unread: read it first, or a
            # version is blamed for our own delay.
            self._late = True
            self._due = started + SWEEP_S / 2
            self._sweeper = loop.call_at(self._due, self._sweep)
            return
        self._late = False
        try:
            self._look_at_deadlines(monotonic())
        finally:  # a mistake in one of them must not cost all others their deadlines
            self._due = max(started + SWEEP_S, loop.time())
            self._sweeper = loop.call_at(self._due, self._sweep)

    def _look_at_deadlines(self, now: float) -> None:
        self._look_at_exchanges(now)
        sweep_held(self, now)
        self.mirrors.sweep(now)
        for client in list(self.lingering):
            client.sweep(now)
            if client not in self.connections:
                self.lingering.discard(client)
        self._sweeps += 1
        if self._sweeps % CUT_SWEEP_EVERY == 0:
            self.recorder.cut()
        if self.access_log is not None:
            self.access_log.flush()
        if self._sweeps % UNREAD_SWEEP_EVERY == 0:
            for client in [one.client for one in self.exchanges]:
                if not client.reading:
                    client.sweep(now)
        if self._sweeps % SLOW_SWEEP_EVERY == 0:
            self._look_at_idle(now)

    def _look_at_exchanges(self, now: float) -> None:
        """Of thousands of streams next to none has anything due; the others are left out."""
        if now >= self._quiet_until:
            self._quiet_until = until = now + QUIET_S
            self._quiet = {one for one in self.exchanges if one.quiet_until >= until}
        for exchange in self.exchanges - self._quiet:
            if now >= exchange.quiet_until:
                sweep(exchange, now)

    def _look_at_idle(self, now: float) -> None:
        if self._amended:
            self._forget_what_is_gone()
        for client in list(self.connections):
            client.sweep(now)
        for tunnel in list(self.tunnels):
            tunnel.sweep(now)
        for pool in self.pools.all():
            pool.sweep(now)
        for route, version, found in self.pools.looked_up():
            self.recorder.route(route).looked_up(version, *found)
        if self.certificate is not None:
            with contextlib.suppress(OSError):  # the old one stays; control says so
                self.certificate.refresh()

    def take_lag(self) -> float:
        """Largest loop delay since the last call, seconds."""
        lag, self.lag_s = self.lag_s, 0.0
        return lag

    def __repr__(self) -> str:
        return (
            f"<DataPlane generation={self.serving.generation} connections={len(self.connections)} "
            f"in_flight={len(self.exchanges)} copies={self.mirrors.active}>"
        )


def _warm(routes: list[ServedRoute]) -> None:
    """Open the connections that versions want to have before their first request."""
    for route in routes:
        for version in route.versions:
            if (warm := version.pool.entry.warm_connections) > version.pool.open:
                version.pool.warm(warm)


def _files() -> int:
    """File descriptors for sockets; of each four at least one is for the versions.

    Most clients are idle at any moment; where all are busy the router is out of sockets towards
    the versions first, and says so with 503.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft - FDS_RESERVED if soft != resource.RLIM_INFINITY else 1 << 30
