"""One instance that fails is ejected, and its version is not blamed; a version that fails is."""

import random

import pytest

from router.core.wire.endpoint import EndpointEntry as Address
from router.core.wire.table import OutlierEntry, VersionEntry
from router.upstream.blame import HELD_MAX, HELD_S_MAX
from router.upstream.pool import Pool

OK, BAD = False, True


def pool(count=2, **outlier):
    addresses = tuple(Address("127.0.0.1", 9_001 + i) for i in range(count))
    return Pool(VersionEntry("v2", addresses, outlier=OutlierEntry(**outlier)), connect_s=1.0)


class Told:
    """Answers of a pool's endpoints in some order, and the verdicts so far."""

    def __init__(self, made):
        self.pool = made
        self.verdicts = []

    def answer(self, index, bad, now=0.0):
        endpoint = self.pool.endpoints[index]
        if bad:
            self.pool.blame.bad_answer(endpoint, self.verdicts.append, now)
        self.pool.blame.observed(endpoint, bad=bad, now=now)


@pytest.mark.parametrize(
    ("answers", "verdicts"),
    [
        ([(0, BAD)] * 4, []),
        ([(0, BAD)] * 5, [False] * 5),  # ejected at the fifth
        ([(0, BAD), (1, OK)] * 5, [False] * 5),
        ([(0, BAD), (0, OK)], [True]),
        ([(0, BAD), (1, BAD)], [True, True]),
        ([(0, BAD)] * 3 + [(1, BAD)], [True] * 4),
        ([(0, BAD)] * 7, [False] * 7),  # what was under way when it was ejected
        ([(0, BAD)] * 5 + [(1, BAD)], [False] * 5 + [True]),  # no second one may be ejected
    ],
)
def test_whose_fault_it_was(answers, verdicts):
    told = Told(pool())
    for index, bad in answers:
        told.answer(index, bad)

    assert told.verdicts == verdicts


@pytest.mark.parametrize("made", [pool(1), pool(1, max_ejected_bp=10_000), pool(consecutive=0)])
def test_where_nothing_can_be_ejected_the_version_is_blamed_at_once(made):
    told = Told(made)
    told.answer(0, BAD)

    assert told.verdicts == [True]
    assert not made.endpoints[0].ejected_until


def test_blame_is_not_held_for_ever():
    told = Told(pool())
    told.answer(0, BAD, now=10.0)
    told.pool.sweep(10.0 + HELD_S_MAX)
    assert told.verdicts == []
    told.pool.sweep(11.0 + HELD_S_MAX)
    assert told.verdicts == [True]


def test_the_end_of_a_pool_or_of_an_endpoint_settles_what_is_held():
    ended = Told(pool())
    ended.answer(0, BAD)
    ended.pool.close()
    assert ended.verdicts == [True]

    left = Told(pool())
    left.answer(0, BAD)
    left.pool.update(pool(3).entry.__class__("v2", left.pool.entry.endpoints[1:]), connect_s=1.0)
    left.pool.sweep(1.0)
    assert left.verdicts == [True]


def test_what_is_held_is_bounded():
    told = Told(pool(consecutive=1_000))
    for _ in range(HELD_MAX + 3):
        told.answer(0, BAD)

    assert told.verdicts == [True] * 3


@pytest.mark.parametrize("rate", [0.02, 0.2, 0.5, 1.0])
def test_a_version_that_fails_everywhere_is_blamed_for_nearly_everything(rate):
    """And every bad answer gets one verdict."""
    draw, told = random.Random(3), Told(pool(4))
    bad = 0
    for _ in range(2_000):
        failed = draw.random() < rate
        bad += failed
        ready = [i for i, e in enumerate(told.pool.endpoints) if not e.ejected_until]
        told.answer(draw.choice(ready), failed)
    told.pool.close()

    assert len(told.verdicts) == bad
    assert sum(told.verdicts) > 0.8 * bad
