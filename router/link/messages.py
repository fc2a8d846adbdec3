"""What travels between the control process and its workers.

Down: a complete routing table, at once, and after it only the routes that change. Up: counted
outcomes four times a second, a bad candidate outcome at once, and an acknowledgement for every
table. What the reader is told, and says, is :mod:`router.link.reading`; the bytes of both,
:mod:`router.link.frames`.

Messages are Structs since each process makes all of these types as it starts: a data class compiles
its methods from text then, which takes 0.7 ms.
"""

from __future__ import annotations

import msgspec

from router.core.wire.counts import (
    ClientCounts,
    EndpointState,
    MirrorCounts,
    PairSample,
    RouteCounts,
    VersionCounts,
)
from router.core.wire.outcomes import Batch
from router.core.wire.review import ReviewItem, SettledReview
from router.core.wire.sampled import Sampled
from router.core.wire.spans import Span
from router.core.wire.table import RouteEntry, RoutingTable
from router.link.frames import MessageKinds

__all__ = [
    "KINDS",
    "Amend",
    "Applied",
    "AskPeople",
    "Beat",
    "Down",
    "Drain",
    "EndpointState",
    "Hello",
    "LookAgain",
    "Lowered",
    "Message",
    "MirrorCounts",
    "PairReport",
    "PairSample",
    "Publish",
    "Report",
    "ReportSoon",
    "RouteCounts",
    "SampleReport",
    "Settle",
    "TableRefused",
    "Up",
    "VersionCounts",
    "encode",
]  # fmt: skip


class Publish(msgspec.Struct, frozen=True):
    """Down: use this table from the next request on."""

    table: RoutingTable


class Amend(msgspec.Struct, frozen=True):
    """Down: the table in force, with these entries in place of those of the same names.

    A rollout's step changes one route; the other 999 are neither sent nor compared nor compiled.
    """

    generation: int
    base: int
    """The generation that is amended; in any other the message has no meaning."""
    routes: tuple[RouteEntry, ...]
    term: int = 0
    """Of both tables."""


class Drain(msgspec.Struct, frozen=True):
    """Down: stop accepting, finish what is in flight within ``within_s``, exit 0."""

    within_s: float


class Beat(msgspec.Struct, frozen=True):
    """Down, twice a second: control lives and decides. Reports are the answer."""


class ReportSoon(msgspec.Struct, frozen=True):
    """Down: a candidate failed elsewhere; what was counted here by now belongs before the next."""


class Hello(msgspec.Struct, frozen=True):
    """Up, first: it listens."""

    port: int
    """The port it listens on (the kernel's choice when the policy said 0)."""


class Applied(msgspec.Struct, frozen=True):
    """Up: the table of this generation is in force; no new request uses an older one.

    Also the answer to a table of an older term, which is not taken: what is in force instead.
    """

    generation: int
    term: int = 0


class TableRefused(msgspec.Struct, frozen=True):
    """Up: whoever carries the traffic does not take this table, and goes on with the one before."""

    generation: int
    why: str


class Report(msgspec.Struct, frozen=True):
    """Up: everything counted since the last report."""

    batches: tuple[Batch, ...] = ()
    versions: tuple[VersionCounts, ...] = ()
    mirrors: tuple[MirrorCounts, ...] = ()
    endpoints: tuple[EndpointState, ...] = ()
    loop_lag_s: float = 0.0
    """Largest delay of the worker's event loop since the last report."""
    connections: int = 0
    """Gauge: open client connections."""
    rejected: dict[str, int] = {}
    """Requests refused by the router itself, by cause."""
    failures: dict[str, int] = {}
    """Exceptions in loops that must go on, by loop."""
    routes: tuple[RouteCounts, ...] = ()
    clients: tuple[ClientCounts, ...] = ()


class PairReport(msgspec.Struct, frozen=True):
    """Up: answers to compare, apart from the counts so that they can be shed first."""

    pairs: tuple[PairSample, ...]
    shed: int = 0
    """Pairs dropped because the link was behind."""


class SampleReport(msgspec.Struct, frozen=True):
    """Up: sampled requests that have ended, with their bodies."""

    samples: tuple[Sampled, ...]


class AskPeople(msgspec.Struct, frozen=True):
    """Up: people are asked about this; answered with :class:`Settle` when it is durable."""

    item: ReviewItem


class LookAgain(msgspec.Struct, frozen=True):
    """Up: a client asks what became of a question; answered with :class:`Settle`."""

    ref: str
    review: str


class Settle(msgspec.Struct, frozen=True):
    """Down: what clients that wait for people are told."""

    settled: tuple[SettledReview, ...]


class SpanReport(msgspec.Struct, frozen=True):
    """Up: spans that have ended."""

    spans: tuple[Span, ...]
    dropped: int = 0
    """That found no room in the worker."""


class Lowered(msgspec.Struct, frozen=True):
    """Up, when control is heard again: what this worker took back while it was silent.

    Everything counted meanwhile was sent before, so control decides on it first and then answers
    with the whole table, which puts these routes back or not.
    """

    silent_s: float
    routes: dict[str, str]
    """Route to the sentence why."""

    def sentences(self, worker: int) -> list[str]:
        """For people, one a route."""
        silent = f"(control was silent for {self.silent_s:g} s)"
        return [
            f"worker {worker} sent {route} to stable only: {why} {silent}"
            for route, why in self.routes.items()
        ]


Down = Publish | Amend | Drain | Beat | ReportSoon | Settle
Reports = Report | PairReport | SampleReport | SpanReport
Up = Hello | Applied | TableRefused | Reports | AskPeople | LookAgain | Lowered
Message = Down | Up

KINDS: MessageKinds[Message] = MessageKinds({
    0: Publish, 1: Amend, 2: Drain, 3: Hello, 4: Applied, 5: Report, 6: PairReport, 7: Beat,
    8: Lowered, 12: SampleReport, 24: AskPeople, 25: LookAgain, 26: Settle,
    27: SpanReport, 28: TableRefused, 29: ReportSoon,
})  # fmt: skip

encode = KINDS.encode
