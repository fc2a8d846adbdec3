"""The band of candidate minus stable holds at every look and narrows."""

import numpy as np
import pytest

from router.core.evidence.band import REQUESTS_MIN, Band, Edges
from router.core.evidence.promote import PromoteEvidence
from router.core.evidence.slices import Slice


def settled(draw, n, weight_bp, candidate, stable):
    mine = int(draw.binomial(n, weight_bp / 10_000))
    cb, sb = int(draw.binomial(mine, candidate)), int(draw.binomial(n - mine, stable))
    return Slice.settled(weight_bp, cb, sb, mine - cb, n - mine - sb)


@pytest.mark.parametrize("weights", [(500,), (5_000,), (100, 1_000, 5_000)])
@pytest.mark.parametrize("rates", [(0.01, 0.01), (0.05, 0.02)])
def test_the_difference_is_never_outside_more_often_than_said(weights, rates):
    draw, missed, runs = np.random.default_rng(5), 0, 200
    for _ in range(runs):
        band, out = Band(), False
        for look in range(150):
            band.add(settled(draw, 100, weights[look * len(weights) // 150], *rates))
            limits = band.limits
            out |= limits is not None and not limits.low <= rates[0] - rates[1] <= limits.high
        missed += out
    assert missed <= 0.05 * runs + 10


def test_it_narrows_and_finds_a_regression():
    draw, band = np.random.default_rng(6), Band()
    assert band.limits is None
    widths = []
    for _ in range(200):
        band.add(settled(draw, 1_000, 1_000, 0.05, 0.01))
        widths.append(band.limits.high - band.limits.low)
    assert widths[-1] < widths[9] < widths[0]
    assert 0.02 < band.limits.low < 0.04 < band.limits.high < 0.06


def test_without_a_failure_little_is_known():
    band = Band()
    band.add(Slice.settled(500, 0, 0, 5, REQUESTS_MIN - 5))
    assert band.limits == Edges(-1.0, 1.0)
    band.add(Slice.settled(500, 0, 0, 5_000, 95_000))
    assert -0.01 < band.limits.low < 0.0 < band.limits.high < 0.01


def test_it_is_part_of_the_proof_and_survives_a_restart():
    evidence = PromoteEvidence(0.01)
    evidence.observe(5_000, 3, 2, 997, 998)
    again = PromoteEvidence(0.01)
    again.restore(evidence.snapshot())
    assert again.band.limits == evidence.band.limits != None  # noqa: E711 - a pair or nothing
    assert str(Edges(-0.0041, 0.012)) == "-0.41 … +1.2 pp"
    old = evidence.snapshot()
    del old["band"]
    again = PromoteEvidence(0.01)
    again.restore(old)
    assert again.band.limits is None
