"""Standing at the start: entered once, never convicted, left when the candidate is ready."""

from __future__ import annotations

import pytest

from router.core.rollout.events import Abort, Action, Observed, Promote, Refused, Retry, SetWeight
from router.core.rollout.machine import decide
from router.core.rollout.plan import Plan, Step
from router.core.rollout.rollout import Phase, Rollout, begin
from router.core.rollout.traffic import Split, split_for

PLAN = Plan((Step(500, 1_000, hold_s=10), Step(5_000)), max_duration_s=60)
ABSENT = Observed(unready="v2 is not ready")


def standing() -> Rollout:
    return begin("r-1", "r", "v1", "v2", revision=1, now=0.0, unready="v2 is not ready")


def test_it_stands_without_traffic_and_without_a_verdict():
    rollout = standing()
    assert rollout.standing
    assert rollout.phase is Phase.PROGRESSING
    assert split_for(rollout, PLAN) == Split(0)
    assert rollout.reason == "rollout of v2 beside v1 started"
    assert decide(rollout, PLAN, ABSENT, 1e6) is rollout
    assert Rollout.from_json(rollout.to_json()) == rollout


def test_it_begins_with_its_clocks_when_the_candidate_is_ready():
    rollout = standing()
    assert decide(rollout, PLAN, Observed(may_advance=False), 90.0) is rollout
    begun = decide(rollout, PLAN, Observed(), 90.0)
    assert (begun.standing, begun.started, begun.step_since) == (False, 90.0, 90.0)
    assert begun.reason.startswith("v2 is ready; step 1")
    assert split_for(begun, PLAN) == Split(500, 1_000)


def test_what_was_seen_ready_is_judged():
    new = begin("r-1", "r", "v1", "v2", revision=1, now=0.0)
    died = Observed(Action.ROLLBACK, "17 of 17 failed", unready="v2 is not ready")
    assert decide(new, PLAN, died, 1.0).phase is Phase.ROLLED_BACK


def test_a_hook_may_end_what_has_not_begun():
    ended = decide(standing(), PLAN, Observed(Action.ROLLBACK, "hook stop says so"), 9.0)
    assert ended.phase is Phase.ROLLED_BACK


def test_a_new_attempt_stands_too():
    ended = decide(standing(), PLAN, Abort(), 2.0)
    again = decide(ended, PLAN, Retry(unready="v2 is not ready"), 3.0)
    assert (again.standing, again.attempt, split_for(again, PLAN)) == (True, 2, Split(0))
    assert not decide(ended, PLAN, Retry(), 3.0).standing


def test_a_person_may_go_on_but_no_weight_is_promised():
    assert not decide(standing(), PLAN, Promote(), 2.0).standing
    with pytest.raises(Refused, match="not ready yet"):
        decide(standing(), PLAN, SetWeight(weight_bp=500, until=99.0), 2.0)
