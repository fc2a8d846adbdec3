"""The store in one SQLite file.

WAL with ``synchronous=FULL``: a commit that was answered survives a loss of power. One thread
writes, in the order of the queue; another reads the journal; the event loop never touches the
file. A lock file beside it (``flock``, which the kernel drops with the process) keeps a second
router out.

What cannot be read is refused with the name of the file: a guessed position could send traffic to a
version that was taken back.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from router.control.state.errors import StoreDamaged, StoreLocked, StoreUnavailable
from router.control.state.record import Change, JournalEntry, RouteRecord, Stored
from router.control.state.store import COMMAND_IDS_MAX, check_fence
from router.control.state.upgrade import FIRST, upgrade
from router.loops import BOOKS, net, thread

APPLICATION_ID: Final = 0x52575031
"""``RWP1`` in the header of the file: a file of another program is not touched."""

SCHEMA_VERSION: Final = 2
"""2: a rollout's counter is called its revision; :mod:`router.control.state.upgrade`."""

QUEUE_MAX: Final = 1_024
"""Transactions that may wait; more are refused at once."""

LOCK_WAIT_S: Final = 10.0
"""How long a start waits for a router that is just stopping."""

BUSY_MS: Final = 2_000
"""How long SQLite waits for somebody else's read of the file, milliseconds."""

_SCHEMA: Final = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE routes (route TEXT PRIMARY KEY, revision INTEGER NOT NULL, \
record TEXT NOT NULL) STRICT;
CREATE TABLE evidence (route TEXT PRIMARY KEY, snapshot TEXT NOT NULL) STRICT;
CREATE TABLE commands (id TEXT PRIMARY KEY, answer TEXT NOT NULL) STRICT;
CREATE TABLE journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, clock REAL NOT NULL,
    route TEXT NOT NULL, rollout TEXT NOT NULL, revision INTEGER NOT NULL, actor TEXT NOT NULL,
    action TEXT NOT NULL, phase_from TEXT NOT NULL, phase_to TEXT NOT NULL, step INTEGER NOT NULL,
    weight_bp INTEGER NOT NULL, reason TEXT NOT NULL, evidence TEXT NOT NULL
) STRICT;
CREATE INDEX journal_by_route ON journal (route, id);
"""

_ENTRY: Final = (
    "at", "clock", "route", "rollout", "revision", "actor", "action", "phase_from", "phase_to",
    "step", "weight_bp", "reason", "evidence",
)  # fmt: skip

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
        self._lock_fd: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"<SqliteStore {self.path}, {self._jobs.qsize()} waiting>"

    async def open(self) -> Stored:
        """Lock, check and read the file; create it where there is none.

        Raises StoreLocked after ``lock_wait_s``, StoreDamaged for a file that cannot be trusted.
        """
        self._loop = asyncio.get_running_loop()
        await self._take_lock()
        try:
            stored = await self._loop.run_in_executor(self._reader, self._open)
        except BaseException:
            self._drop_lock()
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

    async def journal(
        self, route: str | None, *, since: int, until: float | None, limit: int
    ) -> list[JournalEntry]:
        """Newest first. Raises StoreUnavailable when the file cannot be read."""
        return await self._read(lambda db: _journal(db, route, since, until, limit))

    async def answer(self, command_id: str) -> dict[str, Any] | None:
        """The remembered answer of a command id."""
        return await self._read(lambda db: _answer(db, command_id))

    def successor(self) -> bool:
        """Whether another router waits in :meth:`open`; it holds the lock file ``.next``."""
        fd = os.open(self._beside(".next"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    async def close(self) -> None:
        """Write what waits, then let go of the file."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await asyncio.to_thread(self._stop, writer)
        self._reader.shutdown(wait=True)
        self._drop_lock()

    def _stop(self, writer: threading.Thread) -> None:
        if writer.is_alive():
            self._jobs.put(None)
            writer.join()

    # --- the lock -----------------------------------------------------------------------------

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    async def _take_lock(self) -> None:
        path = self._beside(".lock")
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreDamaged(f"{path}: cannot be created ({error.strerror})") from error
        waiting = os.open(self._beside(".next"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + self._lock_wait_s
        try:
            while not _locked(fd):
                _locked(waiting)  # tells the present router that it may hand its work over
                if time.monotonic() >= deadline:
                    holder = os.pread(fd, 32, 0).decode(errors="replace").strip()
                    os.close(fd)
                    raise StoreLocked(
                        f"{self.path} is driven by another router (process {holder or 'unknown'}); "
                        "stop it first, or give this one a store of its own"
                    )
                await asyncio.sleep(0.05)
        finally:
            os.close(waiting)
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        self._lock_fd = fd

    def _drop_lock(self) -> None:
        fd, self._lock_fd = self._lock_fd, None
        if fd is not None:
            os.close(fd)

    # --- opening, in the reader's thread --------------------------------------------------------

    def _open(self) -> Stored:
        self._refuse_remains()
        try:
            with contextlib.closing(self._connect()) as db:
                self._check(db)
                return _load(db)
        except sqlite3.Error as error:
            raise StoreDamaged(f"{self.path}: cannot be used as a store ({error})") from error
        except (KeyError, TypeError, ValueError) as error:
            raise StoreDamaged(
                f"{self.path}: a record cannot be understood ({error!r}); "
                "restore the file from a copy, or remove it to begin anew"
            ) from error

    def _refuse_remains(self) -> None:
        """A truncated or half-deleted store looks like a new one to SQLite: it must not to us."""
        wal = self._beside("-wal")
        if self.path.exists() and self.path.stat().st_size == 0:
            raise StoreDamaged(f"{self.path}: is empty (truncated?); remove it to begin anew")
        if not self.path.exists() and wal.exists() and wal.stat().st_size > 0:
            raise StoreDamaged(
                f"{self.path}: is missing but {wal.name} is there; restore it, "
                "or remove both to begin anew"
            )

    def _check(self, db: sqlite3.Connection) -> None:
        application: int = db.execute("PRAGMA application_id").fetchone()[0]
        tables: int = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not tables:
            db.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id={APPLICATION_ID};"
                f"PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
            )
            return
        if application != APPLICATION_ID:
            raise StoreDamaged(f"{self.path}: is the database of another program")
        version: int = db.execute("PRAGMA user_version").fetchone()[0]
        if not FIRST <= version <= SCHEMA_VERSION:
            raise StoreDamaged(
                f"{self.path}: has schema {version}, this router knows {SCHEMA_VERSION}"
            )
        verdict: str = db.execute("PRAGMA quick_check").fetchone()[0]
        if verdict != "ok":
            raise StoreDamaged(
                f"{self.path}: is damaged ({verdict.splitlines()[0]}); restore it from a copy, "
                "or remove it to begin anew"
            )
        if version < SCHEMA_VERSION:
            upgrade(db, self.path)
        if missing := _expected_schema() - _schema_of(db):
            raise StoreDamaged(
                f"{self.path}: is not whole ({', '.join(sorted(name for name, _ in missing))} "
                "missing or changed); restore it from a copy, or remove it to begin anew"
            )
        _check_journal(db, self.path)
        # A disk that is read-only shows at the first write; better now than at a rollback.
        db.execute("BEGIN IMMEDIATE")
        db.execute("ROLLBACK")

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
        while (job := self._jobs.get()) is not None:
            change, done = job
            failure: StoreUnavailable | None = StoreUnavailable(f"{self.path}: {WRITER_ENDED}")
            try:
                db = db or self._connect()
                self._write(db, change)
                failure = None
            except StoreUnavailable as error:
                failure = error
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
                failure = StoreUnavailable(f"{self.path}: not writable ({repr(error)[:100]})")
                _roll_back(db)
            finally:
                self._tell(done, failure)
        if db is not None:
            db.close()

    def _writer_ended(self) -> None:
        """Whoever still waits is told at once; :meth:`commit` tells those to come."""
        with contextlib.suppress(queue.Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    self._tell(job[1], StoreUnavailable(f"{self.path}: {WRITER_ENDED}"))

    def _tell(self, done: asyncio.Future[None], failure: StoreUnavailable | None) -> None:
        assert self._loop is not None  # noqa: S101 - set before the thread starts
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self._loop.call_soon_threadsafe(_settle, done, failure)

    def _write(self, db: sqlite3.Connection, change: Change) -> None:
        self._fail_point("begin")
        db.execute("BEGIN IMMEDIATE")
        for record in change.records:
            row = db.execute(
                "SELECT revision FROM routes WHERE route=?", (record.route,)
            ).fetchone()
            check_fence(record, row[0] if row else 0)
            db.execute(
                "REPLACE INTO routes VALUES (?,?,?)",
                (record.route, record.revision, _text(record.to_json())),
            )
        for entry in change.entries:
            plain = entry.to_json() | {"evidence": _text(entry.evidence)}
            marks = ",".join("?" * len(_ENTRY))
            db.execute(
                f"INSERT INTO journal ({','.join(_ENTRY)}) VALUES ({marks})",  # noqa: S608 - constants
                [plain[name] for name in _ENTRY],
            )
        for route, snapshot in change.evidence.items():
            with net("evidence"):  # what cannot be written as JSON is left out: a decision is not
                db.execute("REPLACE INTO evidence VALUES (?,?)", (route, _text(snapshot)))
        for name, value in (change.settings | {"clock": change.clock}).items():
            db.execute("REPLACE INTO settings VALUES (?,?)", (name, _text(value)))
        if change.command:
            db.execute(
                "REPLACE INTO commands VALUES (?,?)", (change.command[0], _text(change.command[1]))
            )
            db.execute(
                "DELETE FROM commands WHERE rowid <= (SELECT max(rowid) FROM commands) - ?",
                (COMMAND_IDS_MAX,),
            )
        self._fail_point("written")
        db.execute("COMMIT")
        self._fail_point("committed")

    async def _read(self, query: Callable[[sqlite3.Connection], _T]) -> _T:
        def run() -> _T:
            # Plain mode: a read-only connection cannot open a WAL that has no index file yet.
            with contextlib.closing(sqlite3.connect(self.path, timeout=BUSY_MS / 1000)) as db:
                return query(db)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._reader, run)
        except (sqlite3.Error, RuntimeError) as error:
            raise StoreUnavailable(f"{self.path}: {error}") from error


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _settle(done: asyncio.Future[None], failure: StoreUnavailable | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)


def _roll_back(db: sqlite3.Connection | None) -> None:
    if db is not None and db.in_transaction:
        with contextlib.suppress(sqlite3.Error):  # the connection is given up anyway
            db.execute("ROLLBACK")


def _text(value: Any) -> str:
    """JSON; half a surrogate pair, which SQLite refuses, becomes a question mark."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()


def _schema_of(db: sqlite3.Connection) -> set[tuple[str, str]]:
    return set(db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


def _expected_schema() -> set[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(_SCHEMA)
        return _schema_of(db)


def _check_journal(db: sqlite3.Connection, path: Path) -> None:
    """Ids grow by one, and the last one given is there: entries may only be missing at the front.

    Raises StoreDamaged; a journal with holes explains things that did not happen that way.
    """
    count, first, last = db.execute("SELECT count(*), min(id), max(id) FROM journal").fetchone()
    given = db.execute("SELECT seq FROM sqlite_sequence WHERE name='journal'").fetchone()
    if count and (count != last - first + 1 or given != (last,)):
        raise StoreDamaged(
            f"{path}: entries of the journal are missing ({count} of {first} to {given[0]}); "
            "restore the file from a copy, or remove it to begin anew"
        )


def _load(db: sqlite3.Connection) -> Stored:
    settings = {name: json.loads(v) for name, v in db.execute("SELECT name, value FROM settings")}
    records = [
        RouteRecord.from_json(json.loads(text))
        for (text,) in db.execute("SELECT record FROM routes")
    ]
    evidence = {
        route: json.loads(text)
        for route, text in db.execute("SELECT route, snapshot FROM evidence")
    }
    clock = float(settings.pop("clock", 0.0))
    return Stored(clock, {r.route: r for r in records}, evidence, settings)


def _journal(
    db: sqlite3.Connection, route: str | None, since: int, until: float | None, limit: int
) -> list[JournalEntry]:
    rows = db.execute(
        f"SELECT {','.join(_ENTRY)}, id FROM journal "  # noqa: S608 - constants
        "WHERE id > ?1 AND (?2 IS NULL OR route = ?2) AND (?3 IS NULL OR at <= ?3) "
        "ORDER BY id DESC LIMIT ?4",
        (since, route, until, limit),
    )
    names = (*_ENTRY, "id")
    return [
        JournalEntry(**(dict(zip(names, row, strict=True)) | {"evidence": json.loads(row[12])}))
        for row in rows
    ]


def _answer(db: sqlite3.Connection, command_id: str) -> dict[str, Any] | None:
    row = db.execute("SELECT answer FROM commands WHERE id=?", (command_id,)).fetchone()
    answer: dict[str, Any] | None = json.loads(row[0]) if row else None
    return answer
