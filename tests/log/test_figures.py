"""AUC, MAE and kappa beside scikit-learn; the gate's couples beside the area."""

import random

import pytest

from router.core.logged.figures import auc, kappa, mae

pytestmark = pytest.mark.log


def test_they_agree_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    for seed in range(20):
        rng = random.Random(seed)
        truths = [rng.random() < 0.3 for _ in range(300)]
        scores = [round(rng.gauss(0.7 * t, 1.0), 1) for t in truths]  # with ties
        said = [str(s > 0.5) for s in scores]
        assert auc(truths, scores) == pytest.approx(
            metrics.roc_auc_score(truths, scores), abs=1e-12
        )
        assert kappa([str(t) for t in truths], said) == pytest.approx(
            metrics.cohen_kappa_score([str(t) for t in truths], said), abs=1e-12
        )
        numbers = [rng.gauss(0, 30) for _ in truths]
        assert mae(numbers, scores) == pytest.approx(
            metrics.mean_absolute_error(numbers, scores), abs=1e-9
        )


def test_of_nothing_nothing_is_said():
    assert auc([True], [0.5]) is None
    assert mae([], []) is None
    assert kappa([], []) is None
    assert kappa(["a"], ["a"]) is None
