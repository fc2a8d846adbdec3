"""The reader's process in a night, and the file of the prediction log, which outlives it.

The file is a database in memory that every reader connects to. What was committed is there after
any crash; a reader may be killed in the middle of a stroke, and the disk under it may be full.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3

from router.link.frames import Frames
from router.link.reading import KINDS, TellTruths
from router.reader.book import BookError
from router.reader.clerk import Clerk
from router.reader.keeper import LogKeeper
from router.reader.process import ReaderLoop
from router.reader.sqlite_book import SqliteBook
from tests.nights.disk import KilledHere

_NAMES = itertools.count()


class LogFile:
    """What all readers of a night write into."""

    def __init__(self):
        self.uri = f"file:night-{next(_NAMES)}?mode=memory&cache=shared"
        self.fault_rate = 0.0
        self.kill_next = False
        self._kept = None
        """Holds the database while no reader has it."""

    def opened(self, _path):
        """As the keeper opens one. Raises BookError."""
        if self.fault_rate >= 1.0:
            raise BookError("nights.log: database or disk is full")
        return SqliteBook(LogPath())

    def connect(self, night):
        if self._kept is None:
            self._kept = sqlite3.connect(self.uri, uri=True, isolation_level=None)
        return LogConnection(self, night)

    def has(self, truth):
        """Whether a truth is in it, by whatever it is known there."""
        if self._kept is None:
            return False
        return self._kept.execute(
            "SELECT count(*) FROM truths WHERE row = ? AND (key = ? OR key IN "
            "(SELECT request_id FROM predictions WHERE receipt = ? AND receipt <> ''))",
            (truth.row, truth.key, truth.receipt),
        ).fetchone()[0]

    def rows(self):
        """Request, row and version of everything in it that was predicted to clients."""
        if self._kept is None:
            return []
        return self._kept.execute(
            "SELECT request_id, row, version, count(*) FROM predictions WHERE role <> 'shadow' "
            "GROUP BY request_id, row, receipt"
        ).fetchall()

    def close(self):
        if self._kept is not None:
            self._kept.close()


class LogPath:
    """Its path, as far as the product looks at one."""

    def __str__(self):
        return "nights.log"

    def chmod(self, _mode):
        pass


class LogSqlite:
    """The module ``sqlite3`` as the log sees it."""

    def __init__(self, night):
        self._night = night

    def __getattr__(self, name):
        return getattr(sqlite3, name)

    def connect(self, _path, **_options):
        night = self._night()
        return night.log_file.connect(night)


class LogConnection:
    """One reader's connection."""

    def __init__(self, file, night):
        self._file, self._chance = file, night.machine.chance
        self._db = sqlite3.connect(file.uri, uri=True, isolation_level=None)
        self._process = night.machine.current
        self._process.held.append(self)

    def execute(self, statement, values=()):
        if statement == "COMMIT" and self._file.kill_next:
            self._file.kill_next = False
            raise KilledHere
        rate = self._file.fault_rate
        if rate and statement in ("BEGIN IMMEDIATE", "COMMIT") and self._chance.random() < rate:
            raise sqlite3.OperationalError("database or disk is full")
        return self._db.execute(statement, values)

    def executemany(self, statement, values):
        return self._db.executemany(statement, values)

    def executescript(self, script):
        return self._db.executescript(script)

    def close(self):
        self._db.close()

    def ended(self, _process):
        """What was not committed is gone."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()


class Reader(asyncio.Protocol):
    """The reader's process: one message after the other, as the product's own loop does."""

    def __init__(self, night, process, wire):
        self.night, self.process, self.wire = night, process, wire
        self.loop, self.decoder = ReaderLoop(), Frames(KINDS)
        self.loop.clerk = Clerk(LogKeeper(night.log_file.opened), night.machine.wall)
        self._due = False

    def connection_made(self, transport):
        pass

    def data_received(self, data):
        self._turn(data)

    def _stroke(self):
        self._due = False
        self._turn(b"")

    def _turn(self, data):
        try:
            told = b"".join(self._said(message) for message in self.decoder.feed(data))
            told += self.loop.clerk.due()
        except KilledHere:
            self.process.end(-9)
            return
        if told:
            self.wire.write(told)
        if not self._due and (wait_s := self.loop.wait_s) is not None:
            self._due = True
            self.process.call_later(wait_s, self._stroke)

    def _said(self, message):
        said = self.loop.said(message)
        if isinstance(message, TellTruths):
            (answer,) = Frames(KINDS).feed(said)
            self.night.checks.told(message, answer)
        return said

    def eof_received(self):
        return False

    def connection_lost(self, error):
        self.process.end(0)
