"""Who leads next has the policy that the file has now; who cannot lead serves on."""

from __future__ import annotations

import asyncio

import pytest

from tests.fleet.replicas import Member, Routers, ended, leads, lost
from tests.reliability.whole import in_thread, until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]

pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")

REPLACES = "candidate: v3\n      on_new_candidate: replace"


@pytest.fixture
def three(tmp_path, services, url):
    made = Routers(tmp_path, services, url)
    yield made
    made.end()


def edit(member: Member) -> None:
    """A further version in the policy, which takes the candidate's place."""
    text = member.file.read_text()
    (line,) = [one for one in text.splitlines() if one.lstrip().startswith("v2:")]
    text = text.replace(line, f"{line}\n{line.replace('v2:', 'v3:')}")
    member.file.write_text(text.replace("candidate: v2", REPLACES))


def candidate(member: Member) -> str:
    return member.life.status()["candidate"]


async def edited(three, members):
    """The leader, once it has the edit of these policies."""
    leader = three.leader
    for member in members:
        await in_thread(edit, member)
    await in_thread(until, lambda: candidate(leader) == "v3")
    await in_thread(until, three.together)
    return leader


def next_of(three, old):
    found = [m for m in three.members if m is not old and not ended(m.life) and leads(m.life)]
    return found[0] if found else None


async def test_an_edit_that_the_killed_leader_took_is_taken_by_the_next_one(three):
    await in_thread(three.start)
    old = await edited(three, three.members)
    async with three.loaded() as loads:
        old.life.kill()
        await in_thread(until, lambda: next_of(three, old))
        new = next_of(three, old)
        assert await in_thread(candidate, new) == "v3"
        assert not any(ended(m.life) for m in three.members if m is not old)
        await asyncio.gather(*(load.more(30) for load in loads))
    assert lost(loads) == []


async def test_who_may_not_lead_with_its_policy_serves_on_until_that_is_mended(three):
    await in_thread(three.start)
    leader = three.leader
    others = [m for m in three.members if m is not leader]
    await edited(three, [leader])
    async with three.loaded() as loads:
        leader.life.kill()
        await in_thread(until, lambda: all(m.life.heard("cannot_lead") for m in others))
        assert "has no such version" in others[0].life.heard("cannot_lead")["error"]
        await asyncio.gather(*(load.more(30) for load in loads))
        assert not any(ended(m.life) for m in others)
        for member in others:
            await in_thread(edit, member)
        await in_thread(until, lambda: next_of(three, leader))
        assert await in_thread(candidate, next_of(three, leader)) == "v3"
    assert lost(loads) == []
    assert [await in_thread(m.life.terminate) for m in others] == [0, 0]
