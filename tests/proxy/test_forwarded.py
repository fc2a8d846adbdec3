"""Where a request comes from, as the version is told: both chains say the same."""

from __future__ import annotations

import asyncio

import pytest

from router.proxy.plane import Listen
from tests.proxy.rig import Client, Rig, route, version
from tests.proxy.scripted import Scripted, answers, ok

OURS = b"for=127.0.0.1;proto=http;host=example.org"
CHAINS = [
    (["Forwarded: for=192.0.2.1"], b"for=192.0.2.1, " + OURS),
    (['Forwarded: for="[2001:db8::1]:80";by=x', "forwarded: for=unknown"],
     b'for="[2001:db8::1]:80";by=x, for=unknown, ' + OURS),
    (['Forwarded: for="a\\", b"'], b'for="a\\", b", ' + OURS),
    (['Forwarded: for=192.0.2.1;host="'], OURS),  # it would swallow ours
    (['Forwarded: for="a\\"'], OURS),
    (["X-Forwarded-For: 192.0.2.1"], None),  # nobody began such a chain
    ([], None),
]  # fmt: skip


def told(backend, name):
    return [value for key, value in backend.requests[-1].headers if key.lower() == name]


@pytest.mark.parametrize(("headers", "chain"), CHAINS)
async def test_a_trusted_proxy_s_chain_goes_on(headers, chain):
    async with (
        Scripted(answers(ok())) as backend,
        Rig(route(version("v1", backend)), trusted_proxies=("127.0.0.0/8",)) as rig,
    ):
        for _ in range(12):  # until heads of this shape are read in one go
            assert (await rig.ask(headers=headers)).status == 200
            assert told(backend, b"forwarded") == ([chain] if chain is not None else [])
            assert told(backend, b"x-forwarded-for")[0].endswith(b"127.0.0.1")


async def test_of_an_ipv6_proxy():
    """Its address is in brackets and quotes, and a host with a port in quotes."""
    async with Scripted(answers(ok())) as backend:
        rig = Rig(route(version("v1", backend)), trusted_proxies=("::1/128",))
        rig.plane.listen = Listen("::1", 0)
        async with rig:
            client = Client(*await asyncio.open_connection("::1", rig.plane.port))
            head = b"GET / HTTP/1.1\r\nHost: a.org:8080\r\nForwarded: for=_x\r\n\r\n"
            assert (await client.ask(head)).status == 200
            client.close()
        hop = b'for="[::1]";proto=http;host="a.org:8080"'
        assert told(backend, b"forwarded") == [b"for=_x, " + hop]


@pytest.mark.parametrize("headers", [headers for headers, _ in CHAINS])
async def test_a_stranger_s_is_removed(headers):
    async with Scripted(answers(ok())) as backend, Rig(route(version("v1", backend))) as rig:
        for _ in range(12):
            assert (await rig.ask(headers=headers)).status == 200
            assert not told(backend, b"forwarded")
            assert told(backend, b"x-forwarded-for") == [b"127.0.0.1"]
