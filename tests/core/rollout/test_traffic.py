"""Shares, cohorts and the interval arithmetic."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.core.rollout.traffic import Draw, bucket_of, offset_of

weights = st.integers(0, 10_000)
offsets = st.integers(0, 9_999)


def draw_of(weight, offset):
    return Draw((False, True), (10_000 - weight, weight), 1, offset).at


@given(weights, offsets)
def test_the_interval_holds_exactly_its_share(weight, offset):
    assert sum(map(draw_of(weight, offset), range(10_000))) == weight


@given(st.binary(), offsets, weights, weights)
def test_growing_weight_takes_nobody_out(key, offset, one, other):
    small, large = sorted((one, other))
    bucket = bucket_of(key)
    assert draw_of(small, offset)(bucket) <= draw_of(large, offset)(bucket)


def segments(weight_bp, offset):
    """The candidate's interval as Envoy's list of weighted clusters, zeros left out."""
    end = offset + weight_bp
    if end <= 10_000:
        parts = [("stable", offset), ("candidate", weight_bp), ("stable", 10_000 - end)]
    else:
        head = end - 10_000
        parts = [("candidate", head), ("stable", offset - head), ("candidate", 10_000 - offset)]
    return [part for part in parts if part[1]]


@given(weights, offsets)
@settings(deadline=None)
def test_a_weighted_list_walked_from_its_front_is_the_same_choice(weight, offset):
    """As Envoy walks it, with its buckets counted from 0."""
    flat = [name == "candidate" for name, size in segments(weight, offset) for _ in range(size)]
    assert flat == list(map(draw_of(weight, offset), range(10_000)))


def test_shares_that_are_not_the_whole_are_refused():
    with pytest.raises(ValueError, match="do not sum to 10000 bp"):
        Draw("ab", (9_000, 999), 0, 0)


def test_known_hashes():
    """XXH64 with seed 0: the reference vectors, so that other proxies agree."""
    assert bucket_of(b"") == 0xEF46DB3751D8E999 % 10_000
    assert bucket_of(b"a") == 0xD24EC4F1A98C6E5B % 10_000
    assert bucket_of(b"abc") == 0x44BC2CF5AD770999 % 10_000


def test_rollouts_begin_with_other_users():
    firsts = {offset_of(f"flight-delay-{n}") for n in range(100)}
    assert len(firsts) > 95
