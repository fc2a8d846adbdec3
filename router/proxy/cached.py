"""A request on a route with a cache: answered again, waiting for who asks already, or asked.

**What counts.** A question is evidence only if no version of the route has its answer, and none is
being asked for it: then it is new to both arms alike, and the coin that chose had its weight,
whatever came before. Any other is counted as a pinned request is: shown, read by `guard`, no draw.
So a cache that is warm for stable and cold for the candidate bends nothing
(docs/decisions/026-what-a-cache-leaves-to-judge.md). Nothing is locked, and no task waits.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from router.core.wire.credentials import CREDENTIALS
from router.core.wire.outcomes import Outcome
from router.http1 import UNTIL_CLOSE, response_head
from router.proxy.extraction import watch
from router.proxy.kept_answers import CachedAnswer
from router.proxy.sampling import Sampling
from router.proxy.serving import Assignment
from router.proxy.stage import Stage

if TYPE_CHECKING:
    from router.core.wire.protection import CacheEntry
    from router.http1 import RequestHead, ResponseHead
    from router.proxy.attempt import Attempt
    from router.proxy.kept_answers import Flight, RouteCache
    from router.proxy.sampling import SampledExchange
    from router.proxy.serving import ServedRoute
    from router.proxy.shared import ClientSide, Shared

WAITING_MAX: Final = 10_000
"""Requests that wait for one answer; further ones ask for themselves."""
ALWAYS: Final = (b"accept", b"accept-encoding", b"content-type", b"content-encoding")
"""Fields that tell questions apart on every route."""
SECRETS: Final = tuple(name.encode() for name in CREDENTIALS)
KEYED: Final = frozenset((*ALWAYS, b"accept-charset", b"origin"))


class CachedExchange(Protocol):
    """What is asked of an exchange here; :mod:`router.proxy.exchange` is one."""

    client: ClientSide
    head: RequestHead
    route: ServedRoute
    plane: Shared[Any]
    id: bytes
    uploaded: bool
    stage: Stage
    first: Attempt | None
    sample: Sampling | None

    @property
    def kept(self) -> bool:
        """All of its body is kept."""

    def whole(self) -> bytes:
        """All of its body."""

    def take(self, choice: Assignment) -> None:
        """This version it is."""


E = TypeVar("E", bound=CachedExchange)
Give = Callable[[E, bytes, int, bool], None]
"""Ends an exchange with an answer that no version was asked for: the bytes, its status, and whether
the connection stays."""


def take_cached(exchange: E, choice: Assignment, entry: CacheEntry, give: Give[E]) -> None:
    """Answer from the cache, wait for who asks already, or ask."""
    route, plane, now = exchange.route, exchange.plane, monotonic()
    cache, counts = plane.caches.of(route.entry, entry), route.counts
    name, key = choice.version.name, key_of(exchange, cache)
    told = counts.of(name)
    counts.cache_evicted += cache.evicted
    cache.evicted = 0
    if not key or not cache.serves(name):
        told.cache_passed += 1
        exchange.take(choice)
        return
    if (found := cache.find(name, key, now)) is not None:
        cache.used(name, key)
        told.cache_hits += 1
        _serve(exchange, choice, found, give)
        return
    forced = Assignment(choice.version, False, choice.unit, choice.cookie)
    if (flight := cache.flight(name, key)) is not None and len(flight.waiting) < WAITING_MAX:
        told.cache_waited += 1
        flight.waiting.append(WaitingRequest(exchange, forced, give))
        return
    told.cache_misses += 1
    new = not cache.known(key, now)
    flight = cache.begin(name, key)
    exchange.take(choice if new else forced)
    if exchange.stage is Stage.ENDED or exchange.first is not None:
        cache.land(flight, None)
    else:
        exchange.sample = KeepingSample(cache, flight, exchange.sample)


def key_of(exchange: CachedExchange, cache: RouteCache) -> bytes:
    """What tells this question from others; empty: it is asked whatever is known."""
    head = exchange.head
    if head.method not in cache.methods or not exchange.uploaded:
        return b""
    if not exchange.kept or _asks_anew(head, cache):
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


def _serve(exchange: E, choice: Assignment, found: CachedAnswer, give: Give[E]) -> None:
    """Give an answer again; no version has anything to do with it."""
    route, version, head = exchange.route, choice.version, exchange.head
    told = b"Age: %d\r\nX-Rampway-Cache: hit\r\n" % (monotonic() - found.at)
    extra = b"".join((version.line, exchange.id, b"\r\n", choice.cookie, told))
    data, _, keep = response_head(
        found.head, head, exchange.uploaded and exchange.plane.accepting, extra, found.body, True
    )
    if route.clients is not None:
        asked = exchange.whole() or head.target
        watch(exchange.client, head, asked, route, found.head, found.body)
    give(exchange, data, found.head.status, keep)


class WaitingRequest(Generic[E]):
    """One request that waits for the answer to another one."""

    __slots__ = ("choice", "exchange", "give")

    def __init__(self, exchange: E, choice: Assignment, give: Give[E]) -> None:
        self.exchange = exchange
        self.give = give
        self.choice = choice

    def over(self, answer: CachedAnswer | None, *, alive: bool, left: bool) -> None:
        """See Landed: it gets the answer, or asks for itself."""
        exchange, choice = self.exchange, self.choice
        entry = exchange.route.entry.cache
        if exchange.stage is Stage.ENDED:  # its client has left
            return
        if not alive:
            _to_stable(exchange)
        elif answer is not None:
            _serve(exchange, choice, answer, self.give)
        elif left and entry is not None:
            take_cached(exchange, choice, entry, self.give)
        else:
            exchange.take(choice)


def _to_stable(exchange: CachedExchange) -> None:
    """Its version was taken back while it waited: stable answers, by the table in force."""
    name = exchange.route.entry.name
    for route in exchange.plane.serving.routes:
        if route.entry.name == name:
            exchange.route = route
    exchange.take(Assignment(exchange.route.stable, False))


class KeepingSample(Sampling):
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
            self._cache.land(flight, answer, left=left)
