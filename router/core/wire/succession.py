"""Which routing table follows which, and what has to be sent so that one takes another's place.

Tables come from one leader at a time. Each holds its store in a *term* of its own, later than that
of everybody before, and counts the generations of its tables within it. A leader that was stopped,
and does not know yet that another one has taken over, goes on sending; nobody who has heard of the
later term takes anything of it.
"""

from __future__ import annotations

from dataclasses import replace

from router.core.wire.table import RouteEntry, RoutingTable


def outdated(term: int, table: RoutingTable) -> bool:
    """Whether a leader of ``term`` has nothing to say any more to who has ``table``."""
    return term < table.term


def changed_routes(old: RoutingTable, new: RoutingTable) -> tuple[RouteEntry, ...] | None:
    """Entries of ``new`` that differ from ``old``'s; None where more than entries differs.

    Control keeps the entry of a route until it changes, so most comparisons are of identity.
    """
    if replace(old, generation=new.generation, routes=new.routes) != new:
        return None
    if [route.name for route in old.routes] != [route.name for route in new.routes]:
        return None
    pairs = zip(old.routes, new.routes, strict=True)
    return tuple(after for before, after in pairs if after is not before and after != before)


def amended(table: RoutingTable, generation: int, routes: tuple[RouteEntry, ...]) -> RoutingTable:
    """``table`` with ``routes`` in place of those of the same names."""
    new = {route.name: route for route in routes}
    entries = tuple(new.get(route.name, route) for route in table.routes)
    return replace(table, generation=generation, routes=entries)
