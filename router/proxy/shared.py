"""What the requests of one data plane share, and what one of them may do with its client.

The plane itself (`plane.py`) knows listeners and sweepers; an exchange needs to know neither.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, IPv6Network
from itertools import chain, count, repeat
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from router.core.wire.table import RoutingTable
from router.http1 import Limits, MessageHandler
from router.http1.derivable import mypyc_attr
from router.link import quotas
from router.link.quotas import QuotaArea
from router.proxy.kept_answers import Caches
from router.proxy.mirror import Mirrors
from router.proxy.serving import Serving
from router.proxy.upload import KeptBytes
from router.upstream import Pools

if TYPE_CHECKING:
    import asyncio

    from router.core.wire.review import ReviewItem
    from router.http1 import Peer
    from router.proxy.access_log import AccessLog
    from router.proxy.held import Held
    from router.proxy.tracing import Tracer
    from router.proxy.tunnel import Tunnel
    from router.telemetry.recorder import Recorder

SPANS_AT_ONCE: Final = 256
_ENDINGS: Final = tuple(b"%03x" % number for number in range(4_096))


UnderWay = TypeVar("UnderWay")
"""An exchange; here it need not be known."""


class ClientSide(MessageHandler):
    """A client's connection, as far as its exchange and the sweepers know it."""

    __slots__ = ()
    plane: Shared[Any]
    peer: Peer
    who: int
    """A hash of its address; 0 where it carries many clients."""
    transport: asyncio.Transport
    reading: bool
    """Bytes of it are taken as they come."""
    closing: bool

    def write(self, data: bytes) -> None:
        """Bytes of an answer."""
        raise NotImplementedError

    def flow(self) -> None:
        """Read, or stop reading, as the exchange wants it now."""
        raise NotImplementedError

    def done(self, keep: bool, now: float = 0.0) -> None:
        """The exchange is over and its answer is written; ``keep``: another one may follow.

        ``now``: monotonic seconds, 0.0 where the caller has not looked.
        """
        raise NotImplementedError

    def cut(self) -> None:
        """Close in the middle of an answer, behind what was written of it."""
        raise NotImplementedError

    def abort(self) -> None:
        """Reset the connection: a mere end of stream would complete an answer that ends with it."""
        raise NotImplementedError

    def is_trusted(self, address: str) -> bool:
        """Whether this is the address of one of our proxies."""
        raise NotImplementedError

    def rest(self) -> None:
        """Let its next request wait, unless it carries those of many clients."""
        raise NotImplementedError

    def go_on(self) -> None:
        """It has rested: begin the next request."""
        raise NotImplementedError

    def detach(self) -> asyncio.Transport:
        """Hand the socket over: what follows on it is no HTTP."""
        raise NotImplementedError

    @property
    def sent_ahead(self) -> bool:
        """Whether bytes wait behind the present request."""
        raise NotImplementedError

    def sweep(self, now: float) -> None:
        """Look for waits that took too long."""
        raise NotImplementedError

    def close_idle(self) -> None:
        """Close, unless a request is under way or on its way."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Shared(Generic[UnderWay]):
    """See the module."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.pools = Pools()
        self.mirrors = Mirrors(recorder)
        self.caches = Caches()
        self.serving = Serving(RoutingTable(0), self.pools, recorder)
        self.connections: set[ClientSide] = set()
        self.connections_max = self.serving.limits.connections
        self.lingering: set[ClientSide] = set()
        self.exchanges: set[UnderWay] = set()
        """Requests under way."""
        self.tunnels: set[Tunnel] = set()
        self.quotas_fd = -1
        """Of the area that all workers share; -1: this one has its own."""
        self._quotas: QuotaArea | None = None
        self.paid: dict[bytes, int] = {}
        """Of clients with a quota: requests that this worker has counted ahead and not served."""
        self.resting: set[ClientSide] = set()
        """Connections that are not answered until the next look at them: clients over a quota."""
        self.held: dict[str, Held] = {}
        """Clients that wait for people, by what control knows them by."""
        self.held_by: Counter[str] = Counter()
        """How many of each route."""
        self.ask: Callable[[ReviewItem], bool] = lambda _item: False
        """Have control keep a question for people; False: it cannot be told now."""
        self.look: Callable[[str, str], bool] = lambda _ref, _review: False
        """Ask control what became of one."""
        self.retrying = self.rescuing = 0
        self.kept = KeptBytes()
        """Bodies of requests under way that arrived in pieces and are kept."""
        self.accepting = True
        """False from the beginning of a drain: answers then say Connection: close."""
        self.access_log: AccessLog | None = None
        self.tracer: Tracer | None = None
        self.parser_limits = Limits()
        self.trusted: tuple[IPv4Network | IPv6Network, ...] = ()
        self.next_id: Callable[[], bytes] = _ids(secrets.token_hex(6)).__next__
        """A request id: a random prefix of this process and a counter."""
        self.span_id: Callable[[], bytes] = _spans().__next__
        """16 hex digits of our span: of the system's randomness, not of the coin that assigns."""

    @property
    def quotas(self) -> QuotaArea:
        """What clients have used; nothing of it exists before somebody asks."""
        if self._quotas is None:
            fd = self.quotas_fd if self.quotas_fd >= 0 else quotas.made()
            worker = self.recorder.source if self.quotas_fd >= 0 else 0
            self._quotas = QuotaArea(fd, worker, self.paid)
            os.close(fd)
        return self._quotas

    def trace_id(self) -> bytes:
        """32 hex digits of a new trace."""
        return os.urandom(16).hex().encode()


def _ids(prefix: str) -> Iterator[bytes]:
    """Ids for ever: a stem for each 4,096, so that one costs an addition."""

    def of_stem(number: int) -> Iterator[bytes]:
        return map(f"{prefix}-{number:x}".encode().__add__, _ENDINGS)

    return chain.from_iterable(map(of_stem, count()))


def _spans() -> Iterator[bytes]:
    """Spans for ever; one system call for each 256."""
    return chain.from_iterable(map(_digits, repeat(SPANS_AT_ONCE)))


def _digits(many: int) -> list[bytes]:
    digits = os.urandom(8 * many).hex().encode()
    return [digits[at : at + 16] for at in range(0, len(digits), 16)]
