"""When a file that has no `rollout:` any more is believed: real files, the time of a poll cut."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import certifi
import pytest

from router.control import watch
from router.control.state.errors import PolicyRejected
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
    async with asyncio.timeout(60):
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


def with_ca(policy, ca):
    """The policy, whose candidate's certificates are of an authority in a file."""
    text = policy().replace("http://127.0.0.1:9002", "https://127.0.0.1:9002")
    return text.replace("v2: {", f'v2: {{tls: {{ca: "{ca}"}}, ')


async def test_a_policy_whose_file_is_not_there_is_refused_and_the_old_one_goes_on(
    source, policy, tmp_path
):
    file, made, adopted = source
    await made.reload()
    file.write_text(with_ca(policy, tmp_path / "gone.pem"))
    with pytest.raises(PolicyRejected, match=r"v2\.tls\.ca: expected the readable file"):
        await made.reload()
    assert len(adopted.calls) == 1
    assert not made.ok
    assert made.problems[0].path == "routes[0].versions.v2.tls.ca"
    assert "working directory; no router starts without it" in made.problems[0].hint


async def test_a_file_that_vanishes_is_told_and_one_that_comes_back_too(source, policy, tmp_path):
    file, made, adopted = source
    ca, told = tmp_path / "ca.pem", []
    made._announcer.announce = lambda kind, _route, text, _data: told.append((kind, text))
    ca.write_bytes(Path(certifi.where()).read_bytes())
    file.write_text(with_ca(policy, ca))
    await made.reload()
    kept = ca.rename(tmp_path / "kept")
    async with watched(made):
        await until(lambda: len(told) == 2)
        assert not made.ok
        kept.rename(ca)
        await until(lambda: len(told) == 3)
    assert [kind for kind, _ in told] == ["policy", "problem", "policy"]
    assert "v2.tls.ca: expected the readable file" in told[1][1]
    assert made.ok
    assert len(adopted.calls) == 2


async def test_a_pair_that_is_renewed_one_file_after_the_other_is_no_problem(
    source, policy, tmp_path, monkeypatch
):
    file, made, _ = source
    ca, told = tmp_path / "ca.pem", []
    file.write_text(with_ca(policy, ca))
    made._announcer.announce = lambda kind, *_: told.append(kind)

    async def renewed(_seconds):
        ca.write_bytes(Path(certifi.where()).read_bytes())

    monkeypatch.setattr(watch.asyncio, "sleep", renewed)
    await made.reload(actor="file")
    assert told == ["policy"]
