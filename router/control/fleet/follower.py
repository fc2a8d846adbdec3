"""A replica: it carries traffic by the table that another router has put into their database.

Its workers are those of one machine (:mod:`router.control.fleet.workers`). It asks the database
four times a second, and when it is hinted to, in one statement: that it lives, what its workers
said (:mod:`router.control.fleet.telling`), whether there is a newer table and whether somebody
leads. When nobody does, it may try to lead, with the same workers.

While it hears of a leader it tells its workers so. When it does not, since the database or the
leader is gone, they are told nothing, keep their table, judge by themselves and send all to stable
after the policy's ``control_silence``, as when control is silent on one machine: nobody who
decides could hear of a failure here.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any, Final

import msgspec

from router.control.fleet.peers import as_others_reach, network
from router.control.fleet.telling import ReplicaWords
from router.control.fleet.workers import Workers
from router.control.reviews.elsewhere import Elsewhere
from router.control.state.errors import StoreDamaged, StoreLocked
from router.control.state.lease import LEASE_S
from router.control.state.postgres import OPEN_AGAIN_S, OPEN_WAIT_S
from router.control.state.postgres_exchange import (
    TABLE,
    TOLD,
    FailureQuestion,
    Heard,
    LeaderAddress,
    Me,
    Word,
    WorkerRank,
    leave,
    replicas,
    tell,
)
from router.control.state.postgres_layout import migrated
from router.control.state.postgres_link import LOST, Permanent, StoreLink, check_server, refusal
from router.core.databases import named
from router.core.wire.table import RoutingTable
from router.loops import background, forever
from router.telemetry.log import get_logger
from router.telemetry.metrics import Metrics

TURN_S: Final = 0.25
"""Between two words, where nothing is urgent."""
AGAIN_S: Final = 0.25
"""After a failure of the database."""
TURNS_WITHOUT: Final = 20
"""Turns in which somebody leads and there is no table, before that is told; 5 s."""

log = get_logger("router.control")


class Follower:
    """See the module. ``workers`` tell ``telling``; ``engine``: what they are."""

    def __init__(
        self, url: str, me: Me, workers: Workers, telling: ReplicaWords,
        engine: str = "built-in", *, metrics: Metrics,
    ) -> None:  # fmt: skip
        self.url, self.me, self.workers, self.telling = url, me, workers, telling
        self.engine = engine
        telling.hurry, telling.lost = workers.hurry, metrics.add_rejected
        self.people = Elsewhere(url, workers, metrics)
        """What people are asked about, and what they say, whoever leads."""
        telling.people = self.people.inbox.asked
        self.began = False
        """Whether its workers were started."""
        self.admin = ""
        """URL of the admin interface, as the policy has it; set before it opens."""
        self.leader: LeaderAddress | None = None
        """Who led when it asked last."""
        self._link = StoreLink(url, self._hinted)
        self._rank = (0, 0)
        self._led_s = float("-inf")
        """When it asked last and somebody led, monotonic clock."""
        self._away_s = float("-inf")
        """When the database did not answer last, monotonic clock."""
        self._asked_s = float("-inf")
        """When it did."""
        self._sent: tuple[int, tuple[Word, ...]] = (0, ())
        """What may not have been heard, with its term: it is said again."""
        self._unread = ""
        """Why the newest table is not understood; empty while it is."""
        self._without = 0
        """Turns in which somebody led and there was no table."""

    def __repr__(self) -> str:
        return f"<Follower {self.me!r} {self.workers!r}>"

    def _hinted(self, db: Any, pid: int, _channel: str, payload: str) -> None:
        if payload.endswith(f" {TABLE}"):
            self.telling.wake.set()
        elif pid != db.get_server_pid() and (question := FailureQuestion.hinted(payload)):
            self.telling.failed(question)

    # --- life -------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Find the database, and take the name and the address for clients.

        Raises StoreDamaged, StoreLocked where another process has the name, OSError.
        """
        deadline = time.monotonic() + OPEN_WAIT_S
        while (refused := await self._try_open()) is not None:
            if isinstance(refused, Permanent) or time.monotonic() >= deadline:
                raise refused
            await asyncio.sleep(OPEN_AGAIN_S)
        await self.workers.bind()
        self.people.begin()

    async def _try_open(self) -> StoreDamaged | StoreLocked | None:
        try:
            db = await self._link.db()
            check_server(self.url, db)
            await migrated(db, named(self.url))
            self.me.admin = as_others_reach(self.admin, self._link.local)
            self.me.network = network()
            self.me.number += 1
            heard = await tell(db, self.me, (), rank=(2**62, 0))
            if heard.double:
                await self._begin_later(db)
        except (*LOST, ValueError) as error:
            self._link.drop()
            return refusal(self.url, error)
        return self._double() if heard.double else None

    async def _begin_later(self, db: Any) -> None:
        """Than who had the name before and its workers, also where this machine's clock went back.

        Who has the name still keeps it as long as it speaks.
        """
        for one in await replicas(db):
            if one.name == self.me.replica:
                last = max([one.boot, *(worker.who.boot for worker in one.workers)])
                self.me.boot = self.workers.since = max(self.me.boot, last + 1)

    def _double(self) -> StoreLocked:
        return StoreLocked(
            f"store: {named(self.url)}: another router is called {self.me.replica}; "
            "stop it first, or give this one a name of its own (--replica)"
        )

    async def begin(self) -> None:
        """Start the workers, once; they serve as soon as they have a table."""
        if not self.began:
            self.began = True
            await self.workers.start()

    async def follow(self) -> None:
        """Serve as told by who leads; done when nobody does. Raises StoreLocked, StoreDamaged."""
        self.workers.heard = self.heard
        try:
            while await self._turn():
                pass
        except StoreDamaged:
            await self.part()
            raise

    def heard(self) -> bool:
        """Whether somebody leads, as it was told a moment ago."""
        return time.monotonic() - self._led_s < LEASE_S

    @property
    def rank(self) -> tuple[int, int]:
        """Term and generation of the newest table that it has."""
        return self._rank

    def troubles(self) -> list[str]:
        """Whom it does not hear, as sentences."""
        if self._away_s > self._asked_s:
            return [f"the database ({named(self.url)}) does not answer"]
        if self._unread:
            why = f"the table of who leads is not understood ({self._unread})"
            return [f"{why}: run the same Rampway everywhere"]
        if not self.heard():
            return ["no router leads, as far as this one hears"]
        return []

    @property
    def waits(self) -> str:
        """Why it serves nobody yet, as a sentence; empty once it does."""
        if self.began:
            return ""
        return "there is no table of a router that leads yet; is that one started with --replica?"

    async def _turn(self) -> bool:
        """False: nobody leads."""
        began_s = time.monotonic()
        try:
            heard = await self._tell()
        except LOST:
            self._link.drop()  # what it was saying is said again
            self._away_s = time.monotonic()
            await asyncio.sleep(AGAIN_S)
            return True
        except msgspec.MsgspecError as error:
            self._asked_s = time.monotonic()
            if str(error) != self._unread:
                self._unread = str(error)
                log.error("table_not_understood", error=self._unread)  # noqa: TRY400 - it says all
            await asyncio.sleep(AGAIN_S)
            return True
        self._asked_s, self.leader, self._unread = time.monotonic(), heard.leader, ""
        self._look_for_table(heard)
        if heard.double:
            raise self._double()
        if heard.led and not self.telling.behind:
            self._led_s = began_s
        if heard.table is not None:
            await self._apply(heard.table)
        if not heard.led and time.monotonic() - self._away_s > LEASE_S:
            return False  # else who led before comes back as we do, and goes first
        if not self.telling.behind:
            await self._pause()
        return True

    def _look_for_table(self, heard: Heard) -> None:
        """Who leads may be one that tells nobody."""
        without = heard.led and heard.table is None and not self.began
        self._without = self._without + 1 if without else 0
        if self._without == TURNS_WITHOUT:
            log.warning("waits", error=self.waits)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(TURN_S):
                await self.telling.wake.wait()
        except TimeoutError:
            pass
        self.telling.wake.clear()

    async def _tell(self) -> Heard:
        """The next words, or those again of which nobody knows whether they were heard."""
        if not self._sent[1]:
            self._sent = self.telling.term, self.telling.take()
            self.me.number += 1
        hint, self.telling.hint = self.telling.hint, ""
        term, words = self._sent
        try:
            heard = await tell(
                await self._link.db(), self.me, self.states(), rank=self._rank, words=words,
                term=term, hint=self.telling.hinted(hint),
            )  # fmt: skip
        except LOST:
            self.telling.say(hint)
            raise
        except msgspec.MsgspecError:  # of the answer: the words were heard
            self._sent = (0, ())
            raise
        self._sent = (0, ())
        return heard

    def states(self) -> list[WorkerRank]:
        """By what each worker serves."""
        states = self.workers.states()
        return [WorkerRank(one.who, one.port, one.term, one.generation) for one in states]

    async def _apply(self, table: RoutingTable) -> None:
        if table.engine != self.engine:
            self._say_other(table.engine)
        self._rank = table.rank
        self.telling.follow(table.term)
        self.workers.publish(table)
        background("confirm", self._confirm(table.generation))
        if not self.began:
            await self.begin()
            background("following", self._serving())

    def _say_other(self, engine: str) -> None:
        """Who serves goes on: what is taken back is taken back here too. Raises StoreDamaged."""
        said = (
            f"the router that leads has engine: {engine}, this one engine: {self.engine}; "
            "write the same one in the policies of both"
        )
        if not self.began:
            raise StoreDamaged(said)
        log.error("other_engine", error=said)

    async def _confirm(self, generation: int) -> None:
        """Who leads may wait for it."""
        await self.workers.applied(generation)
        self.telling.say(TOLD)

    async def _serving(self) -> None:
        await self.workers.serving()
        log.info(
            "following", listen=self.workers.listen, replica=self.me.replica, admin=self.admin
        )  # fmt: skip

    async def stop(self, drain_s: float) -> None:
        """Finish what is under way, and tell how it ended."""
        self._link.drop()  # it may be in the middle of a statement
        self.workers.begin_drain(drain_s)
        parting = background("parting", forever("parting", self._part_turn))
        await self.workers.drained(drain_s)
        parting.cancel()
        await asyncio.gather(parting, return_exceptions=True)
        self._link.drop()
        await self.part()

    async def _part_turn(self) -> None:
        if not await self._turn():
            await self._pause()

    async def part(self) -> None:
        """The last words, if somebody takes them; the name is free."""
        try:
            while self._sent[1] or self.telling.waiting:
                with suppress(msgspec.MsgspecError):
                    await self._tell()
            await leave(await self._link.db(), self.me)
        except LOST:
            pass
        await self._link.close()
        await self.people.close()
