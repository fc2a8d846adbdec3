"""Confidence, agreement, and the accuracy-coverage curve."""

import random

import pytest

from router.core.reviews.agreement import kappa
from router.core.reviews.confidence import confidence, least
from router.core.reviews.coverage import curve, proposed, upper_bound


def test_how_sure_a_version_is():
    assert confidence(0.03, probability=True) == pytest.approx(0.97)
    assert confidence(0.03, probability=False) == 0.03
    assert confidence(None, probability=True) is None
    assert least([0.9, 0.7]) == 0.7
    assert least([0.9, None]) is least([]) is None


def test_kappa_is_agreement_beyond_chance():
    seen = {("y", "y"): 20, ("y", "n"): 5, ("n", "y"): 10, ("n", "n"): 15}
    assert kappa(seen) == pytest.approx(0.4)
    assert kappa({}) is None
    assert kappa({("y", "y"): 9}) is None, "chance explains all of it"
    assert kappa({("a", "a"): 5, ("b", "b"): 5}) == 1.0


@pytest.mark.parametrize(
    ("wrong", "count", "bound"), [(0, 59, 0.0495), (5, 100, 0.1023), (10, 10, 1.0)]
)
def test_the_bound_is_clopper_and_pearsons(wrong, count, bound):
    assert upper_bound(wrong, count, 0.05) == pytest.approx(bound, abs=2e-4)


def test_the_threshold_is_the_lowest_whose_error_is_proven():
    dice = random.Random(7)
    said = [(sure := 0.5 + dice.random() / 2, dice.random() < sure) for _ in range(4_000)]
    points = curve(said)
    assert [one.coverage for one in points] == sorted(one.coverage for one in points)
    assert points[-1].coverage == 1.0
    best = proposed(points, 0.10)
    assert best is not None
    assert 0.75 < best.threshold < 0.9
    assert best.at_most <= 0.10
    assert proposed(points, 0.0001) is None
    assert curve([]) == []


def test_all_of_one_confidence_are_on_one_side():
    points = curve([(0.9, True)] * 100 + [(0.6, False)] * 100)
    assert [(one.threshold, one.count) for one in points] == [(0.9, 100), (0.6, 200)]
