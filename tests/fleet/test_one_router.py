"""A whole router with its store in a real PostgreSQL server: what it promises with a file."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.ports import free_port
from tests.reliability.test_state import kill_again_and_again, shares_fit
from tests.reliability.whole import Load, Site, asked, in_thread, until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(170)]

pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")


class SharedSite(Site):
    """As :class:`Site`, with its store in a database."""

    url = ""

    def write(self, text=None, **fields):
        return super().write(text, **({"store": self.url} | fields))

    def start(self, *arguments, **more):
        return super().start(*arguments, cwd=self.folder, **more)


@pytest.fixture
def site(tmp_path, services, url):
    made = SharedSite(tmp_path, services)
    made.url = url
    yield made
    made.end()


async def test_a_killed_router_wakes_up_where_it_was(site, nursery):
    await kill_again_and_again(site, nursery, 4, points=0)


async def test_a_server_that_stops_changes_no_routing_and_takes_no_rollback_away(site, server):
    router = await in_thread(site.write().start)
    await in_thread(router.order, "promote")
    position = await in_thread(router.position)
    async with Load(router.port) as load:
        await in_thread(server.stop)
        await load.more(200)
        assert await in_thread(router.position) == position
        status, said = await in_thread(router.api, "/api/v1/rollouts/flights/promote", "POST", {})
        assert status == 507, said
        assert "Connect call failed" in said["detail"]
        health = (await in_thread(router.api, "/healthz"))[1]
        assert any("store: postgresql://rampway@127.0.0.1" in one for one in health["problems"])
        began = time.monotonic()
        said = await in_thread(router.order, "rollback", reason="bad")
        assert not said["durable"]
        assert time.monotonic() - began < 10
        load.tally.versions.clear()
        await load.more(100)
        assert load.tally.versions["v2"] == 0, "a rollback never waits for the database"
        await in_thread(server.start)
        await in_thread(until, lambda: not problems_of_the_store(router))
        await load.more(50)
    assert load.tally.lost == []
    assert set(load.tally.statuses) == {200}
    taken_back = await in_thread(router.position)
    router.kill()
    router = await in_thread(site.start)
    assert await in_thread(router.position) == taken_back
    assert (await in_thread(router.status))["phase"] == "rolled_back"
    actions = [
        one["action"] for one in (await in_thread(router.api, "/api/v1/journal"))[1]["entries"]
    ]
    assert actions.count("rollback") == 1


def problems_of_the_store(router):
    return [one for one in router.api("/healthz")[1]["problems"] if one.startswith("store:")]


async def test_a_restart_hands_over_without_a_lost_request(site):
    first = await in_thread(site.write(port=free_port(), admin=free_port()).start)
    async with Load(first.port) as load:
        second = await in_thread(site.start, wait=False)
        await in_thread(until, lambda: first.heard("successor_waits"))
        first.process.send_signal(signal.SIGTERM)
        await in_thread(second.serving)
        await in_thread(first.process.wait, 60)
        await load.more(100)
    assert load.tally.lost == []
    assert set(load.tally.statuses) == {200}
    assert first.process.returncode == 0


async def test_a_second_router_is_told_who_leads(site):
    first = await in_thread(site.write().start)
    second = await in_thread(site.start, wait=False)
    assert await in_thread(second.process.wait, 60) == 5
    said = second.heard("store_locked")["error"]
    assert f"another router leads (process {first.process.pid} on " in said
    tally = await asked(first.port, 40)
    assert set(tally.statuses) == {200}


async def test_a_router_that_was_paused_is_fenced_and_ends(site):
    """Another has led meanwhile: it writes nothing, and ends for a supervisor to start it again."""
    first = await in_thread(site.write().start)
    await in_thread(first.order, "promote")
    os.kill(first.process.pid, signal.SIGSTOP)
    second = await in_thread(site.start)
    await in_thread(second.order, "rollback", reason="bad")
    os.kill(first.process.pid, signal.SIGCONT)
    assert await in_thread(first.process.wait, 60) == 5
    assert "another router leads now" in first.heard("store_lost")["error"]
    tally = await asked(second.port, 60)
    assert shares_fit(tally, 0)
    assert (await in_thread(second.status))["phase"] == "rolled_back"
