"""Arrays of runs hold the same evidence as the product's own objects."""

import numpy as np
import pytest

from router.core.evidence import CompareEvidence, GuardEvidence
from router.core.evidence.restart import released
from tests.bench.decisions.vector import VectorCompare, VectorGuard, detection
from tests.bench.decisions.vector import released as released_array


@pytest.mark.parametrize("horizon", [None, 50])
def test_the_release_is_the_same(horizon):
    counts = np.arange(200)
    expected = [released(int(n), horizon) for n in counts]
    assert released_array(counts, horizon) == pytest.approx(expected)


@pytest.mark.parametrize("horizon", [None, 50])
def test_comparisons_agree_run_by_run(horizon):
    draw = np.random.default_rng(1)
    runs = 6
    arrays = VectorCompare(runs, 0.01, 0.1, 0.001, horizon)
    objects = [CompareEvidence(0.01, horizon=horizon) for _ in range(runs)]
    for step in range(60):
        counts = draw.poisson([0.3, 1.0, 5.0, 90.0], (runs, 4))
        weight_bp = (500, 1_000, 5_000)[step // 20]
        arrays.observe(weight_bp, counts.astype(float))
        for row, one in zip(counts.tolist(), objects, strict=True):
            one.observe(weight_bp, *row)
        assert arrays.capital == pytest.approx([one.capital for one in objects], rel=1e-9)


def test_guards_agree_run_by_run():
    draw = np.random.default_rng(2)
    arrays, objects = VectorGuard(4, 0.05), [GuardEvidence(0.05) for _ in range(4)]
    for _ in range(40):
        counts = draw.poisson([0.4, 5.0], (4, 2))
        arrays.observe(counts.astype(float))
        for row, one in zip(counts.tolist(), objects, strict=True):
            one.observe(*row)
        assert arrays.capital == pytest.approx([one.capital for one in objects], rel=1e-9)


@pytest.mark.parametrize(
    ("candidate", "tolerance", "median", "p95"),
    [
        (1.0, (0.0, 0.0), 3, 3),
        (0.2, (0.0, 0.0), 4, 6),
        (0.05, (0.0, 0.0), 9, 15),
        (1.0, (0.1, 0.001), 3, 4),
        (0.2, (0.1, 0.001), 4, 6),
        (0.05, (0.1, 0.001), 10, 19),
    ],
)
def test_it_takes_as_few_bad_answers_as_promised(candidate, tolerance, median, p95):
    found = detection(
        600, weight_bp=500, stable=0.01, candidate=candidate, tolerance=tolerance, seed=3
    )
    assert np.median(found.bad) <= median
    assert np.percentile(found.bad, 95, method="lower") <= p95


def test_what_is_never_found_is_nan():
    found = detection(
        5, weight_bp=500, stable=0.01, candidate=0.01, tolerance=(0.1, 0.001), seed=4, events_max=50
    )
    assert np.isnan(found.bad).all()
