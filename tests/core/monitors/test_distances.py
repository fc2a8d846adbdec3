"""Distances and their p against values that are known, and what must hold of all of them."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.core.monitors import distances as d

COUNTS = st.lists(st.integers(0, 1_000), min_size=2, max_size=12)


@given(COUNTS.flatmap(lambda a: st.tuples(st.just(a), st.permutations(a))))
def test_distances_are_symmetric_and_zero_for_equals(pair):
    a, b = pair
    assert d.psi(a, b) == pytest.approx(d.psi(b, a), abs=1e-9)
    assert d.jensen_shannon(a, b) == pytest.approx(d.jensen_shannon(b, a), abs=1e-9)
    assert d.psi(a, a) == d.jensen_shannon(a, a) == 0.0
    assert 0.0 <= d.jensen_shannon(a, b) <= 1.0 + 1e-9


@given(
    st.lists(st.integers(-9, 9), min_size=1, max_size=30),
    st.lists(st.integers(-9, 9), min_size=1, max_size=30),
)
def test_ks_is_the_largest_distance_anywhere(a, b):
    a, b = sorted(a), sorted(b)
    points = [x / 2 for x in range(-20, 21)]

    def cdf(sample, x):
        return sum(v <= x for v in sample) / len(sample)

    wanted = max(abs(cdf(a, x) - cdf(b, x)) for x in points)
    assert d.kolmogorov_smirnov(a, b) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("statistic", "freedom", "p"),
    [(3.841459, 1, 0.05), (16.918978, 9, 0.05), (21.665994, 9, 0.01), (2.0, 2, math.exp(-1.0))],
)
def test_tails_of_chi_square_are_those_of_the_tables(statistic, freedom, p):
    assert d.chi_square_tail(statistic, freedom) == pytest.approx(p, rel=1e-5)


def test_without_observations_nothing_is_unlikely():
    assert d.chi_square((0, 0), (1, 2), (1.0, 1.0)) == 1.0
    assert d.chi_square((5, 0), (7, 0), (1.0, 1.0)) == 1.0
    assert d.ks_chance(0.5, 0, 10) == 1.0
    assert d.ks_chance(0.001, 100, 100) == 1.0
    assert d.by_chance(10, 0, 5) == 0.0
    assert d.shares((0, 0)) == [0.0, 0.0]
    assert d.discoveries([], 0.05) == []


def test_an_index_of_equal_samples_is_what_chance_gives():
    draw, found = random.Random(1), []
    for _ in range(200):
        a, b = ([0] * 10 for _ in range(2))
        for counts in (a, b):
            for _ in range(500):
                counts[draw.randrange(10)] += 1
        found.append(d.psi(a, b))
    assert sum(found) / 200 == pytest.approx(d.by_chance(10, 500, 500), rel=0.1)


def test_discoveries_are_those_of_benjamini_and_hochberg():
    chances = [0.01, 0.013, 0.014, 0.19, 0.35, 0.5, 0.63, 0.67, 0.75, 0.81]
    assert d.discoveries(chances, 0.05) == [True] * 3 + [False] * 7
    assert d.discoveries([0.04, 0.06], 0.05) == [False, False]


def test_cuts_have_equal_weight_and_ties_are_cut_once():
    assert d.quantiles([float(k) for k in range(101)], 10) == tuple(range(10, 100, 10))
    assert d.quantiles([0.0] * 90 + [1.0] * 10, 10) == ()
    assert d.quantiles([0.0] * 50 + [1.0] * 50, 10) == (1.0,)


def test_a_line_is_found():
    growth, explained = d.slope([1.0, 3.0, 5.0, 7.0])
    assert (growth, explained) == (pytest.approx(2.0), pytest.approx(1.0))
    assert d.slope([1.0, 2.0]) == (0.0, 0.0)
    assert d.slope([1.0, 1.0, 1.0]) == (0.0, 0.0)
