"""Traces of requests: whose client decided so, and a share of those whose client did not.

A worker without a :class:`Tracer` passes on what clients send, as it is: a parent that nobody
records would cut their traces in two. With one, a sampled request is a span of the router, with a
child for each try at a version, for its rescue and for each copy; services hear of the child.
W3C Trace Context section 3: https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import time
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from router.core.wire.outcomes import BAD_OUTCOMES, Outcome
from router.core.wire.spans import ATTEMPT, RESCUE, ROUTER, SHADOW, SPANS_MAX, Span, TraceTerms
from router.http1 import trace_lines, trace_parent
from router.proxy.coin import coin

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.http1 import Peer, RequestHead
    from router.proxy.attempt import Attempt
    from router.proxy.serving import ServedRoute, Target

PATH_MAX: Final = 256
"""Bytes of a path in a span; never a query."""

_SAMPLED: Final = 1
_UNKNOWN: Final = "retried"


class WatchedClient(Protocol):
    """Whose request it is."""

    @property
    def peer(self) -> Peer:
        """Where it comes from."""


class WatchedExchange(Protocol):
    """What is asked of an exchange, see :class:`router.proxy.exchange.Exchange`."""

    head: RequestHead
    id: bytes
    arrived: float
    attempt: Attempt
    first: Attempt | None
    route: ServedRoute
    spans: Spans | None
    told: int

    @property
    def client(self) -> WatchedClient:
        """Who is answered."""


def passed(head: RequestHead) -> bytes:
    """The lines of a client's trace, as they are; none where they are not valid."""
    if not head.trace:
        head.trace = trace_lines(head, trace_parent(head))
    return head.trace


def lines_of(exchange: WatchedExchange, tracer: Tracer | None) -> bytes:
    """What the version that an attempt is sent to hears of its trace."""
    return passed(exchange.head) if tracer is None else tracer.sent(exchange)


class Tracer:
    """The spans of one worker. One event loop owns it."""

    def __init__(
        self, terms: TraceTerms, new_trace: Callable[[], bytes], new_span: Callable[[], bytes]
    ) -> None:
        """``new_trace`` and ``new_span`` give 32 and 16 hex digits."""
        self.terms = terms
        self.new_trace, self.new_span = new_trace, new_span
        self.dropped = 0
        self._ended: list[Span] = []

    def sent(self, exchange: WatchedExchange) -> bytes:
        """An attempt is about to be sent: the lines that say of whose trace it is."""
        head, spans = exchange.head, exchange.spans
        if spans is None:
            parent = trace_parent(head)
            if parent:
                if not int(parent[53:55], 16) & _SAMPLED:
                    return trace_lines(head, parent)
            elif not self.terms.exported or coin() >= self.terms.share_bp:
                return b""
            spans = exchange.spans = Spans(self, parent)
        return spans.sent(head, exchange.attempt, exchange.first is not None)

    def ended(self, exchange: WatchedExchange, spans: Spans, outcome: Outcome, status: int) -> None:
        """A traced exchange is over."""
        head, now = exchange.head, monotonic()
        wall = time.time() - now
        peer = exchange.client.peer.address.decode("latin-1")
        about = (
            exchange.route.entry.name, head.method.decode("latin-1"),
            head.path[:PATH_MAX].decode("latin-1"), peer,
        )  # fmt: skip
        last = len(spans.sends) - 1
        for index, (span_id, attempt, since, rescue) in enumerate(spans.sends):
            until = now if index == last else spans.sends[index + 1][2]
            known = outcome if index == last else attempt.outcome
            self._add(
                spans, RESCUE if rescue else ATTEMPT, span_id, spans.own, wall + since,
                until - since, attempt, attempt.status, known, about,
            )  # fmt: skip
        self._add(
            spans, ROUTER, spans.own, spans.parent, wall + exchange.arrived,
            now - exchange.arrived, exchange.attempt, status, outcome, about,
        )  # fmt: skip

    def _add(  # noqa: PLR0917 - what a span is
        self, spans: Spans, kind: str, span_id: bytes, parent: bytes, at: float, seconds: float,
        attempt: Attempt, status: int, outcome: Outcome | None, about: tuple[str, str, str, str],
    ) -> None:  # fmt: skip
        route, method, path, client = about
        version, endpoint = attempt.version, attempt.endpoint
        self.put(Span(
            kind, spans.trace.decode(), span_id.decode(), parent.decode(), round(at, 6),
            round(max(seconds, 0.0), 6), route, version.name, version.stats.role,
            endpoint.authority.decode("latin-1") if endpoint is not None else "", method, path,
            client, status,
            outcome.name.lower() if outcome is not None else _UNKNOWN,
            outcome is None or outcome in BAD_OUTCOMES,
        ))  # fmt: skip

    def put(self, span: Span) -> None:
        """Something has ended."""
        if len(self._ended) >= SPANS_MAX:
            self.dropped += 1
        else:
            self._ended.append(span)

    def take(self) -> tuple[tuple[Span, ...], int]:
        """Spans since the last call, and how many found no room."""
        spans, dropped = tuple(self._ended), self.dropped
        self._ended, self.dropped = [], 0
        return spans, dropped


class Spans:
    """Of one traced exchange: its own span and those of what it sent."""

    __slots__ = ("_tracer", "_value", "own", "parent", "sends", "trace")

    def __init__(self, tracer: Tracer, parent: bytes) -> None:
        """``parent``: the client's traceparent, or empty."""
        self._tracer = tracer
        self._value = parent
        self.trace = parent[3:35] or tracer.new_trace()
        self.parent = parent[36:52]
        self.own = tracer.new_span() if tracer.terms.exported else b""
        self.sends: list[tuple[bytes, Attempt, float, bool]] = []

    def ended(self, exchange: WatchedExchange, outcome: Outcome, status: int) -> None:
        """The exchange is over."""
        self._tracer.ended(exchange, self, outcome, status)

    def sent(self, head: RequestHead, attempt: Attempt, rescue: bool) -> bytes:
        """One more attempt begins."""
        span_id, lines = self._child(head)
        self.sends.append((span_id, attempt, monotonic(), rescue))
        return lines

    def copied(self, head: RequestHead, target: Target) -> CopySpan:
        """A copy begins."""
        return CopySpan(self._tracer, self, target, head, *self._child(head))

    def _child(self, head: RequestHead) -> tuple[bytes, bytes]:
        if not self._tracer.terms.exported:
            return b"", trace_lines(head, self._value)
        span_id = self._tracer.new_span()
        value = b"00-%b-%b-01" % (self.trace, span_id)
        if self._value:
            return span_id, trace_lines(head, value)
        return span_id, b"traceparent: %b\r\n" % value


class CopySpan:
    """Of one copy under way."""

    __slots__ = ("_head", "_id", "_since", "_spans", "_target", "_tracer", "lines")

    def __init__(  # noqa: PLR0917 - made in one place
        self, tracer: Tracer, spans: Spans, target: Target, head: RequestHead, span_id: bytes,
        lines: bytes,
    ) -> None:  # fmt: skip
        self._tracer, self._spans, self._target = tracer, spans, target
        self._head, self._id, self._since = head, span_id, monotonic()
        self.lines = lines
        """That its shadow hears."""

    def ended(self, outcome: Outcome, status: int) -> None:
        """It is over."""
        now, counts, spans = monotonic(), self._target.counts, self._spans
        self._tracer.put(Span(
            SHADOW, spans.trace.decode(), self._id.decode(), spans.own.decode(),
            round(time.time() - now + self._since, 6), round(now - self._since, 6), counts.route,
            counts.version, counts.role, "", self._head.method.decode("latin-1"),
            self._head.path[:PATH_MAX].decode("latin-1"), "", status, outcome.name.lower(),
            outcome in BAD_OUTCOMES,
        ))  # fmt: skip
