"""Requests that find no idle connection while handshakes are under way."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from router.upstream import Failure, Pool
from router.upstream.connection import Connection
from router.upstream.handshakes import AT_ONCE, STUCK_S, UpstreamHandshakes
from router.upstream.opening import Opening
from tests.proxy.rig import until, version
from tests.proxy.scripted import OK, Scripted, answers, hangs
from tests.upstream.test_pool import PEER, Asker, answered, get


class Slow:
    """Openings that wait until they are let go; what is opened is plain."""

    def __init__(self, monkeypatch):
        self.begun = []

        async def opened(opening, endpoint):
            going = asyncio.get_running_loop().create_future()
            self.begun.append(going)
            await going
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(opening.pool, endpoint), "127.0.0.1", endpoint.address.port
            )
            return connection

        monkeypatch.setattr(Opening, "_connection", opened)

    def go(self, number=None):
        """Let them end, the oldest first."""
        for going in [one for one in self.begun if not one.done()][:number]:
            going.set_result(None)

    def fail(self):
        for going in [one for one in self.begun if not one.done()]:
            going.set_exception(ConnectionRefusedError("refused"))


@pytest.fixture
def slow(monkeypatch):
    return Slow(monkeypatch)


async def begun(slow, number):
    await until(lambda: len(slow.begun) == number)
    await asyncio.sleep(0)
    assert len(slow.begun) == number


def pool_of(*backends, tls=True, **fields):
    ends = (replace(one.endpoint, tls=tls) for one in backends)
    return Pool(version("v1", *ends, **fields), connect_s=1.0)


async def test_a_few_handshakes_at_a_time_and_the_others_take_what_comes_free(slow):
    async with Scripted(answers(OK)) as backend:
        pool = pool_of(backend)
        askers = [Asker(pool) for _ in range(30)]
        await begun(slow, AT_ONCE)
        assert [pool.queued(one) for one in askers] == [False] * AT_ONCE + [True] * (30 - AT_ONCE)
        slow.go(1)
        assert await answered(*askers) == [200] * 30
        assert len(backend.peers) == 1, "one of them served all"
        slow.go()
        await until(lambda: pool.open == len(slow.begun) == len(backend.peers))
        assert (pool.in_flight, pool.handshakes.under_way, pool.opening) == (0, 0, set())
        assert [end.openings for end in pool.endpoints] == [{}]


async def test_who_waits_for_one_takes_what_comes_free_as_well(slow):
    async with Scripted(answers(OK)) as backend:
        pool = pool_of(backend, tls=False)
        first = Asker(pool, send=False)
        await begun(slow, 1)
        slow.go()
        await until(lambda: first.connection is not None)
        second, third = Asker(pool), Asker(pool)
        pool.cancel(second)
        await begun(slow, 3)
        first.connection.start(first, get(), b"", True, PEER, b"1")
        assert await answered(first, third) == [200, 200]
        assert (second.connection, third.connection) == (None, first.connection)
        slow.go()
        await until(lambda: len(pool.endpoints[0].idle) == 3)
        assert (pool.open, pool.in_flight, pool.endpoints[0].in_flight) == (3, 0, 0)


async def test_an_endpoint_that_is_to_be_avoided_hands_over_nothing(slow):
    async with Scripted(answers(OK)) as one, Scripted(answers(OK)) as two:
        pool = pool_of(one, two)
        first = Asker(pool, send=False)
        await begun(slow, 1)
        slow.go()
        await until(lambda: first.connection is not None)
        again = Asker(pool, first.connection.endpoint)
        await begun(slow, 2)
        first.connection.start(first, get(), b"", True, PEER, b"1")
        assert await answered(first) == [200]
        assert again.connection is None
        slow.go()
        assert await answered(again) == [200]
        assert again.connection.endpoint is not first.connection.endpoint


async def test_handshakes_that_get_stuck_hold_up_nobody(slow):
    async with Scripted(answers(OK)) as backend:
        pool = pool_of(backend)
        askers = [Asker(pool) for _ in range(9)]
        await begun(slow, AT_ONCE)
        await begun(slow, 9)
        slow.go()
        assert await answered(*askers) == [200] * 9
        assert pool.in_flight == 0


async def test_one_that_is_made_makes_room_for_the_next_at_once(slow, monkeypatch):
    monkeypatch.setattr("router.upstream.pool.STUCK_S", 600.0)
    async with Scripted(hangs) as backend:
        pool = pool_of(backend)
        askers = [Asker(pool) for _ in range(AT_ONCE + 1)]
        await begun(slow, AT_ONCE)
        slow.go(1)
        await begun(slow, AT_ONCE + 1)
        slow.go()
        await until(lambda: all(one.connection for one in askers))
        assert len(backend.peers) == AT_ONCE + 1
        pool.close()


async def test_handshakes_that_fail_make_room_for_the_next(slow):
    async with Scripted(answers(OK)) as backend:
        pool = pool_of(backend)
        askers = [Asker(pool) for _ in range(AT_ONCE + 1)]
        await begun(slow, AT_ONCE)
        slow.fail()
        await begun(slow, AT_ONCE + 1)
        slow.go()
        assert await answered(*askers) == [Failure.REFUSED] * AT_ONCE + [200]


async def test_without_room_in_the_queue_one_more_is_made(slow):
    async with Scripted(answers(OK)) as backend:
        pool = pool_of(backend, queue=1)
        askers = [Asker(pool) for _ in range(AT_ONCE + 3)]
        await begun(slow, AT_ONCE + 2)
        assert [one.failure for one in askers] == [None] * (AT_ONCE + 3)
        slow.go()
        assert await answered(*askers) == [200] * (AT_ONCE + 3)


def test_enough_are_those_that_get_on():
    handshakes, now = UpstreamHandshakes(), 0.0
    for _ in range(AT_ONCE):
        assert not handshakes.enough(now)
        handshakes.began(now)
    assert handshakes.enough(now)
    assert handshakes.enough(now + 0.9 * STUCK_S)
    assert not handshakes.enough(now + STUCK_S)
    handshakes.began(now + STUCK_S)
    assert not handshakes.enough(now + STUCK_S), "another one is no sign of life"
    handshakes.ended(now + STUCK_S)
    assert handshakes.enough(now + STUCK_S)
    handshakes.ended(now + STUCK_S)
    assert not handshakes.enough(now + STUCK_S)
