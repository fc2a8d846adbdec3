"""Three Envoys under one policy: each with its agent and a router; one of these decides for all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
from collections import Counter
from itertools import cycle

import pytest

from router.agent.command import folder_of
from tests.fleet.kit import NEEDS_ENVOY, Quick, beyond_on_this_machine, counted_in, versions_of
from tests.fleet.replicas import Member, Routers, free_port, leads
from tests.fleet.test_replicas import listed
from tests.live.kit import Clients, Version, route
from tests.reliability.whole import ask, in_thread, request, until

pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")
pytestmark = [*NEEDS_ENVOY, pytest.mark.timeout(300), pytest.mark.xdist_group("envoys")]

TOP = """\
listen: "127.0.0.1:{port}"
admin: {{listen: "127.0.0.1:0"}}
store: {url}
engine: {engine}
control_silence: 5m
limits: {{drain: 5s}}
routes:
"""
USERS = [f"user-{n}" for n in range(20_000)]
PATH = "/flights"
RAMP = "{canary: {steps: [{weight: 10%, hold: 1h}, {weight: 35%, hold: 1h}]}}"
HALF = "{canary: {steps: [{weight: 50%, hold: 1h}, {weight: 80%, hold: 1h}]}}"


class EnvoyMember(Member):
    """A router whose engine is Envoy."""

    strategy, gates, engine = HALF, "[error_rate, guard]", "envoy"

    def write(self):
        self.at = free_port()
        text = TOP.format(port=self.at, url=self.url, engine=self.engine) + route(
            self.strategy, name="flights", gates=self.gates, head="sticky: {header: X-User-Id}"
        )
        for version in self.services:
            text = text.replace(f"<{version.name}>", version.url)
        self.file.write_text(text)

    @property
    def sockets(self):
        return folder_of(self.folder / f"rampway-127.0.0.1-{self.at}")

    def pid(self, what):
        """Of the ``agent`` or the ``envoy``."""
        return json.loads((self.sockets / f"{what}.pid").read_text())[0][0]

    async def killed(self, what):
        """kill -9; done when there is another one."""
        before = self.pid(what)
        os.kill(before, signal.SIGKILL)

        def another():
            with contextlib.suppress(OSError, ValueError, IndexError):
                return self.pid(what) != before

        await in_thread(until, another, 60, f"another {what}")

    def end(self):
        super().end()
        for file in self.sockets.glob("envoy.pid"):  # where a life was killed
            with contextlib.suppress(ProcessLookupError):
                os.kill(json.loads(file.read_text())[0][0], signal.SIGKILL)
        shutil.rmtree(self.sockets, ignore_errors=True)


class Envoys(Routers):
    """All three."""

    makes = EnvoyMember

    @property
    def ports(self):
        return [member.life.port for member in self.members]

    @contextlib.asynccontextmanager
    async def asked(self, per_s=60, at_once=4):
        async with contextlib.AsyncExitStack() as stack:
            yield [
                await stack.enter_async_context(
                    Clients(port, (PATH,), per_s=per_s, at_once=at_once, users=10_000, seed=port)
                )
                for port in self.ports
            ]


@pytest.fixture
async def versions(request):
    made = [getattr(request, "param", Version)() for _ in range(3)]
    for number, version in enumerate(made, 1):
        version.name = f"v{number}"
        await version.open()
    yield made
    for version in made:
        version.close()


@pytest.fixture
async def three(tmp_path, versions, url):
    made = Envoys(tmp_path, versions, url)
    yield made
    await in_thread(made.end)


async def more(clients, version, number):
    """Wait until each has so many further answers of it."""
    wanted = [one.of(version) + number for one in clients]
    async with asyncio.timeout(60):
        while any(one.of(version) < n for one, n in zip(clients, wanted, strict=True)):
            await asyncio.sleep(0.02)


async def none_gets(clients, version, number=40):
    """From now on nobody is answered by it, at any Envoy."""
    await more(clients, "v1", 8)  # what was under way
    before = [one.of(version) for one in clients]
    await more(clients, "v1", number)
    assert [one.of(version) for one in clients] == before


def lost(clients):
    return [one.lost for one in clients]


@pytest.mark.parametrize("versions", [Quick], indirect=True)
async def test_20000_users_have_one_version_at_all_three_envoys_and_keep_it(three):
    for member in three.members:
        member.strategy, member.gates = RAMP, "[guard]"
        member.write()
    await in_thread(three.start)

    async def seen(bp):
        await in_thread(until, lambda: three.leader.life.status()["weight_bp"] == bp)
        await in_thread(until, three.together)
        assert (await in_thread(listed, three.leader.life)).startswith("3 of 3 replicas on gen")
        return await asyncio.gather(*(versions_of(p, USERS, path=PATH) for p in three.ports))

    first, *others = await seen(1_000)
    assert 1_700 < sum(version == "v2" for version in first.values()) < 2_300
    assert others == [first, first]
    await in_thread(three.leader.life.order, "promote")
    later, *others = await seen(3_500)
    assert others == [later, later]
    assert [user for user in USERS if first[user] == "v2" and later[user] != "v2"] == []
    assert 6_500 < sum(version == "v2" for version in later.values()) < 7_500


async def test_what_three_envoys_saw_takes_a_candidate_back_at_all_three(three, versions):
    await in_thread(three.start)
    leader = three.leader.life
    async with three.asked() as clients:
        await more(clients, "v2", 10)
    versions[1].bad = 1.0
    failed = Counter()
    for port in cycle(three.ports):  # each of them meets every third failure
        if not await fails(port):
            break
        failed[port] += 1
        await asyncio.sleep(0.1)
    await in_thread(until, lambda: leader.status()["phase"] == "rolled_back")
    said = await in_thread(leader.status)
    counted = counted_in(said)
    assert counted <= failed.total() <= counted + beyond_on_this_machine(1, 30), said["reason"]
    assert max(failed.values()) < counted, "no Envoy saw enough by itself"
    async with three.asked() as clients:
        await none_gets(clients, "v2")
    assert lost(clients) == [0, 0, 0]


async def test_a_router_of_another_engine_does_not_join(tmp_path, versions, url):
    class BuiltIn(EnvoyMember):
        engine = "built-in"

    first = EnvoyMember(tmp_path / "a", versions, url, "a")
    other = BuiltIn(tmp_path / "b", versions, url, "b")
    try:
        await in_thread(first.start)
        life = await in_thread(other.start, wait=False)
        assert await in_thread(life.process.wait, 60) == 1
        said = life.heard("cannot_start")["error"]
        assert said.startswith("the router that leads has engine: envoy, this one engine: built-in")
    finally:
        await in_thread(first.end)
        await in_thread(other.end)


async def fails(port):
    """Whether one of many users gets a failure; asked until one does."""
    for _ in range(100):
        user = f"X-User-Id: u{random.random()}\r\n"
        status, _, _ = await ask(port, request(PATH, headers=f"Connection: close\r\n{user}"))
        if status >= 500:
            return True
    return False


async def test_killed_leaders_agents_and_envoys_cost_the_others_nothing(three):
    await in_thread(three.start)
    async with three.asked() as clients:
        await more(clients, "v2", 20)
        place = await in_thread(three.leader.life.position)
        for member in three.members:
            await member.killed("agent")
        await more(clients, "v2", 20)
        await leader_killed(three, clients)
        assert await in_thread(three.leader.life.position) == place
        await more(clients, "v2", 20)
        await in_thread(three.leader.life.order, "rollback", reason="bad")
        await none_gets(clients, "v2")
        await leader_killed(three, clients)
        await none_gets(clients, "v2")
        await three.members[0].killed("agent")
        await none_gets(clients, "v2")
        assert lost(clients) == [0, 0, 0]
        await three.members[1].killed("envoy")
        await none_gets(clients, "v2")
    assert lost(clients)[::2] == [0, 0]
    statuses = [{status for _, status, _ in one.answers} for one in clients]
    assert statuses[::2] == [{200}, {200}]


async def leader_killed(three, clients):
    """The process that decides, by kill -9; another one leads, and a supervisor starts it again."""
    old = three.leader
    envoy = old.pid("envoy")
    old.life.kill()
    await in_thread(until, lambda: any(leads(m.life) for m in three.members if m is not old))
    await more(clients, "v1", 10)
    await in_thread(old.start)
    await in_thread(until, three.together)
    assert old.pid("envoy") == envoy
