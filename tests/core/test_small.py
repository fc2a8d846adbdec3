"""Words, histogram, outcomes, plan and rollout: the small facts the rest stands on."""

import math
import random
from itertools import pairwise

import pytest

from router.core.rollout.plan import Plan, Step
from router.core.rollout.rollout import Phase
from router.core.wire.baseline import Baseline
from router.core.wire.histogram import (
    BOUNDS_S,
    BUCKETS,
    EXPOSED_S,
    bucket_of,
    quantile,
    share_above,
)
from router.core.wire.outcomes import BAD_OUTCOMES, FAULT, Outcome
from router.core.words import count, duration, percent, rate


@pytest.mark.parametrize(
    ("bp", "text"), [(0, "0 %"), (5, "0.05 %"), (2_500, "25 %"), (10_000, "100 %")]
)
def test_percent(bp, text):
    assert percent(bp) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1, "100 %"), (0.07, "7.0 %"), (0.0105, "1.1 %"), (0.00042, "0.042 %")],
)
def test_rate(share, text):
    assert rate(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "250ms"),
        (2, "2s"),
        (59.4, "59.4s"),
        (90, "1m30s"),
        (7_200, "2h"),
        (90_061, "1d1h1m1s"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_count():
    assert count(1, "request") == "1 request"
    assert count(1_204, "request") == "1,204 requests"


def test_buckets_grow_and_hold_the_exposed_grid():
    assert list(BOUNDS_S) == sorted(set(BOUNDS_S))
    assert max(b / a for a, b in pairwise(BOUNDS_S)) < 1.21
    assert set(EXPOSED_S) <= set(BOUNDS_S)
    assert {0.001, 0.002, 0.005, 0.01, 1.0, 2.0, 5.0, 50.0} <= set(EXPOSED_S)
    assert bucket_of(0.0) == 0
    assert bucket_of(0.001) == BOUNDS_S.index(0.001)
    assert bucket_of(1e9) == BUCKETS - 1


def test_quantiles_of_counts():
    counts = [0] * BUCKETS
    assert quantile(counts, 0.5) == 0.0
    assert share_above(counts, 0.5) == 0.0
    counts[bucket_of(0.001)] = 90
    counts[bucket_of(0.005)] = 10
    assert quantile(counts, 0.5) == 0.001
    assert quantile(counts, 0.95) == pytest.approx(math.sqrt(0.0045 * 0.005))
    assert quantile(counts, 1.0) == 0.005
    assert share_above(counts, 0.001) == 0.1
    assert share_above(counts, math.sqrt(0.0045 * 0.005)) == pytest.approx(0.05)
    assert quantile([0] * (BUCKETS - 1) + [1], 0.5) == BOUNDS_S[-1]
    assert quantile([1] + [0] * (BUCKETS - 1), 1.5) == BOUNDS_S[-1]


@pytest.mark.parametrize("q", [0.05, 0.5, 0.95, 0.99])
def test_a_quantile_is_within_two_percent_of_the_exact_one(q):
    """Bounds alone would be 6 % above it in the mean: half of a tolerance of 10 %."""
    draw = random.Random(11)
    values = sorted(0.1 * math.exp(draw.gauss(0.0, 0.5)) for _ in range(20_000))
    counts = [0] * BUCKETS
    for value in values:
        counts[bucket_of(value)] += 1
    found = quantile(counts, q)
    assert found == pytest.approx(values[int(q * len(values))], rel=0.02)
    assert share_above(counts, found) == pytest.approx(1.0 - q, abs=1e-9)


def test_answers_that_all_take_the_same_time_lie_below_every_threshold():
    counts = [0] * BUCKETS
    counts[bucket_of(0.0099)] = 1_000
    for q in (0.5, 0.95, 0.99):
        assert quantile(counts, q) == 0.01
    assert share_above(counts, 0.01) == 0.0
    assert share_above(counts, 1e-9) == 1.0


def test_every_outcome_is_somebodys_fault():
    assert set(FAULT) == set(Outcome)
    assert Outcome.CLIENT_ABORT not in BAD_OUTCOMES
    assert Outcome.SHED not in BAD_OUTCOMES
    assert Outcome.TRUNCATED in BAD_OUTCOMES


@pytest.mark.parametrize(
    ("requests", "bad", "expected"),
    [(0, 0, 0.01), (99, 0, 0.005), (10**6, 0, 1e-4), (1, 0, 0.01), (10, 10, 0.5)],
)
def test_baseline_rate(requests, bad, expected):
    assert Baseline(requests, bad).bad_rate == expected


def test_a_good_answer_of_stable_never_raises_its_rate_nor_a_bad_one_lowers_it():
    for requests in range(200):
        for bad in range(requests + 1):
            rate = Baseline(requests, bad).bad_rate
            assert Baseline(requests + 1, bad).bad_rate <= rate
            assert Baseline(requests + 1, bad + 1).bad_rate >= rate


def test_plans_refuse_nonsense():
    with pytest.raises(ValueError, match="at least one step"):
        Plan(())
    with pytest.raises(ValueError, match="10000 bp"):
        Step(10_001)


def test_phases_speak_the_fields_words():
    assert {phase.health for phase in Phase} == {"Healthy", "Progressing", "Paused", "Degraded"}
