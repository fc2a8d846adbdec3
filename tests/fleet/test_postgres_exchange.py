"""What routers on one database tell each other, in a real server: once, and to who leads."""

from __future__ import annotations

import asyncio
import random

import pytest

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]

pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")

from router.control.state import postgres_exchange as exchange  # noqa: E402
from router.control.state.lease import Holder, Lease  # noqa: E402
from router.control.state.postgres_exchange import Me, Word, put_table, take, tell  # noqa: E402
from router.control.state.postgres_layout import migrated  # noqa: E402
from router.control.state.postgres_link import connected  # noqa: E402
from router.core.wire.reporter import WorkerId  # noqa: E402
from router.core.wire.table import RoutingTable  # noqa: E402

WHO = WorkerId("b", 7, 0)


@pytest.fixture
async def connect(url):
    made = []

    async def build():
        made.append(await connected(url))
        return made[-1]

    await migrated(await build(), "here")
    yield build
    for db in made:
        db.terminate()


async def leading(db, name="a"):
    lease = Lease(Holder(name, 1, "x"))
    assert await lease.take(db)
    # Nobody renews it here, and a machine may be slow.
    await db.execute("UPDATE rampway_lease SET expires = 'infinity'")
    return str(lease.me)


def word(text):
    return (Word(WHO, b"", text),)


async def test_batches_said_again_and_again_at_once_are_taken_once(connect):
    leader = await connect()
    holder = await leading(leader)
    rnd = random.Random(1)
    got, done = [], []

    async def replica(name):
        links = [await connect() for _ in range(2)]
        me = Me(name)
        for number in range(1, 31):
            me.number = number
            again = rnd.randrange(1, 4)
            said = [
                tell(links[n % 2], me, (), words=word(f"{name}{number}"), term=1)
                for n in range(min(again, 2))
            ]
            await asyncio.gather(*said)
            if again == 3:
                await tell(links[0], me, (), words=word(f"{name}{number}"), term=1)

    async def taking(until):
        nonlocal done
        while True:
            last = until.is_set()
            gone = rnd.random() < 0.7
            new = await take(leader, holder, *((done,) if gone else ((), done)))
            got.extend(new)
            done = [one.key for one in new] if gone else [*done, *(one.key for one in new)]
            if last:
                return
            await asyncio.sleep(0.002)

    over = asyncio.Event()
    task = asyncio.create_task(taking(over))
    await asyncio.gather(*(replica(name) for name in "bcd"))
    over.set()
    await task
    for name in "bcd":
        said = [one.words[0].text for one in got if one.replica == name]
        assert said == [f"{name}{n}" for n in range(1, 31)], "each once, in order"


async def test_a_later_leader_gets_only_what_nobody_took(connect):
    db, me = await connect(), Me("b")
    first = await leading(db)
    for number in (1, 2):
        me.number = number
        await tell(db, me, (), words=word(f"{number}"), term=1)
        if number == 1:
            assert len(await take(db, first, ())) == 1
    both = await take(db, first, ())
    assert len(both) == 2, "the same again to the same"
    assert await take(db, first, (), [one.key for one in both]) == []
    assert await db.fetchval("SELECT count(*) FROM rampway_batches") == 2
    me.number = 3
    await tell(db, me, (), words=word("3"), term=1)
    await db.execute("UPDATE rampway_lease SET expires = '-infinity'")
    assert await take(db, first, ()) == []
    second = await leading(db, "c")
    assert [one.number for one in await take(db, second, ())] == [3]
    assert await take(db, first, ()) == []
    assert await db.fetchval("SELECT count(*) FROM rampway_batches") == 1


async def test_what_another_release_wrote_stops_nobody_elses_words(connect):
    db, odd, me = await connect(), Me("b"), Me("c")
    holder = await leading(db)
    odd.number = me.number = 1
    await tell(db, odd, (), words=word("odd"), term=1)
    await tell(db, me, (), words=word("plain"), term=1)
    for table, column in (("batches", "body"), ("replicas", "states")):
        await db.execute(f"UPDATE rampway_{table} SET {column} = '\\xc1' WHERE replica = 'b'")
    got = await take(db, holder, ())
    assert {one.replica: one.words for one in got} == {"b": (), "c": word("plain")}
    assert {one.name: one.workers for one in await exchange.replicas(db)} == {"b": (), "c": ()}
    assert await take(db, holder, [one.key for one in got]) == []
    assert await db.fetchval("SELECT count(*) FROM rampway_batches") == 0


@pytest.mark.parametrize("payload", ["s failed", " failed", "s x 2 b failed", "s 1 2 b told", ""])
def test_a_hint_that_is_no_question_of_ours_is_none(payload):
    assert exchange.FailureQuestion.hinted(payload) is None


async def test_a_name_is_one_process_at_a_time(connect, monkeypatch):
    db, first, second = await connect(), Me("b"), Me("b")
    second.boot = first.boot + 1
    for me in (first, second):
        me.number = 1
    assert (await tell(db, first, ())).taken
    said = await tell(db, second, ())
    assert said.double
    await db.execute("UPDATE rampway_replicas SET seen = seen - interval '3 s'")
    assert (await tell(db, second, ())).taken
    first.number = 2
    assert (await tell(db, first, ())).double, "who was silent has lost it"
    assert [one.boot for one in await exchange.replicas(db)] == [second.boot]
    await exchange.leave(db, second)
    assert await exchange.replicas(db) == []


async def test_a_table_is_of_who_leads_and_later_ones_win(connect):
    db, me = await connect(), Me("b")
    me.number = 1
    old = await leading(db)
    assert await put_table(db, old, RoutingTable(2, (), term=1))
    assert await put_table(db, old, RoutingTable(1, (), term=1))
    heard = await tell(db, me, ())
    assert heard.led
    assert heard.table.rank == (1, 2)
    assert (await tell(db, me, (), rank=(1, 2))).table is None
    await db.execute("UPDATE rampway_lease SET expires = '-infinity'")
    assert not (await tell(db, me, ())).led
    assert not await put_table(db, old, RoutingTable(9, (), term=1))
    new = await leading(db, "c")
    assert (await tell(db, me, ())).table is None, "it is not of who leads now"
    assert await put_table(db, new, RoutingTable(1, (), term=2))
    assert (await tell(db, me, (), rank=(1, 9))).table.rank == (2, 1)
