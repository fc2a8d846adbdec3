"""Copies of requests, asked of both versions here, so that their answers can be compared.

Envoy copies; it cannot hand two answers over. So each copy comes to a data plane of our own, the
built-in one, whose clients are Envoy's copies alone: it asks stable and copies to the others as it
does everywhere, within the same bounds. Stable is thus asked once more for what is copied. Calls
of gRPC whose payload is read come here as well, and are asked through :mod:`router.agent.bridge`;
copies of other calls go to the version itself and are counted, not compared.

A bound of copies a second is a quota here, whose one client is Envoy: what is beyond it is not
asked of stable either.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from router.agent.bridge import LOOPBACK, asking, reserved
from router.agent.naming import compared
from router.core.wire.counts import MirrorCounts, PairSample, VersionCounts
from router.core.wire.edits import EditEntry
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.protection import QuotaEntry
from router.core.wire.table import (
    HealthCheck,
    Mirror,
    RouteEntry,
    RoutingTable,
    VersionEntry,
    stable_only,
)
from router.core.words import FULL_BP
from router.proxy.mirror import BURST_S
from router.proxy.plane import DataPlane, Listen
from router.telemetry.recorder import Recorder

OF_ALL: Final = "x-forwarded-proto"
"""A field that is the same in all copies: Envoy writes it, and takes no TLS here."""


class Shadows:
    """See the module."""

    def __init__(self, source: int) -> None:
        self.recorder = Recorder(source=source)
        self.plane = DataPlane(self.recorder, Listen(LOOPBACK, 0))
        self.plane.bind()
        self._bridge = reserved()

    @property
    def port(self) -> int:
        """Where copies are taken."""
        return self.plane.port

    @property
    def bridge_port(self) -> int:
        """Where Envoy makes calls of what is asked here."""
        port: int = self._bridge.getsockname()[1]
        return port

    async def start(self, table: RoutingTable) -> None:
        """Take copies as this table says."""
        self.follow(table)
        await self.plane.start()

    def follow(self, table: RoutingTable) -> None:
        """Copy as this table says from now on."""
        self.plane.apply(copying(table, self.bridge_port))

    def take(self) -> tuple[tuple[VersionCounts, ...], tuple[MirrorCounts, ...]]:
        """Counts of copies since the last call; what stable did here is no client's."""
        delta = self.recorder.delta()
        shadows = tuple(one for one in delta.versions if one.role == "shadow")
        refused = {one.route: one.quota_refused for one in delta.routes if one.quota_refused}
        dropped = tuple(
            MirrorCounts(entry.name, entry.versions[one.version].name, 0, 0, {"rate": many})
            for entry in self.plane.serving.table.routes if (many := refused.get(entry.name))
            for one in entry.mirrors if one.version != entry.stable
        )  # fmt: skip
        return shadows, (*delta.mirrors, *dropped)

    def take_pairs(self) -> tuple[tuple[PairSample, ...], int]:
        """Answers to compare since the last call, and how many found no room."""
        return self.recorder.take_pairs()

    async def close(self) -> None:
        """Take no more."""
        await self.plane.drain(0.0)
        self._bridge.close()


def copying(table: RoutingTable, bridge_port: int) -> RoutingTable:
    """The table of copies: stable answers each, and what is copied is drawn at the rest's share."""
    routes = tuple(_copied(entry, bridge_port) for entry in table.routes)
    return replace(
        table, routes=routes, trusted_proxies=(f"{LOOPBACK}/32",), access_log=None, traces=None,
        tls=None,
    )  # fmt: skip


def _copied(entry: RouteEntry, bridge_port: int) -> RouteEntry:
    # Envoy has drawn the largest share already.
    most = max((one.share_bp for one in entry.mirrors if one.of < 0), default=FULL_BP) or FULL_BP
    return replace(
        stable_only(entry), rules=(), pin=False, pinnable=(), sticky=None, rescue=None, judge="",
        sampling=None, quota=_paced(entry.mirror_limits.per_second),
        mirror_limits=replace(entry.mirror_limits, per_second=0),
        versions=tuple(_asked(entry, one, bridge_port) for one in entry.versions),
        mirrors=tuple(
            Mirror(one.version, min(one.share_bp * FULL_BP // most, FULL_BP))
            for one in entry.mirrors if one.of < 0
        ),
    )  # fmt: skip


def _paced(per_second: int) -> QuotaEntry | None:
    if not per_second:
        return None
    interval_ns = 10**9 // per_second
    return QuotaEntry(OF_ALL, interval_ns, int(max(per_second * BURST_S - 1, 0) * interval_ns))


def _asked(entry: RouteEntry, version: VersionEntry, bridge_port: int) -> VersionEntry:
    version = replace(version, health=HealthCheck())
    if not compared(entry):
        return version
    # Envoy knows its instances, and which of them are well.
    return replace(
        version, endpoints=(EndpointEntry(LOOPBACK, bridge_port),),
        edit=EditEntry(headers=asking(entry.name, version.name)),
    )  # fmt: skip
