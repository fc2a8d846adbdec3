"""Loops of routers are cut by the Via field (RFC 9110 section 7.6.3)."""

from __future__ import annotations

import pytest

from router.core.wire.endpoint import EndpointEntry
from router.proxy.plane import Listen
from tests.ports import free_port
from tests.proxy.rig import Client, Rig, route, version
from tests.proxy.scripted import OK, Scripted, answers


@pytest.mark.parametrize(
    ("via", "status"),
    [
        ([b"1.1 rampway"] * 4, 200), ([b"1.1 rampway"] * 5, 508),
        ([b"1.1 rampway, 1.0 rampway", b"1.1 rampway (x),1.1 rampway", b"HTTP/1.1 rampway"], 508),
        ([b"1.1 other"] * 9, 200), ([b"1.1 rampway2", b"rampway", b"", b","], 200),
    ],
)  # fmt: skip
async def test_a_request_that_has_come_through_too_often_is_508(via, status):
    async with Scripted(answers(OK)) as backend, Rig(route(version("v1", backend))) as rig:
        client = await Client.to(rig.plane.port)
        head = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"Via: %b\r\n" % one for one in via)
        answer = await client.ask(head + b"\r\n")
        assert answer.status == status
        client.close()


async def test_a_router_that_is_its_own_version_makes_six_requests_of_one():
    port = free_port()
    rig = Rig(route(version("v1", EndpointEntry("127.0.0.1", port))))
    rig.plane.listen = Listen("127.0.0.1", port)
    async with rig:
        client = await Client.to(port)
        assert (await client.ask(method="GET")).status == 508
        rig.count()
        assert sum(rig.outcomes.values()) == 5
        assert rig.rejected == {"loop": 1}
        client.close()
