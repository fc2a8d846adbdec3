"""The release of capital: it never exceeds one, whatever the horizon."""

import math

import pytest

from router.core.evidence.restart import START_SHARE, horizon_of, released


def test_half_bets_at_once_and_all_of_it_never_exceeds_one():
    for horizon in (None, 1, 7, 100_000):
        shares = [released(n, horizon) for n in range(2_000)]
        assert shares[0] == START_SHARE
        assert shares == sorted(shares)
        assert released(10**12, horizon) < 1.0


def test_log_rule_equals_its_sum():
    total = START_SHARE
    for n in range(1, 500):
        total += 0.5 * (1 / math.log2(n + 1) - 1 / math.log2(n + 2))
        assert released(n) == pytest.approx(total)


def test_mixed_rule_equals_its_sum():
    horizon, total = 300, START_SHARE
    for n in range(1, 1_000):
        log_part = 0.1 * (1 / math.log2(n + 1) - 1 / math.log2(n + 2))
        total += log_part + (0.4 / horizon if n <= horizon else 0.0)
        assert released(n, horizon) == pytest.approx(total)


@pytest.mark.parametrize(
    ("rate", "rps", "duration", "expected"),
    [
        (0.01, 50.0, 3_600.0, 1_800),
        (0.01, 50.0, None, None),
        (0.01, 0.0, 3_600.0, None),
        (0.01, math.nan, 3_600.0, None),
        (0.01, math.inf, 3_600.0, None),
        (1e-6, 1.0, 1.0, 1),
    ],
)
def test_horizon(rate, rps, duration, expected):
    assert horizon_of(rate, rps, duration) == expected
