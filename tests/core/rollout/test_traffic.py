"""Shares, cohorts and the interval arithmetic."""

from hypothesis import given
from hypothesis import strategies as st

from router.core.rollout.traffic import bucket_of, is_candidate, offset_of, segments

weights = st.integers(0, 10_000)
offsets = st.integers(0, 9_999)


@given(weights, offsets)
def test_the_interval_holds_exactly_its_share(weight, offset):
    assert sum(is_candidate(b, offset, weight) for b in range(10_000)) == weight


@given(st.binary(), offsets, weights, weights)
def test_growing_weight_takes_nobody_out(key, offset, one, other):
    small, large = sorted((one, other))
    bucket = bucket_of(key)
    assert is_candidate(bucket, offset, small) <= is_candidate(bucket, offset, large)


@given(weights, offsets)
def test_segments_are_the_same_choice_as_a_weighted_list(weight, offset):
    """The list as Envoy walks it, with its buckets counted from 0, equals the interval."""
    parts = segments(weight, offset)
    assert sum(size for _, size in parts) == 10_000
    flat = [name == "candidate" for name, size in parts for _ in range(size)]
    assert flat == [is_candidate(b, offset, weight) for b in range(10_000)]


def test_known_hashes():
    """XXH64 with seed 0: the reference vectors, so that other proxies agree."""
    assert bucket_of(b"") == 0xEF46DB3751D8E999 % 10_000
    assert bucket_of(b"a") == 0xD24EC4F1A98C6E5B % 10_000
    assert bucket_of(b"abc") == 0x44BC2CF5AD770999 % 10_000


def test_rollouts_begin_with_other_users():
    firsts = {offset_of(f"flight-delay-{n}") for n in range(100)}
    assert len(firsts) > 95
