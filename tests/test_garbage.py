"""Garbage is collected in parts; what has come to stay is not looked at again and again."""

from __future__ import annotations

import gc
import weakref

import pytest

from router import garbage
from router.garbage import MIDDLE_MOST, MIDDLE_TOO_MANY, Garbage

collect = gc.collect


class Circle:
    def __init__(self):
        self.me = self


@pytest.fixture
def collector(monkeypatch):
    monkeypatch.setattr(garbage, "LOOK_EVERY_S", 0)
    before = gc.get_threshold()
    yield Garbage()
    gc.unfreeze()
    gc.set_threshold(*before)


def age(times=MIDDLE_MOST):
    """What the collector does after so many allocations."""
    for _ in range(times):
        collect(1)


async def test_middle_aged_garbage_goes_and_what_lives_is_frozen(collector):
    collector.begin()
    assert gc.get_threshold()[2] > 1_000_000, "no full collection of Python's own accord"
    lives, looked = [Circle() for _ in range(1_000)], []
    circle = weakref.ref(Circle())
    gone = weakref.ref(Circle())
    gc.callbacks.append(lambda phase, info: looked.append(info["generation"]))
    frozen = gc.get_freeze_count()
    await collector.turn()
    assert looked == [], "nothing to look at"
    age()
    await collector.turn()
    gc.callbacks.pop()
    assert looked.count(2) == 2  # start and stop of one
    assert circle() is gone() is None
    assert gc.get_freeze_count() >= frozen + len(lives)
    assert collector.looks == 1


async def test_too_much_at_once_is_frozen_unseen(collector):
    collector.begin()
    circle = weakref.ref(Circle())
    looked = []
    gc.callbacks.append(lambda phase, info: looked.append(info["generation"]))
    age(MIDDLE_TOO_MANY)
    await collector.turn()
    gc.callbacks.pop()
    assert 2 not in looked
    assert gc.get_count()[2] == 0
    assert circle() is None  # of the youngest: Python's own collection found it


@pytest.mark.parametrize(
    ("sizes", "looks"),
    [
        ([(0, 100)], 1),
        ([(0, 151), (3_599, 151)], 1),
        ([(0, 151), (3_600, 151)], 2),
        ([(0, 151), (1_800, 150), (3_600, 151)], 1),  # it came and went
        ([(0, 301)], 2),
    ],
)
async def test_growth_must_last_or_be_large(collector, monkeypatch, sizes, looks):
    monkeypatch.setattr(gc, "collect", lambda: collect(0))  # asked is only when it looks
    monkeypatch.setattr(garbage, "ROOM_BYTES", 0)
    size, now = 100, 0.0
    monkeypatch.setattr(garbage, "resident_bytes", lambda: size)
    monkeypatch.setattr(garbage.time, "monotonic", lambda: now)
    collector.begin()
    for at, bytes_ in sizes:
        now, size = 10.0 + at, bytes_
        age()
        await collector.turn()
    assert collector.looks == looks


async def test_everything_is_looked_at_once_the_process_has_grown(collector, monkeypatch):
    monkeypatch.setattr(garbage, "GROWTH", 0.0)
    monkeypatch.setattr(garbage, "LASTS_S", 0.0)
    sizes = iter([100, 100, 101])
    monkeypatch.setattr(garbage, "ROOM_BYTES", 0)
    monkeypatch.setattr(garbage, "resident_bytes", lambda: next(sizes, 101))
    collector.begin()
    some = [Circle() for _ in range(2_000)]
    seen = weakref.ref(some[0])
    gc.freeze()
    del some
    assert seen() is not None, "a frozen circle is not freed"
    age()
    await collector.turn()
    assert collector.looks == 1
    age()
    await collector.turn()
    assert (seen(), collector.looks) == (None, 2)


def test_where_the_system_does_not_tell_nothing_has_grown(monkeypatch, tmp_path):
    assert garbage.resident_bytes() > 1_000_000
    for text in (None, "", "1", "1 x"):
        monkeypatch.setattr(garbage, "STATM", tmp_path / "statm")
        if text is not None:
            garbage.STATM.write_text(text)
        assert garbage.resident_bytes() == 0
