"""Bands around what people measure models by: against published values, and where they are hard."""

import pytest

from router.core.logged.figures import auc_band, mean_band, share_band


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [  # Newcombe, Stat. Med. 1998, table I, method 3
        (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)  # fmt: skip
def test_a_share_has_the_published_band(hits, count, low, high):
    assert share_band(hits, count) == pytest.approx((low, high), abs=5e-5)


def test_an_area_of_one_of_few_cases_has_a_band_too():
    low, high = auc_band(1.0, 10, 10)
    assert 0.7 < low < 0.9
    assert high == 1.0
    assert auc_band(0.0, 10, 10) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_an_area_s_band_holds_it_and_shrinks():
    few, many = auc_band(0.8, 20, 30), auc_band(0.8, 2000, 3000)
    assert few[0] < many[0] < 0.8 < many[1] < few[1]
    # Hanley and McNeil's own standard error, which is near where there are many.
    assert many[1] - many[0] == pytest.approx(2 * 1.96 * 0.0064, rel=0.05)


def test_a_mean_of_one_has_no_band():
    assert mean_band([1.0]) is None
    assert share_band(0, 0) is None
    assert mean_band([1.0, 2.0, 3.0]) == pytest.approx((2 - 1.1316, 2 + 1.1316), abs=1e-3)
