"""Where the router meets the outside, replaced by the night that is going on.

Time, randomness, sockets, SQLite's file, threads, other people's servers and child processes: all
else is the product's own code. Installed once for many nights; ``CURRENT`` is the one going on.
"""

from __future__ import annotations

import fcntl
import gc
import os
import queue
import random
import secrets
import signal
import sys
import time
import warnings
from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import patch

from router import loops, main
from router.config.problems import PolicyError
from router.control import plane as control_plane
from router.control import watch
from router.control.fleet import beginning, ports, processes, reader, workers
from router.control.outside import judges, measure, outreach, scrapes, traces
from router.control.predictions import performed, watching
from router.control.reviews import book as review_book
from router.control.reviews import questions as review_questions
from router.control.reviews import webhooks
from router.control.rollouts import recording
from router.control.state import hold, sqlite
from router.core import judge as _judge  # noqa: F401 - a worker loads it when it is alone
from router.link import socket as link_socket
from router.proxy import access_log, coin, worker
from router.proxy import plane as data_plane
from router.reader import sqlite_book
from router.telemetry import log as telemetry_log  # noqa: F401 - before its loggers are replaced
from router.upstream import connection
from tests.nights.desk import DeskSqlite, OneThread
from tests.nights.disk import Queues, SimOs, SimPath, SimSqlite, WriterThread
from tests.nights.judged import Readers
from tests.nights.locks import LockFcntl, LockOs, Proc
from tests.nights.narrow import bounds
from tests.nights.outside import Session, profiles
from tests.nights.reading import LogSqlite
from tests.nights.wires import Select, Sockets

CURRENT = SimpleNamespace(night=None, count=0, kept=1)
LOCKS = LockOs(os)
REAL_MONOTONIC, REAL_TIME = time.monotonic, time.time


def night():
    return CURRENT.night


class Silent:
    """A logger that says nothing."""

    def __getattr__(self, _name):
        return _nothing


def _nothing(*_, **__):
    return None


class _Later:
    """An object of the present night, looked up when it is used."""

    def __init__(self, find):
        self.__dict__["_find"] = find

    def __getattr__(self, name):
        return getattr(self._find(), name)


class SimWatch:
    """As ``FileWatch``, over the night's files."""

    def __init__(self, path):
        self.path = str(path)
        self.seen = ""
        self.renamed = False

    def changed(self):
        now = night().files[self.path]
        changed, self.seen = now != self.seen, now
        return changed

    def load(self):
        self.renamed = night().machine.chance.random() < 0.5
        self.seen = night().files[self.path]
        return night().load(self.path)


class SimAdmin:
    """The admin interface: nothing but its address."""

    def __init__(self, _controller, _policy, following=None):
        self.url, self.following = "", following

    async def bind(self):
        if night().admin_taken:
            raise OSError(98, "Address already in use")

    async def start(self):
        pass

    async def follow(self):
        return self.following is not None

    def lead(self, _controller):
        pass

    async def close(self):
        pass

    def update(self, _policy):
        pass


class SimWriter(recording.Writer):
    """The product's writer; its thread does all of its work when the file is closed."""

    def __init__(self, file, keep):
        super().__init__(SimPath(night().disk, str(file)), keep)
        night().recordings.append(self)

    def put(self, line):
        if night().machine.chance.random() < night().full_recording:
            return False
        return super().put(line)

    def close(self):
        """Write, and try what is then in each of its files."""
        if self._queue.closed or night().machine.inert:
            return
        self._queue.put(None)
        self._queue.closed = True
        self._run()
        self._ended()
        for name in (self._older(1).name, self.file.name) if self._keep else (self.file.name,):
            lines = bytes(night().disk.files.pop(name, b"")).splitlines(keepends=True)
            if lines:
                night().checks.recorded([one for one in lines if one.endswith(b"\n")])


class Lines:
    """The queue of a recording's lines."""

    closed = False

    def __init__(self, maxsize):
        self._most, self._lines = maxsize, []

    def put_nowait(self, line):
        if len(self._lines) >= self._most:
            raise queue.Full
        self.put(line)

    def put(self, line):
        """Waits for room, which its thread makes."""
        self._lines.append(line)

    def get(self):
        return self._lines.pop(0)

    def empty(self):
        return not self._lines

    def qsize(self):
        return len(self._lines)


class SimSignal:
    def __getattr__(self, name):
        return getattr(signal, name)

    signal = staticmethod(_nothing)


def _thread(name, job, ended=_nothing):
    made = WriterThread(night().machine, night().disk, loops.BOOKS, name, job, ended)
    night().machine.current.writer = made
    return made


def _store(path):
    def fail_point(stage):
        from tests.nights.disk import KilledHere

        if night().disk.crash_at == stage:
            night().disk.crash_at = ""
            raise KilledHere

    return sqlite.SqliteStore(path, fail_point=fail_point)


def _awake():
    return CURRENT.night is not None and not CURRENT.night.machine.inert


def _monotonic():
    return CURRENT.night.machine.monotonic() if _awake() else REAL_MONOTONIC()


def _wall():
    return CURRENT.night.machine.wall() if _awake() else REAL_TIME()


def _random_bytes(size):
    return night().noise.randbytes(size)


def _patches():
    net = _Later(lambda: night().net)
    quiet = SimpleNamespace(
        unfreeze=_nothing, collect=_nothing, freeze=_nothing, set_threshold=_nothing
    )
    sockets = Sockets(net)
    yield time, "monotonic", _monotonic
    yield time, "perf_counter", _monotonic
    yield time, "time", _wall
    yield time, "monotonic_ns", lambda: int(_monotonic() * 1e9)
    yield os, "urandom", _random_bytes
    yield secrets, "token_bytes", _random_bytes
    yield secrets, "token_hex", lambda size=16: night().noise.randbytes(size).hex()
    for module in list(sys.modules.values()):
        name = getattr(module, "__name__", "")
        if name.startswith("router."):
            if getattr(module, "monotonic", None) is REAL_MONOTONIC:
                yield module, "monotonic", _monotonic
            if type(getattr(module, "log", None)).__name__ == "BoundLoggerLazyProxy":
                yield module, "log", Silent()
    for module in (beginning, workers, ports, reader, link_socket, data_plane):
        yield module, "socket", sockets
    yield workers, "SharedQuotas", lambda count: night().quotas(count)
    yield processes, "os", SimOs(os, lambda: night().machine)
    yield processes, "Path", lambda path: Proc(night().net, path)
    yield hold, "os", LOCKS
    yield hold, "fcntl", LockFcntl(fcntl, LOCKS)
    yield connection, "select", Select(net)
    yield sqlite, "sqlite3", SimSqlite()
    yield sqlite, "queue", Queues
    yield sqlite, "thread", _thread
    yield from _read_and_recorded()
    yield outreach, "outside_session", lambda: Session(night())
    yield measure, "outside_session", lambda: Session(night())
    for asking in (judges, scrapes, traces, webhooks):
        yield asking, "outside_session", lambda: Session(night())
    yield watch, "FileWatch", SimWatch
    yield main, "load", lambda path: night().load(str(path))
    yield main, "SqliteStore", _store
    yield main, "store_path", lambda _loaded: night().store_path
    yield main, "AdminServer", SimAdmin
    yield main, "Plane", lambda *args, **options: night().plane(*args, **options)
    yield main, "gc", quiet
    yield main, "sys", SimpleNamespace(stderr=SimpleNamespace(write=_nothing))
    yield worker, "gc", quiet
    yield worker, "signal", SimSignal()
    yield worker, "write_line", _nothing
    yield worker, "more_files", _nothing
    yield worker, "Worker", lambda *args, **options: night().worker(*args, **options)
    yield worker, "asyncio", _Running()
    yield access_log, "os", SimpleNamespace(write=_nothing)
    yield data_plane, "SWEEP_S", 0.1
    yield control_plane, "LAG_EVERY_S", 1.0  # ticks that only measure, or look at deadlines


def _read_and_recorded():
    yield sqlite_book, "sqlite3", LogSqlite(night)
    yield review_book, "sqlite3", DeskSqlite(night)
    yield review_questions, "ThreadPoolExecutor", OneThread
    yield performed, "asyncio", Readers(night)
    yield watching, "profiles", lambda *about: profiles(night(), *about)
    yield recording, "Writer", SimWriter
    yield recording, "queue", SimpleNamespace(Full=queue.Full, Queue=Lines)
    yield recording, "thread", lambda *_: SimpleNamespace(is_alive=lambda: True)


class _Running:
    """The module ``asyncio`` for ``worker.main``: what it would run is kept for the night."""

    def __getattr__(self, name):
        import asyncio

        return getattr(asyncio, name)

    @staticmethod
    def run(job):
        night().job = job


NIGHTS_KEPT = 24
"""Nights whose remains are let lie before they are cleared away: some 3 MB each."""


@contextmanager
def installed(kept=NIGHTS_KEPT):
    """For as many nights as are to be; ``kept``: of how many the remains may lie."""
    CURRENT.kept, CURRENT.count = kept, 0
    with warnings.catch_warnings():
        yield from _installed()


def _installed():
    before = sys.modules.get("uvloop", ...)
    sys.modules["uvloop"] = None
    patches = [patch.object(*one) for one in _patches()]
    for one in patches:
        one.start()
    # What a killed process had under way is never awaited: that is what it is to be killed.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    gc.freeze()
    gc.disable()  # a tenth of the time of a night; `begin` makes up for it
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
        for one in reversed(patches):
            one.stop()
        if before is ...:
            sys.modules.pop("uvloop", None)
        else:
            sys.modules["uvloop"] = before
        bounds(narrow=False)
        forget()


def forget():
    """What the product keeps for a process's life; a night is a life of its own."""
    books = loops.BOOKS
    books.failures.clear()
    books._told.clear()
    books._taken.clear()
    loops._jobs.clear()
    coin._left.clear()
    LOCKS.clear()


def begin(new):
    """``new`` is the night that goes on from here."""
    forget()
    CURRENT.count += 1
    if CURRENT.count % CURRENT.kept == 0:
        CURRENT.night = None
        gc.collect()
    CURRENT.night = new
    bounds(narrow=new.setup.narrow)
    random.seed(f"{new.seed}/module")
    loops.BOOKS.tell = _nothing


__all__ = ["CURRENT", "PolicyError", "begin", "control_plane", "forget", "installed", "night"]
