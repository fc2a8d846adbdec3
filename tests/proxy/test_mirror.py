"""What becomes of copies when the router itself ends them: dropped, and nobody's failure."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from router.core.wire.credentials import CREDENTIALS
from router.core.wire.outcomes import BAD_OUTCOMES, Outcome
from router.core.wire.table import Mirror, MirrorLimits
from router.http1 import Peer, RequestHead
from router.proxy.mirror import Copy, Lane, Original
from router.proxy.pairing import AHEAD_BYTES
from router.upstream import Failure
from router.upstream.waiter import Unavailable
from tests.proxy.rig import Rig, rollout, until
from tests.proxy.scripted import Scripted, answers, closes, ok

READ_BYTES_MAX = 262_144
"""What an event loop reads from a socket at once."""
HEAD = RequestHead(b"GET", b"/", b"/", b"", 1, b"a", b"GET / HTTP/1.1\r\n", [])


class FakePool:
    """Gives nobody a connection at once, or says why there is none."""

    def __init__(self, failure=None):
        self.failure = failure
        self.cancelled = []

    def acquire(self, waiter):
        if self.failure is not None:
            raise Unavailable(self.failure)

    def cancel(self, waiter):
        self.cancelled.append(waiter)


class FakeStats:
    def __init__(self):
        self.delivered = self.failed = 0
        self.dropped = Counter()

    def drop(self, cause):
        self.dropped[cause] += 1


class FakeCounts:
    def __init__(self):
        self.begun = 0
        self.outcomes = []

    def begin(self):
        self.begun += 1

    def end(self, outcome, status, seconds, first_byte):
        self.outcomes.append(outcome)


class FakeTarget:
    version = "v2"

    def __init__(self, failure=None):
        self.pool, self.stats, self.counts = FakePool(failure), FakeStats(), FakeCounts()


class FakePairing:
    """As the real one, a pair is made of every copy whose answer was kept."""

    def __init__(self):
        self.pairs = []

    def join(self, one):
        if one.kept.body is not None:
            self.pairs.append(one.status)


def sent(lane, target, pairing):
    one = Copy(lane, target, Original(HEAD, b"", Peer(b"127.0.0.1"), b"1", None), pairing)
    lane.add(one)
    return one


@pytest.fixture
def lane():
    return Lane(MirrorLimits(concurrency=1))


@pytest.mark.parametrize(
    ("failure", "cause"),
    [
        (Failure.CLOSED, "drain"), (Failure.EXHAUSTED, "concurrency"),
        (Failure.QUEUE_FULL, "concurrency"),
    ],
)  # fmt: skip
def test_what_the_router_does_not_send_is_no_failure_of_the_shadow(lane, failure, cause):
    target, pairing = FakeTarget(failure), FakePairing()

    one = sent(lane, target, pairing)

    assert one.ended
    assert target.stats.dropped == {cause: 1}
    assert (target.stats.failed, pairing.pairs) == (0, [])
    assert not set(target.counts.outcomes) & BAD_OUTCOMES
    assert target.counts.begun == len(target.counts.outcomes)


def test_a_shadow_that_cannot_be_reached_has_failed(lane):
    target, pairing = FakeTarget(Failure.REFUSED), FakePairing()

    sent(lane, target, pairing)

    assert target.counts.outcomes == [Outcome.REFUSED]
    assert (target.stats.failed, pairing.pairs) == (1, [0])


def test_a_closed_lane_blames_nobody(lane):
    target, pairing = FakeTarget(), FakePairing()
    copies = [sent(lane, target, pairing) for _ in range(3)]
    assert (len(lane.active), len(lane.queue)) == (1, 2)

    lane.close()

    assert target.stats.dropped == {"drain": 3}
    assert (target.stats.failed, pairing.pairs) == (0, [])
    assert (len(lane.active), len(lane.queue), lane.held_bytes) == (0, 0, 0)
    assert target.pool.cancelled == [copies[0]]


def test_what_waits_for_a_shadow_that_is_gone_is_dropped_and_the_rest_may_end(lane):
    target, pairing = FakeTarget(), FakePairing()
    first, *_ = [sent(lane, target, pairing) for _ in range(3)]

    lane.forget()

    assert target.stats.dropped == {"drain": 2}
    assert lane.active == {first}
    assert not first.ended


# --- answers of any size, from real sockets ---------------------------------------------------


class Backend(Scripted):
    """Answers each request with a body, after a while."""

    def __init__(self, size, after_s=0.0):
        self.size = size

        async def script(peer):
            while True:
                await peer.request()
                await asyncio.sleep(after_s)
                await peer.send(ok(b"x" * size))

        super().__init__(script)


async def endless(peer):
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await peer.send(b"10000\r\n" + bytes(65_536) + b"\r\n")


@asynccontextmanager
async def mirrored(stable, shadow, **limits):
    entry_limits = MirrorLimits(**limits)
    async with stable, shadow:
        entry = rollout(stable, shadow, 0, mirrors=(Mirror(1, 10_000),), mirror_limits=entry_limits)
        async with Rig(entry) as rig:
            yield rig


async def become(rig):
    """Pairs and what became of the copies, once all of them have ended."""
    await until(lambda: not rig.plane.mirrors.active)
    pairs, _ = rig.plane.recorder.take_pairs()
    rig.count()
    told = Counter()
    for one in rig.mirrors:
        told.update(delivered=one.delivered, failed=one.failed, **one.dropped)
    return pairs, +told


@pytest.mark.parametrize("size", [1_000, 300_000])
@pytest.mark.parametrize(("stable_s", "shadow_s"), [(0.0, 0.1), (0.2, 0.0)])
async def test_large_answers_are_compared_whoever_is_faster(size, stable_s, shadow_s):
    async with mirrored(Backend(size, stable_s), Backend(size, shadow_s)) as rig:
        for _ in range(3):
            assert len((await rig.ask(body=b"?")).body) == size
        pairs, told = await become(rig)
    assert told == {"delivered": 3}
    assert [(len(p.primary_body), len(p.shadow_body)) for p in pairs] == [(size, size)] * 3


async def test_an_endless_answer_waits_for_stable_s_and_is_dropped_where_that_fails():
    async with mirrored(Backend(100, 0.5), Scripted(endless)) as rig:
        asked = asyncio.create_task(rig.ask(body=b"?"))
        await until(lambda: rig.plane.mirrors.active)
        (lane,) = rig.plane.mirrors.lanes.values()
        await until(lambda: lane.held_bytes > AHEAD_BYTES)
        await asyncio.sleep(0.1)
        assert lane.held_bytes < AHEAD_BYTES + 2 * READ_BYTES_MAX
        await asked
        assert await become(rig) == ((), {"body": 1}), "dropped, and nobody's failure"


async def late(peer):
    await asyncio.sleep(0.1)
    await endless(peer)


@pytest.mark.parametrize(
    ("stable", "shadow"),
    [
        (Backend(100), Scripted(late)),
        (Backend(100, 0.2), Scripted(endless)),
        (Backend(100), Backend(300_000)),
        (Backend(300_000), Backend(100)),
    ],
)
async def test_an_answer_that_is_far_larger_is_a_finding(stable, shadow):
    larger = shadow if getattr(shadow, "size", 300_000) > 100 else stable
    async with mirrored(stable, shadow, body_bytes=200_000) as rig:
        await rig.ask(body=b"?")
        (pair,), told = await become(rig)
    assert told == {"delivered": 1}
    assert (pair.primary_body, pair.shadow_body) == (b"", b"")
    assert (pair.far[1] > pair.far[0]) is (larger is shadow)
    assert min(pair.far) == 100
    assert max(pair.far) > AHEAD_BYTES


async def test_under_another_coding_a_larger_answer_may_say_the_same():
    async def packed(peer):
        while True:
            await peer.request()
            await peer.send(ok(b"x" * 100, b"Content-Encoding: gzip"))

    async with mirrored(Scripted(packed), Backend(300_000)) as rig:
        await rig.ask(body=b"?")
        assert await become(rig) == ((), {"body": 1})


async def test_pairs_say_how_their_answers_are_coded_and_what_the_copy_went_without():
    async with mirrored(Backend(2), Backend(2)) as rig:
        await rig.ask(body=b"?", headers=["X-Api-Key: secret"])
        await rig.ask(body=b"?")
        pairs, _ = await become(rig)
    assert [pair.stripped for pair in pairs] == [True, False]

    async def packed(peer):
        while True:
            await peer.request()
            await peer.send(ok(b"x", b"Content-Encoding: br"))

    async with mirrored(Backend(2), Scripted(packed)) as rig:
        await rig.ask(body=b"?")
        (pair,), _ = await become(rig)
    assert (pair.primary_coding, pair.shadow_coding) == ("", "br")


async def test_copies_carry_no_credential_of_any_usual_name():
    async with mirrored(Backend(2), shadow := Backend(2)) as rig:
        await rig.ask(body=b"?", headers=[*(f"{name}: secret" for name in CREDENTIALS), "X-A: 1"])
        await become(rig)
    (copy,) = shadow.requests
    assert b"secret" not in {value for _, value in copy.headers}
    assert copy.get(b"x-a") == b"1"


async def test_waiting_for_stable_is_no_failure_of_the_shadow():
    async with mirrored(Backend(300_000, 1.0), Backend(300_000), deadline_s=0.3) as rig:
        await rig.ask(body=b"?")
        pairs, told = await become(rig)
    assert (pairs, told) == ((), {"deadline": 1})


async def test_a_copy_that_is_not_compared_is_read_all_the_same():
    async with mirrored(Backend(100, 0.2), Backend(300_000), compare_bp=0) as rig:
        await rig.ask(body=b"?")
        assert await become(rig) == ((), {"delivered": 1})


async def test_a_copy_that_meets_a_close_is_sent_once_more():
    """The service answers once on each connection and closes it, without a word, at the next."""

    async def once(peer):
        await peer.request()
        await peer.send(ok(b"{}"))
        await peer.request()

    async with Scripted(once) as stable, Scripted(once) as shadow:
        entry = rollout(stable, shadow, 0, mirrors=(Mirror(1, 10_000),))
        async with Rig(entry) as rig:
            for _ in range(10):
                await rig.ask(method="GET")
                await rig.settled()
            rig.count()
            assert rig.outcomes["v2", "shadow", "OK"] == 10
            assert rig.outcomes.total() == 20
            assert sum(one.delivered for one in rig.mirrors) == 10
            pairs, _ = rig.recorder.take_pairs()
            assert [pair.shadow_status for pair in pairs] == [200] * 10
    assert len(shadow.requests) > 10, "some were met by a close"


async def test_what_a_fresh_connection_does_to_it_counts():
    async with Scripted(answers(ok(b"{}"))) as stable, Scripted(closes) as shadow:
        entry = rollout(stable, shadow, 0, mirrors=(Mirror(1, 10_000),))
        async with Rig(entry) as rig:
            for _ in range(3):
                await rig.ask(method="GET")
                await rig.settled()
            rig.count()
            assert rig.outcomes["v2", "shadow", "RESET"] == 3


def test_the_second_close_drops_it(lane):
    target, pairing = FakeTarget(), FakePairing()
    one = sent(lane, target, pairing)
    for _ in range(2):
        one.on_failure(Failure.STALE)
    assert target.stats.dropped == {"stale": 1}
    assert target.counts.outcomes == [Outcome.SHED]
    assert target.counts.begun == 1
    assert one.ended
    assert pairing.pairs == []
