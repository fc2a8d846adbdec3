"""Estimates of what gates can see, against the simulated figures of the statistics."""

import math

import pytest

from router.core.gates.error_rate import ErrorRate
from router.core.policy import RolloutPolicy
from router.core.policy.power import (
    ExpectedTraffic,
    describe,
    nats_needed,
    power_findings,
    requests_to_verdict,
    sights,
    smallest_regression,
)

PLAIN = ErrorRate.model_validate({"tolerance": {"relative": "0%", "absolute": "0%"}})
NATS = math.log(100)


def rollout(**more):
    steps = [{"mirror": "100%", "hold": "1m"}, {"weight": "5%", "hold": "5m"}, {"weight": "100%"}]
    strategy = {"canary": {"steps": steps}}
    return RolloutPolicy.model_validate({"candidate": "v2", "strategy": strategy} | more)


@pytest.mark.parametrize(
    ("gate", "bad_rate", "bad_responses"),
    [  # medians of seeded simulations at 5 % weight and 1 % stable errors
        (PLAIN, 1.0, 3),
        (PLAIN, 0.20, 4),
        (PLAIN, 0.05, 8),
        (PLAIN, 0.02, 36),
        (ErrorRate(), 0.20, 4),
        (ErrorRate(), 0.05, 10),
        (ErrorRate(), 0.02, 58),
    ],
)
def test_the_estimate_agrees_with_simulation(gate, bad_rate, bad_responses):
    requests = requests_to_verdict(500, bad_rate, 0.01, gate, NATS)

    assert bad_responses * 0.7 < requests * 0.05 * bad_rate < bad_responses * 1.35


def test_nothing_is_seen_without_a_coin_or_within_the_tolerance():
    assert requests_to_verdict(0, 1.0, 0.01, PLAIN, NATS) == math.inf
    assert requests_to_verdict(10_000, 1.0, 0.01, PLAIN, NATS) == math.inf
    assert requests_to_verdict(500, 0.01, 0.01, ErrorRate(), NATS) == math.inf


def test_more_requests_see_smaller_regressions():
    seen = [smallest_regression(500, n, 0.01, ErrorRate(), NATS) for n in (10, 1_000, 10**5, 10**7)]

    assert seen == sorted(seen, reverse=True)
    assert seen[0] == 1.0
    assert 0.012 < seen[-1] < 0.02


def test_what_is_found_is_found_in_time():
    requests = 20_000
    rate = smallest_regression(500, requests, 0.01, ErrorRate(), NATS)

    assert requests_to_verdict(500, rate, 0.01, ErrorRate(), NATS) <= requests
    assert requests_to_verdict(500, rate * 0.98, 0.01, ErrorRate(), NATS) > requests


def test_sticky_users_are_slower_to_convict():
    coin = requests_to_verdict(500, 1.0, 0.01, PLAIN, NATS)

    assert requests_to_verdict(500, 1.0, 0.01, PLAIN, NATS, sticky=True) >= coin


def test_sharing_the_evidence_costs_nats():
    alone = nats_needed(rollout(gates=["error_rate"]), ErrorRate())
    shared = nats_needed(rollout(gates=["error_rate", "guard"]), ErrorRate())

    assert alone == pytest.approx(math.log(100))
    assert shared == pytest.approx(math.log(100 / 0.9))


def test_only_steps_with_both_versions_are_described():
    traffic = ExpectedTraffic(50)
    (sight,) = sights(rollout(), traffic)

    assert (sight.step, sight.weight_bp, sight.lasts_s) == (1, 500, 300.0)
    assert describe(sight, traffic).startswith("5 % for 5m: sees 1.0 % -> ")


@pytest.mark.parametrize(("rate", "hint"), [(1.0, "46s"), (0.25, "4m"), (0.003, "5h")])
def test_a_hint_has_times_as_people_write_them(rate, hint):
    short = {"canary": {"steps": [{"weight": "5%", "hold": "1s"}]}}
    found = list(
        power_findings(rollout(strategy=short, gates=["error_rate"]), ExpectedTraffic(rate))
    )

    assert [one.hint for one in found] == [f"hold it for {hint} or longer"]


def test_without_the_gate_nothing_is_described():
    assert list(sights(rollout(gates=["guard"]), ExpectedTraffic(50))) == []
    assert (
        list(sights(rollout(gates=[{"error_rate": {"dry_run": True}}]), ExpectedTraffic(50))) == []
    )
