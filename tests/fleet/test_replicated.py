"""A leader among routers on one database: what it asks the database for, and in which order."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.fleet

pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")

from router.control.fleet import replicated  # noqa: E402 - asyncpg first
from router.control.fleet.replicated import Replicated  # noqa: E402 - asyncpg first
from router.control.fleet.telling import ReplicaWords  # noqa: E402 - asyncpg first
from router.control.state import lease  # noqa: E402 - asyncpg first
from router.control.state import postgres_exchange as exchange  # noqa: E402 - asyncpg first
from router.core.wire.reporter import WorkerId  # noqa: E402 - asyncpg first
from router.core.wire.table import RoutingTable  # noqa: E402 - asyncpg first
from tests.control.fleet.hearing import Hearing  # noqa: E402 - asyncpg first
from tests.fleets.statements import MEANS, Tables  # noqa: E402 - asyncpg first

NAMES = {exchange._TELL: "tell", exchange._TAKE: "take", exchange._REPLICAS: "replicas"}


def telling(replica, boot, number, text="said"):
    word = exchange.Word(WorkerId(replica, boot, 0), b"", text)
    return exchange.ReplicaBatch(replica, boot, number, 3, (word,))


class Memory:
    """The database, and what was asked of it."""

    def __init__(self):
        self.tables, self.asked, self.rows = Tables(now=1_000.0), [], []

    async def fetch(self, text, *values):
        self.asked.append(NAMES[text])
        self.rows = MEANS[text](self.tables, *values)
        return self.rows

    async def fetchrow(self, text, *values):
        return next(iter(await self.fetch(text, *values)), None)


async def at_once(*_):
    pass


class Led:
    """A leader called a, and two that follow; ``replicas`` on generation 1 of term 3."""

    def __init__(self):
        self.db, self.heard = Memory(), Hearing()
        own = SimpleNamespace(
            url="postgresql://nobody@127.0.0.1:1/nothing", me=exchange.Me("a"), states=list,
            telling=ReplicaWords(exchange.Me("a")),
            workers=SimpleNamespace(publish=lambda _table: None, applied=at_once, hurry=None),
        )  # fmt: skip
        self.telling = own.telling
        self.leader = Replicated(own, lease.Lease(lease.Holder.myself()), self.heard)
        self.leader._takes = SimpleNamespace(db=self._db, drop=None)
        holder = str(self.leader._lease.me)
        self.db.tables.lease["leader"] = [holder, 3, self.db.tables.now + 100]
        for name in "bc":
            self.applied(name, 1)
        self.leader.publish(RoutingTable(1, (), term=3))

    async def _db(self):
        return self.db

    def applied(self, name, generation, term=3):
        """This replica's worker has it."""
        ranks = (exchange.WorkerRank(WorkerId(name, 7, 0), 80, term, generation),)
        said = exchange._encoder.encode(ranks)
        self.db.tables.replicas[name] = [7, generation, said, self.db.tables.now, "", "", ""]

    async def turn(self):
        """One, woken; what it asks."""
        self.telling.wake.set()
        self.db.asked.clear()
        await self.leader._turn()
        return list(self.db.asked)


@pytest.fixture
async def led():
    made = Led()
    assert await made.turn() == ["tell", "replicas", "take"], "four times a second: all of it"
    return made


async def test_what_an_order_waits_for_is_asked_first_and_is_enough(led):
    led.leader.publish(RoutingTable(2, (), term=3))
    order = asyncio.create_task(led.leader.applied(2))
    led.applied("b", 2)
    assert await led.turn() == ["replicas", "take"]
    assert not order.done()
    led.applied("c", 2)
    asked = asyncio.Event()
    led.db.fetch, fetch = lambda *one: held(one), led.db.fetch

    async def held(one):
        if NAMES[one[0]] == "take":
            await asked.wait()
        return await fetch(*one)

    turn = asyncio.create_task(led.turn())
    async with asyncio.timeout(20):
        await order
    assert led.db.asked == ["replicas"], "nothing else was needed for it"
    asked.set()
    await turn
    assert await led.turn() == ["take"], "all have the newest table"


async def test_who_follows_a_later_leader_is_not_waited_for_since_that_one_read_what_was_written(
    led,
):
    """What nobody wrote is not told as in force: tests/control/rollouts/test_reconciler.py."""
    led.leader.publish(RoutingTable(2, (), term=3))
    led.applied("b", 2)
    led.applied("c", 1, term=4)
    order = asyncio.create_task(led.leader.applied(2))
    await led.turn()
    async with asyncio.timeout(20):
        await order


async def test_who_is_to_answer_a_failure_is_asked_before_anything_else(led):
    led.telling.say(exchange.FAILED)
    assert await led.turn() == ["tell", "take"]
    (hint,) = led.db.tables.hints
    assert exchange.FailureQuestion.hinted(hint) == led.telling._question


async def test_who_has_left_is_given_up_behind_its_last_words(led):
    last = exchange.Word(WorkerId("b", 7, 0), b"", "its last word")
    body = exchange._encoder.encode((last,))
    led.db.tables.batches["b", 7, 5] = [3, "", body]
    del led.db.tables.replicas["b"]
    led.leader._due_s = 0.0
    await led.turn()
    assert led.heard.texts == ["its last word", "router b is not heard any more"]
    await led.turn()
    assert len(led.heard.texts) == 2, "once"


async def test_what_waits_here_stays_there_and_is_not_read_again(led):
    """Where failures come all the time something always waits: it may not pile up for that."""
    hears, there = led.leader._hears, led.db.tables.batches

    async def turn(*numbers):
        for number in numbers:
            word = exchange.Word(WorkerId("b", 7, 0), b"", f"{number}")
            there["b", 7, number] = [3, "", exchange._encoder.encode((word,))]
            hears.held += 1
        await led.turn()
        return len(led.db.rows), [key[2] for key in there]

    assert await turn(1) == (1, [1])
    assert await turn(2, 3) == (2, [1, 2, 3])
    hears.told = 1
    assert await turn(4) == (1, [2, 3, 4]), "the first waits no more"
    hears.told = 4
    assert await turn() == (0, [])
    assert led.heard.texts == ["1", "2", "3", "4"]


async def test_a_router_that_begins_again_and_again_is_remembered_once(led):
    for boot in range(1, 4):
        led.leader._book(telling("b", boot, 5, f"of {boot}"))
        led.leader._book(telling("b", boot, 5, f"of {boot}"))
    assert led.heard.texts == ["of 1", "of 2", "of 3"]
    assert led.leader._booked == {"b": (3, 5)}
    led.leader._book(telling("b", 2, 6))
    assert len(led.heard.texts) == 3, "another life has followed that one"


async def test_routers_whose_names_never_come_again_are_forgotten(led, monkeypatch):
    monkeypatch.setattr(replicated, "BOOKED_MAX", 2)
    for number, name in enumerate("bcbd", 1):
        led.leader._book(telling(name, 7, number))
    assert led.leader._booked == {"b": (7, 3), "d": (7, 4)}, "who spoke longest ago"
