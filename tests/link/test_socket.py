from __future__ import annotations

import asyncio
import socket

import pytest

from router.core.wire.endpoint import EndpointEntry
from router.core.wire.table import MatchEntry, RouteEntry, RoutingTable, VersionEntry
from router.link.messages import Applied, Hello, PairReport, PairSample, Publish, Report
from router.link.socket import open_link


def table(generation: int, routes: int = 1) -> RoutingTable:
    version = VersionEntry("v1", (EndpointEntry("127.0.0.1", 1),))
    one = RouteEntry("r", MatchEntry(), (version,), 0, weights_bp=(10_000,))
    return RoutingTable(generation, (one,) * routes)


class End:
    def __init__(self):
        self.heard, self.closed, self.news = [], [], asyncio.Event()

    async def open(self, sock, **options):
        self.link = await open_link(sock, self.hear, self.close, **options)
        return self

    def hear(self, message):
        self.heard.append(message)
        self.news.set()

    def close(self, reason):
        self.closed.append(reason)
        self.news.set()

    async def until(self, condition):
        async with asyncio.timeout(30):
            while not condition(self):
                self.news.clear()
                await self.news.wait()


@pytest.fixture
async def pair():
    made = []

    async def build(**options):
        ours, theirs = socket.socketpair()
        control = await End().open(ours, **options)
        worker = await End().open(theirs.detach(), **options)
        made.extend((control, worker))
        return control, worker

    yield build
    for end in made:
        end.link.close()
    await asyncio.sleep(0)


async def test_messages_arrive_whole_and_in_order_both_ways(pair):
    control, worker = await pair()
    messages = [Hello(8080), Applied(7), Report()]
    for message in messages:
        assert worker.link.send(message)
    await control.until(lambda end: len(end.heard) == 3)
    assert control.heard == messages
    big = table(3, routes=3_000)
    assert control.link.send(Publish(big))
    await worker.until(lambda end: end.heard)
    assert worker.heard == [Publish(big)]


async def test_a_full_outbox_refuses_reports_and_never_blocks(pair):
    control, worker = await pair(outbox_max=200_000)
    control.link._transport.pause_reading()
    pairs = PairReport((PairSample("r", "v2", 1, "id", 200, 200, b"x" * 100_000),))
    sent = [worker.link.send(pairs) for _ in range(100)]
    assert sent[0]
    assert not sent[-1]
    assert worker.link.refused == sent.count(False)
    assert worker.link.outbox_bytes <= 200_000 + 100_200
    control.link._transport.resume_reading()
    await control.until(lambda end: len(end.heard) == sent.count(True))
    assert worker.link.send(Applied(1))


async def test_of_tables_that_wait_only_the_newest_goes(pair):
    control, worker = await pair(outbox_max=100_000)
    worker.link._transport.pause_reading()
    for generation in range(1, 200):
        assert control.link.send(Publish(table(generation, routes=50)))
    worker.link._transport.resume_reading()
    await worker.until(lambda end: end.heard and end.heard[-1].table.generation == 199)
    generations = [message.table.generation for message in worker.heard]
    assert generations == sorted(set(generations))
    assert len(generations) < 199


async def test_a_peer_that_goes_is_told_once(pair):
    control, worker = await pair()
    worker.link.close()
    await control.until(lambda end: end.closed)
    assert control.closed == ["closed by the peer"]
    assert not control.link.open
    assert not control.link.send(Applied(1))
    assert not control.link.send(Publish(table(1)))


async def test_what_is_no_message_ends_the_link(pair):
    control, worker = await pair()
    worker.link._transport.write(b"\x00\x00\x00\x02\xff\x00")
    await control.until(lambda end: end.closed)
    assert "broken peer" in control.closed[0]
