"""The check of our own coin."""

import json
import math
import random

import pytest

from router.core.evidence import SampleRatio


def drawn(seed, weight, claimed_bp, n=40_000):
    draw, ratio = random.Random(seed), SampleRatio()
    for _ in range(n // 100):
        mine = sum(draw.random() < weight for _ in range(100))
        ratio.observe(claimed_bp, mine, 100 - mine)
    return ratio


def test_a_fair_coin_is_never_suspected():
    assert not any(drawn(seed, 0.05, 500, 10_000).broken for seed in range(60))


@pytest.mark.parametrize("weight", [0.03, 0.07])
def test_a_wrong_weight_is_found(weight):
    assert drawn(1, weight, 500).broken


def test_an_arm_that_loses_its_arrivals_is_found():
    ratio = SampleRatio()
    ratio.observe(5_000, 0, 500)
    assert ratio.broken


@pytest.mark.parametrize(
    ("weight_bp", "candidate", "stable", "broken"),
    [(0, 0, 10, False), (0, 1, 0, True), (10_000, 9, 0, False), (10_000, 9, 1, True)],
)
def test_a_forced_weight_leaves_no_doubt(weight_bp, candidate, stable, broken):
    ratio = SampleRatio()
    ratio.observe(weight_bp, candidate, stable)
    assert ratio.broken is broken


def test_snapshot_is_exact_and_damage_refused():
    left, right = drawn(2, 0.06, 500, 5_000), SampleRatio()
    data = json.loads(json.dumps(left.snapshot()))
    right.restore(data)
    assert (right.capital, right.best, right.candidate) == (left.capital, left.best, left.candidate)
    for damage in ([0.0], [math.nan] * 8):
        with pytest.raises(ValueError):
            right.restore(data | {"logs": damage})
