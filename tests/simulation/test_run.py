"""Whole rollouts in virtual time: the product's judge, machine and plan."""

import math
import time

import pytest

from router.core.gates import GATES
from router.core.judge import JudgeSettings
from router.core.policy import RolloutPolicy
from router.simulation.result import many
from router.simulation.run import Setup, run_once
from router.simulation.scenario import LatencyModel, Scenario

CANARY = {"canary": {"steps": [{"weight": "5%", "hold": "10m"}, {"weight": "50%", "hold": "10m"}],
                     "bake": "5m"}}  # fmt: skip


def gate(kind, **fields):
    return GATES[kind].model_validate(fields)


def setup(strategy=None, **fields):
    return Setup.of(
        RolloutPolicy.model_validate({"candidate": "v2", "strategy": strategy or CANARY} | fields)
    )


def test_a_good_candidate_walks_through_the_plan():
    run = run_once(setup(), Scenario(), 1)
    assert run.outcome == "promoted"
    assert run.at_s == pytest.approx(1_500.0)
    assert [(at, bp) for at, bp, _ in run.timeline] == [
        (600.0, 5_000), (1_200.0, 10_000), (1_500.0, 10_000),
    ]  # fmt: skip
    assert run.requests == pytest.approx(600 * 2.5 + 600 * 25 + 300 * 50, rel=0.05)


def test_a_broken_one_is_rolled_back_after_three_bad_answers():
    runs = many(setup(), Scenario(candidate_rate=1.0), range(20))
    assert {run.outcome for run in runs} == {"rolled back"}
    assert sorted(run.bad for run in runs)[10] <= 3
    assert max(run.at_s for run in runs) < 10
    assert all(run.sentence.startswith(("error_rate: ", "guard: ")) for run in runs)


def test_the_same_seed_gives_the_same_run_traced_or_not():
    scenario = Scenario(candidate_rate=0.04)
    left, right = (run_once(setup(), scenario, 7, trace=t) for t in (False, True))
    assert (left.trace, len(right.trace) > 10) == ([], True)
    right.trace.clear()
    assert left == right
    assert run_once(setup(), scenario, 8) != left


def test_a_regression_in_the_bake_is_taken_back_by_the_guard():
    run = run_once(setup(), Scenario(candidate_rate=0.6, change_at_s=1_250.0), 3)
    assert run.outcome == "rolled back"
    assert 1_250 < run.at_s < 1_255
    assert run.sentence.startswith(("guard: ", "error_rate: ")), (
        "in its trial the arms are compared"
    )
    assert run.bad_since < run.bad


def test_the_ramp_proves_and_promotes():
    strategy = {"canary": {"ramp": {"auto": {"hold": "1s"}}}}
    run = run_once(setup(strategy), Scenario(stable_rate=0.005, candidate_rate=0.005), 4)
    assert run.outcome == "promoted"
    assert run.proven_at_s is not None
    weights = [bp for _, bp, _ in run.timeline]
    assert weights == sorted(weights)
    assert run.timeline[0][0] == 0.0


def test_a_shadow_is_kept_or_taken_back():
    shadow = {"shadow": {"mirror": "100%", "until": {"samples": 500}}}
    gates = [{"agreement": {"at_least": "98%"}}]
    good = run_once(setup(shadow, gates=gates), Scenario(disagree_rate=0.005), 5)
    assert (good.outcome, good.requests >= 500) == ("kept", True)
    bad = run_once(setup(shadow, gates=gates), Scenario(disagree_rate=0.3), 5)
    assert bad.outcome == "rolled back"
    assert bad.sentence.startswith("agreement: disagreed with stable")


def test_people_and_outside_gates_are_assumed_to_agree():
    strategy = {"canary": {"steps": [
        {"weight": "5%", "hold": "1m"}, {"approval": {"deadline": "4h", "then": "abort"}},
    ]}}  # fmt: skip
    url = {"url": "http://127.0.0.1:9090"}
    gates = [
        {"prometheus": {**url, "query": "up", "at_most": 3.0}},
        {"webhook": {**url, "ask": "rollback"}},
        {"webhook": {**url, "name": "asked"}},
    ]
    run = run_once(setup(strategy, gates=gates), Scenario(), 6)
    assert run.outcome == "promoted"
    assert any("by simulation" in reason for _, _, reason in run.timeline)


def test_the_plan_s_deadline_decides():
    strategy = {"canary": {"ramp": {"auto": {"hold": "1s"}}}}
    policy = setup(strategy, max_duration="2m", on_inconclusive="rollback")
    run = run_once(policy, Scenario(requests_per_s=0.2), 7)
    assert (run.outcome, run.at_s) == ("rolled back", pytest.approx(120.0))


def test_copies_are_compared_where_latency_is_simulated():
    steps = [{"mirror": "100%", "until": {"samples": 200}}, {"weight": "20%", "hold": "30s"}]
    policy = setup({"canary": {"steps": steps}}, gates=["error_rate", "latency"])
    run = run_once(policy, Scenario(latency=LatencyModel(), duration_s=600.0), 10)
    assert run.outcome == "promoted"
    assert run.timeline[0][0] == pytest.approx(4.0, abs=1.0), "two hundred copies at fifty a second"


def test_it_may_end_undecided():
    run = run_once(setup(), Scenario(duration_s=30.0), 8)
    assert (run.outcome, run.at_s) == ("undecided", 30.0)


def test_sticky_users_are_judged_as_users():
    policy = RolloutPolicy.model_validate({"candidate": "v2", "strategy": CANARY})
    scenario = Scenario(candidate_rate=1.0, users=2_000)
    run = run_once(Setup.of(policy, sticky=True), scenario, 9)
    assert run.outcome == "rolled back"
    assert "of each user the first" in run.sentence or run.sentence.startswith("guard")


def test_a_hanging_candidate_is_cut_before_its_timeout():
    latency = Setup.constant(500, [gate("latency")])
    runs = many(latency, Scenario(latency=LatencyModel(hang=True), duration_s=60.0), range(12))
    assert {run.outcome for run in runs} == {"rolled back"}
    assert sorted(run.exposed for run in runs)[6] <= 5
    assert sorted(run.at_s for run in runs)[6] < 2.0
    assert all(run.requests == 0 for run in runs)  # not one of its requests had ended


@pytest.mark.simulated
def test_equal_versions_for_a_day_are_left_alone():
    """The product's own judge over simulated days; the tables have thousands of them."""
    gates = [gate("error_rate"), gate("guard")]
    settings = JudgeSettings(no_data_after_s=math.inf)
    runs = many(Setup.constant(500, gates, settings), Scenario(), range(2))
    assert sum(run.outcome == "rolled back" for run in runs) <= 1
    assert all(run.requests > 200_000 for run in runs if run.outcome == "undecided")


@pytest.mark.nightly
@pytest.mark.timeout(1_800)
def test_equal_versions_for_two_thousand_days_are_left_alone():
    gates = [gate("error_rate"), gate("guard")]
    settings = JudgeSettings(no_data_after_s=math.inf)
    runs = many(Setup.constant(500, gates, settings), Scenario(), range(2_000), processes=2)
    assert sum(run.outcome == "rolled back" for run in runs) <= 20


@pytest.mark.simulated
def test_a_busy_day_is_simulated_in_seconds():
    begun = time.process_time()
    run = run_once(Setup.constant(500, [gate("error_rate")]), Scenario(requests_per_s=1_000.0), 1)
    assert run.requests > 4_000_000
    assert time.process_time() - begun < 6.0  # about one on an idle machine


def test_the_trace_is_bounded():
    from router.simulation.run import TRACE_MAX

    busy = Scenario(requests_per_s=200.0)
    run = run_once(Setup.constant(500, [gate("error_rate")]), busy, 2, trace=True)
    assert TRACE_MAX // 2 <= len(run.trace) <= TRACE_MAX
    assert run.trace[-1].at_s > 80_000
