"""The prediction log in tables of SQL: each statement means the same in SQLite and PostgreSQL.

``predictions`` has what versions said, ``truths`` what became known, each keyed by request and row,
so that either may come first; ``log`` is a view of both side by side, and what people and tools
read (docs/prediction-log.md). :mod:`router.reader.sqlite_book` and
:mod:`router.reader.postgres_book` say how a table is opened, how values lie in it, how large it is,
and how what was forgotten is wiped out.
"""

from __future__ import annotations

import contextlib
import math
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, TypeVar

import msgspec

from router.core.logged.judging import Fresh, Said
from router.core.logged.prediction import LoggedPrediction as Row
from router.core.logged.truth import Matured, Truth
from router.reader.book import EARLY_MAX, POSTED_S, BookCounts, BookError, Made, Meeting, Receiving
from router.reader.merging import EARLY, HELD, JOINED, Known, TruthKey, merge, newest, told_now
from router.reader.sql_layout import (
    FRESH,
    INSERT,
    MAKER,
    PUT,
    SAID,
    TRUTH,
    answer_read,
    flag_of,
    label_of,
)
from router.reader.sql_link import SqlLink

PRUNE_ROWS: Final = 5_000
"""Rows that one stroke of retention takes away."""

_T = TypeVar("_T")


class SqlBook:
    """See the module and :class:`router.reader.book.Book`."""

    errors: ClassVar[tuple[type[Exception], ...]]
    """What statements raise, besides mistakes in values."""
    begin: ClassVar[str]
    """Begins a stroke, of one writer."""

    def __init__(self, link: SqlLink, *, early_max: int = EARLY_MAX) -> None:
        """Over tables that are there. Raises what statements raise."""
        self._db = link
        self.mature_s: Mapping[str, float] = {}
        """By route: the age that a prediction must have before its truth is told."""
        self._early_max = early_max
        self.tell: Callable[[Sequence[Meeting]], None] = lambda _meetings: None
        self._posted: deque[tuple[float, int]] = deque()
        """When, and up to which number: what is old enough goes."""
        self._waiting = self._held = self._predictions = self._truths = 0
        self._seen: Any = None
        self._recount()
        self._last = max(
            self._number("SELECT coalesce(max(number), 0) FROM posted"),
            self._number("SELECT coalesce(max(value), '0') FROM meta WHERE name = 'posted'"),
        )

    @property
    def raised(self) -> tuple[type[Exception], ...]:
        """What a stroke raises, mistakes in values among it."""
        return (*self.errors, OSError, OverflowError, ValueError)

    @abstractmethod
    def _version(self) -> Any:
        """What changes when somebody else has written."""

    @abstractmethod
    def _size(self) -> int:
        """Bytes in use."""

    @abstractmethod
    def _give_back(self) -> None:
        """What is free goes back to the system, a part of it."""

    @abstractmethod
    def _scrub(self) -> None:
        """Nothing is left of what was deleted. Raises one of :attr:`errors` where that failed."""

    def stored(self, row: Row) -> Sequence[Any]:
        """Its values, as they lie in the table."""
        return row.values()

    def kept(self, facts: Sequence[Any]) -> Sequence[Any]:
        """A truth's columns from its label on, likewise."""
        return facts

    @property
    def link(self) -> SqlLink:
        """See Book."""
        return self._db

    @property
    def lost(self) -> bool:
        """Whether it must be opened again."""
        return False

    def write(self, predictions: Sequence[Row], now: float) -> list[Meeting]:
        """See Book."""
        return self._stroke(lambda: self._told(self._write(predictions, now)))

    def release(self, now: float) -> list[Meeting]:
        """See Book."""
        return self._stroke(lambda: self._told(self._release(now))) if self._held else []

    def bet(self, request_id: str, *, answer: bool = False) -> bool:
        """See Book."""
        table = "answer_bets" if answer else "bets"
        told = self._guarded(lambda: self._db.execute(
            f"INSERT INTO {table} VALUES (?) ON CONFLICT DO NOTHING", (request_id,)  # noqa: S608 - of constants
        ))  # fmt: skip
        return told.rowcount == 1

    def maker(self, person: str, route: str, since: float, until: float) -> Made | None:
        """See Book."""
        found = self._guarded(
            lambda: self._db.execute(MAKER, (person, route, since, until)).fetchone()
        )
        return Made(*found) if found is not None else None

    def receive(self, truths: Sequence[Truth], now: float) -> Receiving:
        """See Book."""

        def stroke() -> Receiving:
            received = self._receive(truths, now)
            self._told(received.meetings)
            return received

        return self._stroke(stroke)

    def _told(self, meetings: list[Meeting]) -> list[Meeting]:
        if meetings:
            self.tell(meetings)
        return meetings

    def post(self, matured: Sequence[Matured], now: float) -> list[Matured]:
        """See Book."""
        numbered = [replace(one, number=self._last + n) for n, one in enumerate(matured, 1)]
        encode = msgspec.msgpack.encode
        self._db.executemany(
            "INSERT INTO posted VALUES (?, ?, ?, ?)",
            [(one.number, one.route, one.request_id, encode(one)) for one in numbered],
        )
        if not self._posted:  # what an earlier life has posted ages from now on
            self._posted.append((now, self._last))
        self._last += len(numbered)
        self._posted.append((now, self._last))
        self._db.execute(
            "INSERT INTO meta VALUES ('posted', ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value", (str(self._last),),
        )  # fmt: skip
        return numbered

    def posted(self, after: Mapping[str, int]) -> list[Matured]:
        """See Book."""
        found = self._guarded(lambda: [
            blob
            for route, number in after.items()
            for (blob,) in self._db.execute(
                "SELECT matured FROM posted WHERE number > ? AND route = ?", (number, route)
            )
        ])  # fmt: skip
        return sorted(
            (msgspec.msgpack.decode(blob, type=Matured) for blob in found),
            key=lambda one: one.number,
        )

    def prune(self, *, before: float, bytes_max: int, early_before: float) -> list[str]:
        """See Book."""
        if self._guarded(self._version) != self._seen:
            self._guarded(self._recount)  # somebody else has written: `log forget`
        given_up = self._stroke(lambda: self._give_up(early_before))
        if self._stroke(lambda: self._prune(before, bytes_max)):
            self._guarded(self._give_back)
        self._stroke(self._forget_posted)
        return given_up

    def forget(self, persons: Iterable[str]) -> int:
        """See Book."""
        gone = self._stroke(lambda: sum(map(self._erase, persons)))
        self._guarded(self._recount)
        self._guarded(self._scrub)
        return gone

    def secret(self, made: str) -> str:
        """The secret of this file's digests of persons; ``made``, if it has none yet."""

        def stroke() -> str:
            self._db.execute(
                "INSERT INTO meta VALUES ('secret', ?) ON CONFLICT DO NOTHING", (made,)
            )
            known: str = self._db.execute(
                "SELECT value FROM meta WHERE name = 'secret'"
            ).fetchone()[0]
            return known

        return self._stroke(stroke)

    def lags(self, most: int) -> list[tuple[str, float]]:
        """See Book."""
        return self._guarded(lambda: self._db.execute(
            "SELECT p.route, t.time - p.time FROM truths t JOIN predictions p "
            "ON p.request_id = t.key AND p.row = t.row WHERE p.role <> 'shadow' LIMIT ?", (most,),
        ).fetchall())  # fmt: skip

    def counts(self) -> BookCounts:
        """See Book; from memory, but for the file's size and the oldest row."""
        oldest = self._guarded(
            lambda: self._db.execute("SELECT time FROM predictions ORDER BY id LIMIT 1").fetchone()
        )
        size = self._guarded(self._size)
        return BookCounts(
            self._predictions, self._truths, self._waiting, size, oldest[0] if oldest else None
        )

    def close(self) -> None:
        """See Book."""
        with contextlib.suppress(*self.errors):
            self._db.close()

    # --- strokes ----------------------------------------------------------------------------------

    def _stroke(self, job: Callable[[], _T]) -> _T:
        """All of ``job`` or nothing."""
        before = self._waiting, self._held, self._predictions, self._truths, self._last

        def whole() -> _T:
            self._db.execute(self.begin)
            done = job()
            self._db.execute("COMMIT")
            return done

        try:
            return self._guarded(whole)
        except BookError:
            self._waiting, self._held, self._predictions, self._truths, self._last = before
            with contextlib.suppress(*self.errors):
                self._db.execute("ROLLBACK")
            raise

    def _guarded(self, job: Callable[[], _T]) -> _T:
        try:
            return job()
        except self.raised as error:
            raise BookError(str(error)) from None

    def _recount(self) -> None:
        """What is in the file, whoever wrote it."""
        self._waiting = self._number("SELECT count(*) FROM truths WHERE joined = 0")
        self._held = self._number("SELECT count(*) FROM truths WHERE joined = 2")
        self._predictions = self._number("SELECT count(*) FROM predictions")
        self._truths = self._number("SELECT count(*) FROM truths")
        self._seen = self._version()

    def _number(self, sql: str) -> int:
        return int(self._db.execute(sql).fetchone()[0])

    # --- predictions ------------------------------------------------------------------------------

    def _write(self, predictions: Sequence[Row], now: float) -> list[Meeting]:
        last = self._number("SELECT coalesce(max(id), 0) FROM predictions")
        self._db.executemany(INSERT, map(self.stored, predictions))
        self._predictions += len(predictions)
        if not self._truths:
            return []
        if self._waiting:
            self._rename_early(last)
        met = self._db.execute(
            "SELECT t.key, t.row, max(t.joined), max(p.time), max(p.route) FROM predictions p "
            "JOIN truths t ON t.key = p.request_id AND t.row = p.row "
            "WHERE p.id > ? GROUP BY t.key, t.row",
            (last,),
        ).fetchall()
        told: list[TruthKey] = []
        states: list[tuple[int, float, str, int]] = []
        for key, row, joined, time, route in met:
            due = self._due(route, time)
            state = JOINED if due <= now else HELD
            if joined == EARLY:
                states.append((state, due, key, row))
            if JOINED in (joined, state):
                told.append((key, row))
        self._mark(states)
        return [Meeting(fresh, said, last) for _, fresh, said in self._meetings(told)]

    def _due(self, route: str, time: float) -> float:
        """When a prediction is mature; 0 where that is not waited for, whatever clocks say."""
        mature_s = self.mature_s.get(route, 0.0)
        return time + mature_s if mature_s else 0.0

    def _mark(self, states: Sequence[tuple[int, float, str, int]]) -> None:
        """Truths that waited have found their predictions."""
        self._db.executemany(
            "UPDATE truths SET joined = ?, due = ? WHERE key = ? AND row = ?", states
        )
        self._waiting -= len(states)
        self._held += sum(state == HELD for state, *_ in states)

    def _release(self, now: float) -> list[Meeting]:
        keys = self._db.execute(
            "SELECT key, row FROM truths WHERE joined = 2 AND due <= ? LIMIT ?", (now, PRUNE_ROWS)
        ).fetchall()
        self._db.executemany("UPDATE truths SET joined = 1 WHERE key = ? AND row = ?", keys)
        self._held -= len(keys)
        return [Meeting(fresh, said, 0) for _, fresh, said in self._meetings(keys)]

    def _rename_early(self, last: int) -> None:
        """Truths that came by receipt are kept under the request's id from now on."""
        met = self._db.execute(
            "SELECT t.key, t.row, p.request_id FROM predictions p JOIN truths t "
            "ON t.key = '#' || p.receipt AND t.row = p.row "
            "WHERE p.id > ? AND p.receipt <> '' AND p.role <> 'shadow'",
            (last,),
        ).fetchall()
        for key, row, request_id in met:
            moved = self._db.execute(
                "UPDATE truths SET key = ? WHERE key = ? AND row = ? AND NOT EXISTS "
                "(SELECT 1 FROM truths t WHERE t.key = ? AND t.row = ?)",
                (request_id, key, row, request_id, row),
            )
            if not moved.rowcount:  # it was told by the id as well: the first one holds
                self._db.execute("DELETE FROM truths WHERE key = ? AND row = ?", (key, row))
                self._truths -= 1
                self._waiting -= 1

    def _meetings(self, keys: Sequence[TruthKey]) -> list[tuple[TruthKey, Fresh, tuple[Said, ...]]]:
        """The truth under each key that has one, and what versions said."""
        self._load(keys)
        rows = self._db.execute(
            f"SELECT i.place, {FRESH}, {SAID} FROM incoming i "  # noqa: S608 - of constants
            f"JOIN truths t ON t.key = i.key AND t.row = i.row "
            f"JOIN predictions p ON p.request_id = i.key AND p.row = i.row "
            f"ORDER BY i.place, p.id"
        )
        found: dict[int, tuple[Fresh, list[Said]]] = {}
        for place, *values in rows:
            if place not in found:
                label, correct, score, value, accepted, answer, source, time = values[: len(TRUTH)]
                fresh = Fresh(
                    label_of(label), flag_of(correct), score, value, flag_of(accepted),
                    label_of(answer), source, time,
                )  # fmt: skip
                found[place] = fresh, []
            said = Said(*values[len(TRUTH) :])
            found[place][1].append(
                said._replace(prediction=label_of(said.prediction), unit=said.unit % 2**64)
            )
        return [(keys[place], fresh, newest(said)) for place, (fresh, said) in found.items()]

    def _load(self, keys: Iterable[TruthKey]) -> None:
        self._db.execute("DELETE FROM incoming")
        self._db.executemany(
            "INSERT INTO incoming VALUES (?, ?, ?)", ((n, *key) for n, key in enumerate(keys))
        )

    # --- truths -----------------------------------------------------------------------------------

    def _receive(self, truths: Sequence[Truth], now: float) -> Receiving:
        keys = self._keys(truths)
        self._load(dict.fromkeys(keys))
        known: Known = {
            (key, row): [label_of(label), *answer_read(rest)]
            for key, row, label, *rest in self._db.execute(
                f"SELECT i.key, i.row, {FRESH}, t.joined, t.due FROM incoming i "  # noqa: S608 - of constants
                "JOIN truths t ON t.key = i.key AND t.row = i.row"
            )
        }
        logged: dict[TruthKey, float] = {
            (key, row): self._due(route, time)
            for key, row, time, route in self._db.execute(
                "SELECT max(i.key), max(i.row), max(p.time), max(p.route) "
                "FROM incoming i JOIN predictions p "
                "ON p.request_id = i.key AND p.row = i.row GROUP BY i.place"
            )
        }
        old, news = set(known), Known()
        taken = [
            merge(known, news, key, truth, now, due=logged.get(key))
            for key, truth in zip(keys, truths, strict=True)
        ]
        self._db.executemany(PUT, [(*key, *self.kept(known[key])) for key in news])
        fresh_keys = news.keys() - old
        self._truths += len(fresh_keys)
        self._waiting += len(fresh_keys - logged.keys())
        self._held += sum(known[key][-2] == HELD for key in fresh_keys)
        told = [key for key in news if known[key][-2] == JOINED]
        meetings = [
            Meeting(told_now(fresh, news[key]), said, 0)
            for key, fresh, said in self._meetings(told)
        ]
        return Receiving(taken, meetings)

    def _keys(self, truths: Sequence[Truth]) -> list[TruthKey]:
        """What each is about; a receipt's request, where it is logged."""
        known: dict[str, str] = {}
        for receipt in {truth.receipt for truth in truths if not truth.request_id}:
            found = self._db.execute(
                "SELECT request_id FROM predictions WHERE receipt = ? AND role <> 'shadow'",
                (receipt,),
            ).fetchone()
            if found:
                known[receipt] = found[0]
        return [(t.request_id or known.get(t.receipt, t.key), t.row) for t in truths]

    def _give_up(self, before: float) -> list[str]:
        """Truths that waited too long, or are too many."""
        beyond = max(self._waiting - self._early_max, 0)
        gone = self._db.execute(
            "SELECT key, row FROM truths WHERE joined = 0 AND time < ? "
            "UNION SELECT * FROM (SELECT key, row FROM truths WHERE joined = 0 "
            "ORDER BY time LIMIT ?) AS oldest LIMIT ?", (before, beyond, PRUNE_ROWS),
        ).fetchall()  # fmt: skip
        self._db.executemany("DELETE FROM truths WHERE key = ? AND row = ?", gone)
        self._waiting -= len(gone)
        self._truths -= len(gone)
        return [key for key, _ in gone]

    def _forget_posted(self) -> None:
        """What was told long enough ago."""
        old, posted = 0, self._posted
        while posted and abs(posted[-1][0] - posted[0][0]) > POSTED_S:
            old = posted.popleft()[1]
        if old:
            self._db.execute("DELETE FROM posted WHERE number <= ?", (old,))

    # --- what goes --------------------------------------------------------------------------------

    def _prune(self, before: float, bytes_max: int) -> bool:
        """Whether anything went."""
        ids = [
            number
            for number, time in self._db.execute(
                "SELECT id, time FROM predictions ORDER BY id LIMIT ?", (PRUNE_ROWS,)
            )
            if time < before
        ]
        if not ids and (size := self._size()) > bytes_max:
            beyond = self._predictions * (size - bytes_max) / size
            ids = [n for (n,) in self._db.execute(
                "SELECT id FROM predictions ORDER BY id LIMIT ?",
                (min(math.ceil(1.1 * beyond), PRUNE_ROWS),),
            )]  # fmt: skip
        if ids:
            self._delete(f"id <= {ids[-1]}")
        return bool(ids)

    def _delete(self, where: str, *values: Any) -> int:
        """Predictions, and the truths about them unless another row is left of the request."""
        keys = f"(SELECT request_id FROM predictions WHERE {where})"  # noqa: S608 - of constants
        for table in ("bets", "answer_bets", "posted"):
            self._db.execute(f"DELETE FROM {table} WHERE request_id IN {keys}", values)  # noqa: S608 - of constants
        truths = self._db.execute(
            "DELETE FROM truths WHERE (key, row) IN "  # noqa: S608 - of constants
            f"(SELECT request_id, row FROM predictions WHERE {where})", values,
        ).rowcount  # fmt: skip
        gone = self._db.execute(f"DELETE FROM predictions WHERE {where}", values).rowcount  # noqa: S608 - of constants
        self._truths -= truths
        self._predictions -= gone
        return gone

    def _erase(self, person: str) -> int:
        """All rows of their requests: of copies nobody has said whom they are about.

        What was told about rows that nobody predicted, or by receipt, goes, too.
        """
        for key in ("request_id", "'#' || receipt"):
            self._db.execute(
                "DELETE FROM truths WHERE key IN "  # noqa: S608 - of constants
                f"(SELECT {key} FROM predictions WHERE person = ?)", (person,),
            )  # fmt: skip
        requests = "SELECT request_id FROM predictions WHERE person = ?"
        return self._delete(f"request_id IN ({requests})", person)
