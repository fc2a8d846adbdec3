"""What travels between the control process and its workers.

Down: a complete routing table, at once, and after it only the routes that change. Up: counted
outcomes four times a second, a bad candidate outcome at once, and an acknowledgement for every
table. On the wire a message is a four-byte length, one byte for its kind and a MessagePack body.
Both ends are processes of one program and one version, so there is no compatibility to keep, but
everything is validated: a torn message must never become half a table.

Messages are Structs since each process makes all of these types as it starts: a data class compiles
its methods from text then, which takes 0.7 ms.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from router.core.judging.question import Told
from router.core.logged.terms import LogTerms
from router.core.logged.truth import Matured, Truth
from router.core.monitors.watched import Watched
from router.core.pairs.comparison import Comparison, Likeness
from router.core.predictions.rows import Declared
from router.core.wire.counts import (
    ClientCounts,
    EndpointState,
    MirrorCounts,
    PairSample,
    RouteCounts,
    VersionCounts,
)
from router.core.wire.origin import Origin
from router.core.wire.outcomes import Batch
from router.core.wire.review import ReviewItem, SettledReview
from router.core.wire.sampled import Facts, Sampled
from router.core.wire.spans import Span
from router.core.wire.table import RouteEntry, RoutingTable

__all__ = [
    "KINDS",
    "MESSAGE_BYTES_MAX",
    "Amend",
    "Applied",
    "AskPeople",
    "Beat",
    "CopyAnswer",
    "Decoder",
    "Down",
    "Drain",
    "EndpointState",
    "Enter",
    "Entered",
    "Found",
    "FromReader",
    "Hello",
    "LinkError",
    "LogState",
    "Logging",
    "Look",
    "LookAgain",
    "Looked",
    "Lowered",
    "Message",
    "MirrorCounts",
    "PairReport",
    "PairSample",
    "Publish",
    "Read",
    "Reading",
    "Reads",
    "Report",
    "ReportSoon",
    "Ripened",
    "RouteCounts",
    "SampleReport",
    "Settle",
    "TableRefused",
    "TellTruths",
    "TruthsTold",
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


class Reading(msgspec.Struct, frozen=True):
    """To the reader: how the answers of a route are read and compared from now on."""

    route: str
    payload: str
    likeness: Likeness
    silenced: frozenset[str] = frozenset()
    """Fields that do not decide."""
    by: tuple[str, ...] = ()
    """Features whose values are told with each row."""
    hidden: tuple[str, ...] = ()
    """Fields that nobody outside is told."""


class Read(msgspec.Struct, frozen=True):
    """To the reader: two answers to one request, as they came."""

    number: int
    route: str
    stable: bytes
    other: bytes
    codings: tuple[str, str] = ("", "")
    """Content-Encoding of both, as they were sent."""
    payload: str = ""
    """Of the request's path, where that has one of its own; empty: the route's."""
    request: bytes = b""
    """What both answered, where segments are told apart by it."""
    request_coding: str = ""
    judged: bool = False
    """A judge is to be asked which is better: what it is told is wanted, too."""


class Found(msgspec.Struct, frozen=True):
    """From the reader: what two answers say; without a comparison it failed, which is our bug."""

    number: int
    comparison: Comparison | None
    error: str = ""
    told: Told | None = None
    """For a judge, where one was to be asked and both can be told."""


class Reads(msgspec.Struct, frozen=True):
    """To the reader: how the predictions of a route are read from now on."""

    route: str
    payload: str
    declared: Declared
    by: tuple[str, ...] = ()
    """Features whose values are told with each row."""
    monitored: bool = False
    """Monitors want the values of rows."""
    tokens: bool = False
    """What answers say of their tokens is wanted."""


class Look(msgspec.Struct, frozen=True):
    """To the reader: a sampled request, as it came."""

    number: int
    sample: Sampled


class Looked(msgspec.Struct, frozen=True):
    """From the reader: what it predicted; without facts it failed, which is our bug."""

    number: int
    facts: Facts | None
    error: str = ""
    watched: Watched | None = None
    """For monitors, where there are some."""
    made: tuple[Origin, ...] = ()
    """Which draws of other routes made its input."""
    missing: float | None = None
    """Share of the declared features that it lacks; None: unknown, or nobody wants to know."""


class Enter(msgspec.Struct, frozen=True):
    """To the reader: sampled requests that the prediction log alone has."""

    number: int
    samples: tuple[Sampled, ...]


class Entered(msgspec.Struct, frozen=True):
    """From the reader: the log has them, as far as it has room."""

    number: int


class Logging(msgspec.Struct, frozen=True):
    """To the reader: what of predictions is kept from now on."""

    terms: LogTerms
    after: dict[str, int] = {}
    """By route: the number of the last truth that is booked; a reader that begins tells later ones
    again."""


class CopyAnswer(msgspec.Struct, frozen=True):
    """To the reader: what a copy of a request was answered, for the log; nobody was served."""

    route: str
    version: str
    request_id: str
    revision: int
    status: int
    seconds: float
    at: float
    """About when, seconds since 1970."""
    segment: str
    answer: bytes
    coding: str
    payload: str = ""
    """Of the request's path, where that has one of its own; empty: the route's."""


class TellTruths(msgspec.Struct, frozen=True):
    """To the reader: truths about predictions."""

    number: int
    truths: tuple[Truth, ...]


class TruthsTold(msgspec.Struct, frozen=True):
    """From the reader: what became of them, in order, durably; with an error nothing was taken."""

    number: int
    taken: tuple[str, ...]
    error: str = ""


class Ripened(msgspec.Struct, frozen=True):
    """From the reader: predictions whose truth has come."""

    matured: tuple[Matured, ...]


class LogState(msgspec.Struct, frozen=True):
    """From the reader, once a second while there is a log: how it stands."""

    written: int = 0
    """Rows since the reader began."""
    dropped: dict[str, int] = {}
    """Rows by cause: queue, disk."""
    held: dict[str, int] = {}
    """What the file has: predictions, truths, waiting (for a prediction), bytes."""
    lags: dict[str, tuple[int, float, float]] = {}
    """By route: truths, and the seconds within which half and 95 % of them came."""
    unknown: int = 0
    """Truths that no prediction came for."""
    unknown_ids: tuple[str, ...] = ()
    """Their last ones."""
    error: str = ""
    """Why the last stroke failed; empty when it did not."""


Down = Publish | Amend | Drain | Beat | ReportSoon | Settle
Reports = Report | PairReport | SampleReport | SpanReport
Up = Hello | Applied | TableRefused | Reports | AskPeople | LookAgain | Lowered
ToReader = Reading | Read | Reads | Look | Enter | Logging | CopyAnswer | TellTruths
FromReader = Found | Looked | Entered | TruthsTold | Ripened | LogState
Message = Down | Up | ToReader | FromReader

KINDS: tuple[type[Any], ...] = (
    Publish, Amend, Drain, Hello, Applied, Report, PairReport, Beat, Lowered,
    Reading, Read, Found, SampleReport, Reads, Look, Looked,
    Logging, CopyAnswer, TellTruths, TruthsTold, Ripened, LogState, Enter, Entered,
    AskPeople, LookAgain, Settle,
    SpanReport, TableRefused, ReportSoon,
)  # fmt: skip
"""The kind byte is the index here."""

MESSAGE_BYTES_MAX = 67_108_864
"""A longer message is a broken peer; 1,000 routes with 50 versions need about 10 MB."""

_encoder = msgspec.msgpack.Encoder()


class LinkError(Exception):
    """The peer sent something that is no message; the connection is of no more use."""


def encode(message: Message) -> bytes:
    """The bytes of one message, length first."""
    body = _encoder.encode(message)
    return (len(body) + 1).to_bytes(4, "big") + bytes((KINDS.index(type(message)),)) + body


class Decoder:
    """Cuts a byte stream into messages, however it arrives."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages completed by ``data``. Raises LinkError on anything else."""
        self._buffer += data
        messages: list[Message] = []
        while len(self._buffer) >= 5:
            length = int.from_bytes(self._buffer[:4], "big")
            if not 1 <= length <= MESSAGE_BYTES_MAX:
                raise LinkError(f"message of {length} bytes")
            if len(self._buffer) < 4 + length:
                break
            messages.append(_decode(self._buffer[4], bytes(self._buffer[5 : 4 + length])))
            del self._buffer[: 4 + length]
        return messages


@cache
def _decoder(kind: int) -> msgspec.msgpack.Decoder[Any]:
    """Made when the first such message comes: no process is sent all of them."""
    return msgspec.msgpack.Decoder(KINDS[kind])


def _decode(kind: int, body: bytes) -> Message:
    if kind >= len(KINDS):
        raise LinkError(f"message of kind {kind}")
    try:
        message: Message = _decoder(kind).decode(body)
    except msgspec.MsgspecError as error:
        raise LinkError(str(error)) from error
    return message
