"""Lock-step: who waits for whom, and who goes back with whom."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.core.rollout.events import Abort, Observed, Pause, Promote, Retry, Rollback
from router.core.rollout.group import Member, place, taken_back_with, waits_for
from router.core.rollout.machine import decide, ready
from router.core.rollout.plan import Approval, Plan, Step
from router.core.rollout.rollout import Phase, begin

PLAN = Plan((Step(100, hold_s=60), Step(1_000, hold_s=60)), bake_s=60)
ASKING = Plan((Step(100, approval=Approval()), Step(1_000)))


def member(*events, route="b", plan=PLAN, ready=False, started=0.0):
    rollout = begin(f"{route}-1", route, "v1", "v2", revision=1, now=started)
    for at, event in events:
        rollout = decide(rollout, plan, event, at)
    return Member(route, rollout, plan, ready)


ME = member(route="a")


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (member(ready=True), ""),
        (member(ready=False), "waits for b, which is progressing in step 1 of 2"),
        (member((1, Pause())), "waits for b, which is paused in step 1 of 2"),
        (member((1, Promote())), ""),  # ahead
        (member((1, Promote(full=True))), ""),
        (member((1, Promote(full=True)), (2, Promote())), ""),  # completed
        (member((1, Abort())), "waits for b, which was taken back; `retry` it"),
        (Member("b"), "waits for b, which has not begun"),
    ],
)
def test_who_waits(other, expected):
    assert waits_for(ME.rollout, ME.plan, [member(route="c", ready=True), other]) == expected


def test_those_behind_catch_up_with_one_that_a_person_moved():
    ahead = member((1, Promote()), route="a")
    assert "step 1 of 2" in waits_for(ahead.rollout, ahead.plan, [member(ready=False)])
    baking = member((1, Promote(full=True)), route="a", ready=True)
    assert (
        waits_for(baking.rollout, baking.plan, [member((1, Promote(full=True)), ready=True)]) == ""
    )
    assert "baking" in waits_for(baking.rollout, baking.plan, [member((1, Promote(full=True)))])


def test_members_ask_for_approval_together_and_leave_it_one_by_one():
    asking = member((1, Observed()), plan=ASKING)
    assert asking.rollout.phase is Phase.AWAITING_APPROVAL
    about_to_ask = member(route="a", plan=ASKING)
    assert waits_for(about_to_ask.rollout, about_to_ask.plan, [asking]) == ""
    unasked = member(route="a")  # its step has no approval: it would leave
    assert (
        waits_for(unasked.rollout, unasked.plan, [asking])
        == "waits for b, which is awaiting approval in step 1 of 2"
    )


def test_one_failure_takes_back_all_that_were_under_way():
    failed = member((50, Rollback()), route="x").rollout
    others = [
        member(route="live"),
        member((1, Pause()), route="paused"),
        member((1, Promote(full=True)), route="baking"),
        member((1, Promote(full=True)), (2, Promote()), route="completed"),
        member((1, Abort()), route="aborted already"),
        member(route="later", started=51.0),
        Member("none"),
    ]
    assert taken_back_with(failed, others) == ("live", "paused", "baking", "completed")
    old = replace(failed, started=10.0, ended=20.0)
    assert "completed" not in taken_back_with(old, others), "it had completed before that began"
    again = decide(failed, PLAN, Retry(), 60.0)
    assert taken_back_with(again, others) == (), "what is tried again has not failed"


@given(st.lists(st.sampled_from(["a", "b", "c"]), max_size=60), st.data())
def test_members_are_never_more_than_one_step_apart(turns, data):
    """Whoever looks first: each leaves a step only when the others have done it."""
    rollouts = {name: member(route=name).rollout for name in "abc"}
    done = dict.fromkeys("abc", False)
    now = 0.0
    for name in turns:
        now += 30.0
        seen = Observed(samples=1)
        me = Member(name, rollouts[name], PLAN)
        if not rollouts[name].phase.live:
            continue
        done[name] = ready(rollouts[name], PLAN, seen, now)
        others = [Member(n, rollouts[n], PLAN, done[n]) for n in "abc" if n != name]
        may = waits_for(me.rollout, me.plan, others) == ""
        after = decide(rollouts[name], PLAN, replace(seen, may_advance=may), now)
        done[name] = done[name] and after is rollouts[name]
        rollouts[name] = after
        far = [_rank(r) for r in rollouts.values()]
        assert max(far) - min(far) <= 1


def _rank(rollout):
    return 3 if rollout.phase is Phase.COMPLETED else min(place(rollout), 2)
