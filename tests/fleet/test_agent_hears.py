"""The agent beside Envoy hears of a leader by its beats alone, as a worker does."""

import asyncio
import socket
from dataclasses import replace

import pytest

from router.core.wire.endpoint import EndpointEntry
from router.core.wire.table import MatchEntry, RouteEntry, RoutingTable, VersionEntry
from router.link.messages import Amend, Beat, Publish, ReportSoon
from router.proxy import alone

pytestmark = pytest.mark.fleet

pytest.importorskip("msgpack", reason="wants msgpack: pip install 'rampway[envoy]'")

from router.agent.process import Agent  # noqa: E402 - msgpack first

VERSIONS = tuple(
    VersionEntry(name, (EndpointEntry("127.0.0.1", port),))
    for name, port in (("v1", 9001), ("v2", 9002))
)
ENTRY = RouteEntry("r", MatchEntry(), VERSIONS, 0, 1, weights_bp=(9_000, 1_000), revision=7)


async def test_only_a_beat_says_that_who_decides_is_heard(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(alone, "monotonic", lambda: now[0])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        agent = Agent(0, listener, tmp_path, 1)
        for message in (
            Publish(RoutingTable(1, (ENTRY,))),
            ReportSoon(),
            Amend(2, 1, (replace(ENTRY, revision=8),)),
        ):
            now[0] += 1.0
            agent._on_message(message)
        assert (agent.serving.table.generation, agent.alone.silent_s) == (2, 3.0)
        agent._on_message(Beat())
        assert agent.alone.silent_s == 0.0
        await asyncio.sleep(0)
        await agent.shadows.close()
