"""Requests of a log, sent once more: by the mirror itself, so that each is what a copy would be.

Nobody waits for an answer and nobody is served. A request goes as its copy would have gone: to the
same endpoints, edited and stripped alike, marked as a shadow, within the bounds of ``mirroring``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from router.core.wire.table import RoutingTable
from router.proxy.mirror import Mirrors, Original
from router.proxy.serving import Serving
from router.telemetry.recorder import Recorder
from router.upstream import Pools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from router.core.wire.counts import MirrorCounts, PairSample
    from router.core.wire.table import RouteEntry
    from router.http1 import Peer, RequestHead


class Recorded(NamedTuple):
    """One request with stable's answer."""

    head: RequestHead
    peer: Peer
    body: bytes
    request_id: str
    segment: str
    status: int
    """Of stable's answer; 0: it gave no whole one."""
    seconds: float
    answer: bytes
    coding: str


class _Pairs(Recorder):
    """A recorder that keeps no pair: each is told at once."""

    def __init__(self, paired: Callable[[PairSample], None]) -> None:
        super().__init__()
        self._paired = paired

    def pair(self, sample: PairSample) -> None:
        """See Recorder."""
        self._paired(sample)


class Replaying:
    """Sends recorded requests to the mirrors of one route; one event loop owns it."""

    def __init__(self, entry: RouteEntry, paired: Callable[[PairSample], None]) -> None:
        """``paired`` is called with both answers to each request, as they come."""
        self._recorder = _Pairs(paired)
        self._pools = Pools()
        self._mirrors = Mirrors(self._recorder)
        serving = Serving(RoutingTable(1, routes=(entry,)), self._pools, self._recorder)
        self._route = serving.routes[0]

    @property
    def active(self) -> int:
        """Requests under way."""
        return self._mirrors.active

    def send(self, one: Recorded) -> bool:
        """Send it; False: the route's ``mirroring`` copies no such request."""
        name, body = one.request_id.encode("latin-1", "replace"), one.body
        original = Original(one.head, body, one.peer, name, None)
        pairing = self._mirrors.copy(
            self._route, self._route.stable, original, len(body), kept=True
        )
        if pairing is None:
            return False
        pairing.segment, pairing.coding = one.segment, one.coding
        pairing.primary(one.answer)
        pairing.primary_done(one.status, one.seconds)
        return True

    def sweep(self, now: float) -> None:
        """Deadlines; ``now``: monotonic."""
        self._mirrors.sweep(now)

    def counts(self) -> Iterator[MirrorCounts]:
        """What became of them since the last call."""
        yield from self._recorder.delta().mirrors

    def close(self) -> None:
        """End what is under way."""
        self._mirrors.close()
        self._pools.close()
