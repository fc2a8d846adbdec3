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


def test_a_snapshot_is_of_now():
    seen, others = DistinctUnits(), DistinctUnits()
    others.add([4])
    told = [seen.snapshot()]
    for change in (lambda: seen.add([1]), lambda: seen.new([2]), lambda: seen.join(others)):
        change()
        assert seen.snapshot() not in told
        told.append(seen.snapshot())
    again = DistinctUnits()
    again.restore(told[-1])
    assert [unit in again for unit in range(6)] == [False, True, True, False, True, False]


def test_who_is_new_and_who_a_stranger_in_their_order():
    seen = DistinctUnits()
    assert seen.new([7, 5, 7 + BUCKETS, 5, 9]) == [7, 5, 9]  # of one bucket the first
    assert seen.strangers([9, 3, 5, 1 + BUCKETS, 1]) == [3, 1 + BUCKETS, 1]
    assert seen.new([9]) == []


def test_what_an_earlier_router_wrote_comes_back_as_it_was():
    """Its recordings are made again, and compared."""
    import zlib

    bits = bytearray(BUCKETS // 8)
    bits[0], bits[-1] = 2, 128
    text = base64.b64encode(zlib.compress(bytes(bits), 1)).decode()
    seen = DistinctUnits()
    seen.restore(text)
    assert seen.snapshot() == text
    assert 1 in seen
    assert BUCKETS - 1 in seen
    seen.add([2])
    again = DistinctUnits()
    again.restore(seen.snapshot())
    assert again.add([1, 2, BUCKETS - 1]) == 0


@pytest.mark.parametrize("text", ["not base64!", "AAAA", base64.b64encode(b"x").decode()])
def test_damage_is_refused(text):
    with pytest.raises(ValueError):
        DistinctUnits().restore(text)


def test_a_set_of_another_size_is_refused():
    import zlib

    text = base64.b64encode(zlib.compress(b"short")).decode()
    with pytest.raises(ValueError, match="bytes of users"):
        DistinctUnits().restore(text)
