"""What travels between the control process and the reader.

Apart from the messages of workers, so that the reader makes no types of routing tables and counts:
nearly 2 MB in a process of 10.
"""

from __future__ import annotations

import msgspec

from router.core.judging.question import Told
from router.core.logged.terms import LogTerms
from router.core.logged.truth import Matured, Truth
from router.core.monitors.watched import Watched
from router.core.pairs.comparison import Comparison, Likeness
from router.core.predictions.rows import Declared
from router.core.wire.origin import Origin
from router.core.wire.sampled import Facts, Sampled
from router.link.frames import MessageKinds


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


ToReader = Reading | Read | Reads | Look | Enter | Logging | CopyAnswer | TellTruths
FromReader = Found | Looked | Entered | TruthsTold | Ripened | LogState
ReaderMessage = ToReader | FromReader

KINDS: MessageKinds[ReaderMessage] = MessageKinds({
    9: Reading, 10: Read, 11: Found, 13: Reads, 14: Look, 15: Looked,
    16: Logging, 17: CopyAnswer, 18: TellTruths, 19: TruthsTold, 20: Ripened, 21: LogState,
    22: Enter, 23: Entered,
})  # fmt: skip
encode = KINDS.encode
