"""The store's disk: the product's own SQLite code over a database in memory, and a disk's faults.

Committed is what COMMIT returned for. A killed process leaves the last commit; a loss of power
leaves that as well, or, where the disk lies about fsync, an older one. Beside the file lie what the
product keeps there: locks, sequence, process ids.
"""

from __future__ import annotations

import io
import json
import queue
import sqlite3
from pathlib import Path

from router.control.state.layout import SCHEMA_VERSION
from router.control.state.record import NOTES

KEPT_IMAGES = 6
"""Commits that a lying disk may have lost."""

MARKS = ("store.db.sequence", "store.db.lock")
"""Files in which the product keeps how far the store was written."""

FAULTS = ("full", "read_only", "io", "wrong", "late_error")


class Disk:
    """One installation's files."""

    def __init__(self, machine):
        self.machine = machine
        self.files = {}
        """Small files by name."""
        self.images = []
        """The database after each of the last commits; empty: there is none."""
        self.sound = b""
        """What the operators have of it from before it was damaged."""
        self.locks = {}
        """Name of a file -> the :class:`~tests.nights.locks.OpenFile` that has locked it."""
        self.fault = ""
        self.fault_rate = 0.0
        self.delay_s = 0.001
        self.lies = False
        self.stuck = False
        self.crash_at = ""
        """Stage of a transaction at which the process is killed."""
        self.revisions = {}
        """Route -> (revision, record) as on the disk."""
        self.moves = {}
        """Route -> the last entry of the journal that is no note."""
        self.pardons = {}
        """Route -> revision of the last `retry`, or change of stable, on the disk."""
        self.commits = 0
        self.on_commit = lambda: None

    @property
    def holder(self):
        """The open file by which a process has the store; None: nobody has it."""
        return self.locks.get("store.db.lock")

    def marked(self):
        """Whether it is kept how far the store was written."""
        return any(self.files.get(name) for name in MARKS)

    def unmark(self):
        """As `rm store.db.sequence store.db.lock`, or as a restored copy has it."""
        for name in MARKS:
            self.files.pop(name, None)

    # --- what happens to it -----------------------------------------------------------------------

    def power_lost(self):
        """What was said to be on the disk may not be, where it lies. Whether something is gone."""
        if not self.lies or len(self.images) < 2:
            return False
        lost = self.machine.chance.randrange(0, len(self.images))
        if not lost:
            return False
        del self.images[-lost:]
        self._read_back()
        return True

    def restore(self, image):
        """An operator puts an older copy in its place (`rampway store restore`)."""
        self.images = [image]
        self.sound = b""
        self.unmark()
        self._read_back()

    def _read_back(self):
        db = sqlite3.connect(":memory:")
        db.deserialize(self.images[-1])
        if db.execute("PRAGMA user_version").fetchone()[0] != SCHEMA_VERSION:
            return  # of an earlier router: it says the same in other words
        self.revisions, self.moves = {}, {}
        for route, revision, text in db.execute("SELECT route, revision, record FROM routes"):
            self.revisions[route] = (revision, json.loads(text))
        for name, (_, text) in last_moves(db).items():
            self.moves[name] = text
        db.close()

    def of_rollout(self, name):
        """(revision, record) of the route that has this rollout."""
        for revision, record in self.revisions.values():
            if ((record or {}).get("rollout") or {}).get("id") == name:
                return revision, record
        return 0, None

    def failure(self):
        """What the next statement that reaches the disk fails with; None: nothing."""
        if not self.fault or self.machine.chance.random() >= self.fault_rate:
            return None
        return {
            "full": sqlite3.OperationalError("database or disk is full"),
            "read_only": sqlite3.OperationalError("attempt to write a readonly database"),
            "io": sqlite3.OperationalError("disk I/O error"),
            "wrong": MemoryError("no memory"),
        }.get(self.fault)


def last_moves(db):
    """Route -> (id, entry) of the last move."""
    names = (
        "id",
        "route",
        "rollout",
        "revision",
        "actor",
        "action",
        "phase_to",
        "step",
        "weight_bp",
    )
    found = {}
    for row in db.execute(f"SELECT {','.join(names)} FROM journal ORDER BY revision, id"):
        entry = dict(zip(names, row, strict=True))
        if entry["action"] not in NOTES:
            found[entry["route"]] = (entry["id"], entry)
    return found


class SimPath:
    """A path on that disk, as far as the product looks at one."""

    def __init__(self, disk, name):
        self.disk, self.name = disk, name

    def __str__(self):
        return self.name

    __repr__ = __str__

    def __fspath__(self):
        return "/nonexistent/" + self.name

    @property
    def parent(self):
        """A folder that is there."""
        return Path("/")

    def absolute(self):
        return self

    def with_name(self, name):
        return SimPath(self.disk, name)

    def made(self):
        """Created where it was not there."""
        if self.name == "store.db":
            self.disk.images = self.disk.images or [b""]
        else:
            self.disk.files.setdefault(self.name, b"")

    def exists(self):
        return bool(self.disk.images) if self.name == "store.db" else self.name in self.disk.files

    def is_dir(self):
        return False

    def stat(self):
        class Found:
            st_size = len(
                self.disk.images[-1] if self.name == "store.db" else self.disk.files[self.name]
            )

        return Found

    def chmod(self, _mode):
        pass

    def open(self, mode="r", **_):
        """Text; or for bytes, from the beginning: a disk that is full or read-only takes none."""
        if mode == "r":
            return io.StringIO(self.read_text().decode(errors="replace"))
        if self.disk.fault in ("full", "read_only", "io"):
            raise OSError(28, "No space left on device")
        return SimFile(self)

    def unlink(self, *, missing_ok=False):
        if not self.disk.machine.inert:
            self.disk.files.pop(self.name, None)

    def replace(self, other):
        if not self.disk.machine.inert:
            self.disk.files[other.name] = self.disk.files.pop(self.name)

    def read_text(self):
        if self.name not in self.disk.files:
            raise FileNotFoundError(self.name)
        return self.disk.files[self.name]


class SimFile:
    """An open file; what was written is there whatever becomes of it."""

    def __init__(self, path):
        self._data = path.disk.files[path.name] = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def write(self, data):
        self._data += data

    def flush(self):
        pass


class SimOs:
    """The module ``os`` where the file of process ids is written, and signals are sent."""

    def __init__(self, real, machine):
        self._real, self._machine = real, machine

    def kill(self, pid, number):
        machine = self._machine()
        if machine.inert:
            return
        if pid not in machine.pids:
            raise ProcessLookupError(pid)
        machine.signal(pid, number)

    def __getattr__(self, name):
        return getattr(self._real, name)

    @staticmethod
    def open(path, *_):
        return path

    @staticmethod
    def fdopen(path, _mode):
        class File(io.StringIO):
            def close(self):
                if not self.closed:
                    path.disk.files[path.name] = self.getvalue()
                super().close()

        return File()


class SimSqlite:
    """The module ``sqlite3`` as the store sees it: connections to the disk's database."""

    def __init__(self):
        self._shared = {}

    def __getattr__(self, name):
        return getattr(sqlite3, name)

    def connect(self, path, **options):
        if not isinstance(path, SimPath):
            return sqlite3.connect(path, **options)
        disk = path.disk
        process = disk.machine.current
        shared = getattr(process, "database", None)
        if shared is None:
            shared = sqlite3.connect(":memory:", isolation_level=None, cached_statements=64)
            if disk.images and disk.images[-1]:
                shared.deserialize(disk.images[-1])
            process.database = shared
        return SimConnection(disk, process, shared)


class SimConnection:
    """A connection; all of one process share its pages, as they share the page cache."""

    def __init__(self, disk, process, db):
        self._disk, self._process, self._db = disk, process, db
        self._written, self._pardons = {}, {}

    @property
    def in_transaction(self):
        return self._db.in_transaction

    def execute(self, statement, values=()):
        if statement.startswith(("SELECT", "PRAGMA")):
            return self._db.execute(statement, values)
        if statement.startswith("VACUUM INTO"):
            self._disk.files[values[0]] = "the store of an earlier router"
            return None
        if statement == "ROLLBACK":
            self._written.clear()
            return self._db.execute(statement)
        failure = self._disk.failure() if hasattr(self._process, "writer") else None
        if failure is not None and statement != "COMMIT":
            if self._db.in_transaction and self._disk.machine.chance.random() < 0.5:
                self._db.execute("ROLLBACK")  # as SQLite does by itself after such an error
                self._written.clear()
            raise failure
        if statement.startswith("REPLACE INTO routes"):
            self._written[values[0]] = (values[1], json.loads(values[2]))
        elif statement.startswith("INSERT INTO journal") and values[6] in ("retry", "stable"):
            self._pardons[values[2]] = values[4]
        if statement != "COMMIT":
            said = self._db.execute(statement, values)
            if not self._db.in_transaction and not statement.startswith("CREATE"):
                self._kept()  # each statement for itself
            return said
        if failure is not None:
            raise failure
        self._commit()
        if (
            self._disk.fault == "late_error"
            and self._disk.machine.chance.random() < self._disk.fault_rate
        ):
            raise sqlite3.OperationalError("disk I/O error")
        return None

    def _commit(self):
        disk = self._disk
        if not self._process.alive or disk.machine.inert:
            raise sqlite3.OperationalError("the process is gone")
        self._db.execute("COMMIT")
        self._kept()

    def _kept(self):
        disk = self._disk
        disk.images.append(self._db.serialize())
        del disk.images[:-KEPT_IMAGES]
        disk.commits += 1
        if self._written:
            self._process.wrote = True
        disk.revisions.update(self._written)
        disk.pardons.update(self._pardons)
        self._written.clear()
        self._pardons.clear()
        disk.on_commit()

    def executemany(self, statement, values):
        return self._db.executemany(statement, values)

    def executescript(self, script):
        self._db.executescript(script)
        self._disk.images.append(self._db.serialize())

    def close(self):
        self._written.clear()


# --- the writer's thread --------------------------------------------------------------------------


class Idle(BaseException):
    """Nothing waits: the thread sleeps."""


class KilledHere(BaseException):
    """The process is killed in the middle of a transaction."""


class Jobs:
    """As ``queue.Queue``; taking from it when it is empty puts the thread to sleep."""

    def __init__(self, maxsize=0):
        self.maxsize = maxsize
        self.items = []
        self.woken = lambda: None

    def qsize(self):
        return len(self.items)

    def empty(self):
        return not self.items

    def put_nowait(self, item):
        if self.maxsize and len(self.items) >= self.maxsize:
            raise queue.Full
        self.put(item)

    def put(self, item):
        """A thread of its own waits for room; nobody else hands anything over meanwhile."""
        self.items.append(item)
        self.woken()

    def get(self):
        if not self.items:
            raise Idle
        return self.items.pop(0)

    def get_nowait(self):
        if not self.items:
            raise queue.Empty
        return self.items.pop(0)


class Queues:
    """The module ``queue``."""

    Full, Empty, Queue = queue.Full, queue.Empty, Jobs


class WriterThread:
    """A thread that is run whenever something waits and the disk is at its service."""

    def __init__(self, machine, disk, books, name, job, ended):  # noqa: PLR0917 - as its maker
        self.machine, self.disk, self.books = machine, disk, books
        self._name, self._job, self._ended = name, job, ended
        self._jobs = job.__self__._jobs
        self._alive, self._due = True, False
        self.process = machine.current
        self._jobs.woken = self._wake
        self.taken = False

    def is_alive(self):
        return self._alive

    def _wake(self):
        if not self._due and self._alive and self.process.alive:
            self._due = True
            late_s = self.disk.delay_s * (0.2 + self.machine.chance.expovariate(1.0))
            self.process.call_later(late_s, self._turn)

    def _turn(self):
        self._due = False
        if self.disk.stuck and self._alive:
            self.process.call_later(0.2, self._turn)
            self._due = True
            return
        jobs, limit = self._jobs, self.machine.chance.choice((1, 1, 2, 5))
        rest, jobs.items = jobs.items[limit:], jobs.items[:limit]
        jobs.woken = lambda: None
        try:
            self._job()
        except Idle:
            pass
        except KilledHere:
            self._alive = False
            self.process.end(-9)
            return
        except BaseException as error:
            self._alive = False
            self.books.failed(self._name, error)
        else:
            self._alive = False
        jobs.items += rest
        jobs.woken = self._wake
        if not self._alive:
            self._ended()
        elif jobs.items:
            self._wake()

    def join(self):
        """Everything that waits is written now: whoever joins stands still for it."""
        while self._alive:
            self.disk.stuck = False
            self._turn()
