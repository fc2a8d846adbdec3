"""Which failing candidates may pass a rollout at a traffic, against rollouts in virtual time."""

import pytest

from router.config.check import load
from router.core.policy import RolloutPolicy
from router.core.policy.passing import passing, sure_rate
from router.core.policy.power import ExpectedTraffic
from router.simulation.run import Setup, run_once
from router.simulation.scenario import Scenario
from tests.bench.decisions.rollouts import promoting
from tests.bench.decisions.stretches import Stretches

STEPS = [{"weight": "10%", "hold": "10m"}, {"weight": "50%", "hold": "1h"}]


def policy(strategy=None, **more):
    strategy = strategy or {"canary": {"steps": STEPS}}
    return RolloutPolicy.model_validate({"candidate": "v2", "strategy": strategy} | more)


def at(per_s, bad=0.01):
    return ExpectedTraffic(per_s, bad)


def test_the_worked_example():
    assert sure_rate(policy(gates=["error_rate"]), at(2.0)) == pytest.approx(0.03, abs=0.001)


def test_more_traffic_and_more_time_let_less_pass():
    found = [sure_rate(policy(), at(per_s)) for per_s in (0.5, 5.0, 50.0, 500.0)]
    assert found == sorted(found, reverse=True)
    assert 0.012 < found[-1] < 0.015, "stable's 1 %, and what is tolerated"
    longer = [{"weight": "10%", "hold": "10m"}, {"weight": "50%", "hold": "5h"}]
    assert sure_rate(policy({"canary": {"steps": longer}}), at(2.0)) < sure_rate(policy(), at(2.0))


def test_copies_alone_are_the_guards_business():
    blue = {"blue_green": {"mirror": "100%", "until": {"samples": 3_000}, "bake": "1m"}}
    found = sure_rate(policy(blue, gates=[{"guard": {"error_rate": "2%"}}]), at(50.0))
    assert 0.02 < found < 0.05
    assert sure_rate(policy(blue, gates=[{"guard": {"error_rate": "9%"}}]), at(50.0)) > 0.09


@pytest.mark.parametrize("gates", [
    [{"error_rate": {"dry_run": True}}], [{"error_rate": {"on_fail": "hold"}}],
    [{"agreement": {"at_least": "95%"}}],
])  # fmt: skip
def test_who_takes_nobody_back_sees_nothing(gates):
    blue = {"blue_green": {"mirror": "100%", "until": {"samples": 1_000}, "bake": "1m"}}
    strategy = blue if "agreement" in gates[0] else None
    assert sure_rate(policy(strategy, gates=gates), at(50.0)) == 1.0
    (said,) = passing(policy(strategy, gates=gates), at(50.0))
    assert said == "where stable fails 1.0 %: any candidate may pass at this traffic"


def test_in_words_and_only_where_somebody_is_promoted():
    (said,) = passing(policy(), at(50.0))
    assert said.startswith("where stable fails 1.0 %: at this traffic a candidate that fails less ")
    assert said.endswith("% may pass; more is taken back in 19 of 20 rollouts")
    assert not list(passing(policy({"shadow": {"mirror": "100%", "hold": "1h"}}), at(50.0)))


@pytest.mark.simulated
def test_under_every_shipped_policy_five_times_stables_failures_are_found():
    """Of 1 %, at 50 requests a second: `reference/pricing` had no gate that compares."""
    found = {name: sure_rate(route.rollout, at(50.0)) for name, route in promoting()}
    assert len(found) > 20
    assert {name: rate for name, rate in found.items() if rate > 0.05} == {}


@pytest.mark.simulated
@pytest.mark.parametrize("name", ["quickstart", "guarded-canary", "blue-green"])
def test_what_it_says_is_taken_back_is(name):
    """Of 20 rollouts one may pass, and with 20 runs some more by chance (Wilson)."""
    rollout = load(f"configs/{name}.yaml").policy.routes[0].rollout
    worse = Scenario(candidate_rate=sure_rate(rollout, at(50.0)), requests_per_s=50.0)
    runs = [run_once(Setup.of(rollout), worse, seed, worlds=Stretches) for seed in range(20)]
    assert sum(run.outcome == "rolled back" for run in runs) >= 17
