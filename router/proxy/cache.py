"""Answers that a version gives again, and questions that are asked once for all who wait.

An answer is kept under the version that made it, so whoever is drawn to another version gets that
one's. When a version is taken back, its answers go with it at the same turn, and so do those on
their way. Everything here belongs to one worker; nothing is locked, and no task waits.

**What counts.** A question is evidence only if no version of the route has its answer, and none is
being asked for it: then it is new to both arms alike, and the coin that chose had its weight,
whatever came before. Any other is counted as a pinned request is: shown, read by `guard`, no draw.
So a cache that is warm for stable and cold for the candidate bends nothing
(docs/decisions/026-what-a-cache-leaves-to-judge.md).
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from router.core.wire.outcomes import Outcome
from router.core.wire.table import CREDENTIALS
from router.http1 import UNTIL_CLOSE, response_head
from router.proxy.extraction import watch
from router.proxy.record import record
from router.proxy.sampling import Sampling
from router.proxy.serving import Assignment
from router.proxy.stage import Stage

if TYPE_CHECKING:
    from router.core.wire.protection import CacheEntry
    from router.core.wire.table import RouteEntry
    from router.http1 import RequestHead, ResponseHead
    from router.proxy.exchange import Exchange
    from router.proxy.sampling import SampledExchange
    from router.proxy.serving import ServedRoute, Serving

HEAD_BYTES: Final = 1_024
"""Counted for the head of each answer."""
WAITING_MAX: Final = 10_000
"""Requests that wait for one answer; further ones ask for themselves."""
ALWAYS: Final = (b"accept", b"accept-encoding", b"content-type", b"content-encoding")
"""Fields that tell questions apart on every route."""
SECRETS: Final = tuple(name.encode() for name in CREDENTIALS)
KEYED: Final = frozenset((*ALWAYS, b"accept-charset", b"origin"))


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
        self.waiting: list[tuple[Exchange, Assignment]] = []


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

    def end(self, flight: Flight, answer: CachedAnswer | None) -> bool:
        """It is answered (None: by nothing that can be kept); whether its version still answers."""
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

    def of(self, route: ServedRoute, entry: CacheEntry) -> RouteCache:
        """The one of this route."""
        name = route.entry.name
        cache = self._routes.get(name)
        if cache is None:
            cache = self._routes[name] = RouteCache(entry)
            cache.follow(route.entry)
        return cache

    def follow(self, serving: Serving) -> None:
        """Another table is in force."""
        if not self._routes:
            return
        entries = {route.entry.name: route.entry for route in serving.routes}
        for name in list(self._routes):
            entry = entries.get(name)
            if entry is None or entry.cache is None:
                del self._routes[name]
            else:
                self._routes[name].follow(entry)


# --- one request ------------------------------------------------------------------------------


def take_cached(exchange: Exchange, choice: Assignment, entry: CacheEntry) -> None:
    """Answer from the cache, wait for who asks already, or ask."""
    route, plane, now = exchange.route, exchange.plane, monotonic()
    cache, counts = plane.caches.of(route, entry), route.counts
    name, key = choice.version.name, key_of(exchange, cache)
    counts.dirty = True
    counts.cache_evicted += cache.evicted
    cache.evicted = 0
    if not key or not cache.serves(name):
        counts.cache_passed += 1
        exchange.take(choice)
        return
    if (found := cache.find(name, key, now)) is not None:
        cache.used(name, key)
        counts.cache_hits += 1
        _serve(exchange, choice, found, now)
        return
    forced = Assignment(choice.version, False, choice.unit, choice.cookie)
    if (flight := cache.flight(name, key)) is not None and len(flight.waiting) < WAITING_MAX:
        counts.cache_waited += 1
        flight.waiting.append((exchange, forced))
        return
    counts.cache_misses += 1
    new = not cache.known(key, now)
    flight = cache.begin(name, key)
    exchange.take(choice if new else forced)
    if exchange.stage is Stage.ENDED or exchange.first is not None:
        _release(cache, flight)
    else:
        exchange.sample = Keeping(cache, flight, exchange.sample)


def key_of(exchange: Exchange, cache: RouteCache) -> bytes:
    """What tells this question from others; empty: it is asked whatever is known."""
    head, upload = exchange.head, exchange.upload
    if head.method not in cache.methods or not exchange.uploaded:
        return b""
    if not exchange.kept or (upload is not None and not upload.kept) or _asks_anew(head, cache):
        return b""
    told = [head.method, head.target, head.host]
    for field in (*ALWAYS, *cache.vary):
        told += (field, b",".join(head.get_all(field)))
    digest = blake2b(b"\0".join(told), digest_size=16)
    digest.update(b"\0\0" + exchange.whole())
    return digest.digest()


def _asks_anew(head: RequestHead, cache: RouteCache) -> bool:
    """Whether somebody says who they are, or wants no answer that was given before.

    RFC 9111 sections 3.5, 5.2.1.4 and 5.2.1.5.
    """
    if any(head.get(name) is not None for name in SECRETS if name not in cache.vary):
        return True
    wish = (head.get(b"cache-control") or b"").lower()
    return b"no-cache" in wish or b"no-store" in wish or head.get(b"range") is not None


def may_keep(head: ResponseHead, cache: RouteCache) -> bool:
    """Whether this answer may be given to others (RFC 9111 section 3)."""
    if head.status != 200 or head.framing == UNTIL_CLOSE:
        return False
    said = (head.get(b"cache-control") or b"").lower()
    if b"no-store" in said or b"private" in said or head.get(b"set-cookie") is not None:
        return False
    named = b",".join(head.get_all(b"vary")).lower().split(b",")
    return all(name.strip() in KEYED or name.strip() in cache.vary for name in named if name)


def _serve(exchange: Exchange, choice: Assignment, found: CachedAnswer, now: float) -> None:
    """Give an answer again; no version has anything to do with it."""
    route, version, head = exchange.route, choice.version, exchange.head
    told = b"Age: %d\r\nX-Rampway-Cache: hit\r\n" % (now - found.at)
    extra = b"".join((version.line, exchange.id, b"\r\n", choice.cookie, told))
    data, _, keep = response_head(
        found.head, head, exchange.uploaded and exchange.plane.accepting, extra, found.body, True
    )
    exchange.client.write(data)
    if route.clients is not None:
        asked = exchange.whole() or head.target
        watch(exchange.client, head, asked, route, found.head, found.body)
    record(exchange, Outcome.OK, found.head.status)
    exchange.client.done(keep)


def _release(
    cache: RouteCache, flight: Flight, answer: CachedAnswer | None = None, *, left: bool = False
) -> None:
    """The asking is over: who waited gets the answer, or asks for itself.

    ``left``: the client who asked has gone; one of those who waited asks in its place.
    """
    alive = cache.end(flight, answer)
    waiting, flight.waiting = flight.waiting, []
    for exchange, choice in waiting:
        if exchange.stage is Stage.ENDED:  # its client has left
            continue
        if alive and answer is not None:
            _serve(exchange, choice, answer, monotonic())
        elif alive and left and (entry := exchange.route.entry.cache) is not None:
            take_cached(exchange, choice, entry)
        elif alive:
            exchange.take(choice)
        else:
            _to_stable(exchange)


def _to_stable(exchange: Exchange) -> None:
    """Its version was taken back while it waited: stable answers, by the table in force."""
    name = exchange.route.entry.name
    for route in exchange.plane.serving.routes:
        if route.entry.name == name:
            exchange.route = route
    exchange.take(Assignment(exchange.route.stable, False))


class Keeping(Sampling):
    """Keeps an answer as it goes out; ``inner``: the sample that the request is besides."""

    __slots__ = ("_cache", "_flight", "_inner", "_kept", "_shown")

    def __init__(self, cache: RouteCache, flight: Flight, inner: Sampling | None) -> None:
        self._cache = cache
        self._flight: Flight | None = flight
        self._inner = inner
        self._shown: ResponseHead | None = None
        self._kept = bytearray()
        self.nonce = inner.nonce if inner is not None else 0
        self.most = inner.most if inner is not None else 0

    def said(self, head: ResponseHead, body: bytes) -> None:
        """See Sampling: of no interest here, where only what goes out is kept."""
        if self._inner is not None:
            self._inner.said(head, body)

    def begun(self, head: ResponseHead, body: bytes) -> None:
        """The answer begins; one that cannot be kept is waited for by nobody."""
        if self._inner is not None:
            self._inner.begun(head, body)
        self._shown = head
        if may_keep(head, self._cache):
            self._keep(body)
        else:
            self._over(None)

    def piece(self, piece: bytes) -> None:
        """More of it."""
        if self._inner is not None:
            self._inner.piece(piece)
        if self._flight is not None:
            self._keep(piece)

    def _keep(self, piece: bytes) -> None:
        self._kept += piece
        if len(self._kept) > self._cache.answer_bytes:
            self._over(None)

    def done(self, ending: SampledExchange, outcome: Outcome) -> None:
        """The exchange or its attempt has ended."""
        if self._inner is not None:
            self._inner.done(ending, outcome)
        head = self._shown
        if outcome is Outcome.OK and head is not None and self._flight is not None:
            self._over(CachedAnswer(head, bytes(self._kept), monotonic()))
        else:
            self._over(None, left=outcome is Outcome.CLIENT_ABORT or outcome is Outcome.GIVEN_UP)

    def _over(self, answer: CachedAnswer | None, *, left: bool = False) -> None:
        flight, self._flight, self._kept = self._flight, None, bytearray()
        if flight is not None:
            _release(self._cache, flight, answer, left=left)
