"""What becomes of copies when the router itself ends them: dropped, and nobody's failure."""

from collections import Counter

import pytest

from router.core.outcomes import BAD_OUTCOMES, Outcome
from router.core.table import MirrorLimits
from router.proxy.mirror import Copy, Lane
from router.upstream import Failure
from router.upstream.pool import Unavailable


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
    """As the real one, a pair is made of every copy whose body is not None."""

    def __init__(self):
        self.pairs = []

    def join(self, one):
        if one.body is not None:
            self.pairs.append(one.status)


def sent(lane, target, pairing):
    one = Copy(lane, target, b"POST / HTTP/1.1\r\n\r\n", pairing, to_head=False, deadline_s=10.0)
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
