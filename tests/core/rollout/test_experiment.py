"""Experiments and fixed splits: their plans, their shares, and what a policy may not say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.config.check import loads
from router.config.problems import PolicyError
from router.core.rollout.events import Observed, Promote, Refused, SetWeight
from router.core.rollout.machine import decide
from router.core.rollout.plan import Bandit, Ending, Plan, Step
from router.core.rollout.rollout import Phase, Rollout, begin
from router.core.rollout.traffic import Draw, bucket_of, split_for

POLICY = """
routes:
  - name: r
    {route}
    versions:
      v1: {{endpoints: [http://127.0.0.1:9001]}}
      v2: {{endpoints: [http://127.0.0.1:9002]}}
      v3: {{endpoints: [http://127.0.0.1:9003]}}
    stable: v1
    {rest}
"""
CANARY = "rollout: {candidate: v2, strategy: {canary: {steps: [{weight: 1%, hold: 1h}]}}}"
STICKY = "sticky: {header: X-User-Id}"
REWARDED = STICKY + "\n    feedback: {secret: only-for-these-tests}"


def experiment(settings, *, route=STICKY, candidate="v2"):
    rest = f"rollout: {{candidate: {candidate}, strategy: {{experiment: {settings}}}}}"
    return loads(POLICY.format(route=route, rest=rest)).policy.routes[0].rollout.plan()


def test_an_experiment_is_one_step_that_keeps_stable():
    plan = experiment("{arms: {v2: 30%, v3: 20%}, for: 14d}")
    (step,) = plan.steps
    assert (step.weight_bp, step.others, step.hold_s) == (3_000, (("v3", 2_000),), 14 * 86_400)
    assert (plan.ending, plan.bake_s, plan.strategy) == (Ending.KEEP, 0, "experiment")
    rollout = begin("r-1", "r", "v1", "v2", revision=1, now=0.0)
    split = split_for(rollout, plan)
    assert (split.candidate_bp, split.others, split.stable_bp) == (3_000, (("v3", 2_000),), 5_000)
    ended = decide(rollout, plan, Observed(), 14 * 86_400.0)
    assert ended.phase is Phase.COMPLETED
    assert split_for(ended, plan).stable_bp == 10_000
    assert "v1 stays stable" in ended.reason


def test_the_candidate_need_not_be_the_first_arm():
    (step,) = experiment("{arms: {v2: 30%, v3: 20%}, for: 1d}", candidate="v3").steps
    assert (step.weight_bp, step.others) == (2_000, (("v2", 3_000),))


@pytest.mark.parametrize(
    ("settings", "route", "says"),
    [
        ("{arms: {v2: 30%, v3: 70%}, for: 1d}", STICKY, "at most 99% together, got 100%"),
        ("{arms: {v3: 20%}, for: 1d}", STICKY, "the candidate 'v2' among the arms"),
        ("{arms: {v2: 30%, v1: 20%}, for: 1d}", STICKY, "arms besides stable"),
        ("{arms: {v2: 30%, v9: 20%}, for: 1d}", STICKY, "versions v1, v2, v3, got 'v9'"),
        ("{arms: {v2: 30%}}", STICKY, "for"),
        ("{arms: {v2: 0.5%}, for: 1d}", STICKY, "arms"),
        ("{arms: {v2: 30%}, for: 1d}", "pin: true", "sticky on a route with an experiment"),
        ("{arms: {v2: 30%}, for: 1d, bandit: {}}", STICKY, "feedback on the route"),
        ("{arms: {v2: 30%}, for: 1d, bandit: {}}", REWARDED + "\n    pin: true", "without pin"),
        ("{arms: {v2: 9%}, for: 1d, bandit: {floor: 51%}}", REWARDED, "floors"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, route, says):
    with pytest.raises(PolicyError) as refused:
        experiment(settings, route=route)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("split: {v1: 80%, v2: 10%}", "sum to 100%, got 90%"),
        ("split: {v1: 80%, v9: 20%}", "got 'v9'"),
        (
            "split: {v1: 80%, v2: 20%}\n    " + CANARY,
            "either a split or a rollout",
        ),
    ],
)
def test_a_split_is_a_whole_without_a_rollout(rest, says):
    with pytest.raises(PolicyError) as refused:
        loads(POLICY.format(route=STICKY, rest=rest))
    assert says in str(refused.value)


def test_rewards_move_the_shares_and_people_may_still_leave():
    plan = Plan(
        (Step(3_000, others=(("v3", 2_000),), hold_s=100, bandit=Bandit(60, 500)),),
        ending=Ending.KEEP,
    )
    rollout = begin("r-1", "r", "v1", "v2", revision=1, now=0.0)
    wanted = (("v2", 6_000), ("v3", 500))
    moved = decide(rollout, plan, Observed(shares=wanted), 60.0)
    assert Rollout.from_json(moved.to_json()) == moved
    split = split_for(moved, plan)
    assert (split.candidate_bp, split.others, split.stable_bp) == (6_000, (("v3", 500),), 3_500)
    assert "shares follow rewards: v2 60 %, v3 5 %" in moved.reason
    assert decide(moved, plan, Observed(shares=wanted), 61.0) is moved
    frozen = Observed(shares=(("v2", 100), ("v3", 100)), may_advance=False)
    assert decide(moved, plan, frozen, 61.0) is moved
    with pytest.raises(Refused, match="at most 94 %, since other versions have 5 %"):
        decide(moved, plan, SetWeight(weight_bp=9_500, until=90.0), 62.0)
    most = decide(moved, plan, SetWeight(weight_bp=9_400, until=90.0), 62.0)
    assert split_for(most, plan).candidate_bp == 9_400
    ended = decide(moved, plan, Promote(), 63.0)
    assert (ended.phase, ended.shares) == (Phase.COMPLETED, None)


def test_a_step_cannot_exceed_the_whole():
    with pytest.raises(ValueError, match="exceed"):
        Step(6_000, others=(("v3", 4_001),))


@st.composite
def weights(draw):
    """Shares of 1 to 6 versions that sum to the whole."""
    cuts = sorted(draw(st.lists(st.integers(0, 10_000), max_size=5)))
    return [b - a for a, b in zip([0, *cuts], [*cuts, 10_000], strict=True)]


@given(weights(), st.integers(0, 9_999), st.data())
@settings(max_examples=15, deadline=None)  # all ten thousand places each
def test_every_version_gets_exactly_its_share(shares, offset, data):
    candidate = data.draw(st.integers(-1, len(shares) - 1))
    got = [0] * len(shares)
    draw = Draw(range(len(shares)), shares, candidate, offset)
    for bucket in range(10_000):
        got[draw.at(bucket)] += 1
    assert got == shares


@given(st.integers(0, 9_000), st.integers(0, 900), st.integers(0, 9_999), st.binary())
@settings(max_examples=50)
def test_growing_the_candidate_takes_nobody_out_of_it(weight, more, offset, key):
    before = Draw(range(3), [9_100 - weight, weight, 900], 1, offset).at(bucket_of(key))
    after = Draw(range(3), [9_100 - weight - more, weight + more, 900], 1, offset).at(
        bucket_of(key)
    )
    assert before != 1 or after == 1
