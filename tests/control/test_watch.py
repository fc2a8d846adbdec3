"""When a file that has no `rollout:` any more is believed: real files, the time of a poll cut."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest

from router.control import watch
from router.control.told.announce import Announcer
from router.control.watch import PolicySource
from tests.clock import ManualClock

POLL_S = 0.15


class Adopted:
    """The reconciler's part: what it was given, and whether a live rollout may end by it."""

    def __init__(self):
        self.calls = []
        self.live = True

    def __call__(self, policy, *, force, ends):
        self.calls.append((policy.routes[0].rollout is not None, ends))
        self.live = self.live and not (ends and policy.routes[0].rollout is None)
        return ()

    def ending(self, policy):
        return ("r",) if self.live and policy.routes[0].rollout is None else ()


@pytest.fixture
def source(tmp_path, policy, monkeypatch):
    monkeypatch.setattr(watch, "POLL_INTERVAL_S", POLL_S)
    file, adopted = tmp_path / "policy.yaml", Adopted()
    file.write_text(policy())
    made = PolicySource(file, adopted, Announcer(ManualClock()), ManualClock())
    made.ending = adopted.ending
    return file, made, adopted


@contextlib.asynccontextmanager
async def watched(source):
    task = asyncio.create_task(source.watch())
    await asyncio.sleep(0)
    yield
    task.cancel()


async def until(true):
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


async def test_a_rename_is_believed_at_once(source, policy):
    file, made, adopted = source
    await made.reload()
    new = file.with_name("new")
    new.write_text(policy(rollout=False))
    os.utime(new, (1, 1))  # written long before it was moved
    new.replace(file)
    assert made._watch.renamed is False
    async with watched(made):
        await until(lambda: not adopted.live)
    assert adopted.calls == [(True, False), (False, True)]


async def test_what_was_written_in_place_is_believed_when_it_reads_the_same_again(source, policy):
    file, made, adopted = source
    await made.reload()
    file.write_text(policy(rollout=False))
    async with watched(made):
        await until(lambda: not adopted.live)
    assert not made._watch.renamed
    assert adopted.calls == [(True, False), (False, True)]


async def test_half_a_file_ends_nothing(source, policy):
    file, made, adopted = source
    await made.reload()
    whole = policy()
    for _ in range(3):
        reading = asyncio.create_task(made.reload())
        file.write_text(whole[: whole.index("rollout:")])  # a whole policy, and half of a file
        await asyncio.sleep(POLL_S / 3)
        file.write_text(whole)
        await reading
        assert adopted.live
    assert {ends for _, ends in adopted.calls} == {False}


async def test_what_changed_in_between_is_looked_at_again(source, policy):
    file, made, adopted = source
    await made.reload()
    file.write_text(policy(rollout=False))
    reading = asyncio.create_task(made.reload())
    await asyncio.sleep(POLL_S / 3)
    file.write_text(policy(rollout=False) + "# still being written\n")
    await reading
    async with watched(made):
        await until(lambda: not adopted.live)
    assert adopted.calls[-1] == (False, True)


async def test_a_start_beside_such_a_file_ends_it_by_the_second_look(source, policy):
    file, made, adopted = source
    file.write_text(policy(rollout=False))
    made.adopted(await made.load())
    assert adopted.calls == [(False, False)]
    async with watched(made):
        await until(lambda: not adopted.live)


async def test_a_link_that_leads_elsewhere_is_believed_at_once(source, policy, tmp_path):
    file, made, adopted = source
    target = tmp_path / "1.yaml"
    file.replace(target)
    file.symlink_to(target)
    await made.reload()
    other = tmp_path / "2.yaml"
    other.write_text(policy(rollout=False))
    (tmp_path / "link").symlink_to(other)
    (tmp_path / "link").replace(file)
    assert (await made.reload()).changed
    assert made._watch.renamed
    assert adopted.calls[-1] == (False, True)
