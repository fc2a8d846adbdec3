"""Policy, real bytes, decision: one hostile client among thirty addresses, beside equal versions.

It sees which version answered (`reveal_version` is on) and spoils the users of the candidate: what
it sends fails with either version, but it sends it to the candidate only. Route `many` has 29
honest clients as well; on route `few` it is alone.
"""

import asyncio
from contextlib import suppress

import pytest

from tests.cli.conftest import rampway
from tests.live.kit import Clients, Lab, Version, route

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("jury")]

CANARY = "{canary: {steps: [{weight: 10%, hold: 1h}]}}"
STICKY = "sticky: {header: X-User}"
HONEST = [f"127.0.0.{n}" for n in range(11, 40)]
HOSTILE = "127.0.0.9"
SPOILT = 40
LOT = 100
"""Users who are made up between two looks: taken back, it gets none of them."""


class Poisoned(Version):
    """Fails what carries poison, whichever version it is."""

    async def _serve(self, reader, writer):
        with suppress(OSError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                status = 500 if b"x-poison" in head.lower() else 200
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 2\r\n\r\nok" % status)
        writer.transport.abort()


class Client:
    """One address, one connection."""

    def __init__(self, lab, address, path):
        self.lab, self.address, self.path = lab, address, path

    async def __aenter__(self):
        here = (self.address, 0)
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", self.lab.port, local_addr=here
        )
        return self

    async def __aexit__(self, *_):
        self.writer.transport.abort()

    async def ask(self, user, more=""):
        """The version that answered."""
        asked = f"GET {self.path} HTTP/1.1\r\nHost: x\r\nX-User: {user}\r\n{more}\r\n"
        self.writer.write(asked.encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        await self.reader.readexactly(int(fields["content-length"]))
        return fields.get("x-rampway-version", "")


@pytest.fixture
async def lab(tmp_path):
    async with Lab(tmp_path, names=()) as made:
        made.versions = {name: await Poisoned().open() for name in ("v1", "v2", "v3")}
        both = [route(CANARY, name=name, head=STICKY) for name in ("many", "few")]
        made.write("".join(both), "workers: 1\n")
        await made.start()
        yield made


async def attack(lab, path):
    """Users are made up until one is the candidate's; that one fails.

    The brake leaves it a small share as soon as the first failures are told: how many users it
    takes says how fast the machine is, so they come until enough are spoilt.
    """
    spoilt, number = 0, 0
    async with Client(lab, HOSTILE, path) as client, asyncio.timeout(60):
        while spoilt < SPOILT:
            if await client.ask(f"made-up-{number}") == "v2":
                await client.ask(f"made-up-{number}", "X-Poison: 1\r\n")
                spoilt += 1
            number += 1
            if number % LOT == 0 and (await lab.status(path[1:]))["phase"] != "progressing":
                return


async def honest(lab, address, path):
    """Users of its own, until one of them was the candidate's: the rollout has begun."""
    async with Client(lab, address, path) as client:
        for number in range(2_000):
            if await client.ask(f"{address}-{number}") == "v2":
                return
            await asyncio.sleep(0.01)


async def test_one_of_thirty_cannot_take_back_an_equal_candidate_and_alone_it_can(lab):
    await asyncio.gather(*(honest(lab, address, "/many") for address in HONEST))
    await attack(lab, "/many")
    held = await lab.until(lambda s: "one client of" in str(s), "many")
    assert held["phase"] == "progressing"
    await attack(lab, "/few")
    back = await lab.until("rolled_back", "few")
    assert "all evidence is from 1 client" in back["reason"]
    assert (await lab.status("many"))["phase"] == "progressing"


async def test_what_stable_answered_to_the_same_requests_is_said(tmp_path):
    """The plainest sentence there is, through real sockets; no client has seen a failure."""
    async with Lab(tmp_path) as lab:
        lab.versions["v2"].bad = 1.0
        lab.write(route(CANARY, more="rescue: {}"), "workers: 1\n")
        await lab.start()
        async with Clients(lab.port, per_s=60) as clients:
            await lab.until("rolled_back")
        said = rampway("why", "r", "--admin", lab.lives[-1].admin)
        assert "v2 was taken back" in said.out
        assert "asked again, v1 answered all " in said.out
        assert {status for _, status, _ in clients.answers} == {200}
