"""Losses from 0 to 1: fair within the margin, whatever the level, quick beyond it."""

import json
import random
import statistics

import pytest

from router.core.evidence.loss import LossEvidence


def run(draw, least, *, w=0.5, candidate=0.2, stable=0.2, margin=0.0, paired=False):
    """The largest capital within ``least`` requests, and when it passed 100."""
    evidence, best, passed = LossEvidence(margin), 1.0, None
    for n in range(1, least + 1):
        ours, theirs = (float(draw.random() < p) * draw.random() for p in (candidate, stable))
        if paired:
            evidence.pair(ours, theirs)
        else:
            mine = draw.random() < w
            evidence.draw(w, ours if mine else theirs, candidate=mine)
        best = max(best, evidence.capital)
        if passed is None and evidence.capital >= 100:
            passed = n
            break
    return best, passed


@pytest.mark.parametrize(("w", "paired"), [(0.5, False), (0.05, False), (0.5, True)])
def test_equal_versions_are_left_alone(w, paired):
    hits = sum(
        run(random.Random(seed), 400, w=w, paired=paired)[1] is not None for seed in range(60)
    )
    assert hits <= 2


@pytest.mark.parametrize(("w", "paired", "most"), [(0.5, False, 600), (0.1, False, 2_500),
                                                   (0.5, True, 300)])  # fmt: skip
def test_a_candidate_that_loses_three_times_as_much_is_found(w, paired, most):
    found = [
        run(random.Random(seed), 6_000, w=w, candidate=0.6, paired=paired)[1] for seed in range(9)
    ]
    assert None not in found
    assert statistics.median(found) <= most


def test_a_bet_is_never_below_nothing_and_fair_at_the_margin():
    """Every factor of the drawn bet by enumeration: its mean is 1 at the border, for any level."""
    for w in (0.01, 0.3, 0.5, 0.95):
        for level in (0.0, 0.2, 0.9):
            for margin in (0.0, 0.1):
                stable, candidate = 0.3, 0.3 + margin
                allowed = w * (1 - w) * margin
                mean, least = 0.0, 1.0
                for mine, p in ((True, candidate), (False, stable)):
                    for loss, q in ((1.0, p), (0.0, 1 - p)):
                        x = (loss - level) * (1 - w) if mine else -(loss - level) * w
                        scaled = (x - allowed) / (max(w, 1 - w) + allowed)
                        mean += (w if mine else 1 - w) * q * scaled
                        least = min(least, scaled)
                assert abs(mean) < 1e-12
                assert least >= -1.0


def test_snapshot_is_exact():
    left, right = LossEvidence(0.02), LossEvidence(0.02)
    for n in range(30):
        left.draw(0.3, n / 30, candidate=n % 3 == 0)
        left.pair(n / 30, 0.5)
    right.restore(json.loads(json.dumps(left.snapshot())))
    assert right.capital == left.capital
    right.draw(0.3, 1.0, candidate=True)
    left.draw(0.3, 1.0, candidate=True)
    assert right.capital == left.capital
    assert right.candidate.mean() == left.candidate.mean()


@pytest.mark.parametrize("margin", [-0.1, 1.0])
def test_a_margin_that_is_none_is_refused(margin):
    with pytest.raises(ValueError, match="margin"):
        LossEvidence(margin)


def test_without_a_coin_nothing_is_bet():
    evidence = LossEvidence()
    evidence.draw(1.0, 1.0, candidate=True)
    evidence.draw(0.0, 0.0, candidate=False)
    assert (evidence.capital, evidence.candidate.count) == (1.0, 0)
