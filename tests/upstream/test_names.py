"""Names of endpoints: every address is used, moves are followed, what is dead delays nobody twice.

The resolver is a table of the test's own; sockets are real. Loopback addresses 127.0.0.11 and so on
exist on Linux only.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from contextlib import AsyncExitStack, contextmanager

import pytest

from router.core.wire.endpoint import EndpointEntry
from router.core.wire.table import HealthCheck, TimeoutsEntry
from router.upstream import Pool, Pools
from router.upstream.names import Names, addresses
from router.upstream.opening import RACE_S
from tests.proxy.rig import Rig, route, until, version
from tests.proxy.scripted import Scripted, answers, ok
from tests.reliability.whole import promised

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs 127.0.0.0/8 as a whole")
ONE, TWO, THREE = "127.0.0.11", "127.0.0.12", "127.0.0.13"
NAME = "model.test"


class Resolver:
    """Answers for the loop it is put into; the test changes ``table`` as it likes."""

    def __init__(self, **table):
        self.table = table
        self.asked = []

    async def __call__(self, host, port, *, type=0, flags=0, **_):  # noqa: A002
        self.asked.append(host)
        found = self.table.get(host.partition(".")[0])
        if found is None:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(family[":" in one], type, 6, "", (one, 0)) for one in found]


@pytest.fixture
async def resolver(monkeypatch):
    table = Resolver(model=[])
    loop = asyncio.get_running_loop()
    real = loop.getaddrinfo

    async def lookup(host, port, **fields):
        if str(host)[0].isdigit() or ":" in str(host):
            return await real(host, port, **fields)
        return await table(host, port, **fields)

    monkeypatch.setattr(loop, "getaddrinfo", lookup)
    return table


async def servers(stack, *hosts):
    """One backend on each address, all on one port; each answers with its address."""
    made, port = [], 0
    for host in hosts:
        backend = Scripted(answers(ok(host.encode())), host, port)
        made.append(await stack.enter_async_context(backend))
        port = backend.port
    return made


@contextmanager
def black_hole(host, port):
    """Nobody answers there, not even with a refusal: the queue of a listening socket is full."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        held = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex((host, port))
            held.append(client)
        try:
            yield
        finally:
            for client in held:
                client.close()


def named(port, **fields):
    return version("v1", EndpointEntry(NAME, port), **fields)


async def test_two_addresses_of_a_name_share_within_a_tenth(resolver):
    resolver.table["model"] = [ONE, TWO]
    async with AsyncExitStack() as stack:
        one, two = await servers(stack, ONE, TWO)
        async with Rig(route(named(one.port))) as rig:
            for _ in range(200):
                assert (await rig.ask()).status == 200
            assert abs(len(one.requests) - len(two.requests)) <= 20
            (state,) = rig.plane.pools.states()  # control knows the endpoint of the policy
            assert state.endpoint == f"http://{NAME}:{one.port}"


async def test_a_name_that_moves_is_followed_under_load_and_nobody_notices(resolver):
    resolver.table["model"] = [ONE]
    async with AsyncExitStack() as stack:
        one, two = await servers(stack, ONE, TWO)
        async with Rig(route(named(one.port, lookup_s=0.3, keep_alive_s=30.0))) as rig:
            stopped, statuses = asyncio.Event(), []

            async def load():
                client = await rig.client()
                while not stopped.is_set():
                    statuses.append((await client.ask()).status)
                client.close()

            clients = [asyncio.ensure_future(load()) for _ in range(8)]
            await until(lambda: len(one.requests) > 100)
            resolver.table["model"] = [TWO]
            await until(lambda: two.requests, within_s=promised(1.3))
            seen = len(one.requests)
            await until(lambda: len(two.requests) > 200)
            stopped.set()
            await asyncio.gather(*clients)
            assert set(statuses) == {200}
            assert len(one.requests) <= seen + 8  # those that were under way on busy connections
            await until(lambda: all(peer.gone.is_set() for peer in one.peers))


async def test_an_address_that_joins_passes_its_probe_first(resolver):
    resolver.table["model"] = [ONE]
    async with AsyncExitStack() as stack:
        (one,) = await servers(stack, ONE)
        state = {"status": 503}

        async def loading(peer):
            while True:
                await peer.request()
                await peer.send(ok(b"late", status=state["status"]))

        two = await stack.enter_async_context(Scripted(loading, TWO, one.port))
        check = HealthCheck("/ready", interval_s=0.05, timeout_s=1.0)
        async with Rig(route(named(one.port, lookup_s=0.1, health=check))) as rig:
            assert (await rig.ask()).status == 200
            resolver.table["model"] = [ONE, TWO]
            await until(lambda: two.requests)
            assert {(await rig.ask()).body for _ in range(20)} == {ONE.encode()}
            state["status"] = 200
            (pool,) = rig.plane.pools.all()
            await until(lambda: len(pool.available) == 2)
            assert {(await rig.ask()).body for _ in range(20)} == {ONE.encode(), b"late"}


async def test_a_dead_first_address_delays_one_request_by_less_than_the_time_out(resolver):
    resolver.table["model"] = [THREE, TWO]
    async with AsyncExitStack() as stack:
        (two,) = await servers(stack, TWO)
        stack.enter_context(black_hole(THREE, two.port))
        timeouts = TimeoutsEntry(connect_s=20.0, response_s=30.0, body_s=30.0)
        async with Rig(route(named(two.port), timeouts=timeouts)) as rig:
            (pool,) = rig.plane.pools.all()
            for _ in range(10):
                assert (await rig.ask(within_s=10.0)).status == 200
            dead = next(one for one in pool.endpoints if one.ip == THREE)
            assert dead.unreachable_until  # and it is tried in the background from now on
            assert dead.open <= 1
            assert pool.breaker.state == "closed"
            assert timeouts.connect_s > RACE_S


async def test_an_idle_connection_elsewhere_is_taken_before_one_is_opened(resolver):
    resolver.table["model"] = [TWO]
    async with AsyncExitStack() as stack:
        (two,) = await servers(stack, TWO)
        stack.enter_context(black_hole(THREE, two.port))
        async with Rig(route(named(two.port, lookup_s=0.1, keep_alive_s=30.0))) as rig:
            assert (await rig.ask()).status == 200
            (pool,) = rig.plane.pools.all()
            resolver.table["model"] = [TWO, THREE]
            await until(lambda: len(pool.endpoints) == 2)
            for _ in range(4):
                assert (await rig.ask()).status == 200
            assert len(two.peers) == 1


async def test_what_was_dead_is_used_once_it_can_be_reached(resolver):
    resolver.table["model"] = [ONE, TWO]
    async with AsyncExitStack() as stack:
        (two,) = await servers(stack, TWO)
        async with Rig(route(named(two.port))) as rig:
            for _ in range(4):
                assert (await rig.ask()).status == 200  # ONE refuses; nobody is told
            one = await stack.enter_async_context(Scripted(answers(ok()), ONE, two.port))
            (pool,) = rig.plane.pools.all()
            pool.sweep(time.monotonic() + 60.0)
            await until(lambda: len(pool.available) == 2 and not pool._unreachable)
            for _ in range(20):
                await rig.ask()
            assert one.requests


async def test_a_lookup_that_fails_changes_nothing(resolver):
    resolver.table["model"] = [ONE]
    async with AsyncExitStack() as stack:
        (one,) = await servers(stack, ONE)
        async with Rig(route(named(one.port, lookup_s=0.1))) as rig:
            assert (await rig.ask()).status == 200
            for broken in (None, [], ["169.254.169.254"]):
                resolver.table["model"] = broken
                asked = len(resolver.asked)
                await until(lambda asked=asked: len(resolver.asked) > asked + 3, within_s=8.0)
                assert (await rig.ask()).status == 200


async def test_a_name_nobody_knows_is_a_version_nobody_reaches(resolver):
    async with Rig(route(version("v1", EndpointEntry("nowhere.test", 1)))) as rig:
        answer = await rig.ask()
        assert (answer.status, b"refused" in answer.body) == (502, True)
        (state,) = rig.plane.pools.states()
        assert "not known" in state.last_error


async def test_a_name_that_points_to_the_metadata_service_is_never_connected_to(resolver):
    resolver.table["model"] = ["127.0.0.1", "169.254.169.254"]
    async with Rig(route(named(1))) as rig:
        assert (await rig.ask()).status == 502
        (state,) = rig.plane.pools.states()
        assert "metadata" in state.last_error
        assert "169.254" not in {endpoint.ip for endpoint in rig.plane.pools.all()[0].endpoints}


async def test_ipv6_addresses_are_used_like_the_others(resolver):
    try:
        backend = await Scripted(answers(ok(b"six")), "::1").__aenter__()
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    resolver.table["model"] = ["::1"]
    try:
        async with Rig(route(named(backend.port))) as rig:
            assert (await rig.ask()).body == b"six"
        async with Rig(route(version("v1", backend))) as rig:  # http://[::1]:9001
            assert (await rig.ask()).body == b"six"
    finally:
        await backend.__aexit__()


async def test_pools_share_the_lookups_of_a_name_and_end_them(resolver):
    resolver.table["model"] = [ONE]
    pools = Pools()
    entry = named(1, lookup_s=0.1)
    for name in ("a", "b", "c"):
        pools.live(name, entry, connect_s=1.0)
        pools.shadow(name, entry, connect_s=1.0)
    await until(lambda: len(resolver.asked) > 3)
    assert [task.get_name() for task in asyncio.all_tasks()] != []
    assert len(pools.names._names) == 1
    other = named(1, lookup_s=0.1)
    pools.live("a", version("v1", EndpointEntry("127.0.0.1", 1)), connect_s=1.0)
    pools.live("a", other, connect_s=1.0)
    assert [e.ip for e in pools.live("a", other, connect_s=1.0).endpoints] == [ONE]
    pools.close()
    assert not pools.names._names


async def test_a_connection_carries_no_request_beyond_its_age():
    async with Scripted(answers(ok())) as backend:
        entry = version("v1", backend, connection_age_s=0.2, keep_alive_s=30.0)
        async with Rig(route(entry)) as rig:
            client = await rig.client()
            async with asyncio.timeout(20):
                while len(backend.peers) < 3:
                    assert (await client.ask()).status == 200
            client.close()


async def test_a_connection_idle_for_longer_than_its_backend_may_keep_it_is_not_used():
    """uvicorn closes after 5 s and gunicorn after 2 s; a POST that meets the close is lost."""
    async with Scripted(answers(ok())) as backend:
        pool = Pool(version("v1", backend), connect_s=1.0)
        assert pool.entry.keep_alive_s < 2.0
        async with Rig(route(version("v1", backend, keep_alive_s=0.05))) as rig:
            for _ in range(3):
                assert (await rig.ask()).status == 200
                await asyncio.sleep(0.06)  # the age itself, not something hoped for
            assert len(backend.peers) == 3


async def test_addresses_stand_for_themselves_and_a_lookup_has_its_bound(resolver):
    assert await addresses("::1") == ("::1",)
    resolver.table["model"] = [f"127.1.{n // 250}.{n % 250 + 1}" for n in range(300)]
    assert len(await addresses(NAME)) == 256
    names = Names()
    assert names.known("10.0.0.1") == ("10.0.0.1",)
    assert names.known(NAME) == ()
    assert len(await names.lookup(NAME)) == 256
    names.leave(NAME, print)
