"""A tunnel: bytes both ways between a client and a version, after a WebSocket handshake.

The handshake was the exchange, with its version, its outcome and its place in the evidence. What
follows is nobody's proof: it is passed on as it comes, within bounds, until one of these ends it.

    client, version   one side closed: what it had sent still goes out, then the other is closed
    idle, age, bytes  a bound of the route's `tunnels`
    taken_back        the version was, and the policy says `on_rollback: close`
    gone              its version or route left the policy, or carries no upgrade any more, and
                      `limits.drain` has passed since
    drain             the router stops, and `limits.drain` has passed since
"""

from __future__ import annotations

import asyncio
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final

from router.core.wire.tunnels import TunnelEntry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.core.wire.table import RouteEntry
    from router.telemetry.versions import VersionStats
    from router.upstream import Endpoint, Pool

CLOSE_S: Final = 5.0
"""How long a side may take to read what was sent to it before the end; then it is reset."""


class TunnelEnd(asyncio.Protocol):
    """One of the two sockets of a tunnel."""

    __slots__ = ("name", "open", "other", "passed", "transport", "tunnel")

    other: TunnelEnd

    def __init__(self, tunnel: Tunnel, name: str, transport: asyncio.Transport) -> None:
        self.tunnel = tunnel
        self.name = name
        self.transport = transport
        self.open = True
        self.passed = 0
        """Bytes read here since they were last counted."""

    def data_received(self, data: bytes) -> None:
        """Bytes of one side are the other's."""
        tunnel = self.tunnel
        if tunnel.ended:
            return
        tunnel.heard = monotonic()
        self.passed += len(data)
        tunnel.left -= len(data)
        self.other.transport.write(data)
        if tunnel.left < 0:
            tunnel.end("bytes")

    def eof_received(self) -> bool:
        """This side sends nothing more; as nginx does, that is the end of both."""
        self.tunnel.end(self.name)
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The socket is gone."""
        self.open = False
        self.tunnel.end(self.name)
        self.tunnel.forget()

    def pause_writing(self) -> None:
        """This side reads slower than the other one sends."""
        if self.other.open:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """It caught up."""
        if self.other.open and not self.tunnel.ended:
            self.other.transport.resume_reading()


class Tunnel:
    """See the module. Made by the exchange whose handshake was accepted."""

    __slots__ = ("began", "client", "end_by", "ended", "ended_at", "endpoint", "entry", "heard",
                 "left", "open_ones", "pool", "route", "stats", "version",
                 "version_end")  # fmt: skip

    client: TunnelEnd
    version_end: TunnelEnd
    """Both from `begin` on."""

    def __init__(  # noqa: PLR0917 - what an exchange knows
        self, open_ones: set[Tunnel], route: RouteEntry, version: str,
        pool: Pool, endpoint: Endpoint, stats: VersionStats,
    ) -> None:  # fmt: skip
        self.open_ones = open_ones
        """All tunnels of the plane."""
        self.route = route.name
        self.entry = route.tunnel or TunnelEntry()
        self.version = version
        self.pool = pool
        self.endpoint = endpoint
        self.stats = stats
        self.began = self.heard = monotonic()
        self.left = self.entry.bytes_max
        """Bytes that may still pass."""
        self.end_by = inf
        """Monotonic seconds; it has no version any more."""
        self.ended = ""
        """In which way; empty while it is open."""
        self.ended_at = 0.0

    def begin(self, client: asyncio.Transport, upstream: asyncio.Transport, behind: bytes) -> None:
        """Pass bytes on from now on; ``behind`` came with the version's answer."""
        self.client = TunnelEnd(self, "client", client)
        self.version_end = TunnelEnd(self, "version", upstream)
        self.client.other, self.version_end.other = self.version_end, self.client
        self.open_ones.add(self)
        self.stats.tunnels += 1
        client.set_protocol(self.client)
        upstream.set_protocol(self.version_end)
        if behind:
            self.version_end.data_received(behind)

    def end(self, how: str) -> None:
        """Close both sides behind what was sent to them. Only the first reason counts."""
        if self.ended:
            return
        self.ended = how
        self.ended_at = monotonic()
        ends = self.stats.tunnel_ends
        ends[how] = ends.get(how, 0) + 1
        self.client.transport.close()
        self.version_end.transport.close()

    def forget(self) -> None:
        """Once both sockets are gone."""
        if self.client.open or self.version_end.open or self not in self.open_ones:
            return
        self.open_ones.discard(self)
        self.count()
        self.stats.tunnels -= 1
        self.pool.tunnel_ended(self.endpoint)

    def count(self) -> None:
        """Bytes that passed, for the version's figures."""
        stats = self.stats
        stats.dirty = True
        stats.bytes_in += self.client.passed
        stats.bytes_out += self.version_end.passed
        self.client.passed = self.version_end.passed = 0

    def sweep(self, now: float) -> None:
        """Called once a second: what has lasted too long."""
        self.count()
        entry = self.entry
        if self.ended:
            if now - self.ended_at > CLOSE_S:
                self.client.transport.abort()
                self.version_end.transport.abort()
        elif now > self.end_by:
            self.end("gone")
        elif now - self.heard > entry.idle_s:
            self.end("idle")
        elif entry.age_s and now - self.began > entry.age_s:
            self.end("age")

    def follow(self, entries: Mapping[str, RouteEntry], now: float, drain_s: float) -> None:
        """Another table is in force."""
        route = entries.get(self.route)
        names = [version.name for version in route.versions] if route is not None else []
        if route is None or route.tunnel is None or self.version not in names:
            self.end_by = min(self.end_by, now + drain_s)
            return
        self.entry = route.tunnel
        self.end_by = inf
        if names.index(self.version) in route.tunnel.cut:
            self.end("taken_back")

    def __repr__(self) -> str:
        return f"<Tunnel {self.route} {self.version} {self.ended or 'open'}>"
