"""Non-inferiority: its bets never gain on a candidate that is worse by the margin."""

import json
import math

import numpy as np
import pytest

from router.core.evidence import PromoteEvidence
from router.core.evidence.promote import promote_table
from router.core.evidence.slices import Slice


@pytest.mark.parametrize("weight_bp", [100, 500, 5_000, 9_500])
@pytest.mark.parametrize("mu", [1e-4, 0.01, 0.3])
@pytest.mark.parametrize("margin", [0.005, 0.02])
def test_no_bet_gains_when_worse_by_the_margin(weight_bp, mu, margin):
    w = weight_bp / 10_000
    for row in promote_table(weight_bp, mu, margin):
        cb, sb, co, so = map(math.exp, row)
        for p_stable in (0.0, 0.01, 0.2, 0.9):
            for excess in (margin, margin + 0.05):
                p = min(p_stable + excess, 1.0)
                mean = w * (p * cb + (1 - p) * co) + (1 - w) * (p_stable * sb + (1 - p_stable) * so)
                assert mean <= 1 + 1e-9


def test_an_equal_candidate_is_proven_and_a_worse_one_hardly_ever():
    proven = {0.01: 0, 0.02: 0}
    for p_candidate in proven:
        for seed in range(200):
            draw, evidence = np.random.default_rng(seed), PromoteEvidence(0.01)
            for _ in range(40):
                n = int(draw.binomial(200, 0.5))
                cb, sb = map(int, draw.binomial([n, 200 - n], [p_candidate, 0.01]))
                evidence.observe(5_000, cb, sb, n - cb, 200 - n - sb)
            proven[p_candidate] += evidence.best >= 20
    assert proven[0.01] > 180
    assert proven[0.02] <= 18  # 5 % of 200 and its noise


def test_stables_answers_alone_prove_nothing():
    evidence = PromoteEvidence(0.001)
    evidence.observe(500, 0, 0, 0, 100_000)
    assert evidence.capital > 20
    evidence.observe(500, 0, 0, 299, 0)
    assert evidence.best == 1.0
    evidence.observe(500, 0, 0, 1, 0)
    assert evidence.best > 20


def test_only_what_is_settled_proves():
    evidence = PromoteEvidence(0.01)
    evidence.book((1, 1), Slice(5_000, 900, 0, 899, 900, 0, 900))
    assert (evidence.requests, evidence.best) == (0, 1.0)
    other = PromoteEvidence(0.01)
    other.restore(json.loads(json.dumps(evidence.snapshot())))
    evidence.book((1, 1), Slice(5_000, 900, 0, 900, 900, 0, 900))
    other.abandon(1)
    assert evidence.requests == other.requests == 900
    assert evidence.best == other.best > 20


def test_forced_arms_prove_nothing():
    evidence = PromoteEvidence(0.01)
    evidence.observe(10_000, 0, 0, 100_000, 0)
    evidence.observe(0, 0, 0, 0, 100_000)
    assert (evidence.best, evidence.requests) == (1.0, 0)


def test_snapshot_is_exact_and_damage_refused():
    left, right = PromoteEvidence(0.01), PromoteEvidence(0.3)
    left.observe(500, 1, 5, 300, 6_000)
    data = json.loads(json.dumps(left.snapshot()))
    right.restore(data)
    assert (right.capital, right.best, right.requests) == (left.capital, left.best, 301)
    for damage in ({"logs": [0.0]}, {"logs": [math.inf] * 6}, {"best": math.nan}):
        with pytest.raises(ValueError):
            right.restore(data | damage)


@pytest.mark.parametrize(("p0", "margin"), [(0.0, 0.01), (0.01, 0.0), (math.nan, 0.01)])
def test_nonsense_is_refused(p0, margin):
    with pytest.raises(ValueError, match="no rate"):
        PromoteEvidence(p0, margin)
