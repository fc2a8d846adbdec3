"""Two models behind one server, told apart by a name: canary, shadow and rollback as with two."""

import asyncio
import json
from collections import Counter

import pytest

from tests.live.kit import SENT, Clients, Lab, Version

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("one endpoint")]

ROUTE = """\
  - name: {name}
    match: {{path: /{name}}}
    payload: json
    versions:
      v1: {{endpoints: ["<v1>"], set: {{model: a}}}}
      v2: {{endpoints: ["<v1>"], set: {{model: b}}}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {strategy}
      gates: {gates}
"""
CANARY = "{canary: {steps: [{weight: 50%, hold: 1h}]}}"
SHADOW = "{shadow: {mirror: 100%, hold: 1h}}"


class Server(Version):
    """One service with two models; ``broken``: what the second one answers."""

    def __init__(self):
        super().__init__()
        self.asked = Counter()
        self.broken = 200, b'{"label": 1}'

    async def _serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0])
                model = json.loads(await reader.readexactly(length))["model"]
                self.asked[model, b"x-rampway-shadow" in head.lower()] += 1
                status, body = self.broken if model == "b" else (200, b'{"label": 1}')
                writer.write(SENT % (status, len(body), body))
        except (OSError, asyncio.IncompleteReadError):
            writer.transport.abort()


@pytest.fixture
async def lab(tmp_path):
    one = Lab(tmp_path, names=())
    one.versions["v1"] = Server()
    async with one:
        yield one


def routes(name, strategy, gates):
    return ROUTE.format(name=name, strategy=strategy, gates=gates)


async def more(server, number):
    """Until the first model was asked so many times more."""
    wanted = server.asked["a", False] + number
    async with asyncio.timeout(30):
        while server.asked["a", False] < wanted:
            await asyncio.sleep(0.02)


async def test_a_canary_shares_the_server_and_is_taken_back_from_it(lab):
    lab.write(routes("chat", CANARY, "[error_rate, guard]"))
    await lab.start()
    server = lab.versions["v1"]
    async with Clients(lab.port, ("/chat",), per_s=200) as clients:
        async with asyncio.timeout(30):
            while min(clients.of("v1"), clients.of("v2")) < 20:
                await asyncio.sleep(0.05)
        assert server.asked["b", False] <= clients.of("v2") + 8
        server.broken = 500, b"{}"
        told = await lab.until("rolled_back", "chat")
        await more(server, 20)  # what was under way
        before = server.asked["b", False]
        await more(server, 50)
        assert server.asked["b", False] == before
        assert not clients.lost
    assert "failed: candidate" in told["reason"]


async def test_a_shadow_is_asked_the_same_in_its_own_name(lab):
    lab.write(routes("copied", SHADOW, "[agreement: {at_least: 95%}]"))
    await lab.start()
    server = lab.versions["v1"]
    server.broken = 200, b'{"label": 0}'
    async with Clients(lab.port, ("/copied",), per_s=200) as clients:
        told = await lab.until("rolled_back", "copied")
        assert set(clients.answers) == {("/copied", 200, "v1")}
    assert set(server.asked) == {("a", False), ("b", True)}
    assert "disagreed with stable" in told["reason"]
