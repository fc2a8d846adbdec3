"""The answers that versions of a route give again, and the questions that are being asked.

An answer is kept under the version that made it. When a version is taken back, its answers go with
it at the same turn, and so do those on their way. All of it belongs to one worker.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from router.core.wire.protection import CacheEntry
    from router.core.wire.table import RouteEntry
    from router.http1 import ResponseHead

HEAD_BYTES: Final = 1_024
"""Counted for the head of each answer."""


class Landed(Protocol):
    """Who waits for the end of an asking."""

    def over(self, answer: CachedAnswer | None, *, alive: bool, left: bool) -> None:
        """It is over. None: nothing of it can be given to others.

        ``alive``: its version still answers; ``left``: the client who asked has gone.
        """


class CachedAnswer(NamedTuple):
    """One answer, as it went out."""

    head: ResponseHead
    body: bytes
    at: float
    """Monotonic."""

    @property
    def size(self) -> int:
        """Bytes that it is counted for."""
        return len(self.body) + HEAD_BYTES


class Flight:
    """A question that is being asked, and who waits for the answer."""

    __slots__ = ("epoch", "key", "version", "waiting")

    def __init__(self, version: str, key: bytes, epoch: int) -> None:
        self.version = version
        self.key = key
        self.epoch = epoch
        self.waiting: list[Landed] = []


class RouteCache:
    """The answers of one route's versions."""

    def __init__(self, entry: CacheEntry) -> None:
        self.held_bytes = self.evicted = 0
        self._answers: OrderedDict[tuple[str, bytes], CachedAnswer] = OrderedDict()
        self._flights: dict[tuple[str, bytes], Flight] = {}
        self._alive: dict[str, tuple[object, ...]] = {}
        self._epochs: dict[str, int] = {}
        self._settle(entry)

    def _settle(self, entry: CacheEntry) -> None:
        self.ttl_s, self.bytes_max, self.answer_bytes = (
            entry.ttl_s, entry.bytes_max, entry.answer_bytes
        )  # fmt: skip
        self.vary = tuple(name.encode() for name in entry.vary)
        self.methods = frozenset(name.encode() for name in entry.methods)

    def __repr__(self) -> str:
        return f"<RouteCache {len(self._answers)} answers, {self.held_bytes:,} bytes>"

    def __len__(self) -> int:
        return len(self._answers)

    def follow(self, entry: RouteEntry) -> None:
        """The route is another now: forget what versions said that are gone or have changed."""
        now = _alive(entry)
        for name, known in self._alive.items():
            if now.get(name) != known:
                self._forget(name)
        self._alive = now
        if entry.cache is not None:
            self._settle(entry.cache)
            self._fit()

    def _forget(self, version: str) -> None:
        self._epochs[version] = self._epochs.get(version, 0) + 1
        for key in [key for key in self._answers if key[0] == version]:
            self.held_bytes -= self._answers.pop(key).size
        for key in [key for key in self._flights if key[0] == version]:
            del self._flights[key]

    def serves(self, version: str) -> bool:
        """Whether this version's answers may be given again."""
        return version in self._alive

    def known(self, key: bytes, now: float) -> bool:
        """Whether some version has answered this, or is being asked."""
        return any(
            (name, key) in self._flights or self.find(name, key, now) is not None
            for name in self._alive
        )

    def find(self, version: str, key: bytes, now: float) -> CachedAnswer | None:
        """Its answer, while it is fresh."""
        place = version, key
        found = self._answers.get(place)
        if found is None:
            return None
        if now - found.at > self.ttl_s:
            self.held_bytes -= self._answers.pop(place).size
            return None
        return found

    def used(self, version: str, key: bytes) -> None:
        """Somebody got this answer: it is the last to go."""
        self._answers.move_to_end((version, key))

    def flight(self, version: str, key: bytes) -> Flight | None:
        """The asking that is under way."""
        return self._flights.get((version, key))

    def begin(self, version: str, key: bytes) -> Flight:
        """A question is asked."""
        made = Flight(version, key, self._epochs.get(version, 0))
        return self._flights.setdefault((version, key), made)

    def land(self, flight: Flight, answer: CachedAnswer | None, *, left: bool = False) -> None:
        """It is answered; the arguments as in :class:`Landed`."""
        alive = self._end(flight, answer)
        waiting, flight.waiting = flight.waiting, []
        for one in waiting:
            one.over(answer, alive=alive, left=left)

    def _end(self, flight: Flight, answer: CachedAnswer | None) -> bool:
        """Keep the answer; whether its version still answers."""
        place = flight.version, flight.key
        if self._flights.get(place) is flight:
            del self._flights[place]
        same = self._epochs.get(flight.version, 0) == flight.epoch
        alive = same and flight.version in self._alive
        if alive and answer is not None and answer.size <= self.bytes_max:
            if (old := self._answers.pop(place, None)) is not None:
                self.held_bytes -= old.size
            self._answers[place] = answer
            self.held_bytes += answer.size
            self._fit()
        return alive

    def _fit(self) -> None:
        while self.held_bytes > self.bytes_max:
            _, gone = self._answers.popitem(last=False)
            self.held_bytes -= gone.size
            self.evicted += 1


def _alive(entry: RouteEntry) -> dict[str, tuple[object, ...]]:
    """The versions whose answers may be given again; with another value it is another version."""
    attempt = entry.rollout_id, entry.attempt
    found: dict[str, tuple[object, ...]] = {}
    for place, (version, weight) in enumerate(zip(entry.versions, entry.weights_bp, strict=True)):
        if weight or place == entry.stable:
            who = attempt if place == entry.candidate else ()
            found[version.name] = (version.endpoints, version.edit, who)
    return found


class Caches:
    """Of all routes that have one."""

    def __init__(self) -> None:
        self._routes: dict[str, RouteCache] = {}

    def __repr__(self) -> str:
        return f"<Caches {self._routes!r}>"

    def of(self, route: RouteEntry, entry: CacheEntry) -> RouteCache:
        """The one of this route."""
        cache = self._routes.get(route.name)
        if cache is None:
            cache = self._routes[route.name] = RouteCache(entry)
            cache.follow(route)
        return cache

    def follow(self, routes: Iterable[RouteEntry]) -> None:
        """Another table is in force."""
        if not self._routes:
            return
        entries = {route.name: route for route in routes}
        for name in list(self._routes):
            entry = entries.get(name)
            if entry is None or entry.cache is None:
                del self._routes[name]
            else:
                self._routes[name].follow(entry)
