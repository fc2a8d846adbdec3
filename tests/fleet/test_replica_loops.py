"""Loops of routers on one database outlive what is raised in them; nothing is forgotten by it."""

import asyncio
from types import SimpleNamespace

import pytest

from router import main as router_main
from router.config.problems import PolicyError
from router.core.wire.table import RoutingTable
from router.loops import BOOKS

pytestmark = pytest.mark.fleet

pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")

from router.control.fleet.follower import Follower  # noqa: E402 - asyncpg first
from router.control.fleet.replicated import Replicated  # noqa: E402 - asyncpg first
from router.control.fleet.telling import ReplicaWords  # noqa: E402 - asyncpg first
from router.control.state.lease import Holder, Lease  # noqa: E402 - asyncpg first
from router.control.state.postgres_exchange import Me  # noqa: E402 - asyncpg first

URL = "postgresql://nobody@127.0.0.1:1/nothing"


class Broken:
    """A connection: at first something raises that no database does, then it is away."""

    def __init__(self):
        self.asked = 0

    async def db(self):
        self.asked += 1
        raise MemoryError if self.asked == 1 else ConnectionError

    def drop(self):
        pass

    async def close(self):
        pass

    async def asked_again(self):
        async with asyncio.timeout(20):
            while self.asked < 2:
                await asyncio.sleep(0.01)


async def at_once(*_):
    pass


def failures(name):
    return BOOKS.failures[name].count if name in BOOKS.failures else 0


@pytest.mark.parametrize("name", ["replicas", "tables"])
async def test_who_leads_takes_and_puts_again(name):
    workers = SimpleNamespace(publish=lambda _table: None, kill=at_once, hurry=None)
    own = SimpleNamespace(
        url=URL,
        workers=workers,
        me=Me("a"),
        telling=ReplicaWords(Me("a")),
        begin=at_once,
        states=list,
    )
    leader = Replicated(own, Lease(Holder.myself()), hears=SimpleNamespace(
        report=None, pairs=None, sampled=None, traced=None, asked=None, noticed=None,
    ))  # fmt: skip
    broken, other = Broken(), SimpleNamespace(db=asyncio.Event().wait, drop=lambda: None)
    leader._takes, leader._puts = (broken, other) if name == "replicas" else (other, broken)
    before = failures(name)
    await leader.start()
    leader.publish(RoutingTable(1, ()))
    await broken.asked_again()
    await leader.kill()
    assert failures(name) == before + 1


async def test_who_follows_looks_at_its_policy_again_whatever_is_raised(tmp_path, monkeypatch):
    looks, told = [], []

    def fingerprint(_path):
        looks.append(True)
        if len(looks) == 1:
            raise MemoryError
        return str(len(looks))

    def load(_path):
        if len(looks) == 2:
            raise PolicyError([])
        return SimpleNamespace(policy=SimpleNamespace(admin="new"))

    monkeypatch.setattr(router_main, "POLL_INTERVAL_S", 0.01)
    monkeypatch.setattr(router_main, "fingerprint", fingerprint)
    monkeypatch.setattr(router_main, "load", load)
    follower = SimpleNamespace(follow=asyncio.Event().wait)
    admin = SimpleNamespace(update=told.append)
    before = failures("admin-policy")
    member = router_main._Member(follower, None, admin, tmp_path, None)
    task = asyncio.create_task(router_main._follow(member))
    async with asyncio.timeout(20):
        while not told:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert told[0] == "new"
    assert failures("admin-policy") == before + 1


async def test_who_ends_tells_on_while_it_drains():
    broken = Broken()

    async def drained(_within_s):
        await broken.asked_again()

    workers = SimpleNamespace(begin_drain=lambda _s: None, drained=drained, states=list, hurry=None)
    follower = Follower(URL, Me("a"), workers, ReplicaWords(Me("a")))
    follower._link = broken
    before = failures("parting")
    await follower.stop(1.0)
    assert failures("parting") == before + 1
