"""Who gets which connection, who waits, who is turned away; and that all of it adds up."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace

import pytest

from router.core.wire.endpoint import EndpointEntry
from router.core.wire.table import OutlierEntry, TlsEntry
from router.http1 import MessageHandler, Peer, RequestParser
from router.upstream import Failure, Pool, Pools, Receiver
from router.upstream.waiter import Unavailable
from tests.proxy.rig import until, version
from tests.proxy.scripted import OK, Scripted, answers, closed_port, echo, hangs
from tests.waiting import for_ever

PEER = Peer(b"127.0.0.1")


def get():
    """A request as a parser hands it on."""
    heads = []

    class Takes(MessageHandler):
        def on_request(self, head, body, complete):
            heads.append(head)

    RequestParser(Takes()).feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    return heads[0]


class Asker(Receiver):
    """Asks for a connection and, when it has one, sends a request over it."""

    def __init__(self, pool, avoid=None, *, send=True):
        self.pool = pool
        self.connection = None
        self.status = self.turns = 0
        self.failure = None
        self.send = send
        try:
            connection = pool.acquire(self, avoid)
        except Unavailable as why:
            self.failure = why.failure
        else:
            if connection is not None:
                self.on_connection(connection)

    batch = False

    @property
    def over(self):
        return self.status or self.failure is not None

    def on_turn(self, since):
        assert not self.over
        self.turns += 1

    def on_connection(self, connection):
        self.connection = connection
        if self.send:
            connection.start(self, get(), b"", True, PEER, b"1")

    def on_unavailable(self, failure, endpoint):
        self.failure = failure

    def on_interim(self, head): ...

    def on_response(self, head, body, complete):
        if complete:
            self.status = head.status

    def on_body(self, piece, complete, _chunk=b""):
        if complete:
            self.status = 200

    def on_failure(self, failure):
        self.failure = failure

    def pause_upload(self): ...

    def resume_upload(self): ...


def pool_of(*backends, **fields):
    return Pool(version("v1", *backends, **fields), connect_s=1.0)


async def answered(*askers):
    await until(lambda: all(one.over for one in askers))
    return [one.status or one.failure for one in askers]


async def test_a_connection_is_opened_used_again_and_closed_when_idle():
    async with Scripted(answers(OK)) as backend:
        pool = pool_of(backend, keep_alive_s=5.0)
        for _ in range(3):
            assert await answered(Asker(pool)) == [200]
        assert (pool.open, pool.in_flight, len(backend.peers)) == (1, 0, 1)
        pool.sweep(time.monotonic() + 4.0)
        assert pool.open == 1
        pool.sweep(time.monotonic() + 6.0)
        await until(lambda: pool.open == 0)


async def test_who_waits_is_served_in_order_and_bounded():
    async with Scripted(answers(OK)) as backend:
        pool = pool_of(backend, in_flight=1, queue=3)
        askers = [Asker(pool) for _ in range(6)]
        assert [one.failure for one in askers[4:]] == [Failure.QUEUE_FULL] * 2
        assert [pool.queued(one) for one in askers] == [False, True, True, True, False, False]
        assert await answered(*askers[:4]) == [200] * 4
        assert [one.turns for one in askers] == [0, 1, 1, 1, 0, 0]
        assert len(backend.peers) == 1


class Patient(Asker):
    """One of batch traffic."""

    batch = True


async def test_a_full_queue_refuses_those_first_who_can_wait():
    async with Scripted(answers(OK)) as backend:
        pool = pool_of(backend, in_flight=1, queue=3)
        first, waits, *patient = Asker(pool), Asker(pool), Patient(pool), Patient(pool)
        assert Patient(pool).failure is Failure.QUEUE_FULL
        third = Asker(pool)
        assert [one.failure for one in patient] == [None, Failure.QUEUE_FULL]
        pool.cancel(patient[0])
        again = Patient(pool)
        fourth, fifth = Asker(pool), Asker(pool)
        assert (again.failure, fourth.failure, fifth.failure) == (
            Failure.QUEUE_FULL, None, Failure.QUEUE_FULL,
        )  # fmt: skip
        assert await answered(first, waits, third, fourth) == [200] * 4
        assert patient[1].turns == 1


async def test_who_leaves_the_queue_is_not_served():
    async with Scripted(answers(OK)) as backend:
        pool = pool_of(backend, in_flight=1)
        first, second, third = (Asker(pool) for _ in range(3))
        pool.cancel(second)
        assert await answered(first, third) == [200, 200]
        assert second.connection is None


async def test_a_connection_for_who_has_left_goes_to_the_next():
    async with Scripted(answers(OK)) as backend:
        pool = pool_of(backend, connections=1)
        first, second = Asker(pool), Asker(pool)
        pool.cancel(first)
        assert await answered(second) == [200]
        assert first.connection is None
        assert (pool.open, pool.in_flight) == (1, 0)


async def test_refused():
    pool = pool_of(closed_port())
    assert await answered(Asker(pool)) == [Failure.REFUSED]
    assert (pool.open, pool.in_flight) == (0, 0)
    assert pool.endpoints[0].last_error


async def test_r23_the_breaker_turns_away_and_recovers():
    pool = pool_of(closed_port())
    for _ in range(5):
        assert await answered(Asker(pool)) == [Failure.REFUSED]
    assert Asker(pool).failure is Failure.BREAKER_OPEN
    async with Scripted(answers(OK)) as backend:
        pool.update(version("v1", backend), connect_s=1.0)
        pool.breaker._until = 0.0
        trial, other = Asker(pool), Asker(pool)
        assert other.failure is Failure.BREAKER_OPEN
        assert await answered(trial) == [200]
        assert await answered(Asker(pool)) == [200]


async def test_load_spreads_and_the_least_busy_comes_first():
    async with Scripted(hangs) as one, Scripted(hangs) as two, Scripted(hangs) as three:
        pool = pool_of(one, two, three)
        for _ in range(9):
            Asker(pool)
        await until(lambda: len(one.peers) + len(two.peers) + len(three.peers) == 9)
        assert [endpoint.in_flight for endpoint in pool.endpoints] == [3, 3, 3]
        pool.close()


async def test_r21_an_endpoint_to_avoid_comes_last_and_a_dead_one_before_it():
    live, dead, failed = EndpointEntry("127.0.0.1", 1), closed_port(), closed_port()
    pool = pool_of(live, dead, failed)
    by_port = {endpoint.address.port: endpoint for endpoint in pool.endpoints}
    by_port[live.port].in_flight = 10
    by_port[dead.port].unreachable_until = time.monotonic() + 1.0
    pool._unreachable = True
    order = list(pool.candidates(avoid=by_port[failed.port]))
    assert [endpoint.address for endpoint in order] == [live, dead, failed]


async def test_one_dead_endpoint_of_two_opens_no_breaker():
    async with Scripted(answers(OK)) as backend:
        pool = pool_of(closed_port(), backend, outlier=OutlierEntry(consecutive=0))
        for _ in range(30):
            Asker(pool, avoid=pool.endpoints[1])
            await asyncio.sleep(0)
        await until(lambda: not pool.in_flight)
        assert pool.breaker.state == "closed"


async def test_ejection_never_takes_more_than_its_share():
    pool = pool_of(*[EndpointEntry("127.0.0.1", port) for port in (1, 2, 3, 4)])
    for endpoint in pool.endpoints:
        for _ in range(10):
            pool.blame.observed(endpoint, bad=True, now=1.0)
    assert sum(1 for endpoint in pool.endpoints if endpoint.ejected_until) == 2
    assert len(pool.available) == 2
    pool.sweep(1.0 + 30.0)
    assert len(pool.available) == 4


async def test_a_good_answer_ends_a_streak():
    pool = pool_of(EndpointEntry("127.0.0.1", 1), EndpointEntry("127.0.0.1", 2))
    endpoint = pool.endpoints[0]
    for _ in range(4):
        for _ in range(4):
            pool.blame.observed(endpoint, bad=True, now=1.0)
        pool.blame.observed(endpoint, bad=False, now=1.0)
    assert not endpoint.ejected_until


async def test_a_single_endpoint_is_never_ejected():
    pool = pool_of(EndpointEntry("127.0.0.1", 1))
    for _ in range(20):
        pool.blame.observed(pool.endpoints[0], bad=True, now=1.0)
    assert pool.available == pool.endpoints


async def test_an_update_keeps_what_stays_and_closes_what_goes():
    async with Scripted(answers(OK)) as one, Scripted(answers(OK)) as two:
        pool = pool_of(one, two)
        await answered(*[Asker(pool) for _ in range(4)])
        assert pool.open == 4
        pool.update(version("v1", one), connect_s=1.0)
        await until(lambda: pool.open == 2)
        assert await answered(Asker(pool)) == [200]
        assert len(one.peers) == 2


async def test_other_tls_rules_end_connections_verified_by_the_old_ones():
    async with Scripted(answers(OK)) as backend:
        pool = pool_of(backend)
        await answered(Asker(pool))
        pool.update(version("v1", backend, tls=TlsEntry(server_name="other")), connect_s=1.0)
        await until(lambda: pool.open == 0)


async def test_a_closed_pool_turns_away_but_lets_finish():
    async with Scripted(answers(OK)) as backend:
        pool = pool_of(backend, in_flight=1)
        first, waiting = Asker(pool), Asker(pool)
        pool.close()
        assert waiting.failure is Failure.CLOSED
        assert Asker(pool).failure in (Failure.CLOSED, None)
        assert await answered(first) == [200]
        await until(lambda: pool.open == 0)


async def test_warm_connections_are_there_before_the_first_request_and_stay():
    async with Scripted(answers(OK)) as backend:
        pool = pool_of(backend, warm_connections=3)
        pool.warm(3)
        await until(lambda: len(backend.peers) == 3)
        assert await answered(Asker(pool)) == [200]
        assert pool.open == 3
        for peer in backend.peers[:2]:
            peer.writer.close()
        await until(lambda: pool.open == 1)
        pool.sweep(time.monotonic())
        await until(lambda: len(backend.peers) == 5)


async def test_connect_times_out():
    pool = Pool(version("v1", EndpointEntry("127.0.0.1", 9)), connect_s=0.05)

    async def never(*_args, **_fields):
        await for_ever()

    loop = asyncio.get_running_loop()
    loop.create_connection = never
    asker = Asker(pool)
    try:
        assert await answered(asker) == [Failure.CONNECT_TIMEOUT]
    finally:
        del loop.create_connection
    assert (pool.open, pool.in_flight) == (0, 0)


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_the_counts_add_up(seed):
    """Random askers, leavers, aborts, closing backends and updates: nothing is ever left over."""
    rng = random.Random(seed)
    print("seed", seed)

    async def script(peer):
        while rng.random() < 0.9:
            await peer.request()
            if rng.random() < 0.1:
                peer.reset()
                return
            await asyncio.sleep(rng.random() * 0.003)
            await peer.send(OK)

    async with Scripted(script) as one, Scripted(script) as two:
        entry = version("v1", one, two, connections=4, in_flight=3, queue=10)
        pool = Pool(entry, connect_s=1.0)
        askers = []
        for step in range(300):
            askers.append(Asker(pool))
            if rng.random() < 0.15:
                left = rng.choice(askers)
                if left.connection is not None and left.connection.receiver is left:
                    left.connection.abandon()
                else:
                    pool.cancel(left)
            if step % 100 == 99:
                pool.update(replace(entry, in_flight=2 + step % 3), connect_s=1.0)
            assert pool.open <= 4
            assert pool.in_flight <= 4
            await asyncio.sleep(0.001)
        await until(lambda: not pool.in_flight and not pool._waiting)
        assert [endpoint.in_flight for endpoint in pool.endpoints] == [0, 0]
        assert sum(1 for asker in askers if asker.status == 200) > 100
        pool.close()
        await until(lambda: not pool.open)
        assert not pool.opening


async def test_an_idle_connection_that_says_something_is_thrown_away():
    async def speaks(peer):
        await peer.request()
        await peer.send(OK)
        await asyncio.sleep(0.02)
        await peer.send(OK)

    async with Scripted(speaks) as backend:
        pool = pool_of(backend)
        assert await answered(Asker(pool)) == [200]
        await until(lambda: not pool.open)
        assert await answered(Asker(pool)) == [200]
        assert len(backend.peers) == 2


async def test_echo_is_what_comes_back():
    async with Scripted(echo) as backend:
        pool = pool_of(backend)
        assert await answered(Asker(pool)) == [200]
        pool.close()


async def test_r34_sockets_towards_versions_are_bounded_over_all_pools():
    async with Scripted(answers(OK)) as one, Scripted(answers(OK)) as two:
        pools = Pools()
        pools.sockets.most = 3
        first = pools.live("r", version("v1", one), connect_s=1.0)
        second = pools.live("r", version("v2", two), connect_s=1.0)
        assert await answered(*[Asker(first) for _ in range(3)]) == [200] * 3
        assert (first.open, pools.sockets.open) == (3, 3)
        assert Asker(second).failure is Failure.EXHAUSTED  # the idle ones are closed for the next
        await until(lambda: not pools.sockets.open)
        assert await answered(Asker(second)) == [200]
        pools.close()
        await until(lambda: not pools.sockets.open)
