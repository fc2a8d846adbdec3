"""The pools of one worker, kept over table swaps: an edit elsewhere closes no connection."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from router.core.wire.counts import EndpointState
from router.upstream.desk import Desk
from router.upstream.health import Prober
from router.upstream.names import Names
from router.upstream.pool import Pool
from router.upstream.sockets import Sockets
from router.upstream.tables import Lookups, TablePool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from router.core.wire.endpoint import EndpointEntry as Address
    from router.core.wire.table import RoutingTable, VersionEntry
    from router.upstream.connection import Endpoint


def pool_class(entry: VersionEntry) -> Callable[..., Pool]:
    """What keeps in touch with a version."""
    if entry.table is not None:
        return TablePool
    return Desk if entry.person and not entry.endpoints else Pool


class _Kept(NamedTuple):
    pool: Pool
    prober: Prober


class Pools:
    """One pool per version that takes live requests, and one of its own per shadow.

    Mirrored copies never share a connection, a queue or a bound with live requests: a shadow that
    hangs must not be felt by users (reliability of the mirror rests on this separation).
    """

    def __init__(self) -> None:
        self.sockets = Sockets(reclaim=self._close_idle)
        """Set ``sockets.most`` to bound them."""
        self.names = Names()
        self._live: dict[tuple[str, str], _Kept] = {}
        self._shadow: dict[tuple[str, str], Pool] = {}

    def live(self, route: str, entry: VersionEntry, *, connect_s: float) -> Pool:
        """The pool for live requests to a version; made, or updated to this entry."""
        kept = self._live.get((route, entry.name))
        if kept is not None and pool_class(kept.pool.entry) is not pool_class(entry):
            kept.pool.close()
            kept.prober.close()
            kept = None
        if kept is None:
            pool = pool_class(entry)(
                entry, connect_s=connect_s, sockets=self.sockets, names=self.names
            )
            prober = Prober(pool.refresh)
            kept = self._live[route, entry.name] = _Kept(pool, prober)
            pool.changed = lambda: prober.update(pool.entry, pool.endpoints)
        elif kept.pool.entry != entry or kept.pool.connect_s != connect_s:
            kept.pool.update(entry, connect_s=connect_s)
        kept.prober.update(entry, kept.pool.endpoints)
        return kept.pool

    def shadow(self, route: str, entry: VersionEntry, *, connect_s: float) -> Pool:
        """The pool for mirrored copies to a version."""
        pool = self._shadow.get((route, entry.name))
        if pool is not None and isinstance(pool, TablePool) is not (entry.table is not None):
            pool.close()
            pool = None
        if pool is None:
            kind = TablePool if entry.table is not None else Pool
            pool = self._shadow[route, entry.name] = kind(
                entry, connect_s=connect_s, sockets=self.sockets, names=self.names
            )
        elif pool.entry != entry or pool.connect_s != connect_s:
            pool.update(entry, connect_s=connect_s)
        return pool

    def keep(self, table: RoutingTable) -> None:
        """Close the pools whose version or mirror is no longer in the table."""
        live = {(route.name, v.name) for route in table.routes for v in route.versions}
        shadow = {
            (route.name, route.versions[mirror.version].name)
            for route in table.routes
            for mirror in route.mirrors
        }
        for key in [key for key in self._shadow if key not in shadow]:
            self._shadow.pop(key).close()
        for key in [key for key in self._live if key not in live]:
            kept = self._live.pop(key)
            kept.pool.close()
            kept.prober.close()

    def close(self) -> None:
        """Close everything."""
        for kept in self._live.values():
            kept.pool.close()
            kept.prober.close()
        for pool in self._shadow.values():
            pool.close()
        self._live.clear()
        self._shadow.clear()

    def _close_idle(self) -> None:
        for pool in self.all():
            pool.close_idle()

    def looked_up(self) -> Iterator[tuple[str, str, Lookups]]:
        """By route and version, what became of questions to tables since the last call."""
        live = ((key, kept.pool) for key, kept in self._live.items())
        for (route, version), pool in chain(live, self._shadow.items()):
            if isinstance(pool, TablePool) and any(found := pool.looked_up()):
                yield route, version, found

    def all(self) -> list[Pool]:
        """Every pool, for the sweeper."""
        return [*(kept.pool for kept in self._live.values()), *self._shadow.values()]

    def states(self) -> tuple[EndpointState, ...]:
        """Endpoints that did anything or changed since the last call.

        One for each endpoint of the policy: the addresses of a name are told together.
        """
        states: list[EndpointState] = []
        for (route, version), kept in self._live.items():
            if any(endpoint.dirty for endpoint in kept.pool.endpoints):
                together: dict[Address, list[Endpoint]] = {}
                for endpoint in kept.pool.endpoints:
                    together.setdefault(endpoint.address, []).append(endpoint)
                states += [
                    _state(route, version, address, endpoints)
                    for address, endpoints in together.items()
                    if any(endpoint.dirty for endpoint in endpoints)
                ]
        return tuple(states)


def _state(route: str, version: str, address: Address, endpoints: list[Endpoint]) -> EndpointState:
    """What is known of the addresses of one endpoint of the policy."""
    state = EndpointState(
        route, version, str(address),
        any(e.healthy for e in endpoints),
        any(e.ejected_until and not e.unreachable_until for e in endpoints)
        or all(e.ejected_until for e in endpoints),
        sum(e.in_flight for e in endpoints), sum(e.open for e in endpoints),
        next((e.last_error for e in endpoints if e.last_error), ""),
        None if all(e.ready is None for e in endpoints) else any(e.ready for e in endpoints),
        next((e.load for e in endpoints if e.load), b"").decode("latin-1"),
    )  # fmt: skip
    for endpoint in endpoints:
        endpoint.dirty = False
    return state
