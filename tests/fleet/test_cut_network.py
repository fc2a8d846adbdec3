"""Routers on machines of their own, whose link to the database is cut and mended."""

from __future__ import annotations

import asyncio

import pytest

from tests.fleet.replicas import (
    answers,
    comes_to,
    each_has,
    forget,
    leads,
    networked,
    none_gets,
    under_load,
)
from tests.reliability.whole import in_thread, until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(280)]

pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")

SILENCE = "control_silence: 3s"


BOTH = pytest.mark.parametrize("how", ["down", "lost"])
"""Refused at once, or silently dropped."""


@pytest.fixture
def patient(tmp_path):
    with networked(tmp_path) as made:
        yield made


@pytest.fixture
def hasty(tmp_path):
    with networked(tmp_path, top=SILENCE) as made:
        yield made


@BOTH
async def test_a_leader_that_is_cut_off_follows_later_and_gives_nothing_back(patient, how):
    three = patient
    async with under_load(three) as loads:
        old = three.leader
        others = [m for m in three.members if m is not old]
        place = await in_thread(old.life.position)
        await in_thread(old.within.cut, how)
        await in_thread(until, lambda: any(leads(m.life) for m in others))
        new = next(m for m in others if leads(m.life))
        assert await in_thread(new.life.position) == place
        forget(loads)
        await each_has(loads, 60)
        assert all(answers(loads, "v2")), "nobody's share is taken"
        await in_thread(new.life.order, "rollback", reason="bad")
        connected = [load for load in loads if load.port != old.life.port]
        await none_gets(connected, "v2")
        await in_thread(old.within.mend)
        await in_thread(until, lambda: not leads(old.life))
        await in_thread(until, three.together)
        await none_gets(loads, "v2")
        assert (await in_thread(new.life.status))["phase"] == "rolled_back"


async def test_a_follower_that_is_cut_off_goes_to_stable_and_comes_back(hasty):
    three, how = hasty, "lost"
    async with under_load(three) as loads:
        cut = next(m for m in three.members if m is not three.leader)
        alone = [load for load in loads if load.port == cut.life.port]
        others = [load for load in loads if load not in alone]
        await in_thread(cut.within.cut, how)
        await in_thread(three.leader.life.order, "promote")
        place = await in_thread(three.leader.life.position)
        await comes_to(alone, 0)
        forget(loads)
        await each_has(loads, 40)
        assert answers(alone, "v2") == [0], "nobody who decides hears of it"
        assert all(answers(others, "v2"))
        await in_thread(cut.within.mend)
        await in_thread(until, three.together)
        await comes_to(alone, 1)
        assert await in_thread(three.leader.life.position) == place
        await in_thread(cut.within.cut, "down")
        await in_thread(three.leader.life.order, "rollback", reason="bad")
        await none_gets(others, "v2")
        await comes_to(alone, 0)
        await in_thread(cut.within.mend)
        await none_gets(alone, "v2", 120)  # it meets the table of the rollback, no older one
        await in_thread(until, three.together)
        await none_gets(loads, "v2")


async def test_a_database_that_is_away_longer_than_the_silence_takes_no_weight_for_good(hasty):
    three, how = hasty, "down"
    async with under_load(three) as loads:
        place = await in_thread(three.leader.life.position)
        await asyncio.gather(*(in_thread(m.within.cut, how) for m in three.members))
        await comes_to(loads, 0)
        forget(loads)
        await each_has(loads, 40)
        assert answers(loads, "v2") == [0, 0, 0]
        for member in three.members:
            await in_thread(member.within.mend)
        await in_thread(until, three.together)
        assert await in_thread(three.leader.life.position) == place
        await comes_to(loads, 1)
