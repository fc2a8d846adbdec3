"""Shadows in a policy: what they become, what is refused, what is warned about."""

import pytest

from router.config import loads
from router.config.problems import PolicyError
from router.core.gates import GateContext
from router.core.gates.agreement import Agreement
from router.core.gates.guard import Guard
from router.core.judge import Judge, JudgeSettings
from router.core.policy.power import ExpectedTraffic, power_findings
from router.core.rollout.plan import Ending
from router.core.wire.baseline import Baseline
from router.core.wire.outcomes import Batch, Pairs

POLICY = """
routes:
  - name: r
    payload: {payload}
    versions:
      v1: {{endpoints: [http://127.0.0.1:9001]}}
      v2: {{endpoints: [http://127.0.0.1:9002]}}
      v3: {{endpoints: [http://127.0.0.1:9003]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {strategy}
      gates: {gates}
      compare: {compare}
"""
SHADOW = "{shadow: {mirror: 25%%, until: {samples: 10}%s}}"
CANARY = ", then: {canary: {steps: [{weight: 1%, hold: 1m}, {weight: 50%, hold: 5m}], bake: 1h}}"


def loaded(strategy=SHADOW % "", *, gates="[guard]", compare="{}", payload="json"):
    return loads(POLICY.format(strategy=strategy, gates=gates, compare=compare, payload=payload))


def rollout(*args, **settings):
    return loaded(*args, **settings).policy.routes[0].rollout


def test_a_shadow_alone_keeps_stable():
    plan = rollout().plan()
    assert [(s.mirror_bp, s.weight_bp, s.until_samples) for s in plan.steps] == [(2_500, 0, 10)]
    assert (plan.ending, plan.strategy) == (Ending.KEEP, "shadow")


def test_what_follows_is_the_same_plan_behind_one_more_step():
    after = rollout(SHADOW % CANARY).plan()
    (canary,) = [part for _, part in rollout(SHADOW % CANARY).parts][1:]
    assert after.steps[1:] == canary.plan().steps
    assert [s.weight_bp for s in after.steps] == [0, 100, 5_000]
    assert (after.ending, after.bake_s, after.strategy) == (
        Ending.PROMOTE, 3_600.0, "shadow, then canary",
    )  # fmt: skip


def test_blue_green_may_follow_too():
    plan = rollout(SHADOW % ", then: {blue_green: {hold: 5m, bake: 1h}}").plan()
    assert [s.label for s in plan.steps][:2] == ["shadow", "preview"]
    assert plan.ending is Ending.PROMOTE


def test_a_shadow_does_not_follow_a_shadow():
    with pytest.raises(PolicyError, match="known here: blue_green, canary"):
        loaded(SHADOW % ", then: {shadow: {mirror: 1%, hold: 1h}}")


def test_the_budget_of_a_ramp_that_follows():
    ramp = ", then: {canary: {ramp: {auto: {budget: 7}}}}"
    assert rollout(SHADOW % ramp).ramp_budget == 7


def test_copies_of_further_versions_are_in_the_step():
    (step,) = rollout(SHADOW % ", also: [v3]").plan().steps
    assert step.also == ("v3",)


@pytest.mark.parametrize(
    ("strategy", "settings", "message"),
    [
        (SHADOW % ", also: [v9]", {}, "expected one of the versions v1, v2, v3, got 'v9'"),
        (SHADOW % ", also: [v1]", {}, "expected a further version, got 'v1'"),
        (SHADOW % ", also: [v2]", {}, "expected a further version, got 'v2'"),
        (
            SHADOW % "",
            {"gates": "[positive_rate]", "payload": "opaque"},
            "positive_rate can never be decided",
        ),
        (
            "{canary: {steps: [{weight: 1%, hold: 1m}]}}",
            {"gates": "[positive_rate]"},
            "expected a step with mirror, which positive_rate compares",
        ),
        (SHADOW % "", {"compare": "{noise_pairs: 5}"}, "noise_pairs"),
        (SHADOW % "", {"compare": "{segment: {header: 'a b'}}"}, "a field name such as X-"),
    ],
)
def test_refused(strategy, settings, message):
    with pytest.raises(PolicyError) as error:
        loaded(strategy, **settings)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("strategy", "settings", "message"),
    [
        (SHADOW % "", {"gates": "[agreement]", "payload": "opaque"}, "compares byte by byte"),
        (SHADOW % "", {"gates": "[positive_rate]"}, "judges the last number"),
        (SHADOW % "", {"compare": "{reverse: 5%}"}, "reverse copies nothing"),
        (
            "{canary: {steps: [{weight: 1%, hold: 1m}]}}",
            {"compare": "{noise: 5%}"},
            "noise is never learnt",
        ),
    ],
)
def test_warned(strategy, settings, message):
    assert any(message in w.headline() for w in loaded(strategy, **settings).warnings)


def test_what_is_well_is_not_warned_about():
    made = loaded(
        SHADOW % CANARY, gates="[agreement, positive_rate, error_rate, guard]",
        compare="{score: y, noise: 5%, reverse: 5%, segment: {header: X-Country}, redact: [a.b]}",
    )  # fmt: skip
    assert made.warnings == ()


def test_reverse_pairs_are_enough_for_agreement():
    loaded(
        "{canary: {steps: [{weight: 1%, hold: 1m}]}}",
        gates="[agreement, error_rate]", compare="{reverse: 5%}",
    )  # fmt: skip


def test_warnings_about_a_canary_that_follows_point_into_it():
    made = rollout(SHADOW % CANARY, gates="[error_rate]")
    paths = [found.path for found in power_findings(made, ExpectedTraffic(1.0))]
    assert ("strategy", "shadow", "then", "canary", "steps", 0) in paths


def test_the_guard_does_not_count_a_reverse_pair_again():
    state = Guard().start(GateContext())
    state.observe(Batch("r", 1, pairs=Pairs(failed=5, agreed=1, reverse=True)))
    assert state.candidate.total == 0
    state.observe(Batch("r", 1, pairs=Pairs(failed=5, agreed=1)))
    assert state.candidate.total == 6


def test_pairs_that_teach_noise_are_a_sign_of_life_and_nothing_else():
    judge = Judge([Agreement()], JudgeSettings(no_data_after_s=60), Baseline(), 0.0)
    for now in range(0, 200, 10):
        judge.observe(Batch("r", 1, pairs=Pairs(learning=3)), float(now))
    judge.tick(200.0)
    assert judge.silence == ""
    assert (judge.pairs, judge.capital) == (0, 1.0)
    judge.tick(300.0)
    assert judge.silence


def test_copies_warm_a_candidate():
    judge = Judge([Agreement()], JudgeSettings(warm_up_requests=10), Baseline(), 0.0)
    judge.observe(Batch("r", 1, pairs=Pairs(disagreed=10)), 1.0)
    assert judge.capital == 1.0
    judge.observe(Batch("r", 1, pairs=Pairs(disagreed=10)), 2.0)
    assert judge.capital > 100
