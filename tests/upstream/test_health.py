"""Active probes: what counts as well, and that a probe uses nothing of the pool's."""

from __future__ import annotations

import asyncio

import pytest

from router.core.wire.endpoint import EndpointEntry as Address
from router.core.wire.table import HealthCheck, RoutingTable, TlsEntry
from router.upstream import Endpoint, Pools
from router.upstream.health import judge, probe
from tests.proxy.rig import route, until, version
from tests.proxy.scripted import Scripted, answers, closed_port, drips, hangs, ok, says

CHECK = HealthCheck("/ready", interval_s=0.05, timeout_s=0.2, unhealthy_after=2, healthy_after=2)


@pytest.mark.parametrize(
    ("script", "word"),
    [
        (answers(ok()), ""),
        (answers(ok(status=302)), "302"),
        (answers(ok(status=503)), "503"),
        (answers(ok(status=404)), "404"),
        (hangs, "timed out"),
        (drips, "timed out"),
        (says(b"garbage\r\n\r\n"), "failed"),
        (says(b"HTTP/1.1 200", then="eof"), "failed"),
        (says(b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), ""),
    ],
)
async def test_a_probe(script, word):
    async with Scripted(script) as backend:
        told = await probe(Endpoint(backend.endpoint), CHECK, TlsEntry())
        assert word in told
        assert bool(word) is bool(told)


async def test_a_refused_probe():
    assert "failed" in await probe(Endpoint(closed_port()), CHECK, TlsEntry())


def test_health_changes_after_as_many_as_the_policy_says():
    endpoint = Endpoint(Address("127.0.0.1", 1))
    told = [judge(endpoint, CHECK, error) for error in ("x", "", "x", "x", "x", "", "x", "", "")]
    assert told == [False, False, False, True, False, False, False, False, True]
    assert endpoint.healthy


async def test_an_ill_endpoint_is_avoided_until_it_is_well():
    state = {"status": 503}

    async def script(peer):
        while True:
            await peer.request()
            await peer.send(ok(status=state["status"]))

    async with Scripted(script) as ill, Scripted(answers(ok())) as well:
        pools = Pools()
        entry = version("v1", ill, well, health=CHECK)
        pool = pools.live("r", entry, connect_s=1.0)
        await until(lambda: len(pool.available) == 1)
        assert pool.available[0].address.port == well.port
        assert pool.open == 0  # probes have connections of their own
        state["status"] = 200
        await until(lambda: len(pool.available) == 2)
        pools.close()


async def test_when_all_are_ill_all_are_offered():
    pools = Pools()
    pool = pools.live("r", version("v1", closed_port(), closed_port(), health=CHECK), connect_s=1)
    await until(lambda: not any(endpoint.healthy for endpoint in pool.endpoints))
    assert pool.available == pool.endpoints
    pools.close()


async def test_without_a_path_everybody_is_well_at_once():
    pools = Pools()
    ill = version("v1", closed_port(), closed_port(), health=CHECK)
    pool = pools.live("r", ill, connect_s=1)
    await until(lambda: not any(endpoint.healthy for endpoint in pool.endpoints))
    pools.live("r", version("v1", *[e.address for e in pool.endpoints]), connect_s=1)
    assert all(endpoint.healthy for endpoint in pool.available)
    assert len(asyncio.all_tasks()) <= 3
    pools.close()


async def test_pools_of_live_requests_and_of_shadows_are_apart_and_end_with_their_version():
    pools = Pools()
    one = version("v1", closed_port())
    live, shadow = (make("r", one, connect_s=1.0) for make in (pools.live, pools.shadow))
    assert live is not shadow
    assert pools.live("r", one, connect_s=1.0) is live
    pools.keep(RoutingTable(1, (route(one),)))
    assert pools.all() == [live]
    pools.keep(RoutingTable(2))
    assert pools.all() == []
    assert live.endpoints == []


async def test_states_tell_what_changed_since_the_last_time():
    pools = Pools()
    pool = pools.live("r", version("v1", Address("127.0.0.1", 1)), connect_s=1.0)
    assert pools.states() == ()
    pool.blame.observed(pool.endpoints[0], bad=True, now=1.0)
    pool.blame.observed(pool.endpoints[0], bad=False, now=1.0)
    (state,) = pools.states()
    assert (state.route, state.version) == ("r", "v1")
    assert pools.states() == ()
    pools.close()


async def test_a_mere_connect_tells_readiness_and_moves_no_traffic():
    port = closed_port()
    pools = Pools()
    check = HealthCheck(interval_s=0.05, connect=True)
    pool = pools.live("r", version("v2", port, health=check), connect_s=1.0)
    (endpoint,) = pool.endpoints
    await until(lambda: endpoint.ready is False)
    (state,) = pools.states()
    assert (state.ready, state.healthy, state.last_error) == (False, True, "connection refused")
    server = await asyncio.start_server(lambda _r, w: w.close(), port.host, port.port)
    await until(lambda: endpoint.ready)
    (state,) = pools.states()
    assert state.ready
    server.close()
    await server.wait_closed()
    await until(lambda: endpoint.ready is False)
    pools.live("r", version("v2", port), connect_s=1.0)
    assert endpoint.ready is None
    pools.close()


async def test_the_first_declared_probe_says_at_once_whether_it_is_ready():
    pools = Pools()
    check = HealthCheck("/ready", interval_s=60.0)
    pool = pools.live("r", version("v2", closed_port(), health=check), connect_s=1.0)
    (endpoint,) = pool.endpoints
    await until(lambda: endpoint.ready is False)
    assert endpoint.healthy  # that takes as many as the policy says
    assert endpoint.last_error == "probe failed: connection refused"
    pools.close()
