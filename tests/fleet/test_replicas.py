"""Several routers on one PostgreSQL: all serve, one decides, another takes its place."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys

import pytest

from tests.fleet.kit import beyond_on_this_machine, counted_in
from tests.ports import free_port
from tests.reliability.whole import Load, Router, Site, in_thread, policy_text, until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]

pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")

HALF = """rollout:
      candidate: v2
      strategy: {canary: {steps: [{weight: 50%, hold: 1h}, {weight: 80%, hold: 1h}], bake: 1h}}
      gates: [guard: {error_rate: 5%}]
"""


PER_S = 15
"""Requests of all clients together."""
PATIENT = "control_silence: 5m"
"""A busy machine takes longer than 10 s for what is watched while the database is away."""


class Member(Site):
    """One of several, with a folder, a policy and a name of its own."""

    def __init__(self, folder, services, url, name):
        folder.mkdir()
        super().__init__(folder, services)
        self.url, self.name = url, name
        self.write()

    def write(self):
        self.file.write_text(policy_text(
            self.folder, self.services, store=self.url, rollout=HALF, port=free_port(), top=PATIENT
        ))  # fmt: skip

    def start(self, wait=True):
        life = Router(self.folder, self.file, "--replica", self.name, cwd=self.folder)
        self.lives.append(life)
        if wait:
            self.served(life)
        return life

    def served(self, life):
        try:
            until(lambda: leads(life) or life.heard("following") or ended(life), 60)
        finally:
            began = leads(life) or life.heard("following")
            assert began, "\n".join(m.read_text()[-2000:] for m in self.folder.glob("../*/log-*"))
        assert not ended(life), life.log_file.read_text()[-3000:]
        said = life.heard("following") or life.heard("serving")
        life.port = int(said["listen"].rpartition(":")[2])
        life.admin = said["admin"]

    @property
    def life(self):
        return self.lives[-1]


def ended(life):
    return life.process.poll() is not None


def leads(life):
    """Whether it leads, as it said last; then it has an admin address."""
    said = [one for one in life.lines() if one.get("event") in ("serving", "store_lost")]
    if not said or said[-1]["event"] != "serving":
        return False
    life.admin = said[-1]["admin"]
    return True


class Routers:
    """All of them."""

    makes = Member

    def __init__(self, folder, services, url):
        self.members = [self.makes(folder / name, services, url, name) for name in "abc"]
        self.services = services

    def start(self):
        """Those that do not run yet."""
        fresh = [member for member in self.members if not member.lives]
        for member in fresh:
            member.start(wait=False)
        for member in fresh:
            member.served(member.life)
        until(self.together, what="all on one generation")
        return self

    @property
    def leader(self):
        return next(m for m in self.members if not ended(m.life) and leads(m.life))

    def health(self):
        return self.leader.life.api("/healthz")[1]

    def together(self):
        """Whether somebody leads and all follow."""
        with contextlib.suppress(StopIteration, OSError):
            return on_all(self.leader.life)
        return False

    def end(self):
        for member in self.members:
            member.end()

    @contextlib.asynccontextmanager
    async def loaded(self):
        async with contextlib.AsyncExitStack() as stack:
            yield [
                await stack.enter_async_context(Load(m.life.port, kept=2, fresh=1))
                for m in self.members
            ]


@pytest.fixture
def three(tmp_path, services, url):
    made = Routers(tmp_path, services, url)
    yield made
    made.end()


def lost(loads):
    return [one for load in loads for one in load.tally.lost]


def answers(loads, what):
    return [load.tally.versions[what] for load in loads]


async def none_gets(loads, version, count=60):
    """From now on nobody is answered by it, at any router."""
    for load in loads:
        await load.more(12)  # what was under way
        load.tally.versions.clear()
    await asyncio.gather(*(load.more(count) for load in loads))
    assert answers(loads, version) == [0] * len(loads)


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
            counted = await in_thread(requests_counted, member.life)
            assert load.tally.answered * 0.8 <= counted <= load.tally.answered * 1.2, "its own"
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


async def bad_until_taken_back(leader, loads, services):
    """Failures that clients see until the candidate is out everywhere; those it was decided by."""
    for load in loads:
        await load.more(5)
    await in_thread(lambda: services[1].faults(error_rate=1.0))
    await in_thread(until, lambda: leader.status()["phase"] == "rolled_back")
    await in_thread(services[1].faults)
    seen = sum(n for load in loads for status, n in load.tally.statuses.items() if status >= 500)
    return seen, counted_in(leader.status())


async def test_what_three_saw_convicts_as_what_one_saw(three):
    first = three.members[0]
    alone = await in_thread(first.start)
    await in_thread(until, lambda: leads(alone))
    async with Load(alone.port, kept=1, fresh=0, pause_s=1 / PER_S) as load:
        one, by_one = await bad_until_taken_back(alone, [load], three.services)
    await in_thread(three.start)
    await in_thread(alone.order, "retry")
    await in_thread(until, three.together)
    loads = [Load(m.life.port, kept=1, fresh=0, pause_s=3 / PER_S) for m in three.members]
    async with contextlib.AsyncExitStack() as stack:
        for load in loads:
            await stack.enter_async_context(load)
        spread, by_three = await bad_until_taken_back(alone, loads, three.services)
    assert 0 < by_three <= by_one + beyond_on_this_machine(2, PER_S)
    assert 0 < spread <= one + beyond_on_this_machine(2, PER_S)


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


def on_all(life):
    return life.api("/healthz")[1]["replicas"].startswith("3 of 3 ")


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
