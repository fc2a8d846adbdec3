"""A set of users in a fixed number of bits."""

import base64
import random

import pytest

from router.core.evidence.distinct import BUCKETS, DistinctUnits


def test_new_users_are_counted_once_for_ever():
    draw = random.Random(3)
    units = [draw.getrandbits(64) for _ in range(1_000)]
    seen = DistinctUnits()
    new = seen.add(units)
    assert new == len({u % BUCKETS for u in units})
    assert new > 990
    assert seen.add(reversed(units)) == 0


def test_snapshot_is_small_and_exact():
    seen = DistinctUnits()
    seen.add([1, 2, 2**63 + 5])
    text = seen.snapshot()
    assert len(text) < 500
    other = DistinctUnits()
    other.restore(text)
    assert other.add([1, 2, 2**63 + 5]) == 0
    assert other.add([3]) == 1
    assert other.snapshot() == (seen.add([3]), seen.snapshot())[1]


@pytest.mark.parametrize("text", ["not base64!", "AAAA", base64.b64encode(b"x").decode()])
def test_damage_is_refused(text):
    with pytest.raises(ValueError):
        DistinctUnits().restore(text)


def test_a_set_of_another_size_is_refused():
    import zlib

    text = base64.b64encode(zlib.compress(b"short")).decode()
    with pytest.raises(ValueError, match="bytes of users"):
        DistinctUnits().restore(text)
