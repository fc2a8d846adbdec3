"""Output drift: alike, within tolerance, and apart."""

import json
import math
import random

import pytest

from router.core.evidence import DriftEvidence
from router.core.evidence.drift import LAMBDAS

Q = (0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.05, 0.03, 0.02, 0.01)


def shifted(by):
    q = list(Q)
    q[0] -= by
    q[4] += by
    return tuple(q)


def answers_until(evidence, q_candidate, seed, batches=400, limit=100.0):
    """Candidate answers until ``limit``; None if never. Batches of 50 requests at 5 %."""
    draw, seen = random.Random(seed), 0
    for _ in range(batches):
        arms = [[0] * 10, [0] * 10]
        for _ in range(50):
            mine = draw.random() < 0.05
            seen += mine
            k = draw.choices(range(10), q_candidate if mine else Q)[0]
            arms[mine][k] += 1
        evidence.observe(500, arms[1], arms[0])
        if evidence.capital >= limit:
            return seen
    return None


@pytest.mark.parametrize("tolerance", [None, 0.05])
def test_equal_answers_are_not_suspected(tolerance):
    found = [answers_until(DriftEvidence(10, tolerance), Q, s, batches=100) for s in range(12)]
    assert sum(f is not None for f in found) <= 1


def test_a_small_shift_is_within_the_tolerance_and_a_large_one_is_not():
    assert answers_until(DriftEvidence(10), shifted(0.04), 1) is None
    assert answers_until(DriftEvidence(10), shifted(0.25), 1) < 200
    always = tuple(float(k == 3) for k in range(10))
    evidence = DriftEvidence(10)
    assert answers_until(evidence, always, 1) < 40
    assert evidence.furthest() == 3


def test_equality_finds_a_tenth_moved():
    assert answers_until(DriftEvidence(10, None), shifted(0.1), 2, batches=600) < 900


def test_no_tolerant_bet_gains_within_the_tolerance():
    w, tol = 0.05, 0.05
    largest = {1: (1 - w) / (1 + tol * (1 - w)), -1: w / (1 + tol * w)}
    for q_stable, q_candidate in ((0.3, 0.3), (0.3, 0.35), (0.3, 0.25), (0.0, 0.05)):
        for sign, most in largest.items():
            for lam in LAMBDAS:
                bet = lam * most
                mean = w * q_candidate * bet * sign / w - (1 - w) * q_stable * bet * sign / (1 - w)
                assert mean - bet * tol <= 1e-12
                assert 1 + bet * (-1 / (1 - w) if sign == 1 else -1 / w) - bet * tol > 0


def test_forced_arms_are_no_evidence():
    evidence = DriftEvidence(2)
    evidence.observe(10_000, [50, 0], [0, 0])
    assert evidence.capital == pytest.approx(1.0)
    assert evidence.furthest() == 0


@pytest.mark.parametrize("tolerance", [None, 0.05])
def test_snapshot_is_exact_and_damage_refused(tolerance):
    left, right = DriftEvidence(3, tolerance), DriftEvidence(3, tolerance)
    left.observe(500, [3, 0, 1], [20, 30, 9])
    data = json.loads(json.dumps(left.snapshot()))
    right.restore(data)
    assert (right.capital, right.candidate, right.stable) == (left.capital, [3, 0, 1], [20, 30, 9])
    for damage in ({"logs": []}, {"logs": [math.nan] * len(left.logs)}, {"candidate": [1]}):
        with pytest.raises(ValueError):
            right.restore(data | damage)


@pytest.mark.parametrize(("classes", "tolerance"), [(1, 0.1), (65, 0.1), (3, 0.0), (3, 1.0)])
def test_nonsense_is_refused(classes, tolerance):
    with pytest.raises(ValueError, match="drift"):
        DriftEvidence(classes, tolerance)
