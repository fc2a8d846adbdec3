"""Marks of a route that feeds others, from the real data plane: in what goes out and comes in."""

from __future__ import annotations

import asyncio
from urllib.parse import quote_plus

import pytest

from router.core.wire.edits import EditEntry
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.origin import FeedsEntry
from router.core.wire.sampled import SamplingEntry
from router.core.wire.table import (
    MatchEntry,
    Mirror,
    RescueEntry,
    RouteEntry,
    RoutingTable,
    VersionEntry,
)
from router.proxy.baggage import origins
from router.proxy.plane import DataPlane, Listen
from router.telemetry.recorder import Recorder
from tests.proxy.rig import until

SECRET = "marks of these tests"
EVEN = (5_000, 5_000)
FEEDER = FeedsEntry(SECRET, marks=True)
FED = FeedsEntry(SECRET, fed=True)


class Whole:
    """Two routes: /a feeds /b. What versions got is in ``heads``."""

    def __init__(self):
        self.heads = []
        self.status = {"a2": 200}

    async def answer(self, name, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = [x.split(": ", 1) for x in head.decode().split("\r\n")[1:] if x]
                self.heads.append((name, fields))
                status = self.status.get(name, 200)
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n{}" % status)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            writer.close()

    async def start(self, **fields):
        self.servers = {}
        for name in ("a1", "a2", "b1"):

            async def serve(reader, writer, name=name):
                await self.answer(name, reader, writer)

            self.servers[name] = await asyncio.start_server(serve, "127.0.0.1", 0)
        values = {"weights_bp": EVEN, "candidate": 1, "rollout_id": "a-1", "revision": 7}
        values |= {"feeds": FEEDER} | fields
        edit = values.pop("edit", None)
        a = tuple(self.version(name, edit) for name in ("a1", "a2"))
        self.plane = DataPlane(Recorder(lambda: None), Listen("127.0.0.1", 0))
        assert self.plane.apply(RoutingTable(1, (
            RouteEntry("a", MatchEntry(path="/a"), a, 0, **values),
            RouteEntry("b", MatchEntry(path="/b"), (self.version("b1"),), 0, weights_bp=(10_000,),
                       feeds=FED, sampling=SamplingEntry(10_000)),
        )))  # fmt: skip
        await self.plane.start()
        return self

    def version(self, name, edit=None):
        port = self.servers[name].sockets[0].getsockname()[1]
        return VersionEntry(name, (EndpointEntry("127.0.0.1", port),), edit=edit)

    async def ask(self, path, **headers):
        """Fields of the answer, by name."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.plane.port)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET {path} HTTP/1.1\r\nHost: h\r\n{lines}\r\n".encode())
        async with asyncio.timeout(30):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        writer.close()
        return dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)

    def sent(self, prefix="a"):
        """The baggage lines of the last request that a version of a route got."""
        fields = next(f for name, f in reversed(self.heads) if name.startswith(prefix))
        return [value for name, value in fields if name.lower() == "baggage"]

    async def told(self):
        """The sample of the next request of /b."""
        told = []
        await until(lambda: told.extend(self.plane.recorder.take_samples()) or told)
        (sample,) = told
        return sample

    async def close(self):
        await self.plane.close()
        for server in self.servers.values():
            server.close()


@pytest.fixture
async def whole():
    made = []

    async def start(**fields):
        made.append(await Whole().start(**fields))
        return made[-1]

    yield start
    for one in made:
        await one.close()


def read(member):
    class Head:
        def get_all(self, _name):
            return [member.encode()]

    return origins(Head(), SECRET)


async def test_version_and_client_get_the_same_draw(whole):
    site = await whole()
    seen = set()
    for n in range(30):
        answer = await site.ask("/a", **{"X-Request-Id": f"id-{n}"})
        (inner,), (outer,) = read(*site.sent()), read(answer["X-Rampway-Baggage"])
        assert inner[:7] == outer[:7]
        assert inner.version == answer["X-Rampway-Version"]
        assert (inner.route, inner.revision, inner.weight_bp, inner.drawn) == ("a", 7, 5_000, True)
        assert inner.candidate is (inner.version == "a2")
        seen.add(inner.draw)
    assert len(seen) == 30


async def test_the_baggage_of_a_client_goes_on_beside_it(whole):
    site = await whole(edit=EditEntry(headers=(("X-Tenant", "t"),)))
    await site.ask("/a", Baggage="user=ann , rampway.a=forged,x=1")
    (line,) = site.sent()
    assert line.startswith("user=ann,x=1,rampway.a=")
    assert "forged" not in line
    assert len(read(line)) == 1
    fields = dict(site.heads[-1][1])
    assert fields["X-Tenant"] == "t"


@pytest.mark.parametrize("written", [lambda mark: mark, quote_plus, lambda m: f"k=v, {m};prop=1"])
async def test_a_fed_route_tells_who_made_its_input(whole, written):
    site = await whole()
    mark = (await site.ask("/a"))["X-Rampway-Baggage"]
    key, _, value = mark.partition("=")
    sent = f"{key}={quote_plus(value)}" if written is quote_plus else written(mark)
    await site.ask("/b", Baggage=sent)
    assert (await site.told()).made == read(mark)
    assert site.sent("b") == [sent]


@pytest.mark.parametrize(
    "sent", ["rampway.a=nonsense", "rampway.a=", "other=1", ",,=,;", "x" * 9_000]
)
async def test_what_is_not_ours_is_nobodys(whole, sent):
    site = await whole()
    await site.ask("/b", Baggage=sent)
    assert (await site.told()).made == ()


async def test_a_mark_with_another_secret_is_not_ours(whole):
    mark = await (await whole(feeds=FeedsEntry("another", marks=True))).ask("/a")
    site = await whole()
    await site.ask("/b", Baggage=mark["X-Rampway-Baggage"])
    assert (await site.told()).made == ()


async def test_stable_in_the_place_of_a_candidate_is_no_draw(whole):
    site = await whole(rescue=RescueEntry((5,)))
    site.status["a2"] = 500
    answers = [await site.ask("/a") for _ in range(20)]
    made = [read(answer["X-Rampway-Baggage"])[0] for answer in answers]
    assert {one.version for one in made} == {"a1"}
    assert {one.drawn for one in made} == {True, False}


async def test_a_copy_carries_no_mark_and_a_hidden_arm_stays_hidden(whole):
    site = await whole(weights_bp=(10_000, 0), mirrors=(Mirror(1, 10_000),), reveal_version=False)
    answer = await site.ask("/a")
    assert answer["X-Rampway-Baggage"].endswith("a/-")
    assert read(answer["X-Rampway-Baggage"])[0].version == "a1"
    await until(lambda: any(name == "a2" for name, _ in site.heads))
    assert site.sent("a2") == []


async def test_a_route_that_feeds_nobody_marks_nothing(whole):
    site = await whole(feeds=None)
    answer = await site.ask("/a")
    assert "X-Rampway-Baggage" not in answer
    assert site.sent() == []
