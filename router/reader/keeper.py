"""The keeper of the prediction log: rows wait for the next stroke, truths do not.

Rows are written every :data:`STROKE_S` or every :data:`STROKE_ROWS`, so that the end of the process
costs less than a second of them. What cannot be written (a full disk, somebody else's long hold) is
dropped and counted; so is what comes while the queue is full. An answered truth is durable.

It reads no clock by itself and starts nothing: the reader's loop tells it the time.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import xxhash

from router.core.databases import POSTGRES_URLS
from router.core.logged.judging import Said, met, row_of
from router.core.logged.lag import Lag
from router.core.logged.prediction import LoggedPrediction
from router.core.logged.terms import KeyedFeed, LogTerms, RouteLog
from router.core.logged.truth import Matured, MaturedRow, Truth
from router.core.wire.origin import Origin
from router.core.wire.sampled import Sampled
from router.core.words import FULL_BP
from router.reader.asking import Asking
from router.reader.book import EARLY_MAX, Book, BookError, Meeting, Taken

QUEUE_ROWS_MAX: Final = 20_000
"""Rows that wait for a stroke; further ones are dropped."""
QUEUE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of features and bodies of the rows that wait."""
STROKE_S: Final = 0.25
STROKE_ROWS: Final = 2_500
PRUNE_S: Final = 1.0
"""How often one stroke of retention is done."""
AGAIN_S: Final = 5.0
"""Before a file that could not be opened is tried again."""
LAGS_MAX: Final = 5_000
"""Truths of the file by which it is known, at the start, how late they come."""
_decode: Final = msgspec.json.Decoder(tuple[Origin, ...]).decode
UNKNOWN_KEPT: Final = 20
"""Ids of truths that no prediction came for, for people: the last ones."""


class LogKeeper:
    """See the module."""

    def __init__(self, opens: Callable[[str], Book] | None = None) -> None:
        self._opens = opens or open_book
        self._book: Book | None = None
        self._secret = b""
        self.terms = LogTerms()
        self.routes: dict[str, RouteLog] = {}
        self._rows: list[LoggedPrediction] = []
        self._bytes = 0
        self._since = 0.0
        self._pruned = self._tried = float("-inf")
        self.written = 0
        self.dropped: dict[str, int] = {}
        """By cause: queue (they came faster than they were written), disk."""
        self.unknown = 0
        self.unknown_ids: list[str] = []
        self.error = ""
        """Why the last stroke failed; empty when it did not."""
        self.lags: dict[str, Lag] = {}
        self._matured: list[Matured] = []
        self._asking = Asking()
        self._posting: list[Matured] = []
        """Of the stroke under way."""
        self._now = 0.0

    def __repr__(self) -> str:
        return f"<LogKeeper {len(self._rows)} rows wait, {self._book!r}>"

    def settle(self, terms: LogTerms, now: float, after: Mapping[str, int] | None = None) -> None:
        """Follow the policy from now on; what waits is written by the old one first.

        ``after``: by route the number of what control has booked last. Whoever begins tells what
        lies beyond it once more: the reader before may have ended with it, or control.
        """
        begins = self._book is None
        if terms.file != self.terms.file:
            self.stroke(now)
            self.close()
        self.terms = terms
        self.routes = {one.route: one for one in terms.routes}
        self._open(now)
        if begins and after and self._book is not None:
            self._matured += self._book.posted(after)

    def _failed(self, error: BookError, now: float) -> None:
        """A stroke was not written; a book whose server has gone is opened again, later."""
        self.error = str(error)
        if self._book is not None and self._book.lost:
            self.close()
            self._tried = now

    def close(self) -> None:
        """Let go of the file."""
        if self._book is not None:
            self._book.close()
        self._book = None
        self._tried = float("-inf")

    def _open(self, now: float) -> None:
        if self._book is None and self.terms.file and now - self._tried >= AGAIN_S:
            self._tried = now
            try:
                self._book = self._opens(self.terms.file)
                self._book.tell = self._tell
                self._secret = self._book.secret(secrets.token_hex(16)).encode()
                self.lags = {}
                for route, lag_s in self._book.lags(LAGS_MAX):
                    self.lags.setdefault(route, Lag()).add(lag_s)
            except BookError as error:
                self._book, self.error = None, str(error)
        if self._book is not None:
            self._book.mature_s = {one.route: one.mature_s for one in self.terms.routes}

    def digest(self, person: str) -> str:
        """Whom a row is about, as the log has it; empty for nobody."""
        return digest_of(person, self._secret) if person and self._secret else ""

    # --- who made it ------------------------------------------------------------------------------

    def maker(self, feed: KeyedFeed, person: str, at: float, now: float) -> Origin | None:
        """Which draw of ``feed.feeder`` made what a request of ``person`` uses at ``at``."""
        digest = self.digest(person)
        if not digest:
            return None
        if any(row.route == feed.feeder and row.person == digest for row in self._rows):
            self.stroke(now)
        self._open(now)
        if self._book is None:
            return None
        try:
            found = self._book.maker(digest, feed.feeder, at - feed.within_s, at)
        except BookError as error:
            self._failed(error, now)
            return None
        if found is None:
            return None
        return Origin(
            feed.feeder, found.version, found.revision, round(found.weight * FULL_BP), found.arm,
            found.unit % 2**64, xxhash.xxh64_intdigest(found.request_id.encode()), found.time,
        )  # fmt: skip

    # --- rows -------------------------------------------------------------------------------------

    def asked(self, sample: Sampled, again_s: float, now: float) -> None:
        """A user's request: whether the answer before it was taken. Lost with the process."""
        self._matured += self._asking.met(sample, again_s, now)

    def add(self, rows: Sequence[LoggedPrediction], now: float) -> None:
        """Have rows written with the next stroke."""
        size = sum(map(_size, rows))
        full = len(self._rows) + len(rows) > QUEUE_ROWS_MAX or self._bytes + size > QUEUE_BYTES_MAX
        if full or not self.terms.file:
            self._drop("queue", len(rows))
            return
        if not self._rows:
            self._since = now
        self._rows += rows
        self._bytes += size
        if len(self._rows) >= STROKE_ROWS:
            self.stroke(now)

    def _drop(self, cause: str, rows: int) -> None:
        self.dropped[cause] = self.dropped.get(cause, 0) + rows

    def stroke(self, now: float) -> None:
        """Write what waits."""
        rows, self._rows, self._bytes = self._rows, [], 0
        self._open(now)
        if not rows:
            return
        if self._book is None:
            self._drop("disk", len(rows))
            return
        try:
            self._begin(now)
            self._book.write(rows, now)
        except BookError as error:
            self._failed(error, now)
            self._drop("disk", len(rows))
            return
        self.written += len(rows)
        self.error = ""
        self._matured += self._posting

    # --- truths -----------------------------------------------------------------------------------

    def receive(self, truths: Sequence[Truth], now: float) -> list[Taken]:
        """Take truths in. Raises BookError: nothing was taken, they may be sent again."""
        self.stroke(now)
        if self._book is None:
            raise BookError(self.error or "no log is kept: add prediction_log to the policy")
        self._begin(now)
        try:
            received = self._book.receive(truths, now)
        except BookError as error:
            self._failed(error, now)
            raise
        self._matured += self._posting
        return received.taken

    def _begin(self, now: float) -> None:
        """A stroke: what it tells is told when it has succeeded."""
        self._posting, self._now = [], now

    def _tell(self, meetings: Sequence[Meeting]) -> None:
        """In a stroke: number what its meetings say, so that each is booked once."""
        if self._book is not None:
            told = [one for group in _requests(meetings) for one in self._one(group)]
            self._posting += self._book.post(told, self._now)

    def _one(self, group: Sequence[Meeting]) -> Iterator[Matured]:
        """What the new truths of one request say: of who served, and of each copy beside them."""
        served, shadows = met(group[0].said)
        if served is None or served.route not in self.routes or self._book is None:
            return
        alone = [m for m in group if (s := met(m.said)[0]) is not None and s.id > m.after]
        people = any(meeting.fresh.answer is not None for meeting in group)
        first = group[0].fresh.source != "review" and (
            served.rows == 1 or self._book.bet(served.request_id, answer=people)
        )
        lag_s = max(group[0].fresh.time - served.time, 0.0)
        if alone:
            self.lags.setdefault(served.route, Lag()).add(lag_s)
            yield self._matured_of(alone, served, "", counts=first)
        for copy in shadows:
            paired = [m for m in group if any(
                s.version == copy.version and (s.id > m.after or m in alone) for s in met(m.said)[1]
            )]  # fmt: skip
            if paired:
                yield self._matured_of(paired, served, copy.version, counts=first)

    def _matured_of(
        self, group: Sequence[Meeting], one: Said, copy: str, *, counts: bool
    ) -> Matured:
        """``one``: who served the first row; ``copy``: the version of the copies, or none."""
        rules = self.routes[one.route]
        rows: list[MaturedRow] = []
        for meeting in group:
            served, shadows = met(meeting.said)
            other = next((one for one in shadows if one.version == copy), None)
            if served is not None:
                rows.append(row_of(served, other, meeting.fresh, rules.likeness))
        return Matured(
            one.route, one.revision, one.arm, round(one.weight * FULL_BP), one.unit,
            tuple(rows), counts, group[0].fresh.source == "human", one.request_id, one.segment,
            max(group[0].fresh.time - one.time, 0.0),
            made=_origins(one.made) if one.made else (),
        )  # fmt: skip

    # --- time -------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether no log is kept: nobody has to tell the time."""
        return not self.terms.file

    def turn(self, now: float) -> list[Matured]:
        """What is due: a stroke, one of retention; what has matured since the last time."""
        if self._rows and now - self._since >= STROKE_S:
            self.stroke(now)
        if now - self._pruned >= PRUNE_S:
            self._pruned = now
            self._tidy(now)
        self._matured += self._asking.over(now)
        matured, self._matured = self._matured, []
        return matured

    def _tidy(self, now: float) -> None:
        self._open(now)
        if self._book is None:
            return
        terms = self.terms
        try:
            self._begin(now)
            self._book.release(now)
            self._matured += self._posting
            given_up = self._book.prune(
                before=now - terms.age_s, bytes_max=terms.bytes_max,
                early_before=now - terms.early_s,
            )  # fmt: skip
        except BookError as error:
            self._failed(error, now)
            return
        self.unknown += len(given_up)
        self.unknown_ids = (self.unknown_ids + given_up)[-UNKNOWN_KEPT:]

    def counts(self) -> dict[str, int]:
        """What the file holds; empty where there is none."""
        if self._book is None:
            return {}
        try:
            held = self._book.counts()
        except BookError:
            return {}
        return {
            "predictions": held.predictions, "truths": held.truths, "waiting": held.waiting,
            "bytes": held.bytes, "oldest": int(held.oldest or 0),
        }  # fmt: skip


def open_book(place: str, *, writer: bool = True, early_max: int = EARLY_MAX) -> Book:
    """A file, or the schema that a URL leads to. Raises BookError.

    ``writer``: it writes what is logged; there is one of these at a time.
    """
    if not place.startswith(POSTGRES_URLS):
        from router.reader.sqlite_book import SqliteBook  # noqa: PLC0415 - for readers with a log

        return SqliteBook(Path(place), early_max=early_max)
    try:
        from router.reader.postgres_book import PostgresBook  # noqa: PLC0415 - of an extra
    except ImportError as error:
        raise BookError(f"PostgreSQL needs rampway[postgres]: {error}") from None
    return PostgresBook(place, writer=writer, early_max=early_max)


def _origins(text: str) -> tuple[Origin, ...]:
    """As a row has them; a damaged text has none."""
    try:
        return _decode(text)
    except msgspec.MsgspecError:
        return ()


def digest_of(person: str, secret: bytes) -> str:
    """The keyed digest of a person's key: 128 bits of HMAC-SHA256 (RFC 2104 section 5)."""
    return hmac.digest(secret, person.encode("utf-8", "replace"), hashlib.sha256).hex()[:32]


def _requests(meetings: Iterable[Meeting]) -> Iterable[list[Meeting]]:
    """Meetings of one request together; of one version the newest says when."""
    groups: dict[str, list[Meeting]] = {}
    for meeting in meetings:
        groups.setdefault(meeting.said[0].request_id, []).append(meeting)
    return groups.values()


def _size(row: LoggedPrediction) -> int:
    bodies = (row.request, row.answer, row.head)
    return len(row.features) + sum(len(one) for one in bodies if one is not None)
