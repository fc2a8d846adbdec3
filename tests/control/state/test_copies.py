"""A store that lost something is refused by name, and what the refusal names leads out."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from router.control.state import copies
from router.control.state.errors import StoreDamaged, StoreLocked
from router.control.state.hold import Hold, HoldMark
from router.control.state.record import Change
from router.control.state.sqlite import SqliteStore
from tests.control.state.store_contract import entry, record


async def written(path: Path, changes: int, *, first=1, urgent=False) -> None:
    """A store with so many more changes, left as by ``kill -9``: its log is not folded in."""
    store = SqliteStore(path)
    await store.open()
    reader = sqlite3.connect(path)  # the last to close would fold the log in
    reader.execute("SELECT count(*) FROM journal").fetchone()
    for number in range(changes):
        await store.commit(Change(0, (record(first + number),), (entry(number),), urgent=urgent))
    crashed = path.with_name("crashed")
    crashed.mkdir()
    for file in path.parent.glob(path.name + "*"):
        shutil.copy(file, crashed)
    reader.close()
    await store.close()
    for file in path.parent.glob(path.name + "*"):
        file.unlink()
    for file in crashed.iterdir():
        shutil.move(file, path.parent)
    crashed.rmdir()


def truncated(path: Path) -> None:
    wal = path.with_name(path.name + "-wal")
    os.truncate(wal, wal.stat().st_size - 1_000)


def without_log(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


def zeroed(path: Path) -> None:
    with path.with_name(path.name + "-wal").open("r+b") as file:
        file.write(bytes(4_096))


def missing(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink()


def emptied(path: Path) -> None:
    os.truncate(path, 0)


LOSSES = (truncated, without_log, zeroed, missing, emptied)


@pytest.mark.parametrize("lost", LOSSES)
async def test_what_was_lost_is_refused_by_name_and_the_way_out_is_one(tmp_path, lost):
    path = tmp_path / "r.db"
    await written(path, 3)
    copy = tmp_path / "copy"
    copies.backup(path, copy)
    lost(path)
    with pytest.raises(StoreDamaged, match=re.escape(str(path))) as refused:
        await SqliteStore(path).open()
    with pytest.raises(StoreDamaged):
        copies.verify(path)
    assert f"rampway store restore COPY {path}" in str(refused.value)
    account = copies.restore(copy, path)
    assert (account.entries, account.sequence) == (3, 5)
    store = SqliteStore(path)
    assert (await store.open()).records["r"] == record(3)
    await store.close()


async def test_without_the_lock_file_the_file_beside_it_knows_and_the_other_way_round(tmp_path):
    path = tmp_path / "r.db"
    for name in (".lock", ".sequence"):
        await written(path, 3)
        without_log(path)
        path.with_name(path.name + name).unlink()
        with pytest.raises(StoreDamaged, match="4 changes were written, only 1 are there"):
            await SqliteStore(path).open()
        for file in tmp_path.glob("r.db*"):
            file.unlink()


async def test_what_took_traffic_away_is_in_the_file_itself(tmp_path):
    """Its log may be lost afterwards: the version stays out, and nothing is refused."""
    path = tmp_path / "r.db"
    await written(path, 3, urgent=True)
    without_log(path)
    store = SqliteStore(path)
    assert (await store.open()).records["r"] == record(3)
    await store.close()


async def test_an_older_copy_and_another_store_are_refused_and_can_be_accepted(tmp_path):
    path, other = tmp_path / "r.db", tmp_path / "other.db"
    await written(path, 2)
    old = tmp_path / "old.db"
    copies.backup(path, old)
    await written(path, 2, first=3)
    await written(other, 9)
    for file, why in ((old, "an older copy was put in its place"), (other, "is another store")):
        without_log(path)
        shutil.copy(file, path)
        if file is other:
            shutil.copy(str(other) + "-wal", str(path) + "-wal")
        with pytest.raises(StoreDamaged, match=why):
            await SqliteStore(path).open()
        account = copies.restore(path, path)  # "goes on with what is left of it"
        assert account.sequence > 4
        store = SqliteStore(path)
        await store.open()
        await store.close()
        path.with_name(path.name + "-wal").touch()


async def test_a_store_of_before_has_no_mark_and_gets_one(tmp_path):
    path = tmp_path / "r.db"
    await written(path, 1)
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM settings WHERE name IN ('store', 'sequence')")
        db.execute("DROP TABLE receipts")
    for name in (".sequence", ".lock"):
        path.with_name(path.name + name).unlink()
    store = SqliteStore(path)
    await store.open()
    await store.commit(Change(0, receipts=(1, 2)))
    await store.close()
    known = Hold(path).known()
    assert known is not None
    assert known.sequence == 2
    assert HoldMark.parsed("12345") is None


async def test_two_routers_do_not_hold_one_store_though_the_lock_file_is_deleted(tmp_path):
    path = tmp_path / "r.db"
    first = SqliteStore(path)
    await first.open()
    for name in (".lock", ".next", ".sequence"):
        path.with_name(path.name + name).unlink()
    for _ in range(2):
        with pytest.raises(StoreLocked):
            await SqliteStore(path, lock_wait_s=0.2).open()
    await first.commit(Change(0, (record(1),)))
    with pytest.raises(StoreLocked):
        copies.restore(path, path)
    await first.close()
    second = SqliteStore(path, lock_wait_s=0.2)
    assert (await second.open()).records["r"] == record(1)
    await second.close()


async def test_files_are_nobody_elses_whatever_the_umask(tmp_path):
    code = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from router.control.state.record import Change\n"
        "from router.control.state.sqlite import SqliteStore\n"
        "os.umask(0)\n"
        "async def main():\n"
        "    store = SqliteStore(Path(sys.argv[1]))\n"
        "    await store.open()\n"
        "    await store.commit(Change(0))\n"
        "    os._exit(0)\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "r.db")], check=True)
    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()}
    copies.backup(tmp_path / "r.db", tmp_path / "copy")
    modes["copy"] = oct((tmp_path / "copy").stat().st_mode & 0o777)
    assert {"r.db", "r.db-wal", "r.db-shm", "r.db.lock", "r.db.sequence", "copy"} <= set(modes)
    assert set(modes.values()) == {"0o600"}


async def test_looking_leaves_no_trace_and_a_router_may_write_meanwhile(tmp_path):
    path = tmp_path / "r.db"
    await written(path, 3)

    def state():
        return {f.name: (f.stat().st_mtime_ns, f.read_bytes()) for f in tmp_path.iterdir()}

    before = state()
    assert copies.verify(path).entries == 3
    assert state() == before
    store = SqliteStore(path)
    await store.open()
    for number in range(20):
        await store.commit(Change(0, (), (entry(number),)))
        assert copies.verify(path).entries == 4 + number
    await store.close()


def test_the_command(tmp_path):
    path, copy = tmp_path / "r.db", tmp_path / "copy.db"

    def rampway(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "router", "store", *map(str, arguments)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    assert rampway("verify", path)[0] == 1
    made = "import asyncio,sys;from pathlib import Path;from router.control.state.sqlite import *\n"
    made += "async def main(s):\n await s.open(); await s.close()\n"
    made += "asyncio.run(main(SqliteStore(Path(sys.argv[1]))))"
    subprocess.run([sys.executable, "-c", made, str(path)], check=True)
    assert rampway("backup", path, copy)[0] == 0
    code, said = rampway("backup", path, copy)
    assert (code, "File exists" in said) == (1, True)
    assert rampway("verify", copy)[0] == 0
    code, said = rampway("restore", copy, path)
    assert (code, "in place" in said) == (0, True)
    assert rampway("restore", copy)[0] == 2


def test_a_disk_that_does_not_let_us_look_shows_no_successor(tmp_path):
    assert not Hold(tmp_path / "gone" / "r.db").successor()


async def test_every_holder_has_a_later_term_also_after_an_older_copy(tmp_path):
    """Workers elsewhere take nothing of an older one: it must never come back."""
    path, old, terms = tmp_path / "r.db", tmp_path / "old.db", []

    async def held():
        store = SqliteStore(path)
        terms.append((await store.open()).term)
        await store.commit(Change(1.0))
        await store.close()

    await held()
    copies.backup(path, old)
    for _ in range(3):
        await held()
    copies.restore(old, path)
    await held()
    assert all(earlier < later for earlier, later in itertools.pairwise(terms)), terms
