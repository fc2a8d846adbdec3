"""The store in PostgreSQL (asyncpg, extra ``postgres``): one leader writes, told by a lease.

What is queued is written in order, and what waits together, each time as one statement
(:mod:`router.control.state.postgres_layout`). Nothing of this process waits for the server: a
commit that cannot be written fails within seconds and its owner tries again, as with a full disk.

After every loss of a connection the lease is taken anew, with a new term, and what the server has
is read: a statement whose answer was lost may have happened. What a server acknowledged and has
forgotten (a standby that was behind took over) is written once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from router.control.state import layout
from router.control.state import postgres_layout as tables
from router.control.state.answered import Answered
from router.control.state.answers import AnsweredOrder
from router.control.state.errors import StoreDamaged, StoreLocked, StoreUnavailable
from router.control.state.lease import RENEW_S, Holder, Lease
from router.control.state.postgres_link import (
    LOST,
    REFUSED,
    Permanent,
    StoreLink,
    check_server,
    refusal,
    unavailable,
)
from router.control.state.record import Change, JournalEntry, RouteRecord, Stored
from router.control.state.store import Fenced, Superseded, Unwritable
from router.core.databases import named
from router.loops import BOOKS, background, forever
from router.telemetry.log import get_logger

QUEUE_MAX: Final = 1_024
"""Changes that may wait; more are refused at once."""
TOGETHER_MAX: Final = 64
"""Changes that wait and become one statement."""
OPEN_WAIT_S: Final = 10.0
"""How long a start waits for a server that is just starting, and a router that is just stopping."""
OPEN_AGAIN_S: Final = 0.1
AGAIN_S: Final = 0.5
"""After a connection failed, commits fail without trying for so long: they would wait in turn."""
TIDY_EVERY: Final = 500
"""Statements between two looks for what is remembered too long."""

log = get_logger("router.control")

_Job = tuple[Change, "asyncio.Future[None]"]


class PostgresStore:
    """See the module, and :class:`router.control.state.store.Store`."""

    def __init__(self, url: str, *, wait_s: float = OPEN_WAIT_S, succeeds: bool = True) -> None:
        """``succeeds``: who leads is told that it waits, and leaves its workers to it."""
        self.url = url
        self._succeeds = succeeds
        self.lease = Lease(Holder.myself())
        self._wait_s = wait_s
        self._writes, self._reads = StoreLink(url), StoreLink(url)
        self._side = StoreLink(url, self._hinted)
        self._reading = asyncio.Lock()
        self._jobs: asyncio.Queue[_Job | None] = asyncio.Queue(QUEUE_MAX)
        self._tasks: list[asyncio.Task[Any]] = []
        self._open = False
        self._known: dict[str, int] = {}
        """Revisions that the server has."""
        self._written: dict[str, RouteRecord] = {}
        """Records that it has acknowledged."""
        self._clock = 0.0
        self._failed: tuple[float, StoreUnavailable] = (float("-inf"), StoreUnavailable(""))
        """When a connection failed last, by the monotonic clock, and how."""
        self._statements = 0
        self._look = asyncio.Event()
        self._over = asyncio.Event()
        self._answered: Answered

    def __repr__(self) -> str:
        return f"<PostgresStore {named(self.url)}, {self._jobs.qsize()} waiting, {self.lease!r}>"

    # --- beginning and end ------------------------------------------------------------------------

    async def open(self) -> Stored:
        """Take the lease, once whoever has it lets go, and read everything.

        Raises StoreLocked while another router leads, StoreDamaged for a server that is not there
        or cannot be used, and for tables that cannot be understood.
        """
        self._answered = Answered(asyncio.get_running_loop())
        try:
            await self._first()
            stored = await self._load()
        except BaseException:
            await self._part()
            raise
        self._known = {route: record.revision for route, record in stored.records.items()}
        self._written, self._clock = dict(stored.records), stored.clock
        self._open = True
        self._tasks = [
            background("store-write", self._write_all()),
            background("store-lease", forever("store-lease", self._live)),
        ]
        return replace(stored, term=self.lease.term)

    async def _first(self) -> None:
        deadline = time.monotonic() + self._wait_s
        while (refused := await self._try_open()) is not None:
            if isinstance(refused, Permanent) or time.monotonic() >= deadline:
                raise refused
            await asyncio.sleep(OPEN_AGAIN_S)

    async def _try_open(self) -> StoreLocked | StoreDamaged | None:
        """None once the lease is taken; otherwise why it is not."""
        try:
            fresh, db = not self._writes.open, await self._writes.db()
            if fresh:
                check_server(self.url, db)
                await tables.migrated(db, named(self.url))
            if await self.lease.take(db):
                return None
            if self._succeeds:
                await self.lease.wait(db)
            holder = await self.lease.holder(db)
        except (*LOST, ValueError) as error:
            self._writes.drop()
            return refusal(self.url, error)
        return StoreLocked(
            f"store: {named(self.url)}: another router leads "
            f"({holder.words if holder else 'unknown'}); stop it first, or give this one a "
            "database or schema of its own"
        )

    async def _load(self) -> Stored:
        try:
            return await tables.loaded(await self._writes.db(), named(self.url))
        except LOST as error:
            raise refusal(self.url, error) from error

    async def close(self) -> None:
        """Write what waits, if the server takes it, and let another router have the lease."""
        if self._open:
            self._open = False
            await self._jobs.put(None)
            await asyncio.gather(self._tasks[0], return_exceptions=True)
            self._answered.rest()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._part()

    async def _part(self) -> None:
        if self._writes.open and not self.lease.lost:
            with contextlib.suppress(*LOST):
                await self.lease.release(await self._writes.db())
        for link in (self._writes, self._reads, self._side):
            await link.close()

    def successor(self) -> bool:
        """Whether a router of this machine waits: one elsewhere cannot end our workers.

        Who succeeds nobody is one of several, whose workers are its own whoever leads.
        """
        return self._succeeds and self.lease.next_here

    async def lost(self) -> str:
        """Returns, with the reason, once another router leads."""
        await self._over.wait()
        return self.lease.lost

    # --- the lease --------------------------------------------------------------------------------

    def _hinted(self, _db: Any, _pid: int, _channel: str, payload: str) -> None:
        if payload.endswith(" waits"):
            self._look.set()

    async def _live(self) -> None:
        """Say that this router lives; a hint is a reason to look at once."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RENEW_S):
                await self._look.wait()
        self._look.clear()
        waited = self.lease.next_here
        try:
            if not await self.lease.renew(await self._side.db()):
                self._end()
            elif self.lease.next_here and not waited:
                log.info("successor_waits")
        except LOST:
            self._side.drop()  # a write says so, if it goes on

    def _end(self) -> None:
        if not self._over.is_set():
            self._over.set()
            self.lease.next_here = False

    # --- writing ----------------------------------------------------------------------------------

    def commit(self, change: Change) -> asyncio.Future[None]:
        """Queue one change. A full queue fails it at once."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._open or self._tasks[0].done():
            why = "the writer has ended" if self._open else "the store is closed"
            done.set_exception(StoreUnavailable(f"{named(self.url)}: {why}"))
            return done
        try:
            self._jobs.put_nowait((change, done))
        except asyncio.QueueFull:
            done.set_exception(
                StoreUnavailable(f"{named(self.url)}: {QUEUE_MAX} changes wait to be written")
            )
        return done

    async def _write_all(self) -> None:
        ended = False
        while not ended and (job := await self._jobs.get()) is not None:
            jobs, ended = self._with_others(job)
            if len(jobs) > 1 and await self._written_together(jobs):
                continue
            for change, done in jobs:
                self._answered.put(done, await self._write_one(change))
            await self._tidied()

    def _with_others(self, first: _Job) -> tuple[list[_Job], bool]:
        """What waits behind ``first``, with it; and whether nothing comes after that."""
        jobs = [first]
        with contextlib.suppress(asyncio.QueueEmpty):
            while len(jobs) < TOGETHER_MAX:
                if (job := self._jobs.get_nowait()) is None:
                    return jobs, True
                jobs.append(job)
        return jobs, False

    async def _written_together(self, jobs: list[_Job]) -> bool:
        """False: nothing of it was written, or nobody knows; then each is tried for itself."""
        if await self._write_one(*(change for change, _ in jobs)) is not None:
            return False
        for _, done in jobs:
            self._answered.put(done, None)
        return True

    async def _write_one(self, *changes: Change) -> StoreUnavailable | None:
        """Write, all of them or nothing; why not."""
        try:
            await self._written_by(await self._ready(), changes)
        except StoreUnavailable as error:
            return error
        except REFUSED as error:
            return Unwritable(f"{named(self.url)}: {error}")
        except LOST as error:
            return self._lose(error)
        except Exception as error:  # noqa: BLE001 - one change is lost, not all that follow
            BOOKS.failed("store-write", error)
            kind = StoreUnavailable if isinstance(error, MemoryError) else Unwritable
            return kind(f"{named(self.url)}: not writable ({repr(error)[:100]})")
        return None

    def _lose(self, error: BaseException) -> StoreUnavailable:
        self._writes.drop()
        failure = unavailable(self.url, error)
        self._failed = (time.monotonic(), failure)
        return failure

    async def _ready(self) -> Any:
        """A connection at whose beginning the lease was taken and everything was read."""
        if self.lease.lost:
            raise Superseded(self.lease.lost)
        if self._writes.open:
            return await self._writes.db()
        failed_s, failure = self._failed
        if time.monotonic() - failed_s < AGAIN_S:
            raise failure
        db = await self._writes.db()
        await self._lead(db)
        return db

    async def _lead(self, db: Any) -> None:
        """Take the lease anew, and see what the server has. Raises Superseded."""
        if not await self.lease.take(db):
            holder = await self.lease.holder(db)
            self.lease.taken_by(str(holder) if holder else None)
            self._end()
            raise Superseded(self.lease.lost)
        self._known = dict(await db.fetch(tables.REVISIONS))
        forgotten = [record for route, record in self._written.items()
                     if self._known.get(route, 0) < record.revision]  # fmt: skip
        if forgotten:
            await self._put(db, [Change(self._clock, tuple(forgotten))])

    async def _written_by(self, db: Any, changes: Sequence[Change]) -> None:
        """Raises what a commit may fail with."""
        if await self._put(db, changes):
            return
        await self._lead(db)  # it ran out while nobody was here to renew it, or is another's
        if not await self._put(db, changes):
            raise StoreUnavailable(f"{named(self.url)}: the lease ran out as soon as it was taken")

    async def _put(self, db: Any, changes: Sequence[Change]) -> bool:
        """False: the lease is not held. Raises Fenced where a route stands elsewhere."""
        swap = tables.Swap(self._known)
        for change in changes:
            swap.add(change)
        row = await db.fetchrow(
            tables.COMMIT, str(self.lease.me), self.lease.term, *swap.arguments()
        )
        if not row["held"]:
            return False
        if (route := row["route"]) is not None:
            was, self._known[route] = self._known.get(route, 0), row["stored"]
            raise Fenced(
                f"{route}: the store is at revision {row['stored']}, this router left it at {was}; "
                "another router has written",
                route,
            )
        self._known |= swap.revisions
        self._written |= {record.route: record for record in swap.change.records}
        self._clock = swap.change.clock
        return True

    async def _tidied(self) -> None:
        self._statements += 1
        if self._statements % TIDY_EVERY == 0 and self._writes.open:
            try:
                for statement in tables.TIDY:
                    await (await self._writes.db()).execute(statement)
            except LOST as error:
                self._lose(error)

    # --- reading ----------------------------------------------------------------------------------

    async def journal(
        self, route: str | None, *, since: int, until: float | None, limit: int
    ) -> list[JournalEntry]:
        """Newest first. Raises StoreUnavailable when the server does not answer."""
        rows = await self._read(tables.JOURNAL, since, route, until, limit)
        return tables.entries_of(rows)

    async def answer(self, command_id: str) -> AnsweredOrder | None:
        """The remembered answer of a command id."""
        found = await self._read(tables.ANSWER, tables.plain(command_id))
        return layout.answer_of(found[0]["answer"]) if found else None

    async def _read(self, query: str, *values: Any) -> list[Any]:
        async with self._reading:
            try:
                rows: list[Any] = await (await self._reads.db()).fetch(query, *values)
            except LOST as error:
                self._reads.drop()
                raise unavailable(self.url, error) from error
            return rows
