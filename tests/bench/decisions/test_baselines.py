"""The other tools, on minutes made by hand."""

import numpy as np
import pytest

from tests.bench.decisions.baselines import (
    TOOLS,
    Minutes,
    argo,
    argo_strict,
    drawn,
    flagger,
    kayenta,
    z_test,
)


def minutes(bad, total=100, length=60, stable_bad=10, stable_total=1_900):
    """One run; the candidate has ``bad[i]`` of ``total`` in minute i, then none."""
    candidate = np.zeros((1, length), dtype=int)
    candidate[0, : len(bad)] = bad
    full = np.ones((1, length), dtype=int)
    return Minutes(candidate, full * total, full * stable_bad, full * stable_total)


def test_flagger_rolls_back_at_the_fifth_failed_minute_and_never_forgives():
    assert flagger(minutes([2, 2, 2, 2])) == -1
    assert flagger(minutes([2, 2, 0, 2, 2, 0, 2])) == 6
    assert flagger(minutes([1] * 60)) == -1


def test_argo_fails_at_the_fourth_failed_five_minutes():
    assert argo(minutes([6] * 15)) == -1
    assert argo(minutes([6] * 20)) == 19
    assert argo_strict(minutes([0, 0, 2])) == 2


def test_a_minute_without_traffic_is_skipped():
    empty = minutes([0] * 60, total=0)
    assert flagger(empty) == argo_strict(empty) == -1


def test_the_z_test_waits_for_a_hundred_requests():
    assert z_test(minutes([20], total=99)) == 1
    assert z_test(minutes([20])) == 0
    assert z_test(minutes([0] * 60)) == -1


def test_kayenta_wants_minutes_on_both_sides():
    assert kayenta(minutes([10] * 60)) == 9
    assert kayenta(minutes([0] * 60)) == -1
    assert kayenta(minutes([10] * 7, length=7)) == -1
    assert kayenta(minutes([10] * 60, total=100), every=3) == 8


def test_drawn_minutes_have_their_rates():
    shape = (50, 60)
    found = drawn(
        np.random.default_rng(1), requests_per_s=50.0, weight=0.05, candidate=np.full(shape, 0.2),
        stable=np.full(shape, 0.01),
    )  # fmt: skip
    assert found.candidate_all.mean() == pytest.approx(150, rel=0.02)
    assert found.candidate_bad.mean() == pytest.approx(30, rel=0.03)
    assert found.stable_bad.mean() == pytest.approx(28.5, rel=0.03)
    assert all((tool(found) >= 0).all() for name, tool in TOOLS.items() if name != "Argo")
