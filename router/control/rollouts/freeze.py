"""Freezes: nobody's rollout, or not this route's, advances until it ends. Rollbacks go on.

They are kept in the store and end at a moment of the wall clock, since that is what people mean by
"until Monday morning"; a restart or a router that was down changes nothing about it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from router.control.state.clock import Clock
from router.control.state.record import Change, JournalEntry
from router.control.state.settings import StoreSettings
from router.control.told.answers import FreezesView, FreezeView
from router.core.rollout.windows import moment

EVERYTHING = ""
"""Instead of a route's name: all routes."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """Who stopped it and why; wall times in seconds since 1970."""

    actor: str
    reason: str = ""
    at: float = 0.0
    until: float | None = None
    """It ends by itself then; None: only by order."""

    def sentence(self) -> str:
        """``frozen by ann until Mon 2026-11-30 08:00 UTC: black friday``."""
        until = f" until {moment(self.until)}" if self.until is not None else ""
        return f"frozen by {self.actor}{until}" + (f": {self.reason}" if self.reason else "")


class Freezes:
    """All that are in force, by route."""

    def __init__(self) -> None:
        self._by_route: dict[str, Freeze] = {}

    def __repr__(self) -> str:
        return f"<Freezes {', '.join(route or 'everything' for route in self._by_route)}>"

    def __bool__(self) -> bool:
        return bool(self._by_route)

    def set(self, route: str, freeze: Freeze | None) -> None:
        """Begin, change or (None) end the freeze of a route, or of :data:`EVERYTHING`."""
        if freeze is None:
            self._by_route.pop(route, None)
        else:
            self._by_route[route] = freeze

    def over(self, route: str, wall: float) -> Freeze | None:
        """What keeps a route from advancing; of two freezes the one that lasts longer."""
        found = [
            freeze
            for name in (EVERYTHING, route)
            if (freeze := self._by_route.get(name)) is not None
            and (freeze.until is None or wall < freeze.until)
        ]
        return max(found, key=lambda f: float("inf") if f.until is None else f.until, default=None)

    def order(self, clock: Clock, route: str, freeze: Freeze, frozen: bool) -> Change:
        """Begin, or end, the freeze of a route; the transaction that makes it durable."""
        self.set(route, freeze if frozen else None)
        text = freeze.sentence() if frozen else f"un{replace(freeze, until=None).sentence()}"
        return self._change(clock, route, freeze.actor, text)

    def lapsed(self, clock: Clock) -> tuple[Change, ...]:
        """Forget those that have ended by themselves; the transactions that say so."""
        wall = clock.wall()
        ended = [(r, f) for r, f in self._by_route.items() if f.until and wall >= f.until]
        for route, _ in ended:
            self.set(route, None)
        return tuple(
            self._change(clock, r, "router", f"the freeze by {f.actor} has ended") for r, f in ended
        )

    def kept(self) -> FreezesView:
        """For the store, and for people: of everything, and of single routes."""
        routes = {name: FreezeView.like(one) for name, one in self._by_route.items() if name}
        if (all_of_it := self._by_route.get(EVERYTHING)) is None:
            return FreezesView(routes=routes)
        return FreezesView(
            actor=all_of_it.actor, reason=all_of_it.reason, at=all_of_it.at,
            until=all_of_it.until, routes=routes,
        )  # fmt: skip

    def restore(self, stored: FreezesView) -> None:
        """The inverse of :meth:`kept`."""
        known: dict[str, FreezeView | FreezesView] = {**stored.routes}
        if stored.actor:
            known[EVERYTHING] = stored
        self._by_route = {
            route: Freeze(one.actor, one.reason, one.at, one.until) for route, one in known.items()
        }

    def _change(self, clock: Clock, route: str, actor: str, text: str) -> Change:
        entry = JournalEntry(
            clock.wall(), clock.now(), route, "", 0, actor, "freeze", "", "", 0, 0, text
        )
        return Change(clock.now(), entries=(entry,), settings=StoreSettings(frozen=self.kept()))
