"""The store in one SQLite file.

WAL with ``synchronous=FULL``: a commit that was answered survives a loss of power. One thread
writes, in the order of the queue, what waits as one transaction; another reads the journal; the
event loop never touches the file. What takes traffic away is copied from the log into the file
itself at once.
:mod:`router.control.state.hold` keeps a second router out and notices a lost log,
:mod:`router.control.state.layout` says how the file is laid out and when it is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from router.control.state import layout
from router.control.state.answered import Answered
from router.control.state.answers import AnsweredOrder
from router.control.state.errors import StoreDamaged, StoreUnavailable
from router.control.state.evidence import TrialState
from router.control.state.hold import Hold, HoldMark, new_file
from router.control.state.layout import ENTRY, answer_text, text_of
from router.control.state.record import Change, JournalEntry, Stored
from router.control.state.store import COMMAND_IDS_MAX, RECEIPTS_MAX, Unwritable, check_fence
from router.loops import BOOKS, net, thread

QUEUE_MAX: Final = 1_024
"""Transactions that may wait; more are refused at once."""

TOGETHER_MAX: Final = 64
"""Transactions that wait and are made one: a disk takes milliseconds for each, so a thousand
rollouts that move at once would keep an order waiting for longer than it may."""

LOCK_WAIT_S: Final = 10.0
"""How long a start waits for a router that is just stopping."""

BUSY_MS: Final = 2_000
"""How long SQLite waits for somebody else's read of the file, milliseconds."""

REFUSED: Final = (
    sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError,
)  # fmt: skip
"""What SQLite says of a change, not of the disk."""

WRITER_ENDED: Final = "the writer has ended"

_T = TypeVar("_T")
_Job = tuple[Change, "asyncio.Future[None]"]


class SqliteStore:
    """See the module. ``fail_point`` is called in the writer at every stage of a transaction."""

    def __init__(
        self,
        path: Path,
        *,
        lock_wait_s: float = LOCK_WAIT_S,
        fail_point: Callable[[str], None] | None = None,
    ) -> None:
        self.path = path
        self._lock_wait_s = lock_wait_s
        self._fail_point = fail_point or (lambda _name: None)
        self._jobs: queue.Queue[_Job | None] = queue.Queue(QUEUE_MAX)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="store-read")
        self._writer: threading.Thread | None = None
        self._hold = Hold(path)
        self._mark = HoldMark("", 0)
        self._loop: asyncio.AbstractEventLoop
        self._answered: Answered

    def __repr__(self) -> str:
        return f"<SqliteStore {self.path}, {self._jobs.qsize()} waiting>"

    async def open(self) -> Stored:
        """Lock, check and read the file; create it where there is none.

        Raises StoreLocked after ``lock_wait_s``, StoreDamaged for a file that cannot be trusted.
        """
        self._loop = asyncio.get_running_loop()
        self._answered = Answered(self._loop)
        await self._hold.take(self._lock_wait_s)
        try:
            stored = await self._loop.run_in_executor(self._reader, self._open)
        except BaseException:
            self._hold.drop()
            raise
        self._writer = thread("store-write", self._write_all, self._writer_ended)
        return stored

    def commit(self, change: Change) -> asyncio.Future[None]:
        """Queue one transaction. A full queue fails it at once."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._writer is None or not self._writer.is_alive():
            why = "the store is closed" if self._writer is None else WRITER_ENDED
            done.set_exception(StoreUnavailable(f"{self.path}: {why}"))
            return done
        try:
            self._jobs.put_nowait((change, done))
        except queue.Full:
            done.set_exception(
                StoreUnavailable(f"{self.path}: {QUEUE_MAX} changes wait to be written")
            )
        return done

    async def lost(self) -> str:
        """Never: the kernel keeps the locks until this process ends."""
        await asyncio.Event().wait()
        return ""

    async def journal(
        self, route: str | None, *, since: int, until: float | None, limit: int
    ) -> list[JournalEntry]:
        """Newest first. Raises StoreUnavailable when the file cannot be read."""
        return await self._read(lambda db: _journal(db, route, since, until, limit))

    async def answer(self, command_id: str) -> AnsweredOrder | None:
        """The remembered answer of a command id."""
        return await self._read(lambda db: _answer(db, command_id))

    def successor(self) -> bool:
        """Whether another router waits in :meth:`open`; it holds the lock file ``.next``."""
        return self._hold.successor()

    async def close(self) -> None:
        """Write what waits, then let go of the file."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await asyncio.to_thread(self._stop, writer)
            self._answered.rest()
        self._reader.shutdown(wait=True)
        self._hold.drop()

    def _stop(self, writer: threading.Thread) -> None:
        if writer.is_alive():
            self._jobs.put(None)
            writer.join()

    # --- opening, in the reader's thread --------------------------------------------------------

    def _open(self) -> Stored:
        layout.refuse_remains(self.path, self._hold.known())
        if not self.path.exists():
            new_file(self.path)
            self._hold.claim()
        try:
            with contextlib.closing(self._connect()) as db:
                if layout.is_new(db):
                    layout.created(db)
                layout.checked(db, self.path)
                # A disk that is read-only shows at the first write; better now than at a rollback.
                db.execute("BEGIN IMMEDIATE")
                self._mark = _following(layout.marked(db, self.path, self._hold.known()))
                layout.write_mark(db, self._mark)
                db.execute("COMMIT")
                self._hold.keep(self._mark)
                return replace(layout.loaded(db), term=self._mark.sequence)
        except sqlite3.Error as error:
            raise StoreDamaged(f"{self.path}: cannot be used as a store ({error})") from error
        except (KeyError, TypeError, ValueError) as error:
            raise StoreDamaged(
                f"{self.path}: a record cannot be understood ({error!r}); where a newer Rampway "
                f"wrote it, start that one; {layout.way_out(self.path)}"
            ) from error

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, timeout=BUSY_MS / 1000)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
        except sqlite3.Error:
            db.close()
            raise
        return db

    # --- the writer's thread ----------------------------------------------------------------------

    def _write_all(self) -> None:
        db: sqlite3.Connection | None = None
        ended = False
        while not ended and (job := self._jobs.get()) is not None:
            jobs, ended = self._with_others(job)
            try:
                if len(jobs) > 1 and self._written_together(db, jobs):
                    continue
                while jobs:
                    db = self._write_one(db, *jobs.pop(0))
            finally:
                self._told_of_the_end(jobs)
        if db is not None:
            db.close()

    def _with_others(self, first: _Job) -> tuple[list[_Job], bool]:
        """What waits behind ``first``, with it; and whether nothing comes after that."""
        jobs = [first]
        with contextlib.suppress(queue.Empty):
            while len(jobs) < TOGETHER_MAX:
                if (job := self._jobs.get_nowait()) is None:
                    return jobs, True
                jobs.append(job)
        return jobs, False

    def _written_together(self, db: sqlite3.Connection | None, jobs: list[_Job]) -> bool:
        """False: nothing of it was written, since one of them, or the disk, failed."""
        if db is None:
            return False  # the first one since a failure, or ever, finds out alone
        try:
            self._write(db, *(change for change, _ in jobs))
        except Exception:  # noqa: BLE001 - whose fault it is shows when each is tried
            _roll_back(db)
            return False
        while jobs:
            self._tell(jobs.pop(0)[1], None)
        return True

    def _write_one(
        self, db: sqlite3.Connection | None, change: Change, done: asyncio.Future[None]
    ) -> sqlite3.Connection | None:
        """Write and tell; the connection for the next one, None where it must be a fresh one."""
        failure: StoreUnavailable | None = StoreUnavailable(f"{self.path}: {WRITER_ENDED}")
        try:
            db = db or self._connect()
            self._write(db, change)
            failure = None
        except StoreUnavailable as error:
            failure = error
            _roll_back(db)
        except REFUSED as error:
            failure = Unwritable(f"{self.path}: {error}")
            _roll_back(db)
        except sqlite3.Error as error:
            failure = StoreUnavailable(f"{self.path}: {error}")
            _roll_back(db)
            # After an IO error the connection may hold half a transaction: begin afresh.
            if db is not None:
                db.close()
            db = None
        except Exception as error:  # noqa: BLE001 - one change is lost, not all that follow
            BOOKS.failed("store-write", error)
            kind = StoreUnavailable if isinstance(error, (MemoryError, OSError)) else Unwritable
            failure = kind(f"{self.path}: not writable ({repr(error)[:100]})")
            _roll_back(db)
        finally:
            self._tell(done, failure)
        return db

    def _writer_ended(self) -> None:
        """Whoever still waits is told at once; :meth:`commit` tells those to come."""
        with contextlib.suppress(queue.Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    self._told_of_the_end([job])

    def _told_of_the_end(self, jobs: list[_Job]) -> None:
        for _, done in jobs:
            self._tell(done, StoreUnavailable(f"{self.path}: {WRITER_ENDED}"))

    def _tell(self, done: asyncio.Future[None], failure: StoreUnavailable | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._answered.put, done, failure)

    def _write(self, db: sqlite3.Connection, *changes: Change) -> None:
        """All of them or nothing."""
        self._fail_point("begin")
        db.execute("BEGIN IMMEDIATE")
        for change in changes:
            self._put(db, change)
        mark = _following(self._mark)
        layout.write_mark(db, mark)
        self._fail_point("written")
        db.execute("COMMIT")
        self._mark = mark
        self._fail_point("committed")
        self._hold.keep(mark)
        if any(change.urgent for change in changes):
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")  # as far as readers let it

    def _put(self, db: sqlite3.Connection, change: Change) -> None:
        for record in change.records:
            row = db.execute(
                "SELECT revision FROM routes WHERE route=?", (record.route,)
            ).fetchone()
            check_fence(record, row[0] if row else 0)
            db.execute(
                "REPLACE INTO routes VALUES (?,?,?)",
                (record.route, record.revision, text_of(record.to_json())),
            )
        for entry in change.entries:
            marks = ",".join("?" * len(ENTRY))
            db.execute(
                f"INSERT INTO journal ({','.join(ENTRY)}) VALUES ({marks})",  # noqa: S608 - constants
                layout.entry_row(entry),
            )
        for row in _plain(change.evidence):
            db.execute("REPLACE INTO evidence VALUES (?,?)", row)
        for row in (("clock", text_of(change.clock)), *layout.setting_rows(change.settings)):
            db.execute("REPLACE INTO settings VALUES (?,?)", row)
        _remember(db, change)

    async def _read(self, query: Callable[[sqlite3.Connection], _T]) -> _T:
        def run() -> _T:
            # Plain mode: a read-only connection cannot open a WAL that has no index file yet.
            with contextlib.closing(sqlite3.connect(self.path, timeout=BUSY_MS / 1000)) as db:
                return query(db)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._reader, run)
        except (sqlite3.Error, RuntimeError) as error:
            raise StoreUnavailable(f"{self.path}: {error}") from error


def _following(mark: HoldMark) -> HoldMark:
    """After one more transaction; that of the start makes the term (see `hold`)."""
    return HoldMark(mark.store, mark.sequence + 1)


def _plain(evidence: dict[str, TrialState]) -> list[tuple[str, str]]:
    """Snapshots as text. What cannot be JSON is left out: a decision is not.

    Only that: a disk that fails here has taken the transaction back, and must fail all of it.
    """
    rows = []
    for route, state in evidence.items():
        with net("evidence"):
            rows.append((route, text_of(msgspec.to_builtins(state))))
    return rows


def _remember(db: sqlite3.Connection, change: Change) -> None:
    """What must not be done twice: orders by their ids, labels by their receipts."""
    for command_id, answer in change.commands:
        db.execute("REPLACE INTO commands VALUES (?,?)", (command_id, answer_text(answer)))
    marks = ((f"{mark:x}",) for mark in change.receipts)
    db.executemany("INSERT OR IGNORE INTO receipts VALUES (?)", marks)
    for table, most in (("commands", COMMAND_IDS_MAX), ("receipts", RECEIPTS_MAX)):
        db.execute(
            f"DELETE FROM {table} WHERE rowid <= (SELECT max(rowid) FROM {table}) - ?",  # noqa: S608 - constants
            (most,),
        )


def _roll_back(db: sqlite3.Connection | None) -> None:
    if db is not None and db.in_transaction:
        with contextlib.suppress(sqlite3.Error):  # the connection is given up anyway
            db.execute("ROLLBACK")


def _journal(
    db: sqlite3.Connection, route: str | None, since: int, until: float | None, limit: int
) -> list[JournalEntry]:
    rows = db.execute(
        f"SELECT {','.join(ENTRY)}, id FROM journal "  # noqa: S608 - constants
        "WHERE id > ?1 AND (?2 IS NULL OR route = ?2) AND (?3 IS NULL OR at <= ?3) "
        "ORDER BY id DESC LIMIT ?4",
        (since, route, until, limit),
    )
    return [layout.entry_of(row) for row in rows]


def _answer(db: sqlite3.Connection, command_id: str) -> AnsweredOrder | None:
    row = db.execute("SELECT answer FROM commands WHERE id=?", (command_id,)).fetchone()
    return layout.answer_of(row[0]) if row else None
