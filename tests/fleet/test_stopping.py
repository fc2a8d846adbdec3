"""A router that is told to stop while it starts or begins to lead: no client loses an answer."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.fleet.inside import Held, Lives, answers
from tests.fleet.replicas import LEADS
from tests.ports import free_port
from tests.reliability.whole import ask, promised

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]

asyncpg = pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")

from router.admin.server import AdminServer  # noqa: E402 - asyncpg first
from router.control.fleet.replicated import Replicated  # noqa: E402 - asyncpg first
from router.control.outside.questions import Questions  # noqa: E402 - asyncpg first
from router.control.state.postgres import PostgresStore  # noqa: E402 - asyncpg first
from router.main import EXIT_OK  # noqa: E402 - asyncpg first

BEGINS = [
    (PostgresStore, "_load"), (Replicated, "start"), (Questions, "open"),
    (AdminServer, "start"), (Replicated, "serving"),
]  # fmt: skip


@pytest.mark.parametrize("begins", BEGINS, ids=lambda one: f"{one[0].__name__}.{one[1]}")
async def test_who_is_stopped_while_it_begins_to_lead_drains(
    begins, tmp_path, server, url, monkeypatch
):
    whose, step = begins
    async with Held() as version:
        version.may.set()
        a = Lives(tmp_path / "a", url, version.port, "a")
        await asyncio.wait_for(a.leads.wait(), 60)
        b = Lives(tmp_path / "b", url, version.port, "b")
        await answers(b.port)
        version.may.clear()
        version.asked.clear()
        under_way = asyncio.create_task(ask(b.port))
        await asyncio.wait_for(version.asked.wait(), 60)
        made = getattr(whose, step)

        async def stopped(self, *arguments, **more):
            said = await made(self, *arguments, **more)
            b.signals.stop.set()
            await asyncio.sleep(0.05)  # it is looked at now
            return said

        monkeypatch.setattr(whose, step, stopped)
        a.signals.stop.set()
        assert await asyncio.wait_for(a.task, 60) == EXIT_OK
        await asyncio.wait_for(b.signals.stop.wait(), 60)
        async with asyncio.timeout(60):
            while await asyncio.to_thread(server.sql, schemed(url)):
                await asyncio.sleep(0.05)
        assert not under_way.done(), "it was killed, or answered by nobody"
        version.may.set()
        assert (await under_way)[0] == 200
        assert await asyncio.wait_for(b.task, 60) == EXIT_OK


def schemed(url):
    """Who leads, of the tables of this test."""
    return LEADS.replace("rampway_lease", f"{url.rpartition('%3D')[2]}.rampway_lease")


@pytest.mark.parametrize("whose", [Questions, AdminServer])
async def test_a_single_router_that_serves_before_its_start_is_over_drains(
    whose, tmp_path, monkeypatch
):
    step = "open" if whose is Questions else "start"
    async with Held() as version:
        one = Lives(tmp_path / "one", f"sqlite:///{tmp_path}/r.db", version.port)
        made = getattr(whose, step)
        under_way = []

        async def stopped(self, *arguments, **more):
            await made(self, *arguments, **more)
            under_way.append(asyncio.create_task(served(one.port)))
            await asyncio.wait_for(version.asked.wait(), 60)
            one.signals.stop.set()
            await asyncio.sleep(0.05)  # it is looked at now

        monkeypatch.setattr(whose, step, stopped)
        await asyncio.wait_for(version.asked.wait(), 60)
        version.may.set()
        assert await under_way[0] == 200
        assert await asyncio.wait_for(one.task, 60) == EXIT_OK


async def served(port):
    """The status of a request, asked again until somebody listens."""
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return (await ask(port))[0]
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("name", ["", "a"], ids=["single", "replica"])
@pytest.mark.parametrize("answers", [False, True], ids=["away", "frozen"])
async def test_who_waits_for_its_database_stops_at_once(answers, name, tmp_path, monkeypatch):
    tried, connect = asyncio.Event(), asyncpg.connect

    async def connecting(*arguments, **more):
        tried.set()
        return await connect(*arguments, **more)

    monkeypatch.setattr(asyncpg, "connect", connecting)
    async with Held() as silent:  # it takes connections, and says nothing
        port = silent.port if answers else free_port()
        store = f"postgresql://nobody@127.0.0.1:{port}/nothing"
        one = Lives(tmp_path / "one", store, 9, name)
        await asyncio.wait_for(tried.wait(), 60)
        assert not one.task.done()
        one.signals.stop.set()
        began = asyncio.get_running_loop().time()
        assert await asyncio.wait_for(one.task, 60) == EXIT_OK
        assert asyncio.get_running_loop().time() - began < promised(1)
