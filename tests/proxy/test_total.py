"""`timeouts: {total}` passes: whose time was it? A client's sending and reading is no version's."""

from __future__ import annotations

import asyncio

from tests.proxy.rig import LIMITS, TIMEOUTS, Rig, replace, rollout, until
from tests.proxy.scripted import OK, Scripted, answers, hangs, ok

SOON = replace(TIMEOUTS, total_s=0.5, response_s=20.0, body_s=20.0)
PATIENT = replace(LIMITS, body_timeout_s=20.0)
LARGE = ok(b"x" * 30_000_000)


async def ends(backend, client_does):
    async with Scripted(backend) as stable, Scripted(backend) as candidate:
        entry = rollout(stable, candidate, 10_000, timeouts=SOON)
        async with Rig(entry, limits=PATIENT) as rig:
            client = await rig.client()
            await client_does(client)
            await until(lambda: rig.plane.exchanges, 5)
            await until(lambda: not rig.plane.exchanges, 10)
            rig.count()
            client.close()
            (end,) = [name for _, _, name in rig.outcomes]
            return end, rig.arm("candidate")


async def sends(client):
    await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")


async def test_an_answer_that_is_not_read_is_no_failure():
    end, arm = await ends(answers(LARGE), sends)
    assert end == "CLIENT_ABORT"
    assert arm == {"arrived": 1, "left": 1}


async def test_nor_is_a_request_that_is_not_sent():
    async def half(client):
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx")

    async def waits(peer):
        await peer.request()
        await peer.send(OK)

    end, arm = await ends(waits, half)
    assert end == "CLIENT_ABORT"
    assert arm == {"arrived": 1, "left": 1}


async def test_a_version_that_takes_it_all_has_failed():
    async def drips(peer):
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            await peer.send(b"x")
            await asyncio.sleep(0.05)

    for backend in (hangs, drips):
        end, arm = await ends(backend, sends)
        assert end == "TIMEOUT"
        assert arm == {"arrived": 1, "bad": 1}
