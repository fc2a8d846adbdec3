"""One rate against a limit, from above and from below."""

import json
import math
import random

import pytest

from router.core.evidence import GuardEvidence
from router.core.evidence.guard import guard_hypotheses


@pytest.mark.parametrize("limit", [0.001, 0.05, 0.5, 0.9])
@pytest.mark.parametrize("side", ["above", "below"])
def test_no_bet_gains_within_the_limit(limit, side):
    for rate in guard_hypotheses(limit, side):
        for step in range(11):
            inside = limit * step / 10 if side == "above" else limit + (1 - limit) * step / 10
            mean = inside * rate / limit + (1 - inside) * (1 - rate) / (1 - limit)
            assert mean <= 1 + 1e-12


def test_a_literal_computation_agrees():
    draw = random.Random(2)
    evidence = GuardEvidence(0.05)
    rates = guard_hypotheses(0.05, "above")
    capital, cash, n = [0.5 / 8] * 8, 0.5, 0
    for _ in range(2_000):
        bad = draw.random() < 0.06
        ratios = [t / 0.05 if bad else (1 - t) / 0.95 for t in rates]
        capital = [c * f for c, f in zip(capital, ratios, strict=True)]
        evidence.observe(int(bad), int(not bad))
        if bad:
            n += 1
            share = 0.5 * (1 / math.log2(n + 1) - 1 / math.log2(n + 2))
            cash -= share
            capital = [c + share / 8 for c in capital]
        assert evidence.capital == pytest.approx(sum(capital) + cash, rel=1e-9)


def test_both_sides_find_what_they_look_for():
    above, below = GuardEvidence(0.02), GuardEvidence(0.02, side="below")
    above.observe(10, 90)
    below.observe(10, 90)
    assert above.capital > 100
    assert below.capital < 1
    never = GuardEvidence(0.02, side="below")
    never.observe(0, 1_000)
    assert never.capital > 100


def test_nothing_changes_nothing():
    evidence = GuardEvidence(0.02)
    evidence.observe(0, 0)
    assert evidence.capital == pytest.approx(1.0)


def test_snapshot_is_exact():
    left, right = GuardEvidence(0.02), GuardEvidence(0.02)
    left.observe(3, 40)
    right.restore(json.loads(json.dumps(left.snapshot())))
    assert (right.capital, right.bad, right.ok) == (left.capital, 3, 40)
    assert repr(right) == repr(left)


@pytest.mark.parametrize("limit", [0.0, 0.97, 1.0, math.nan])
def test_a_limit_that_nothing_exceeds_is_refused(limit):
    with pytest.raises(ValueError, match="limit"):
        GuardEvidence(limit)
