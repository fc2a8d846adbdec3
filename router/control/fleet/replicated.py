"""The fleet of a router that leads others: its own workers, and those of its replicas.

Its workers are told at once; the replicas through the database
(:mod:`router.control.fleet.follower`), which is written behind the decision and never waited for.
What they said is heard as of workers elsewhere (:mod:`router.control.fleet.reporters`): each batch
once, and nothing that was said about the tables of an earlier leader.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from router.control.fleet.fleet import Hears, WorkerState
from router.control.fleet.follower import AGAIN_S, TURN_S, Follower
from router.control.fleet.last import FailuresLast
from router.control.fleet.workers import APPLY_TIMEOUT_S
from router.control.state.lease import Lease
from router.control.state.postgres_exchange import (
    FAILED,
    SILENT_S,
    TOLD,
    BatchKey,
    FailureQuestion,
    Replica,
    ReplicaBatch,
    Word,
    WorkerRank,
    put_table,
    replicas,
    take,
    tell,
)
from router.control.state.postgres_link import LOST, StoreLink
from router.core.wire.reporter import WorkerId
from router.core.wire.table import RoutingTable
from router.link.frames import Frames
from router.link.messages import KINDS, PairReport, Report, SampleReport, SpanReport
from router.loops import background, forever, my_turn, net

GONE_S: Final = 10.0
"""A replica that is silent for so long is not there any more: what it had under way is given up."""

BOOKED_MAX: Final = 1_000
"""Replicas of which it is known what was booked last: far more than live at once. Who spoke longest
ago is forgotten first; were its last batch told again after that, it would be booked again."""


class Replicated:
    """See the module. ``own`` are the workers of this router, ``lease`` is how it leads."""

    probes = True

    def __init__(self, own: Follower, lease: Lease, hears: Hears) -> None:
        self._own, self._workers, self._lease = own, own.workers, lease
        self._hears = FailuresLast(hears, lambda: {one.name for one in self._live()})
        self._books: dict[type, Callable[[WorkerId, Any], None]] = {
            Report: self._hears.report, PairReport: hears.pairs, SampleReport: hears.sampled,
            SpanReport: hears.traced,
        }  # fmt: skip
        self._takes = StoreLink(own.url, self._hinted)
        self._puts = StoreLink(own.url)
        self._table: RoutingTable | None = None
        self._put = asyncio.Event()
        self._changed = asyncio.Event()
        self._still_there: dict[BatchKey, int] = {}
        """Booked, and perhaps still there; how many reports had had to wait by then."""
        self._booked: dict[str, tuple[int, int]] = {}
        """The last boot of each replica and its last number, who spoke last behind all others."""
        self._others: dict[str, Replica] = {}
        self._there: dict[str, Replica] = {}
        """The same when it was looked last who is gone."""
        self._due_s = float("-inf")
        """When this router says next that it lives, and looks at all others, monotonic clock."""
        self._read_s = 0.0
        """When these were read, monotonic clock."""
        self._tasks: list[asyncio.Task[Any]] = []
        self._handed = False

    def __repr__(self) -> str:
        return f"<Replicated {self._workers!r} and {sorted(self._others)}>"

    def _hinted(self, db: Any, pid: int, _channel: str, payload: str) -> None:
        if pid != db.get_server_pid() and payload.endswith((f" {TOLD}", f" {FAILED}")):
            self._own.telling.wake.set()
            if question := FailureQuestion.hinted(payload):
                self._own.telling.failed(question)

    # --- life -------------------------------------------------------------------------------------

    @property
    def listen(self) -> str:
        """Where clients of this router are served."""
        return self._workers.listen

    async def bind(self) -> None:
        """The replica has its address since it began."""

    async def start(self) -> None:
        """Begin with the workers that are there, or start them."""
        self._own.me.leads = str(self._lease.me)
        self._workers.heard = lambda: self._lease.fresh
        self._tasks = [
            background("replicas", forever("replicas", self._turn)),
            background("tables", forever("tables", self._put_newest)),
        ]
        await self._own.begin()

    async def serving(self) -> None:
        """Done when this router's clients are answered by its table."""
        await self._workers.serving()

    def publish(self, table: RoutingTable) -> None:
        """To its own workers now, to everybody as soon as the database has it."""
        if self._handed:
            return
        telling = self._own.telling
        if telling.to is None:
            telling.follow(table.term)
            telling.to = self._hears
        self._table = table
        self._workers.publish(table)
        self._put.set()

    async def _put_newest(self) -> None:
        await self._put.wait()
        self._put.clear()
        table = self._table
        if table is None:
            return
        held = False
        try:
            held = await put_table(await self._puts.db(), str(self._lease.me), table)
        except LOST:
            self._puts.drop()
        finally:  # whatever was raised, the table is put in the next turn
            if not held:
                self._put.set()
        if not held:
            await asyncio.sleep(AGAIN_S)

    # --- replicas ---------------------------------------------------------------------------------

    async def _turn(self) -> None:
        """See who is there, and take what there is: what somebody waits for comes first."""
        telling = self._own.telling
        try:
            async with asyncio.timeout(TURN_S):
                await telling.wake.wait()
        except TimeoutError:
            pass
        telling.wake.clear()
        due = time.monotonic() >= self._due_s
        try:
            db = await self._takes.db()
            if due or telling.hint:
                await self._tell(db)  # who is asked by the hint answers meanwhile
            if due or self._behind(self._newest):
                self._see(await replicas(db))  # an order may wait for it
            await self._take(db)
            self._part()
        except LOST:
            self._takes.drop()
            await asyncio.sleep(AGAIN_S)

    async def _tell(self, db: Any) -> None:
        me, telling = self._own.me, self._own.telling
        self._due_s = time.monotonic() + TURN_S
        me.number += 1
        hint, telling.hint = telling.hint, ""
        await tell(db, me, self._own.states(), rank=(2**62, 0), hint=telling.hinted(hint))

    async def _take(self, db: Any) -> None:
        """What waits here stays there: it is not lost with us."""
        booked, told = self._still_there, self._hears.told
        heard = [one for one, held in booked.items() if held <= told]
        waits = [one for one, held in booked.items() if held > told]
        batches = await take(db, str(self._lease.me), heard, waits)
        for one in heard:
            del booked[one]
        for batch in batches:
            self._book(batch)
            booked[batch.key] = self._hears.held
            await my_turn()

    def _book(self, batch: ReplicaBatch) -> None:
        """Once; the words of who follows this leader, and that no later life of it has followed."""
        if not self._is_new(batch):
            return
        self._booked.pop(batch.replica, None)
        self._booked[batch.replica] = batch.boot, batch.number
        if len(self._booked) > BOOKED_MAX:
            del self._booked[next(iter(self._booked))]
        if self._table is not None and batch.term == self._table.term:
            for word in batch.words:
                with net("replicas"):
                    self._hear(word, batch.replica)

    def _is_new(self, batch: ReplicaBatch) -> bool:
        return (batch.boot, batch.number) > self._booked.get(batch.replica, (0, 0))

    def _hear(self, word: Word, replica: str) -> None:
        if (question := word.question) is not None:
            if word.answered:
                self._hears.answered(replica, question)
            elif self._hears.ask(question):
                self._own.telling.failed(question)  # the hint may come later, or never
        elif word.ended:
            self._hears.gone(word.who, word.text)
        elif word.text:
            self._hears.noticed(word.who, word.text)
        else:
            for message in Frames(KINDS).feed(word.message):
                self._books[type(message)](word.who, message)

    def _see(self, found: list[Replica]) -> None:
        me = self._own.me.replica
        self._others = {one.name: one for one in found if one.name != me}
        self._read_s = time.monotonic()
        self._changed.set()

    def _part(self) -> None:
        """Give up who is gone, behind its last words."""
        before, self._there = self._there, self._others
        for name, one in before.items():
            now = self._others.get(name)
            left = now is None or now.boot != one.boot
            if one.silent_s < GONE_S and (left or (now and now.silent_s >= GONE_S)):
                for worker in one.workers:
                    self._hears.gone(worker.who, f"router {name} is not heard any more")

    def _silent_s(self, one: Replica) -> float:
        return one.silent_s + time.monotonic() - self._read_s

    def _live(self) -> list[Replica]:
        return [one for one in self._others.values() if self._silent_s(one) < SILENT_S]

    async def applied(self, generation: int) -> None:
        """Also by replicas that live; who is silent hears of it when it is back."""
        await self._workers.applied(generation)
        try:
            async with asyncio.timeout(APPLY_TIMEOUT_S):
                while self._behind(generation):
                    self._changed.clear()
                    async with asyncio.timeout(SILENT_S):
                        await self._changed.wait()
        except TimeoutError:
            pass

    @property
    def _newest(self) -> int:
        return self._table.generation if self._table else 0

    def _behind(self, generation: int) -> bool:
        wanted = (self._table.term if self._table else 0, generation)
        return any(_rank(worker) < wanted for one in self._live() for worker in one.workers)

    def ready(self) -> bool:
        """Whether this router's own workers serve by the newest table."""
        return self._workers.ready()

    def states(self) -> list[WorkerState]:
        """Of everybody, as they said last."""
        elsewhere = [
            WorkerState(one.who, None, one.port, one.term, one.generation)
            for replica in self._others.values() for one in replica.workers
        ]  # fmt: skip
        return [*self._workers.states(), *elsewhere]

    def troubles(self) -> list[str]:
        """Of this router's own workers; and replicas that are silent."""
        silent = [
            f"router {name} was not heard for {self._silent_s(one):.0f} s"
            for name, one in self._others.items() if self._silent_s(one) >= SILENT_S
        ]  # fmt: skip
        return [*self._workers.troubles(), *silent]

    # --- end --------------------------------------------------------------------------------------

    def begin_drain(self, within_s: float) -> None:
        """Its own workers; the others have who leads next."""
        self._workers.begin_drain(within_s)

    def hand_over(self) -> None:
        """Another router leads: the workers go on, as those of a replica."""
        self._handed = True
        self._own.me.leads = ""
        self._own.telling.to = None
        self._cancel()

    async def drained(self, within_s: float) -> None:
        """Done when nothing is under way here, or the time is over."""
        if not self._handed:
            await self._workers.drained(within_s)
            self._hears.rest()
            self._cancel()
            await self._own.part()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._takes.close()
        await self._puts.close()

    async def kill(self) -> None:
        """End its own workers at once; before the start they are the replica's, and serve."""
        if self._tasks:
            self._cancel()
            await self._workers.kill()

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()


def _rank(worker: WorkerRank) -> tuple[int, int]:
    return worker.term, worker.generation
