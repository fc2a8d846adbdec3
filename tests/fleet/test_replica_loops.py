"""Loops of routers on one database outlive what is raised in them; nothing is forgotten by it."""

import asyncio
from types import SimpleNamespace

import msgspec
import pytest

from router import main as router_main
from router.config.problems import PolicyError
from router.control.state.errors import StoreDamaged, StoreUnavailable
from router.core.wire.reporter import WorkerId
from router.core.wire.table import RoutingTable
from router.loops import BOOKS

pytestmark = pytest.mark.fleet

pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")

from router.control.fleet import follower as module  # noqa: E402 - asyncpg first
from router.control.fleet.follower import Follower  # noqa: E402 - asyncpg first
from router.control.fleet.replicated import Replicated  # noqa: E402 - asyncpg first
from router.control.fleet.telling import ReplicaWords  # noqa: E402 - asyncpg first
from router.control.reviews import elsewhere as elsewhere_module  # noqa: E402 - asyncpg first
from router.control.reviews.elsewhere import Elsewhere  # noqa: E402 - asyncpg first
from router.control.state.lease import Holder, Lease  # noqa: E402 - asyncpg first
from router.control.state.postgres_exchange import Me  # noqa: E402 - asyncpg first
from router.telemetry.metrics import Metrics  # noqa: E402

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


async def test_what_people_said_at_another_router_is_asked_for_again(monkeypatch):
    monkeypatch.setattr(elsewhere_module, "READ_S", 0.01)
    here = Elsewhere(URL, SimpleNamespace(table=None), Metrics())
    asked, told = [], asyncio.Event()

    async def outcomes(within_s):
        asked.append(within_s)
        if len(asked) == 1:
            raise MemoryError
        if len(asked) == 2:
            raise StoreUnavailable("away")
        told.set()
        return [("q1", b"said")]

    here._questions.outcomes = outcomes
    here.inbox = SimpleNamespace(
        forget_past=lambda: None, waited_for=True, decided=lambda *one: asked.append(one)
    )
    before = failures("people")
    here.begin()
    async with asyncio.timeout(20):
        await told.wait()
    await here.close()
    assert failures("people") == before + 1
    first, second, third = asked[:3]
    assert first < second < third, "what was not read is within what is read next"


async def test_who_ends_tells_on_while_it_drains():
    broken = Broken()

    async def drained(_within_s):
        await broken.asked_again()

    workers = SimpleNamespace(begin_drain=lambda _s: None, drained=drained, states=list, hurry=None)
    follower = Follower(URL, Me("a"), workers, ReplicaWords(Me("a")), metrics=Metrics())
    follower._link = broken
    before = failures("parting")
    await follower.stop(1.0)
    assert failures("parting") == before + 1


class Answering:
    """A connection to a database that answers each statement with ``row``."""

    def __init__(self, **row):
        self.row = {
            "mine": 1, "boot": None, "lives": True, "publisher": "x", "holder": "x", "body": None,
            "leader": None,
        } | row  # fmt: skip
        self.told, self.left = [], 0

    async def db(self):
        return self

    async def fetchrow(self, _statement, *values):
        self.told.append(values[5])
        return self.row

    async def execute(self, _statement, *_values):
        self.left += 1

    def drop(self):
        pass

    async def close(self):
        pass


def follower_of(link):
    workers = SimpleNamespace(states=list, hurry=None, publish=None)
    me = Me("a")
    made = Follower(URL, me, workers, ReplicaWords(me), metrics=Metrics())
    made._link = link
    return made


async def test_who_does_not_understand_the_table_says_so_and_tells_on(monkeypatch):
    said = []
    monkeypatch.setattr(module, "log", SimpleNamespace(error=lambda *_, **more: said.append(more)))
    monkeypatch.setattr(module, "AGAIN_S", 0.0)
    link = Answering(body=b"\xc1")
    follower = follower_of(link)
    for text in ("one", "two"):
        follower.telling.noticed(WorkerId("a", 1, 0), text)
        assert await follower._turn()
    assert len({*link.told}) == 2, "each once"
    assert len(said) == 1, "and not four times a second"
    (trouble,) = follower.troubles()
    assert trouble.startswith("the table of who leads is not understood (")
    await follower.part()
    assert link.left == 1
    link.row["body"] = None
    assert await follower._turn()
    assert follower.troubles() == []


async def test_who_hears_of_a_leader_and_of_no_table_says_what_may_be_wrong(monkeypatch):
    said = []
    monkeypatch.setattr(
        module, "log", SimpleNamespace(warning=lambda *_, **more: said.append(more))
    )
    monkeypatch.setattr(module, "TURN_S", 0.0)
    follower = follower_of(Answering())
    for _ in range(2 * module.TURNS_WITHOUT):
        assert await follower._turn()
    (once,) = said
    assert "--replica" in once["error"]
    assert follower.waits == once["error"]


async def test_a_router_of_another_engine_leaves_its_name_free():
    table = msgspec.msgpack.encode(RoutingTable(1, (), engine="envoy"))
    link = Answering(body=table)
    with pytest.raises(StoreDamaged, match="write the same one"):
        await follower_of(link).follow()
    assert link.left == 1
