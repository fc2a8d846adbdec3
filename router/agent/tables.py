"""A table on its way into Envoy: clusters first, then routes; what was refused stays outside."""

from __future__ import annotations

from dataclasses import replace

from router.agent.bridge import bridge
from router.agent.clusters import clusters, comparer
from router.agent.listener import listener
from router.agent.naming import TYPE, EnvoyJson, compared
from router.agent.offers import Offers, Resource
from router.agent.routes import Placed, route_configuration
from router.core.wire.table import RouteEntry, RoutingTable, stable_only


class TableOffers:
    """What is offered for the newest table, and what is in force."""

    def __init__(self, offers: Offers, address: tuple[str, int]) -> None:
        self.offers = offers
        self.address = address
        self.comparer_port = 0
        self.bridge_port = 0
        self.wanted = RoutingTable(0)
        self.good = RoutingTable(0)
        """The last table that Envoy took whole."""
        self._placed: dict[str, Placed] = {}
        self._taken: dict[str, Placed] = {}
        """Those of the last table that Envoy took whole."""
        self._puts = 0
        self._routes: EnvoyJson = {}
        self._lowered = False
        """The newest table was refused, and what it takes back is taken back without it."""

    @property
    def _mark(self) -> str:
        """Of what the newest table has changed."""
        return f"{self.offers.boot}.{self._puts}"

    def put(self, table: RoutingTable) -> list[Placed]:
        """This table from now on; where its entries stand."""
        self.wanted, self._lowered = table, False
        self._puts += 1
        before = self._placed
        self._placed = {
            entry.name: known
            if (known := before.get(entry.name)) is not None and known.entry == entry
            else Placed(self._mark, entry)
            for entry in table.routes
        }
        self._routes = route_configuration(list(self._placed.values()))
        made = [comparer(self.comparer_port)]
        made += [one for entry in table.routes for one in clusters(entry)]
        # What routes in force name goes only when those that come are taken.
        names = {one["name"] for one in made}
        kept = [c for e in self.good.routes for c in clusters(e) if c["name"] not in names]
        typed = [{"@type": f"{TYPE}envoy.config.cluster.v3.Cluster", **one} for one in made + kept]
        self.offers.of[Resource.CLUSTERS].put(typed)
        listeners = [listener(table, *self.address)]
        if any(map(compared, table.routes)):
            listeners.append(bridge(self.bridge_port))
        self.offers.of[Resource.LISTENERS].put(listeners)
        self.advance()
        return list(self._placed.values())

    def advance(self) -> bool:
        """After Envoy asked: offer what can be offered now; whether all of the table is taken."""
        clusters_ = self.offers.of[Resource.CLUSTERS]
        if clusters_.settled and not self._lowered:
            self.offers.of[Resource.ROUTES].put([self._routes])
            if self.offers.settled:
                self.good, self._taken = self.wanted, self._placed
                return True
        if self.offers.refused is not None and not self._lowered:
            self._lower()
        return False

    def _lower(self) -> None:
        """Envoy goes on with the last good table; but what is taken back there, is."""
        self._lowered = True
        if self.good.generation:
            routes = map(self._still_placed, lowered(self.good, self.wanted))
            self.offers.of[Resource.ROUTES].put([route_configuration(list(routes))])

    def _still_placed(self, entry: RouteEntry) -> Placed:
        """Counted as the table says whose weights it has; where none has them, not at all."""
        wanted, taken = self._placed.get(entry.name), self._taken[entry.name]
        if entry == taken.entry:
            return taken
        if wanted is not None and wanted.entry.weights_bp == entry.weights_bp:
            return Placed(wanted.mark, entry)
        return Placed(f"{self._mark}.lowered", entry)


def lowered(good: RoutingTable, wanted: RoutingTable) -> list[RouteEntry]:
    """The entries of ``good``, with no more for a candidate than ``wanted`` gives it."""
    new = {entry.name: entry for entry in wanted.routes}
    return [_lowered(entry, new.get(entry.name)) for entry in good.routes]


def _lowered(entry: RouteEntry, wanted: RouteEntry | None) -> RouteEntry:
    if entry.candidate < 0 or not entry.weights_bp[entry.candidate] or wanted is None:
        return entry
    same = [v.name for v in entry.versions] == [v.name for v in wanted.versions]
    if same and (entry.candidate, entry.stable) == (wanted.candidate, wanted.stable):
        less = wanted.weights_bp[wanted.candidate] < entry.weights_bp[entry.candidate]
        return replace(entry, weights_bp=wanted.weights_bp) if less else entry
    return stable_only(entry)
