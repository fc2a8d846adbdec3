"""A database server, and the ways to it: what the routers of a fleet share, and what goes wrong.

A statement is one transaction. It may fail before it happened or after, or happen long after who
asked has given up (a server that stood still reads what is in its sockets when it goes on); one
replica alone may be cut off, or everybody; a hint may be lost. The lease runs by the clock here.
"""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass
from typing import Any

import asyncpg

from router.control.state.postgres_link import COMMAND_S, CONNECT_S
from tests.fleets.statements import MEANS, Tables


@dataclass
class Aim:
    """A fault that waits for a statement."""

    text: str
    skipped: int
    """So many of them happen first."""
    before: bool
    """Before it happens, not after."""
    happens: Any
    """Takes the connection."""


class Server:
    """See the module. ``seen`` is told of every statement that happened."""

    def __init__(self, machine, world, seen):
        self.machine, self.world, self.seen = machine, world, seen
        self.tables = Tables()
        self.open = []
        """Connections."""
        self.away = False
        self.cut = set()
        """Replicas that do not reach it."""
        self.stands_until = 0.0
        """It is stopped: what is asked waits in its sockets."""
        self.slow_s = 0.0
        self.refused = self.lost = self.unheard = 0.0
        """Chances: a statement fails before it happens; its answer is lost; so is a hint."""
        self.aims = []
        self.locked = set()
        """Statements that wait for a lock of somebody else, and are cancelled."""
        self.clock_s = 0.0
        """What its clock was set forward."""
        self.statements = self.pids = 0

    def lag_s(self):
        return 0.0003 + self.machine.chance.random() * (0.001 + self.slow_s)

    def reaches(self, process):
        return not self.away and process.replica not in self.cut

    async def connected(self, _url, channel=None):
        """As the product's; to this server."""
        process = self.machine.current
        until = self.machine.now + CONNECT_S
        await asyncio.sleep(self.lag_s())
        if self.away:
            raise ConnectionRefusedError(111, "Connection refused")
        if not self.reaches(process) or self.stands_until > until:
            await asyncio.sleep(max(until - self.machine.now, 0.0))
            raise TimeoutError
        if self.stands_until > self.machine.now:
            await asyncio.sleep(self.stands_until - self.machine.now)
        made = Connection(self, process, channel)
        self.open.append(made)
        return made

    def go_away(self):
        """It ends, with all its connections."""
        self.away = True
        for one in list(self.open):
            one.lose()

    # --- one statement ----------------------------------------------------------------------------

    def ask(self, db, text, values):
        """Send one; the future of its answer."""
        process, now = db.process, self.machine.now
        done = process.create_future()
        if db.is_closed():
            done.set_exception(ConnectionResetError(104, "Connection reset by peer"))
            return done
        db.waiting = done
        if self.reaches(process):
            self.world.call_later(self.lag_s(), self._arrives, db, text, values, done, now)
        else:
            process.call_later(COMMAND_S, _fail, done, TimeoutError())
        return done

    def _arrives(self, db, text, values, done, asked_s):
        if self.stands_until > self.machine.now:
            if asked_s + COMMAND_S < self.stands_until:
                db.process.call_at(asked_s + COMMAND_S, _fail, done, TimeoutError())
            self.world.call_at(self.stands_until, self._arrives, db, text, values, done, asked_s)
            return None
        chance = self.machine.chance
        if not self.reaches(db.process) or self.away or text in self.locked:
            return self._silent(db, done, asked_s)
        if chance.random() < self.refused:
            error = chance.choice((asyncpg.SerializationError, asyncpg.DeadlockDetectedError))
            self._answer(db, _fail, done, error("could not serialize access"))
            return None
        aim = self._aimed(text)
        if aim is not None and aim.before:
            aim.happens(db)
            return self._before(db, text, values, done, asked_s)
        rows = self.happens(db, text, values)
        if aim is not None:
            aim.happens(db)
        if not self.reaches(db.process):
            return self._silent(db, done, asked_s)
        if chance.random() < self.lost:
            return db.lose() if chance.random() < 0.5 else self._silent(db, done, asked_s)
        return self._answer(db, _settle, done, rows)

    def _before(self, db, text, values, done, asked_s):
        """A fault came before it: it does not happen over a connection that is lost."""
        return None if db.is_closed() else self._arrives(db, text, values, done, asked_s)

    def _aimed(self, text):
        """The first that is aimed at this statement."""
        found = next((one for one in self.aims if one.text == text), None)
        if found is not None and not found.skipped:
            self.aims.remove(found)
            return found
        if found is not None:
            found.skipped -= 1
        return None

    def happens(self, db, text, values):
        """One transaction."""
        self.statements += 1
        tables = db.snapshot or self.tables
        self.tables.now = self.machine.now + self.clock_s
        rows = MEANS[text](tables, *values)
        hints, self.tables.hints = self.tables.hints, []
        self.seen(db, text, values, rows)
        for payload in hints:
            self._notify(payload, db.pid)
        return rows

    def _answer(self, db, how, done, what):
        db.process.call_later(self.lag_s(), how, done, what)

    def _silent(self, db, done, asked_s):
        db.process.call_at(max(asked_s + COMMAND_S, self.machine.now), _fail, done, TimeoutError())

    def _notify(self, payload, pid):
        for db in self.open:
            if db.channel is None or not self.reaches(db.process):
                continue
            if self.machine.chance.random() >= self.unheard:
                db.process.call_later(self.lag_s(), db.hear, payload, pid)


class Connection:
    """One, as the product uses asyncpg's."""

    def __init__(self, server, process, channel):
        self.server, self.process, self.channel = server, process, channel
        self.waiting = self.snapshot = None
        server.pids += 1
        self.pid = server.pids
        self._closed = False

    async def fetch(self, text, *values):
        return await self.server.ask(self, text, values)

    async def fetchrow(self, text, *values):
        return next(iter(await self.server.ask(self, text, values)), None)

    async def fetchval(self, text, *values):
        row = await self.fetchrow(text, *values)
        return None if row is None else next(iter(row.values()))

    execute = fetch

    def transaction(self, **_):
        return _Snapshot(self)

    def hear(self, payload, pid):
        if not self._closed:
            self.channel(self, pid, "rampway", payload)

    def get_server_pid(self):
        return self.pid

    def is_closed(self):
        return self._closed

    def terminate(self):
        self._closed = True
        if self in self.server.open:
            self.server.open.remove(self)

    async def close(self, **_):
        self.terminate()

    def lose(self):
        """The server, or the way to it, has closed it."""
        self.terminate()
        if self.waiting is not None:
            error = ConnectionResetError(104, "Connection reset by peer")
            self.process.call_later(self.server.lag_s(), _fail, self.waiting, error)


class _Snapshot:
    """Several reads of one moment."""

    def __init__(self, db):
        self._db = db

    async def __aenter__(self):
        tables = self._db.server.tables
        self._db.snapshot = copy.copy(tables)
        for name in ("settings", "routes", "evidence", "receipts"):
            setattr(self._db.snapshot, name, dict(getattr(tables, name)))

    async def __aexit__(self, *_):
        self._db.snapshot = None


def _settle(done, rows):
    if not done.done():
        done.set_result(rows)


def _fail(done, error):
    if not done.done():
        done.set_exception(error)
