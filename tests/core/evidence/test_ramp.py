"""The evidence-driven ramp: from what is known, never above its limits."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.core.evidence import Ramp, upper_bound
from router.core.evidence.ramp import MENU_BP


@pytest.mark.parametrize(("bad", "n"), [(0, 1), (0, 100), (3, 50), (10, 10_000), (7, 7)])
def test_upper_bound_solves_its_equation(bad, n):
    from scipy.special import betaln

    u = upper_bound(bad, n)
    likelihood = bad * math.log(u) + (n - bad) * math.log1p(-u)
    mixture = betaln(bad + 0.5, n - bad + 0.5) - betaln(0.5, 0.5)
    if u < 1 - 1e-9:
        assert mixture - likelihood == pytest.approx(math.log(20), abs=1e-5)
    assert bad / n - 1e-9 <= u <= 1.0


def test_upper_bound_starts_at_one_and_falls_like_three_over_n():
    assert upper_bound(0, 0) == 1.0
    assert upper_bound(0, 100) == pytest.approx(0.0575, abs=0.002)
    assert upper_bound(0, 10_000) < 0.001


def test_the_true_rate_hardly_ever_exceeds_it():
    exceeded = 0
    for seed in range(100):
        draw, bad = random.Random(seed), 0
        for n in range(1, 400):
            bad += draw.random() < 0.05
            if n % 5 == 0 and upper_bound(bad, n) < 0.05:
                exceeded += 1
                break
    assert exceeded <= 11  # 5 % of 100 and its noise


def test_a_clean_candidate_ramps_within_seconds_and_a_held_one_does_not():
    ramp = Ramp()
    weights, requests, weight = [], 0, 100
    for _ in range(12):
        weight = ramp.weight_bp(
            bad=0, requests=requests, requests_per_s=1_000.0, present_bp=weight, held=False
        )
        weights.append(weight)
        requests += weight // 10
    assert weights[0] == 200
    assert weights[-1] == 5_000
    held = ramp.weight_bp(
        bad=0, requests=10**6, requests_per_s=1_000.0, present_bp=500, held=True, proven=True
    )
    assert held == 500


def test_low_traffic_opens_at_the_start_weight_only():
    ramp = Ramp()
    first = ramp.weight_bp(bad=0, requests=0, requests_per_s=2.0, present_bp=100, held=False)
    later = ramp.weight_bp(bad=0, requests=5, requests_per_s=2.0, present_bp=first, held=False)
    assert (first, later) == (2_000, 5_000)


def test_a_proven_candidate_is_no_longer_limited_by_the_budget():
    args = {"bad": 50_000, "requests": 1_000_000, "requests_per_s": 50_000.0, "present_bp": 100}
    assert Ramp().weight_bp(**args, held=False) == 100
    assert Ramp().weight_bp(**args, held=False, proven=True) == 5_000


@given(
    st.integers(0, 1_000), st.integers(0, 100_000), st.floats(allow_nan=True), st.booleans(),
    st.sampled_from(MENU_BP),
)  # fmt: skip
def test_it_never_leaves_its_limits(bad, ok, rate, held, present):
    weight = Ramp(min_bp=50, max_bp=3_000).weight_bp(
        bad=bad, requests=bad + ok, requests_per_s=rate, present_bp=present, held=held
    )
    assert 50 <= weight <= 3_000


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_an_unknown_rate_never_opens_the_ramp(rate):
    weight = Ramp().weight_bp(
        bad=0, requests=10**6, requests_per_s=rate, present_bp=5_000, held=False
    )
    assert weight == 100
