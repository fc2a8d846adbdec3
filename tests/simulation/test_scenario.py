"""Worlds and what the router knows of them."""

import math

import pytest

from router.core.wire.histogram import quantile
from router.simulation.scenario import Bursts, LatencyModel, Scenario, Traffic, edges


def test_the_equal_world_differs_in_the_candidate_only():
    scenario = Scenario(
        stable_rate=0.02, candidate_rate=0.5, requests_per_s=9.0, change_at_s=60.0, bursts=Bursts(),
        latency=LatencyModel(factor=2.0, hang=True, median_s=0.2),
    )  # fmt: skip
    equal = scenario.equal
    assert (scenario.regresses, equal.regresses) == (True, False)
    assert (equal.candidate_rate, equal.change_at_s, equal.requests_per_s) == (0.02, 0.0, 9.0)
    assert equal.latency == LatencyModel(median_s=0.2)
    assert Scenario(latency=LatencyModel(factor=1.5)).regresses
    assert not Scenario().regresses


def test_the_baseline_is_the_exact_distribution():
    baseline = Scenario(stable_rate=0.02, latency=LatencyModel(), history=100_000).baseline()
    assert baseline.bad == 2_000
    assert sum(baseline.latency_buckets) == pytest.approx(100_000, abs=60)
    assert quantile(baseline.latency_buckets, 0.5) == pytest.approx(0.1, rel=0.01)
    assert quantile(baseline.latency_buckets, 0.99) == pytest.approx(0.32, rel=0.02)
    assert Scenario(history=0).baseline().requests == 0


@pytest.mark.parametrize(
    "fields",
    [{"stable_rate": 1.5}, {"candidate_rate": -0.1}, {"requests_per_s": 0.0},
     {"requests_per_s": math.nan}],
)  # fmt: skip
def test_impossible_worlds_are_refused(fields):
    with pytest.raises(ValueError):
        Scenario(**fields)


def test_a_log_s_traffic_becomes_a_scenario():
    scenario = Traffic(1_000, 20, 100.0).scenario(candidate_rate=0.3)
    assert (scenario.stable_rate, scenario.candidate_rate) == (0.02, 0.3)
    assert (scenario.requests_per_s, scenario.history) == (10.0, 1_000)
    assert Traffic(1_000, 20, 100.0).scenario().candidate_rate == 0.02
    with pytest.raises(ValueError, match="two requests"):
        Traffic(1, 0, 0.0).scenario()


def test_edges():
    changes = [(0.0, 1.0), (5.0, 2.0)]
    assert (edges(changes, 0.0), edges(changes, 5.0)) == (5.0, math.inf)
