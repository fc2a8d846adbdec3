from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from router.config.check import loads
from router.control.rollouts.reconciler import Reconciler
from router.control.state.errors import StoreDamaged, StoreLocked, StoreUnavailable
from router.control.state.record import Change, Identity, JournalEntry, Pinned, RouteRecord
from router.control.state.sqlite import SqliteStore
from router.control.state.store import Fenced, Unwritable
from router.core.policy import RolloutPolicy
from router.core.rollout.rollout import begin
from tests.clock import ManualClock

CARRIED_BY = RolloutPolicy.model_validate({
    "candidate": "v2", "strategy": {"canary": {"steps": [{"weight": "1%", "hold": "1h"}]}},
})  # fmt: skip

CHILD = Path(__file__).with_name("crash_child.py")


def record(revision=1, route="r"):
    rollout = begin(f"{route}-1", route, "v1", "v2", revision=revision, now=1.5)
    pinned = Pinned.of(CARRIED_BY, Identity("v2@x", "y"))
    return RouteRecord(route, "v1", "v1", revision, 1, rollout, pinned, ("v0@z",))


def entry(n=1, route="r"):
    return JournalEntry(
        100.0 + n, float(n), route, "r-1", n, "ann", "pause", "progressing", "paused", 1, 100,
        "because", {"reports": [], "capital": 1.25},
    )  # fmt: skip


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


async def test_what_is_committed_is_there_after_a_reopening(open_store):
    store, stored = await open_store()
    assert stored.records == {}
    change = Change(
        12.5, (record(3),), (entry(1), entry(2)), {"r": {"judge": [1.5, None]}},
        {"frozen": {"actor": "ann"}}, (("id-0", {"route": "q"}), ("id-1", {"route": "r"})),
        (2**64 - 1, 7),
    )  # fmt: skip
    await store.commit(change)
    await store.close()
    again, stored = await open_store()
    assert stored.clock == 12.5
    assert stored.records == {"r": record(3)}
    assert stored.evidence == {"r": {"judge": [1.5, None]}}
    assert stored.settings == {"frozen": {"actor": "ann"}}
    assert await again.answer("id-0") == {"route": "q"}
    assert await again.answer("id-1") == {"route": "r"}
    assert stored.receipts == (2**64 - 1, 7)
    assert await again.answer("id-2") is None
    entries = await again.journal(None, since=0, until=None, limit=10)
    assert [e.id for e in entries] == [2, 1]
    assert entries[1] == replace(entry(1), id=1)
    assert [e.id for e in await again.journal("r", since=1, until=None, limit=10)] == [2]
    assert [e.id for e in await again.journal("r", since=0, until=101.5, limit=10)] == [1]
    assert await again.journal("other", since=0, until=None, limit=10) == []


async def test_an_older_revision_never_overwrites(open_store):
    store, _ = await open_store()
    await store.commit(Change(0, (record(5),)))
    with pytest.raises(Fenced, match="another router"):
        await store.commit(Change(1, (record(4),), (entry(),)))
    assert await store.journal(None, since=0, until=None, limit=10) == []
    await store.commit(Change(1, (record(6),)))


async def test_a_second_router_is_kept_out_until_the_first_lets_go(open_store, tmp_path):
    first, _ = await open_store()
    with pytest.raises(StoreLocked, match=str(os.getpid())):
        await open_store()
    second = SqliteStore(tmp_path / "r.db", lock_wait_s=5)
    opening = asyncio.create_task(second.open())
    await asyncio.sleep(0)
    await first.close()
    await opening
    await second.close()


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


@pytest.mark.parametrize(
    "more", [{"reason": None}, {"evidence": {"x": object()}}, {"revision": 2**70}]
)
async def test_what_no_disk_could_take_is_told_apart_from_a_broken_disk(open_store, more):
    store, _ = await open_store()
    with pytest.raises(Unwritable):
        await store.commit(Change(0, (), (replace(entry(), **more),)))
    await store.commit(Change(0, (record(1),), (entry(),)))


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


STEPS = ", ".join(f"{{weight: {percent}%, hold: 1h}}" for percent in range(1, 61))
"""More than a life each: kills that always come before the abort lead no rollout to its end."""

POLICY = f"""
routes:
  - name: r
    versions:
      v1: {{endpoints: [http://127.0.0.1:9001]}}
      v2: {{endpoints: [http://127.0.0.1:9002]}}
    stable: v1
    rollout:
      candidate: v2
      strategy:
        canary:
          steps: [{STEPS}]
          bake: 1h
"""


class Nobody:
    def publish(self, table):
        pass

    def moved(self, entry):
        pass

    def store_failed(self, error):
        raise error

    def store_works(self):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("kills", [12, pytest.param(50, marks=pytest.mark.nightly)])
async def test_a_kill_at_a_random_moment_keeps_every_acknowledged_position(tmp_path, kills):
    """R1: what a new process finds is what was last acknowledged, or the one being written."""
    seed = random.randrange(10**6)
    print("seed", seed)
    rng = random.Random(seed)
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    db = tmp_path / "r.db"
    said = tmp_path / "r.db.said"
    moved, last = 0, 0
    with subprocess.Popen(
        [sys.executable, str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as nursery:
        for _ in range(kills):
            nursery.stdin.write(f"{db} {policy}\n")
            nursery.stdin.flush()
            pid = int(nursery.stdout.readline())
            lines = said.read_text().count("\n") if said.exists() else 0
            deadline = time.monotonic() + 60
            while (said.read_text().count("\n") if said.exists() else 0) < lines + 1:
                assert time.monotonic() < deadline, "the child does nothing"
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.1))
            os.kill(pid, signal.SIGKILL)
            while Path(f"/proc/{pid}").exists():
                time.sleep(0.001)
            revision, phase, step, weight = said.read_text().splitlines()[-1].split()
            store = SqliteStore(db)
            stored = await store.open()
            reconciler = Reconciler(store, ManualClock(), Nobody(), Nobody())
            reconciler.resume(stored)
            reconciler.adopt(loads(POLICY).policy)
            run = reconciler.runs["r"]
            assert run.record.revision in (int(revision), int(revision) + 1)
            if run.record.revision == int(revision):
                assert (run.rollout.phase.value, run.rollout.step + 1) == (phase, int(step))
                served = run.entry.weights_bp[run.entry.candidate] if run.live else 0
                assert served == int(weight)
            if not run.live:
                assert run.entry.weights_bp == (10_000, 0)
            moved, last = moved + (int(revision) > last), int(revision)
            await store.close()
        nursery.stdin.close()
    assert moved == kills


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
    assert (stored.evidence["a"]["revision"], stored.evidence["a"]["step_revision"]) == (1, 1)
    entries = await store.journal("a", since=0, until=None, limit=10)
    assert [entry.revision for entry in entries] == [3, 2, 1]
    assert (await store.answer("order-1"))["revision"] == 3
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
        store._write(Failing(), Change(1.0, evidence={"r": {"a": 1}}))
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
