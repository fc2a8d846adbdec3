"""The store in a real PostgreSQL server: as in a file, and what only a server can do to it."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from router.control.state.errors import StoreDamaged, StoreLocked, StoreUnavailable
from router.control.state.record import Change
from router.control.state.store import Fenced, Unwritable
from router.loops import BOOKS
from tests.control.state.store_contract import (
    StoreContract,
    answer,
    entry,
    killed_again_and_again,
    record,
)

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]

asyncpg = pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")

from router.control.state import postgres, postgres_layout, postgres_link  # noqa: E402
from router.control.state.places import looked_at  # noqa: E402
from router.control.state.postgres import PostgresStore, Superseded  # noqa: E402


@pytest.fixture
async def opened(url):
    stores = []

    async def build():
        store = PostgresStore(url, wait_s=0.2)
        stored = await store.open()
        stores.append(store)
        return store, stored

    yield build
    for store in stores:
        await store.close()


async def written(store, change, within_s=20):
    """Try as the router does, once a second but sooner, until the server has it."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                return await store.commit(change)
            except (Unwritable, Fenced):
                raise
            except StoreUnavailable:
                await asyncio.sleep(0.05)


async def until(condition, within_s=20):
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


def schema(url):
    return url.rpartition("%3D")[2]


class TestPostgres(StoreContract):
    """As on a file."""

    @pytest.fixture
    def opened(self, opened):
        return opened

    @pytest.fixture
    def fresh(self, url):
        return lambda wait_s: PostgresStore(url, wait_s=wait_s)

    async def test_a_kill_at_a_random_moment_keeps_every_acknowledged_position(self, tmp_path, url):
        await killed_again_and_again(tmp_path, url, 5, lambda: PostgresStore(url))


async def test_what_waits_is_one_statement_and_a_move_is_one(opened, server, url):
    store, _ = await opened()
    sent = []
    db = await store._writes.db()
    store._writes._db = spied(db, sent)
    await asyncio.gather(
        *(store.commit(Change(n, (record(n + 1),), (entry(n),))) for n in range(9))
    )
    assert sent == [postgres_layout.COMMIT]


def spied(db, sent):
    class Spy:
        def __getattr__(self, name):
            return getattr(db, name)

        async def fetchrow(self, query, *values):
            sent.append(query)
            return await db.fetchrow(query, *values)

    return Spy()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
async def test_a_server_that_stops_fails_commits_and_loses_nothing(opened, server, how):
    store, _ = await opened()
    await store.commit(Change(1, (record(1),), (entry(1),)))
    server.stop(how)
    began = time.monotonic()
    for _ in range(20):  # nobody waits for it in turn
        with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1"):
            await store.commit(Change(2, (record(2),), (entry(2),)))
    assert time.monotonic() - began < 10
    with pytest.raises(StoreUnavailable):
        await store.journal(None, since=0, until=None, limit=1)
    server.start()
    term = store.lease.term
    await written(store, Change(2, (record(2),), (entry(2),)))
    assert store.lease.term > term, "what the old connection had under way is fenced"
    assert [e.clock for e in await store.journal(None, since=0, until=None, limit=9)] == [2, 1]
    await store.close()
    _, stored = await opened()
    assert stored.records["r"].revision == 2


async def test_a_statement_whose_answer_is_lost_is_there_once(opened, monkeypatch):
    store, _ = await opened()
    db = await store._writes.db()

    class Lossy:
        def __getattr__(self, name):
            return getattr(db, name)

        async def fetchrow(self, query, *values):
            await db.fetchrow(query, *values)
            raise TimeoutError

    store._writes._db = Lossy()
    change = Change(1, (record(1),), (entry(1),), commands=(("id", answer("r")),))
    with pytest.raises(StoreUnavailable, match="no answer in time"):
        await store.commit(change)
    await written(store, change)
    assert len(await store.journal(None, since=0, until=None, limit=9)) == 1
    await store.commit(Change(2, (record(2),), (entry(2),)))


async def test_a_server_that_hangs_fails_commits_and_is_taken_up_again(opened, server, monkeypatch):
    for name in ("COMMAND_S", "CONNECT_S"):
        monkeypatch.setattr(postgres_link, name, 0.5)
    store, _ = await opened()
    pids = [int(pid) for pid in server.sql("SELECT pid FROM pg_stat_activity").split()]
    frozen = [*pids, server.process.pid]
    for pid in frozen:
        signalled(pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable, match="no answer in time"):
            await store.commit(Change(1, (record(1),), (entry(1),)))
    finally:
        for pid in frozen:
            signalled(pid, signal.SIGCONT)
    await written(store, Change(1, (record(1),), (entry(1),)))
    assert len(await store.journal(None, since=0, until=None, limit=9)) == 1


def signalled(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


async def test_a_router_that_was_not_heard_is_fenced_and_knows_it(opened, url):
    first, _ = await opened()
    await first.commit(Change(1, (record(1),), (entry(1),)))
    paused = first._tasks[1]
    paused.cancel()  # it says nothing more, as under SIGSTOP
    second = PostgresStore(url, wait_s=10)
    stored = await second.open()
    assert stored.records["r"].revision == 1
    await second.commit(Change(2, (record(2),)))
    assert second.lease.term > first.lease.term
    with pytest.raises(Superseded, match=f"another router leads now .*{os.getpid()}"):
        await first.commit(Change(3, (record(5),), (entry(5),)))
    assert "another router leads" in await first.lost()
    with pytest.raises(Superseded):  # for good
        await first.commit(Change(3, (record(6),)))
    entries = await second.journal(None, since=0, until=None, limit=9)
    assert [one.clock for one in entries] == [1.0]
    await first.close()
    await second.commit(Change(4, (record(3),)))
    assert not second.lease.lost, "who is fenced releases nobody else's lease"
    await second.close()


async def test_who_was_cut_off_does_not_lead_on_after_another_has_led_and_ended(
    opened, server, url
):
    first, _ = await opened()
    await first.commit(Change(1, (record(1),)))
    first._tasks[1].cancel()  # it is cut off, and says nothing more
    second = PostgresStore(url, wait_s=10)
    await second.open()
    await second.close()  # whatever it decided, and told in its term, the first does not know
    first._writes.drop()
    with pytest.raises(Superseded):
        await first.commit(Change(2, (record(2),)))
    await first.close()


async def test_it_hears_that_another_leads_although_it_writes_nothing(opened, server, url):
    store, _ = await opened()
    server.sql(
        f"UPDATE {schema(url)}.rampway_lease SET holder = 'elsewhere/7/x', term = term + 1, "
        "expires = clock_timestamp() + interval '1 minute'"
    )
    async with asyncio.timeout(20):
        assert "process 7 on elsewhere" in await store.lost()


async def test_the_loop_that_renews_it_outlives_what_is_raised_in_it(opened, server, url):
    store, _ = await opened()
    failed = BOOKS.failures["store-lease"].count if "store-lease" in BOOKS.failures else 0
    raised = []

    async def wrong(_db, renew=store.lease.renew):
        if not raised:
            raised.append(1)
            raise MemoryError
        raised.append(2)
        return await renew(_db)

    store.lease.renew = wrong
    await until(lambda: len(raised) > 2)
    assert BOOKS.failures["store-lease"].count == failed + 1
    assert not store.lease.lost


async def test_nobody_else_wants_it_so_a_long_pause_costs_nothing(opened, server, url):
    store, _ = await opened()
    store._tasks[1].cancel()
    server.sql(f"UPDATE {schema(url)}.rampway_lease SET expires = '-infinity'")
    await store.commit(Change(1, (record(1),)))
    assert not store.lease.lost


async def test_a_paused_transaction_does_not_keep_the_lease(opened, url):
    store, _ = await opened()
    other = await postgres_link.connected(url)
    await other.execute("BEGIN")
    await other.fetchval("SELECT term FROM rampway_lease FOR UPDATE")
    await written(store, Change(1, (record(1),)))
    other.terminate()


async def test_what_a_server_acknowledged_and_forgot_is_written_again(opened, server, url):
    """A standby that was behind has taken over."""
    store, _ = await opened()
    await store.commit(Change(1, (record(7), record(3, "q"))))
    server.sql(
        f"UPDATE {schema(url)}.rampway_routes SET revision = 5, record = replace(record, "
        f"'\"revision\":7', '\"revision\":5') WHERE route = 'r'; "
        f"UPDATE {schema(url)}.rampway_lease SET term = 0"
    )
    term = store.lease.term
    store._writes.drop()
    await written(store, Change(2, (record(4, "q"),)))
    assert store.lease.term > term
    await store.close()
    _, stored = await opened()
    assert {name: one.revision for name, one in stored.records.items()} == {"r": 7, "q": 4}


async def test_who_writes_beside_the_lease_is_noticed(opened, server, url):
    store, _ = await opened()
    await store.commit(Change(1, (record(3),)))
    server.sql(f"UPDATE {schema(url)}.rampway_routes SET revision = 9")
    with pytest.raises(Fenced, match="revision 9, this router left it at 3"):
        await store.commit(Change(2, (record(4),), (entry(),)))
    assert await store.journal(None, since=0, until=None, limit=9) == []
    await store.commit(Change(2, (record(10),)))


async def test_a_full_queue_refuses_at_once(opened, monkeypatch, server):
    store, _ = await opened()
    monkeypatch.setattr(postgres, "QUEUE_MAX", 8)
    store._jobs = asyncio.Queue(8)
    waiting = [store.commit(Change(float(i))) for i in range(20)]
    failed = [one for one in waiting if one.done()]
    assert len(failed) == 12
    with pytest.raises(StoreUnavailable, match="wait to be written"):
        await failed[0]
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_what_is_remembered_for_a_while_is_forgotten(opened, monkeypatch, server, url):
    monkeypatch.setattr(postgres, "TIDY_EVERY", 3)
    monkeypatch.setattr(
        postgres_layout, "TIDY", tuple(postgres_layout._tidy(f"rampway_{name}", 5)
                                       for name in ("commands", "receipts")),
    )  # fmt: skip
    store, _ = await opened()
    for n in range(12):
        await store.commit(Change(n, commands=((f"id-{n}", answer("r")),), receipts=(n,)))
    await until(lambda: server.sql(f"SELECT count(*) FROM {schema(url)}.rampway_receipts") == "5")
    assert await store.answer("id-6") is None
    assert await store.answer("id-7") == answer("r")


# --- starts that are refused ------------------------------------------------------------------


async def refused(url, kind=StoreDamaged, wait_s=0.2):
    with pytest.raises(kind) as told:
        await PostgresStore(url, wait_s=wait_s).open()
    return str(told.value)


async def test_a_server_that_is_away_is_waited_for_and_then_told(server, opened, url):
    place = f"store: {url.partition('?')[0]}: "
    server.stop()
    said = await refused(url)
    assert said.startswith(f"{place}Connect call failed ('127.0.0.1', {server.port}); start the")
    with pytest.raises(StoreDamaged, match="start the server"):
        await looked_at(url)
    late = PostgresStore(url, wait_s=20)
    opening, tried = asyncio.create_task(late.open()), late._try_open
    seen = []

    async def counted():
        seen.append(await tried())
        return seen[-1]

    late._try_open = counted
    await until(lambda: len(seen) > 1)
    server.start()
    assert (await opening).records == {}
    await late.close()


async def test_every_refusal_names_the_place_and_the_fix(server, url, monkeypatch):
    base = server.url.rpartition("/")[0]
    server.sql(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'nobody_much') THEN "
        "CREATE ROLE nobody_much LOGIN; END IF; END $$; REVOKE CREATE ON SCHEMA public FROM PUBLIC"
    )
    found = {
        f"{base}/absent": 'database "absent" does not exist; create the database (`createdb NAME`)',
        server.url.replace("rampway@", "somebody@"): "name the user in the URL; its password is",
        server.url.replace("rampway@", "nobody_much@"): "let this user make tables there (`GRANT",
        f"{server.url}?options=-csearch_path%3Dabsent": "create the schema that search_path names",
        f"{server.url}?option=x": '"option"; correct what stands behind the `?` of `store:`',
    }
    for place, said in found.items():
        told = await refused(place)
        assert told.startswith(f"store: {place.partition('?')[0]}: ")
        assert said in told
        with pytest.raises(StoreDamaged) as looked:
            await looked_at(place)
        assert said in str(looked.value)
    monkeypatch.setattr(postgres_link, "OLDEST", 99)
    told = await refused(url, wait_s=60)
    assert "this is PostgreSQL 1" in told
    assert "the oldest that works is 99; upgrade the server, or name another one" in told


async def test_tables_of_a_later_router_and_damaged_ones_are_refused(opened, server, url):
    store, _ = await opened()
    await store.commit(Change(0, (record(),)))
    await store.close()
    name = schema(url)
    server.sql(
        f"UPDATE {name}.rampway_routes SET record = replace(record, 'progressing', 'flying')"
    )
    assert "rampway_routes r cannot be understood" in await refused(url)
    server.sql(f"INSERT INTO {name}.rampway_schema VALUES (99)")
    said = await refused(url, wait_s=60)
    assert (
        f"its tables are of version 99, this router knows {len(postgres_layout.MIGRATIONS)}" in said
    )
    with pytest.raises(StoreDamaged, match="of version 99"):
        await looked_at(url)


async def test_a_refused_start_leaves_the_lease_to_others(opened, server, url):
    store, _ = await opened()
    await store.commit(Change(0, (record(),)))
    await store.close()
    name = schema(url)
    server.sql(
        f"UPDATE {name}.rampway_routes SET record = replace(record, 'progressing', 'flying')"
    )
    await refused(url)
    server.sql(
        f"UPDATE {name}.rampway_routes SET record = replace(record, 'flying', 'progressing')"
    )
    await opened()


async def test_one_of_several_leaves_its_workers_to_nobody_who_is_not(url):
    leader, alone = PostgresStore(url, succeeds=False), PostgresStore(url, wait_s=20)
    await leader.open()
    waiting = asyncio.create_task(alone.open())
    await until(lambda: leader.lease.next_here)
    assert not leader.successor()
    await leader.close()
    await waiting
    await alone.close()


async def test_looking_changes_nothing_and_says_who_leads(opened, url):
    place = url.partition("?")[0]
    assert (await looked_at(url)).endswith(f"no store yet in schema {schema(url)}")
    store, _ = await opened()
    await store.commit(Change(0, (record(),)))
    said = await looked_at(url)
    assert said.startswith(f"{place}: PostgreSQL ")
    assert f"1 routes, process {os.getpid()} on " in said
    await store.close()
    assert (await looked_at(url)).endswith("nobody leads")


async def test_two_that_start_at_once_make_the_tables_once(server, url):
    stores = [PostgresStore(url, wait_s=0.2) for _ in range(4)]
    found = await asyncio.gather(*(one.open() for one in stores), return_exceptions=True)
    assert sorted(type(one).__name__ for one in found) == ["StoreLocked"] * 3 + ["Stored"]
    assert any(isinstance(one, StoreLocked) for one in found)
    assert server.sql(f"SELECT count(*) FROM {schema(url)}.rampway_schema") == str(
        len(postgres_layout.MIGRATIONS)
    )
    for store in stores:
        await store.close()
