"""Where a fleet meets the outside: what nights replace, the database, workers' sockets."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import patch

from router import main
from router.control.fleet import follower, last, processes, replicated, telling, workers
from router.control.fleet.local import local
from router.control.state import postgres, postgres_link
from router.proxy import worker
from tests.fleets.rim import DrawnPlane
from tests.nights import seams as nights

fleet = nights.night
"""The one that is going on."""


class Bound:
    """The port for clients: nobody comes to it."""

    @staticmethod
    def getsockname():
        return "127.0.0.1", 18_080

    @staticmethod
    def fileno():
        return 3

    def close(self):
        pass


class NoProc:
    """``Path`` of something below ``/proc``: a worker that is silent is not starved."""

    def __init__(self, *_):
        pass

    def read_text(self):
        raise OSError


def _unedited(_path):
    """Of a policy file that nobody edits: what nobody has read has it as well."""
    return ""


async def _free(*_):
    pass


async def _begun(_command, index, _listener, _quotas, _spare):
    return fleet().begin_worker(index)


async def _open_link(end, on_message, on_close):
    return end.opened(on_message, on_close)


async def _connected(url, channel=None):
    return await fleet().server.connected(url, channel)


async def _migrated(db, _where):
    """The tables are there: one round trip, which may fail."""
    await db.fetch(postgres.tables.REVISIONS)


def _local(*, pids_file, **options):
    del pids_file
    return local(**options)


class WatchedWords(telling.ReplicaWords):
    """What a replica's workers say, and when it was heard there."""

    def report(self, who, report):
        fleet().checks.received(self, report)
        super().report(who, report)


class WatchedLast(last.FailuresLast):
    """Failures that are held back for others."""

    def over(self, question):
        fleet().checks.waited(*self._open.get(question, (set(), None)))
        super().over(question)


def _patches():
    yield workers, "begun", _begun
    yield workers, "open_link", _open_link
    yield workers, "ports", SimpleNamespace(free=_free, bound=lambda *_, **__: Bound())
    yield worker, "open_link", _open_link
    yield worker, "DataPlane", DrawnPlane
    yield processes, "Path", NoProc
    yield postgres_link, "connected", _connected
    yield postgres, "check_server", lambda *_: None
    yield postgres.tables, "migrated", _migrated
    yield follower, "check_server", lambda *_: None
    yield follower, "migrated", _migrated
    yield telling, "ReplicaWords", WatchedWords
    yield replicated, "FailuresLast", WatchedLast
    yield main, "fingerprint", _unedited
    yield main, "local", _local
    yield main, "beside", lambda _path, _suffix: None


@contextmanager
def installed(kept=nights.NIGHTS_KEPT):
    """For as many fleets as are to be."""
    with nights.installed(kept):
        patches = [patch.object(*one) for one in _patches()]
        for one in patches:
            one.start()
        try:
            yield
        finally:
            for one in reversed(patches):
                one.stop()


begin = nights.begin
