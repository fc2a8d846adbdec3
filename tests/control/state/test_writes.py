"""What nobody waits for is owed until the disk has it, and health follows the disk."""

from __future__ import annotations

import asyncio

import pytest

from router.control.state import writes
from router.control.state.errors import StoreUnavailable
from router.control.state.record import Change, JournalEntry, RouteRecord
from router.control.state.settings import SaltSetting, StoreSettings
from router.control.state.writes import ENTRIES_OWED_MAX, Owed, Writes
from tests.control.conftest import Told
from tests.control.memory import MemoryStore

SALTED = StoreSettings(salt=SaltSetting("x", frozenset()), acknowledged={})


def entry(route, reason="said"):
    return JournalEntry(1.0, 2.0, route, "", 0, "router", "wait", "", "", 0, 0, reason)


def record(route, revision=1, queued=""):
    return RouteRecord(route, "v1", "v1", revision, queued=queued)


@pytest.fixture
def made(monkeypatch):
    monkeypatch.setattr(writes, "AGAIN_S", 0.0)
    told = Told()
    return Writes(MemoryStore(), told, lambda: None), told


async def passes():
    for _ in range(20):
        await asyncio.sleep(0)


def test_after_the_last_words_an_order_is_sent_on(made):
    w, _ = made
    w.refuse_late()
    w.ended = True
    with pytest.raises(StoreUnavailable, match="stopping; send the order to the one that goes on"):
        w.refuse_late()


async def test_a_note_that_failed_is_written_when_the_disk_works_again(made):
    w, told = made
    w.store.broken = True
    w.quietly(Change(3.0, (record("a"),), (entry("a"),), settings=SALTED))
    await passes()
    assert told.failures
    assert not w.store.disk.entries
    w.store.broken = False
    await passes()
    assert [one.reason for one in w.store.disk.entries] == ["said"]
    assert w.store.disk.records["a"] == record("a")
    assert w.store.disk.settings["salt"]["text"] == "x"
    assert w.error == ""
    assert told.mended == 1


async def test_a_disk_that_works_again_is_told_although_nothing_is_to_be_written(made):
    w, told = made
    w.store.broken = True
    w.quietly(Change(3.0))
    await passes()
    w.store.broken = False
    await passes()
    assert (w.error, told.mended) == ("", 1)


async def test_what_is_fenced_takes_nothing_else_with_it(made):
    """A newer record of one route is there: the others, notes and the salt are written all the
    same."""
    w, _ = made
    w.store.disk.records["a"] = record("a", 5)
    w.quietly(Change(3.0, (record("a"), record("b")), (entry("b"),), settings=SALTED))
    await passes()
    disk = w.store.disk
    assert {name: one.revision for name, one in disk.records.items()} == {"a": 5, "b": 1}
    assert [one.route for one in disk.entries] == ["b"]
    assert list(disk.settings) == ["salt", "acknowledged"]
    assert w.error == ""


async def test_what_was_written_since_is_not_undone(made):
    w, _ = made
    w.store.broken = True
    w.quietly(Change(3.0, (record("a", 1, "v2"),)))
    await asyncio.sleep(0)
    w.store.broken = False
    w.quietly(Change(4.0, (record("a", 1, "v3"),)))
    await passes()
    assert w.store.disk.records["a"].queued == "v3"


@pytest.mark.parametrize(
    ("failure", "fails", "tried"), [(writes.Unwritable, 1, 1), (writes.StoreUnavailable, 3, 4)]
)
async def test_only_what_can_never_be_written_is_given_up(made, failure, fails, tried):
    """A disk that fails this change three times and takes others meanwhile fails nothing."""
    w, _ = made
    write, tries = w.store._write, []

    def refuses(change):
        if change.entries:
            tries.append(change)
            if len(tries) <= fails:
                raise failure("no")
        write(change)

    w.store._write = refuses
    w.quietly(Change(3.0, entries=(entry("a"),)))
    for number in range(6):
        await asyncio.sleep(0)
        w.quietly(Change(4.0 + number, (record("b"),)))
        await passes()
    assert len(tries) == tried
    assert not w._owed
    assert len(w.store.disk.entries) == (fails > 1)


def test_what_is_owed_is_bounded_and_each_entry_once():
    owed = Owed()
    for number in range(ENTRIES_OWED_MAX + 5):
        owed.add(Change(1.0, entries=(entry("a", str(number)),)))
    owed.add(owed.change())
    assert len(owed.entries) == ENTRIES_OWED_MAX
    assert owed.entries[-1].reason == str(ENTRIES_OWED_MAX + 4)
    owed.written(owed.change())
    assert not owed
