"""Thompson sampling: against closed forms, against real draws, and its promises."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.core.rollout.bandit import Rewards, chances, shares, worth_moving

earned = st.integers(0, 10**6).flatmap(
    lambda n: st.builds(Rewards, st.just(n), st.floats(0, 1).map(lambda part: part * n))
)


def test_without_rewards_everybody_is_equal():
    assert chances({"a": Rewards(), "b": Rewards()}) == pytest.approx({"a": 0.5, "b": 0.5})
    assert shares({"a": Rewards(), "b": Rewards(), "c": Rewards()}, 500) == {
        "a": 3_334, "b": 3_333, "c": 3_333,
    }  # fmt: skip


def test_closed_forms():
    """Beta(2, 1) against Beta(1, 1): P = integral of 2x * x dx = 2/3."""
    assert chances({"a": Rewards(1, 1.0), "b": Rewards()})["a"] == pytest.approx(2 / 3, abs=2e-3)
    assert chances({"a": Rewards(2, 2.0), "b": Rewards()})["a"] == pytest.approx(3 / 4, abs=2e-3)


@pytest.mark.parametrize(
    "counts",
    [((30, 12), (40, 20), (20, 5)), ((1_000, 100), (1_000, 115)), ((5, 5), (500, 400), (3, 0))],
)
def test_it_is_how_often_real_draws_would_choose(counts):
    rng = random.Random(7)
    draws, won = 20_000, [0] * len(counts)
    for _ in range(draws):
        drawn = [rng.betavariate(1 + good, 1 + n - good) for n, good in counts]
        won[drawn.index(max(drawn))] += 1
    found = chances({str(i): Rewards(n, float(good)) for i, (n, good) in enumerate(counts)})
    for index, count in enumerate(won):
        assert found[str(index)] == pytest.approx(count / draws, abs=0.015)


@given(st.dictionaries(st.sampled_from("abcdefgh"), earned, min_size=1), st.integers(0, 1_250))
@settings(deadline=None, max_examples=20)
def test_shares_are_whole_and_nobody_falls_below_the_floor(rewards, floor_bp):
    made = shares(rewards, floor_bp)
    assert sum(made.values()) == 10_000
    assert min(made.values()) >= floor_bp
    assert made == shares(rewards, floor_bp), "no coin is involved"


def test_floors_that_exceed_the_whole_are_an_error():
    with pytest.raises(ValueError, match="exceed"):
        shares({"a": Rewards(), "b": Rewards()}, 5_001)


def test_small_changes_are_not_made():
    assert not worth_moving({"a": 5_000, "b": 5_000}, {"a": 5_099, "b": 4_901})
    assert worth_moving({"a": 5_000, "b": 5_000}, {"a": 5_100, "b": 4_900})
