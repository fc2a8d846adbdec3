"""Several routers on one PostgreSQL: all serve, one decides, another takes its place."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from statistics import median

import pytest

from tests.fleet.replicas import Member, Routers, answers, ended, leads, lost, none_gets, on_all
from tests.fleet.spread import in_turn
from tests.reliability.whole import in_thread, until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]

pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")


@pytest.fixture
def three(tmp_path, services, url):
    made = Routers(tmp_path, services, url)
    yield made
    made.end()


async def test_three_serve_and_an_order_reaches_all(three):
    await in_thread(three.start)
    leader = three.leader.life
    health = await in_thread(three.health)
    assert {one["replica"] for one in health["workers"]} == {"a", "b", "c"}
    async with three.loaded() as loads:
        await in_thread(leader.order, "promote")
        assert (await in_thread(three.health))["replicas"].startswith("3 of 3 replicas on gen")
        for load in loads:
            load.tally.versions.clear()
        await asyncio.gather(*(load.more(150) for load in loads))
        for load in loads:
            share = load.tally.versions["v2"] / sum(load.tally.versions.values())
            assert 0.6 < share < 0.95
        for member, load in zip(three.members, loads, strict=True):
            answered = load.tally.answered

            def told(life=member.life, least=answered):
                return (counted := requests_counted(life)) >= least and counted

            counted = await in_thread(until, told, what="what was answered")
            assert counted <= load.tally.answered * 1.5, "its own, and not those of three"
        await in_thread(leader.order, "rollback", reason="bad")
        await none_gets(loads, "v2")
    assert lost(loads) == []
    said = await in_thread(listed, leader)
    assert said.startswith("3 of 3 replicas on generation ")
    assert await in_thread(leader.terminate) == 0
    await in_thread(until, lambda: any(leads(m.life) for m in three.members if not ended(m.life)))
    assert (await in_thread(three.leader.life.status))["phase"] == "rolled_back"
    assert [await in_thread(m.life.terminate) for m in three.members] == [0, 0, 0]


async def test_who_follows_tells_of_itself_and_passes_the_rest_on(three):
    await in_thread(three.start)
    leader = three.leader
    follower = next(m for m in three.members if m is not leader).life
    await in_thread(until, lambda: follower.api("/healthz")[1]["leader"])
    status, health = await in_thread(follower.api, "/healthz")
    assert (status, health["problems"]) == (200, [])
    assert {one["replica"] for one in health["workers"]} == {health["replica"]}
    assert health["leader"] == {"replica": leader.name, "admin": leader.life.admin}
    assert (await in_thread(follower.api, "/readyz"))[0] == 200
    text = (await in_thread(follower.api, "/metrics"))[1]
    assert "\nrampway_leads 0\n" in text
    assert "\nrampway_leader_heard 1\n" in text
    assert "\nrampway_leads 1\n" in (await in_thread(leader.life.api, "/metrics"))[1]
    assert (await in_thread(listed, follower)).startswith(f"{health['replica']} follows ")
    said = await in_thread(follower.order, "rollback", reason="by who follows")
    assert said["changed"]
    assert (await in_thread(leader.life.status))["phase"] == "rolled_back"
    await in_thread(until, lambda: follower.api("/healthz")[1]["generation"] == generation(leader))
    leader.life.kill()
    others = [m.life for m in three.members if m is not leader]
    await in_thread(until, lambda: any(leads(life) for life in others))
    await in_thread(until, lambda: follower.api("/api/v1/rollouts/flights")[0] == 200)
    assert (await in_thread(follower.status))["phase"] == "rolled_back"


def generation(member):
    return member.life.api("/healthz")[1]["generation"]


def listed(life):
    """The last line of `rampway list`."""
    command = [sys.executable, "-m", "router", "list", "--admin", life.admin]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    return ended.stdout.splitlines()[-1]


async def test_a_name_without_a_database_or_of_another_is_refused(tmp_path, services, url):
    member = Member(tmp_path / "a", services, f"sqlite:///{tmp_path}/r.db", "a")
    life = await in_thread(member.start, wait=False)
    assert await in_thread(life.process.wait, 60) == 1
    assert "--replica wants `store: postgresql://" in life.heard("cannot_start")["error"]
    first = Member(tmp_path / "b", services, url, "b")
    second = Member(tmp_path / "c", services, url, "b")
    try:
        await in_thread(first.start)
        life = await in_thread(second.start, wait=False)
        assert await in_thread(life.process.wait, 60) == 5
        assert "another router is called b" in life.heard("store_locked")["error"]
    finally:
        first.end()


def requests_counted(life):
    text = life.api("/metrics")[1]
    rows = [x for x in text.splitlines() if x.startswith("rampway_requests_total{")]
    return sum(float(row.rpartition(" ")[2]) for row in rows)


async def test_what_three_saw_convicts_as_what_one_saw(three):
    """At most two failures more: they are told at once, after what was counted before them."""
    await in_thread(three.start)
    one, spread = await in_turn(three, 3, per_s=25)
    assert median(n for n, _ in spread) <= median(n for n, _ in one) + 2


async def killed(three):
    """The leader, by kill -9; who leads then. A supervisor starts it again."""
    old = three.leader
    old.life.kill()
    await in_thread(until, lambda: any(leads(m.life) for m in three.members if m is not old))
    return old


async def test_a_killed_leader_is_followed_and_nobody_loses_a_request(three):
    await in_thread(three.start)
    async with three.loaded() as loads:
        place = await in_thread(three.leader.life.position)
        for round_ in range(5):
            old = await killed(three)
            assert await in_thread(three.leader.life.position) == place, "where the other was"
            await asyncio.gather(*(load.more(30) for load in loads))
            await in_thread(old.start)
            await in_thread(until, three.together)
            for load in loads:
                load.tally.versions.clear()
            await asyncio.gather(*(load.more(40) for load in loads))
            assert all(answers(loads, "v2")), f"round {round_}: no weight is lost"
        await in_thread(three.leader.life.order, "rollback", reason="bad")
        await none_gets(loads, "v2")
        await killed(three)
        await none_gets(loads, "v2")
    assert lost(loads) == []
    assert all(set(load.tally.statuses) == {200} for load in loads)


async def test_a_leader_that_was_paused_follows_and_gives_nothing_back(three):
    await in_thread(three.start)
    async with three.loaded() as loads:
        old = three.leader
        os.kill(old.life.process.pid, signal.SIGSTOP)
        others = [m for m in three.members if m is not old]
        await in_thread(until, lambda: any(leads(m.life) for m in others))
        new = next(m for m in others if leads(m.life))
        await in_thread(new.life.order, "rollback", reason="bad")
        os.kill(old.life.process.pid, signal.SIGCONT)
        await in_thread(until, lambda: old.life.heard("store_lost"))
        await in_thread(until, lambda: on_all(new.life))
        await none_gets(loads, "v2")
        assert not ended(old.life)
        assert (await in_thread(new.life.status))["phase"] == "rolled_back"
    assert lost(loads) == []


async def test_a_database_that_stops_changes_no_routing(three, server):
    await in_thread(three.start)
    leader = three.leader
    place = await in_thread(leader.life.position)
    async with three.loaded() as loads:
        for _ in range(5):
            await in_thread(server.stop)
            for load in loads:
                load.tally.versions.clear()
            await asyncio.gather(*(load.more(60) for load in loads))
            assert all(answers(loads, "v2")), "nobody's share is taken"
            await in_thread(server.start)
            await in_thread(until, three.together)
        assert await in_thread(three.leader.life.position) == place
        await in_thread(server.stop)
        now = three.leader.life
        said = await in_thread(now.order, "rollback", reason="bad")
        assert not said["durable"]
        await in_thread(server.start)
        await in_thread(until, three.together)
        await none_gets(loads, "v2")
    assert lost(loads) == []
