"""The comparison against a literal, request by request computation written from the formulas."""

import json
import math
import random

import pytest

from router.core.evidence import CompareEvidence
from router.core.evidence.bettors import hypotheses


class Literal:
    """Every request multiplies every bettor's capital, as the definition says."""

    def __init__(self, p0, rho, delta, horizon):
        self.p0, self.rho, self.delta, self.horizon = p0, rho, delta, horizon
        self.rates = hypotheses(p0, rho, delta)
        self.capital = [0.5 / len(self.rates)] * len(self.rates)
        self.cash, self.n = 0.5, 0

    def factor(self, rate, w, candidate, bad):
        b = (1 + self.rho) * self.p0 + self.delta
        r, s = rate / b, max((1 - rate) / (1 - b), 0.02)
        q0 = w * (1 + self.rho) / (w * (1 + self.rho) + 1 - w)
        phi = min(q0 * (r - 1) / (1 - q0 + q0 * r), 0.97)
        l1 = phi / ((1 + self.rho) / (1 - w) + self.delta)
        l0 = w * (1 - w) * (1 - s) / (1 - w + w * s)
        values = {}
        for a in (0, 1):
            for y in (0, 1):
                z1 = a * y / w - (1 + self.rho) * (1 - a) * y / (1 - w) - self.delta
                z0 = ((1 - a) * (1 - y) / (1 - w) - a * (1 - y) / w
                      - self.rho * (1 - a) * y / (1 - w) - self.delta)  # fmt: skip
                values[a, y] = 1 + l1 * z1 + l0 * z0
        smallest = min(values.values())
        factor = values[int(candidate), int(bad)]
        return factor if smallest >= 0.01 else 1 + 0.99 / (1 - smallest) * (factor - 1)

    def observe(self, w, candidate, bad):
        self.capital = [
            c * self.factor(rate, w, candidate, bad)
            for c, rate in zip(self.capital, self.rates, strict=True)
        ]
        total = sum(self.capital) + self.cash
        if bad:
            self.n += 1
            share = 0.5 * (1 / math.log2(self.n + 1) - 1 / math.log2(self.n + 2))
            if self.horizon:
                share = 0.2 * share + (0.4 / self.horizon if self.n <= self.horizon else 0.0)
            share /= 2  # the other half is for alarms
            self.cash -= share
            self.capital = [c + share / len(self.rates) for c in self.capital]
        return total


@pytest.mark.parametrize("horizon", [None, 60])
@pytest.mark.parametrize(("rho", "delta"), [(0.0, 0.0), (0.1, 0.001)])
def test_counting_lazily_equals_the_literal_computation(horizon, rho, delta):
    draw = random.Random(11)
    literal = Literal(0.02, rho, delta, horizon)
    evidence = CompareEvidence(0.02, relative=rho, absolute=delta, horizon=horizon)
    waiting = [0, 0]
    for i in range(6_000):
        weight_bp = (500, 1_000, 5_000)[i // 2_000]
        candidate, bad = draw.random() < weight_bp / 10_000, draw.random() < 0.02
        expected = literal.observe(weight_bp / 10_000, candidate, bad)
        waiting[candidate] += not bad
        if bad or i % 2_000 == 1_999:
            evidence.observe(weight_bp, 0, 0, waiting[1], waiting[0])
            waiting = [0, 0]
        if bad:
            evidence.observe(weight_bp, int(candidate), int(not candidate), 0, 0)
        if bad or i % 2_000 == 1_999:
            assert evidence.capital == pytest.approx(expected, rel=1e-9)
    assert literal.n > 60


def test_a_batch_equals_its_events_in_any_order_up_to_the_release():
    """Order matters to the release alone: a batch stays within the orders of its events."""
    events = [(1, 0)] * 4 + [(0, 1)] * 10
    batch = CompareEvidence(0.01)
    batch.observe(500, 4, 10, 50, 900)
    singles = []
    for seed in range(20):
        one = CompareEvidence(0.01)
        one.observe(500, 0, 0, 50, 900)
        for cb, sb in random.Random(seed).sample(events, len(events)):
            one.observe(500, cb, sb, 0, 0)
        singles.append(one.capital)
    assert batch.pot.events == one.pot.events == 14
    assert batch.capital <= max(singles) * 1.001
    assert batch.capital > 0.3 * min(singles)


def test_snapshot_through_json_is_exact():
    draw = random.Random(5)
    left = CompareEvidence(0.01, horizon=500)
    for _ in range(300):
        left.observe(500, draw.random() < 0.3, draw.random() < 0.7, draw.randrange(9), 40)
    right = CompareEvidence(0.3, horizon=None)
    right.restore(json.loads(json.dumps(left.snapshot())))
    for _ in range(50):
        counts = (draw.randrange(2), draw.randrange(3), draw.randrange(9), draw.randrange(99))
        left.observe(1_000, *counts)
        right.observe(1_000, *counts)
    assert right.capital == left.capital
    assert right.snapshot() == left.snapshot()
    assert repr(right) == repr(left)


@pytest.mark.parametrize(
    "damage",
    [{"shares": [1.0]}, {"shares": [math.nan] * 9}, {"shares": [-1.0] * 9}, {"shares": ["1"] * 9}],
)
def test_a_damaged_snapshot_is_refused(damage):
    data = CompareEvidence(0.01).snapshot()
    data["pot"] |= damage
    with pytest.raises(ValueError):
        CompareEvidence(0.01).restore(data)


@pytest.mark.parametrize("p0", [0.0, -1.0, "nan", 7])
def test_a_snapshot_of_an_impossible_rate_is_refused(p0):
    with pytest.raises(ValueError, match="no bad rate"):
        CompareEvidence(0.01).restore(CompareEvidence(0.01).snapshot() | {"p0": p0})


@pytest.mark.parametrize("p0", [0.0, math.nan, 1.5])
def test_a_rate_that_is_none_is_refused(p0):
    with pytest.raises(ValueError, match="no bad rate"):
        CompareEvidence(p0)


def test_an_endless_disaster_stays_finite():
    evidence = CompareEvidence(1e-4)
    for _ in range(50):
        evidence.observe(100, 10_000, 0, 0, 1_000_000)
    assert math.isfinite(evidence.capital)
    assert evidence.capital > 1e200


def test_hundred_million_good_requests_cost_nothing_but_integers():
    evidence = CompareEvidence(0.01)
    before = evidence.capital
    evidence.observe(500, 0, 0, 0, 0)
    assert evidence.capital == before
    evidence.observe(500, 0, 0, 5_000_000, 95_000_000)
    assert evidence.capital < 1.0
    assert evidence.candidate_ok == 5_000_000


def test_where_only_failures_bet_good_ones_pay_the_absolute_tolerance():
    evidence = CompareEvidence(0.01, bad_only=True)
    evidence.observe(500, 0, 0, 1_000, 20_000)
    assert evidence.capital < 1
    free = CompareEvidence(0.01, bad_only=True, absolute=0.0)
    free.observe(500, 0, 0, 1_000, 20_000)
    assert free.capital == pytest.approx(1.0)
