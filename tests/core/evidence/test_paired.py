"""Pairs: only discordant ones speak."""

import json
import math
import random
import statistics

import pytest

from router.core.evidence import PairedEvidence
from router.core.evidence.paired import LAMBDAS


@pytest.mark.parametrize("margin", [0.0, 0.02, 0.3])
def test_no_bet_gains_within_the_margin(margin):
    for lam in LAMBDAS:
        for worse in (0.0, 0.05, 0.3):
            better = max(worse - margin, 0.0)
            bet = [lam * (d - margin) / (1 + margin) for d in (1, -1, 0)]
            assert min(bet) > -1
            mean = worse * bet[0] + better * bet[1] + (1 - worse - better) * bet[2]
            assert mean <= 1e-12


def test_five_points_of_accuracy_show_within_three_hundred_labels():
    """Stable right in 90 %, candidate in 85 %, nine of ten of stable's errors shared."""
    needed = []
    for seed in range(60):
        draw, evidence, n = random.Random(seed), PairedEvidence(), 0
        while evidence.capital < 100 and n < 5_000:
            u, n = draw.random(), n + 1
            evidence.observe(int(u < 0.06), int(0.06 <= u < 0.07), int(u >= 0.07))
        needed.append(n)
    assert statistics.median(needed) <= 330, needed


def test_snapshot_is_exact():
    left, right = PairedEvidence(0.02), PairedEvidence(0.02)
    left.observe(3, 1, 40)
    right.restore(json.loads(json.dumps(left.snapshot())))
    assert (right.capital, right.worse, right.better, right.same) == (left.capital, 3, 1, 40)


@pytest.mark.parametrize("margin", [-0.1, 1.0, math.nan])
def test_a_margin_that_is_none_is_refused(margin):
    with pytest.raises(ValueError, match="margin"):
        PairedEvidence(margin)
