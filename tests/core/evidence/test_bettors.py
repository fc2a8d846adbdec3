"""The theorem, numerically: no bet gains on average while the candidate is tolerated."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.core.evidence.bettors import (
    APART_RATIO,
    FACTOR_MIN,
    factors,
    hypotheses,
    log_table,
    spaced,
    tolerated_rate,
)

settings = st.tuples(
    st.floats(0.001, 0.999),  # weight
    st.floats(0.0, 1.0),  # relative
    st.floats(0.0, 0.1),  # absolute
    st.floats(1e-4, 0.5),  # p0
)


def expectation(table, w, p_candidate, p_stable):
    cb, sb, co, so = table
    return w * (p_candidate * cb + (1 - p_candidate) * co) + (1 - w) * (
        p_stable * sb + (1 - p_stable) * so
    )


@given(settings, st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_no_bet_gains_while_the_candidate_is_tolerated(setting, p_stable, inside, ok_channel):
    w, relative, absolute, p0 = setting
    p_candidate = inside * min((1 + relative) * p_stable + absolute, 1.0)
    for rate in hypotheses(p0, relative, absolute):
        table = factors(w, rate, p0, relative, absolute, ok_channel=ok_channel)
        assert expectation(table, w, p_candidate, p_stable) <= 1 + 1e-9
        assert min(table) >= FACTOR_MIN - 1e-12


@given(settings, st.floats(0.001, 0.4))
def test_the_bet_is_fair_exactly_on_the_border_when_it_bets_on_bad_outcomes_only(setting, p_stable):
    w, relative, absolute, p0 = setting
    border = (1 + relative) * p_stable + absolute
    for rate in hypotheses(p0, relative, absolute):
        table = factors(w, rate, p0, relative, absolute, ok_channel=False)
        assert expectation(table, w, border, p_stable) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("w", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("p0", [0.001, 0.01, 0.2])
def test_without_tolerance_it_is_the_likelihood_ratio_of_the_arm(w, p0):
    for rate in hypotheses(p0, 0.0, 0.0)[:6]:
        r, s = rate / p0, (1 - rate) / (1 - p0)
        expected = (
            r / (1 - w + w * r), 1 / (1 - w + w * r), s / (1 - w + w * s), 1 / (1 - w + w * s),
        )  # fmt: skip
        assert factors(w, rate, p0, 0.0, 0.0, ok_channel=True) == pytest.approx(expected)


def test_hypotheses_are_up_to_nine_rates_above_the_tolerated_one():
    for p0, most in ((1e-4, 9), (0.01, 9), (0.2, 5), (0.5, 2)):
        for relative, absolute in ((0.0, 0.0), (0.1, 0.001), (1.0, 0.5)):
            rates = hypotheses(p0, relative, absolute)
            assert 2 <= len(rates) <= most
            assert list(rates) == sorted(rates)
            assert all(b / a >= APART_RATIO for a, b in pairwise(rates[1:]))
            assert tolerated_rate(p0, relative, absolute) < rates[0]
            assert rates[-1] == pytest.approx(0.97)
    assert len(hypotheses(0.01, 0.1, 0.001)) == 9
    assert hypotheses(0.01, 0.0, 0.0)[:3] == pytest.approx((0.0125, 0.016, 0.02876), rel=1e-3)
    assert hypotheses(0.5, 0.0, 0.0) == pytest.approx((0.625, 0.97), rel=1e-3)


def test_spaced_hits_both_ends():
    values = spaced(0.01, 1.0, 3)
    assert values == pytest.approx((0.01, 0.1, 1.0))


def test_a_forced_weight_has_no_table():
    for weight_bp in (0, 10_000):
        with pytest.raises(ValueError, match="not a coin"):
            log_table(weight_bp, 0.01, 0.1, 0.001, True)


def test_growth_is_close_to_the_best_that_any_valid_test_can_have():
    """No such test can grow faster than the divergence between truth and the nearest tolerated law.

    At 5 % weight with the default tolerance the family must reach 95 % of that limit.
    """
    w, p_stable = 0.05, 0.01
    for p_candidate in (0.05, 0.2, 0.97):
        best = max(
            _growth(factors(w, rate, p_stable, 0.1, 0.001, ok_channel=True), w, p_candidate)
            for rate in spaced(0.012, 0.97, 400)
        )
        limit = min(_divergence(w, p_candidate, p_stable, q / 100_000) for q in range(1, 97_000, 7))
        assert best / limit > 0.95, (p_candidate, best, limit)


def _growth(table, w, p_candidate, p_stable=0.01):
    law = (w * p_candidate, (1 - w) * p_stable, w * (1 - p_candidate), (1 - w) * (1 - p_stable))
    return sum(p * math.log(f) for p, f in zip(law, table, strict=True))


def _divergence(w, p_candidate, p_stable, q_stable):
    q_candidate = min(1.1 * q_stable + 0.001, p_candidate)
    return w * _kl(p_candidate, q_candidate) + (1 - w) * _kl(p_stable, q_stable)


def _kl(p, q):
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
