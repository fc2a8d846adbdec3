from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from router.control.state.errors import StoreDamaged, StoreUnavailable
from router.control.state.record import Change
from router.control.state.sqlite import SqliteStore
from router.control.state.store import Fenced, Unwritable
from tests.control.state.store_contract import (
    STATE,
    StoreContract,
    entry,
    killed_again_and_again,
    record,
)


@pytest.fixture
async def open_store(tmp_path):
    stores = []

    async def build(**options):
        store = SqliteStore(tmp_path / "r.db", lock_wait_s=0.2, **options)
        stored = await store.open()
        stores.append(store)
        return store, stored

    yield build
    for store in stores:
        await store.close()


class TestSqlite(StoreContract):
    """On a file."""

    @pytest.fixture
    def opened(self, open_store):
        return open_store

    @pytest.fixture
    def fresh(self, tmp_path):
        return lambda wait_s: SqliteStore(tmp_path / "r.db", lock_wait_s=wait_s)


async def test_a_commit_is_synced_before_it_is_answered(open_store):
    points, store = [], None
    store, _ = await open_store(
        fail_point=lambda name: points.append((name, threading.current_thread().name))
    )
    done = store.commit(Change(0, (record(),)))
    assert not done.done()
    await done
    assert [name for name, _ in points] == ["begin", "written", "committed"]
    assert {thread for _, thread in points} == {"store-write"}, "never in the event loop"
    with sqlite3.connect(store.path) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_what_waits_is_one_transaction_and_one_that_cannot_be_written_fails_alone(open_store):
    gate, points = threading.Event(), []

    def fail_point(name):
        points.append(name)
        gate.wait(10)

    store, _ = await open_store(fail_point=fail_point)
    first = store.commit(Change(0, (record(),)))
    await asyncio.to_thread(lambda: [time.sleep(0.01) for _ in range(500) if not points])
    behind = [store.commit(Change(0, (record(n),))) for n in (6, 7, 8)]
    gate.set()
    await asyncio.gather(first, *behind)
    assert points.count("committed") == 2
    gate.clear()
    first = store.commit(Change(0, (record(9),)))
    await asyncio.to_thread(lambda: [time.sleep(0.01) for _ in range(500) if len(points) == 6])
    stale, fresh = store.commit(Change(0, (record(3),))), store.commit(Change(0, (record(10),)))
    gate.set()
    assert isinstance((await asyncio.gather(stale, return_exceptions=True))[0], Fenced)
    await asyncio.gather(first, fresh)
    with sqlite3.connect(store.path) as db:
        assert db.execute("SELECT revision FROM routes").fetchall() == [(10,)]


@pytest.mark.parametrize(
    "trouble", [sqlite3.OperationalError("disk I/O error"), MemoryError("no memory"), OSError("no")]
)
async def test_a_failing_disk_fails_the_commit_and_later_ones_work(open_store, trouble):
    broken = True

    def fail(name):
        if broken and name == "written":
            raise trouble

    store, _ = await open_store(fail_point=fail)
    with pytest.raises(StoreUnavailable, match=str(trouble)) as told:
        await store.commit(Change(0, (record(1),), (entry(),)))
    assert not isinstance(told.value, Unwritable)
    broken = False
    await store.commit(Change(0, (record(2),), (entry(2),)))
    entries = await store.journal(None, since=0, until=None, limit=10)
    assert [e.revision for e in entries] == [2], "nothing of the failed one is there"


async def test_a_full_queue_refuses_at_once(open_store, monkeypatch):
    monkeypatch.setattr("router.control.state.sqlite.QUEUE_MAX", 8)
    gate = threading.Event()
    store, _ = await open_store(fail_point=lambda name: gate.wait(10) if name == "begin" else None)
    waiting = [store.commit(Change(float(i))) for i in range(10)]
    failed = [f for f in waiting if f.done()]
    assert failed
    with pytest.raises(StoreUnavailable, match="wait to be written"):
        await failed[0]
    gate.set()
    await asyncio.gather(*waiting, return_exceptions=True)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:5_000])


def _header(path):
    path.write_bytes(b"garbage!" + path.read_bytes()[8:])


def _pages(path):
    data = bytearray(path.read_bytes())
    data[4_096:12_288] = os.urandom(8_192)
    path.write_bytes(data)


def _empty(path):
    path.write_bytes(b"")


def _schema(path):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")


def _record(path):
    with sqlite3.connect(path) as db:
        db.execute("UPDATE routes SET record = replace(record, 'progressing', 'flying')")


def _half(path):
    path.with_name(path.name + "-wal").write_bytes(b"x" * 100)
    path.unlink()


def _foreign(path):
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE customers (id)")


@pytest.mark.parametrize(
    "damage", [_truncate, _header, _pages, _empty, _schema, _record, _half, _foreign]
)
async def test_a_damaged_store_is_refused_by_name(open_store, tmp_path, damage):
    store, _ = await open_store()
    await store.commit(Change(0, (record(),), tuple(entry(i) for i in range(200))))
    await store.close()
    for leftover in ("-wal", "-shm"):
        (tmp_path / f"r.db{leftover}").unlink(missing_ok=True)
    damage(tmp_path / "r.db")
    with pytest.raises(StoreDamaged, match=r"r\.db"):
        await open_store()


@pytest.mark.slow
@pytest.mark.parametrize("kills", [12, pytest.param(50, marks=pytest.mark.nightly)])
async def test_a_kill_at_a_random_moment_keeps_every_acknowledged_position(tmp_path, kills):
    db = tmp_path / "r.db"
    await killed_again_and_again(tmp_path, f"sqlite:///{db}", kills, lambda: SqliteStore(db))


FIRST = Path(__file__).with_name("files") / "schema1.sql"
"""Written by a router whose rollouts still had an epoch."""


async def test_a_store_of_the_first_schema_is_read_and_kept_beside(tmp_path, open_store):
    with contextlib.closing(sqlite3.connect(tmp_path / "r.db")) as db:
        db.executescript(FIRST.read_text())
    store, stored = await open_store()
    kept = stored.records["a"]
    assert (kept.revision, kept.rollout.revision, kept.rollout.reason) == (
        3, 3, "resumed after 68ms by local: go",
    )  # fmt: skip
    assert (stored.evidence["a"].revision, stored.evidence["a"].step_revision) == (1, 1)
    entries = await store.journal("a", since=0, until=None, limit=10)
    assert [entry.revision for entry in entries] == [3, 2, 1]
    assert (await store.answer("order-1")).result.revision == 3
    await store.commit(Change(2.0, (replace(kept, revision=4),)))
    await store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "r.db.schema1")) as copy:
        assert copy.execute("PRAGMA user_version").fetchone() == (1,)
        assert copy.execute("SELECT epoch FROM routes").fetchall() == [(3,)]
    _, again = await open_store()
    assert again.records["a"].revision == 4


async def test_a_store_that_cannot_be_brought_up_to_date_stays_as_it_was(tmp_path, open_store):
    damaged = FIRST.read_text().replace("""{"about":["a-1",1]""", """{"about":["a-1",1""")
    with contextlib.closing(sqlite3.connect(tmp_path / "r.db")) as db:
        db.executescript(damaged)
    with pytest.raises(StoreDamaged, match="a record cannot be understood"):
        await open_store()
    with contextlib.closing(sqlite3.connect(tmp_path / "r.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("SELECT epoch FROM routes").fetchall() == [(3,)]


async def test_a_record_of_a_newer_router_says_who_can_read_it(open_store, tmp_path):
    store, _ = await open_store()
    await store.commit(Change(0, (record(),)))
    await store.close()
    with sqlite3.connect(tmp_path / "r.db") as db:
        newer = ('"phase":', '"of_next_year":1,"phase":')
        db.execute("UPDATE routes SET record = replace(record, ?, ?)", newer)
    with pytest.raises(StoreDamaged, match=r"of_next_year.*where a newer Rampway wrote it, start"):
        await open_store()


async def test_a_disk_that_fails_at_the_evidence_fails_the_whole_transaction(tmp_path):
    """SQLite has taken it back by then: what follows would be written each for itself."""
    store = SqliteStore(tmp_path / "r.db")
    await store.open()
    await store.close()
    done = []

    class Failing:
        def execute(self, statement, values=()):
            if "evidence" in statement:
                raise sqlite3.OperationalError("database or disk is full")
            done.append(statement)
            return self

        def fetchone(self):
            return None

    with pytest.raises(sqlite3.OperationalError):
        store._write(Failing(), Change(1.0, evidence={"r": STATE}))
    assert done == ["BEGIN IMMEDIATE"]


@pytest.mark.parametrize(("file", "said"), [
    ("gone/r.db", "store: {}: there is no folder {}; make it, or name another file"),
    ("a-file/r.db", "store: {}: there is no folder {}; make it, or name another file"),
])  # fmt: skip
async def test_a_store_where_there_is_no_folder_says_which_key_and_what_to_do(tmp_path, file, said):
    (tmp_path / "a-file").write_text("")
    path = tmp_path / file
    with pytest.raises(StoreDamaged) as refused:
        await SqliteStore(path).open()
    assert str(refused.value).startswith(said.format(path, path.parent))
    assert "sqlite:///FILE" in str(refused.value)


async def test_a_store_that_cannot_be_locked_says_which_key_and_what_to_do(tmp_path):
    (tmp_path / "r.db.next").mkdir()
    with pytest.raises(StoreDamaged, match=r"^store: .*r\.db\.next: cannot be opened \(Is a dir"):
        await SqliteStore(tmp_path / "r.db").open()
