"""The prediction log as an interface: what every table behind it can do.

A book has one writer, the reader's process. It is written in strokes (a few hundred rows each), so
that a loss of the process costs at most the last second; whoever reads it opens it by itself.
:class:`router.reader.sqlite_book.SqliteBook` keeps it in one file,
:class:`router.reader.postgres_book.PostgresBook` in a schema of a database; what both do alike is
:class:`router.reader.sql_book.SqlBook`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from router.core.logged.judging import Fresh, Said
from router.core.logged.prediction import LoggedPrediction
from router.core.logged.truth import Matured, Truth

EARLY_MAX: Final = 1_000_000
"""Truths that wait for their prediction (about 100 bytes each, on disk); the oldest go first."""
POSTED_S: Final = 60.0
"""What was told is kept so long, for a control process that ended before its disk had it."""


class Taken(StrEnum):
    """What became of a truth."""

    JOINED = "joined"
    WAITING = "waiting"  # no such prediction is logged yet
    DUPLICATE = "duplicate"  # everything that it says was said before


@dataclass(frozen=True, slots=True)
class Meeting:
    """A truth and the predictions it is about; at least one side is new."""

    fresh: Fresh
    said: tuple[Said, ...]
    """What each version said about one row of one request; of an id used twice the last."""
    after: int
    """Rows with a greater id are new; 0: the truth is."""


class Made(NamedTuple):
    """A prediction of a route that feeds others, found by its person."""

    version: str
    revision: int
    weight: float
    arm: str
    unit: int
    request_id: str
    time: float


@dataclass(slots=True)
class BookCounts:
    """What a book holds."""

    predictions: int = 0
    truths: int = 0
    waiting: int = 0
    bytes: int = 0
    oldest: float | None = None


@dataclass(slots=True)
class Receiving:
    """What became of a batch of truths, in order."""

    taken: list[Taken]
    meetings: list[Meeting] = field(default_factory=list)


class BookError(Exception):
    """Nothing of a stroke was written: the disk is full, the table is held or damaged."""


class Book(Protocol):
    """See the module. Every method that writes raises BookError, and has then written nothing."""

    errors: ClassVar[tuple[type[Exception], ...]]
    """What statements of those who read raise."""

    mature_s: Mapping[str, float]
    """By route: the age in seconds that a prediction must have before its truth is told."""

    tell: Callable[[Sequence[Meeting]], None]
    """Called with the meetings of each stroke, in it: what it posts is durable with them or not."""

    @property
    def link(self) -> Any:
        """Its connection, for those who read the view ``log``: ``execute`` and ``close``."""

    @property
    def lost(self) -> bool:
        """Whether it must be closed and opened again: its server has gone."""

    def write(self, predictions: Sequence[LoggedPrediction], now: float) -> list[Meeting]:
        """Append rows; the truths that waited for them."""

    def release(self, now: float) -> list[Meeting]:
        """Truths whose predictions have become mature."""

    def maker(self, person: str, route: str, since: float, until: float) -> Made | None:
        """Who answered the newest request of this person in that time; None: nobody did.

        ``person``: the digest of the key. Raises BookError.
        """

    def post(self, matured: Sequence[Matured], now: float) -> list[Matured]:
        """Number what is to be told, and keep it for :data:`POSTED_S`; within a stroke."""

    def posted(self, after: Mapping[str, int]) -> list[Matured]:
        """What was posted and is beyond the number of its route, in order."""

    def bet(self, request_id: str, *, answer: bool = False) -> bool:
        """Whether nothing was told before about this request of several rows.

        ``answer``: no person's answer was.
        """

    def receive(self, truths: Sequence[Truth], now: float) -> Receiving:
        """Take truths in, durably; what each one met. ``now``: seconds since 1970."""

    def prune(self, *, before: float, bytes_max: int, early_before: float) -> list[str]:
        """One stroke of retention; keys of truths given up that no prediction came for."""

    def forget(self, persons: Iterable[str]) -> int:
        """Erase all rows of these, by the digests of their keys; how many.

        Nothing of them is left where the book lies when it returns: its file, its write-ahead file.
        """

    def secret(self, made: str) -> str:
        """The key of its digests of persons; ``made``, if it has none yet."""

    def lags(self, most: int) -> list[tuple[str, float]]:
        """Route, and seconds from prediction to truth, of up to ``most`` of those it has."""

    def counts(self) -> BookCounts:
        """What it holds now."""

    def close(self) -> None:
        """Let go of it."""
