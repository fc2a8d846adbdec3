"""What stops the clocks of a rollout: one rule for all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from router.core.rollout.events import Abort, Observed, Pause, Promote, Refused, Resume
from router.core.rollout.machine import decide
from router.core.rollout.plan import Approval, Default, OnInconclusive, Plan, Step
from router.core.rollout.rollout import Phase, age_s, begin, step_age_s
from router.core.rollout.traffic import split_for
from router.core.rollout.windows import Window, open_for

PLAN = Plan(
    (
        Step(1_000, hold_s=100),
        Step(5_000, hold_s=100, approval=Approval(100, Default.ABORT)),
        Step(9_000, hold_s=100),
    ),
    bake_s=100, max_duration_s=10_000, on_inconclusive=OnInconclusive.ROLLBACK,
)  # fmt: skip
STOPPED = Observed(stopped="frozen by ann", may_advance=False)
BEGUN = begin("r-1", "r", "v1", "v2", revision=1, now=0.0)


def carried(rollout, *events):
    for now, event in events:
        rollout = decide(rollout, PLAN, event, now)
    return rollout


def places():
    """A rollout in each phase whose clocks run, at 50 s of its place."""
    yield "step", BEGUN, 50.0
    waiting = carried(BEGUN, (100, Observed()), (200, Observed()))
    assert waiting.phase is Phase.AWAITING_APPROVAL
    yield "approval", waiting, 250.0
    yield "bake", carried(BEGUN, (0, Promote(full=True))), 50.0


@pytest.mark.parametrize("stop", ["outside", "pause"])
@pytest.mark.parametrize(("where", "rollout", "now"), list(places()))
def test_no_clock_goes_on_while_it_is_stopped(where, rollout, now, stop):
    before = step_age_s(rollout, now), age_s(rollout, now)
    begin_, end = (Pause(), Resume()) if stop == "pause" else (STOPPED, Observed())
    stopped = decide(rollout, PLAN, begin_, now)
    later = now + 1e6
    if stop == "outside":
        assert (stopped.phase, stopped.reason) == (rollout.phase, "frozen by ann")
        assert decide(stopped, PLAN, STOPPED, later) is stopped
    assert split_for(stopped, PLAN) == split_for(rollout, PLAN)
    assert step_age_s(stopped, later) == before[0]
    on = decide(stopped, PLAN, end, later)
    assert (step_age_s(on, later), age_s(on, later)) == before
    if stop == "outside":
        assert on.reason == "the clocks go on after 11d13h46m40s"
        assert decide(on, PLAN, Observed(), later) is on


@pytest.mark.parametrize(("where", "rollout", "now"), list(places()))
@pytest.mark.parametrize("order", [Promote(), Promote(full=True), Abort(), Pause()])
def test_an_order_while_they_are_stopped_counts_none_of_it(where, rollout, now, order):
    stopped = decide(rollout, PLAN, STOPPED, now)
    ordered = decide(stopped, PLAN, order, now + 1e6)
    assert ordered.stopped_since is None
    counted = 250.0 - 50.0 if where == "approval" else now
    assert age_s(ordered, now + 1e6) == counted


def test_the_time_in_which_a_person_is_asked_is_not_the_rollouts():
    waiting = carried(BEGUN, (100, Observed()), (200, Observed()))
    paused = carried(waiting, (240, Pause()), (1_240, Resume()))
    promoted = decide(paused, PLAN, Promote(), 1_250)
    assert age_s(promoted, 1_250) == 200.0
    assert age_s(decide(waiting, PLAN, Promote(), 299), 299) == 200.0


HOLD = replace(PLAN, on_inconclusive=OnInconclusive.HOLD, max_duration_s=50)


def test_at_max_duration_a_person_is_asked_and_the_answer_begins_the_time_anew():
    asked = decide(BEGUN, HOLD, Observed(unproven="not enough yet: guard has 1 of 9 answers"), 50)
    assert asked.phase is Phase.AWAITING_APPROVAL
    assert asked.reason == (
        "no decision within max_duration 50s; not enough yet: guard has 1 of 9 answers; "
        "`promote` it or `abort`"
    )
    assert split_for(asked, HOLD) == split_for(BEGUN, HOLD)
    assert decide(asked, HOLD, Observed(), 1e6) is asked
    on = decide(asked, HOLD, Promote(), 1e6)
    assert (on.phase, on.step, age_s(on, 1e6)) == (Phase.PROGRESSING, 1, 0.0)


def test_in_the_bake_a_person_is_asked_at_its_end_with_all_traffic_on_the_candidate():
    baking = decide(BEGUN, HOLD, Promote(full=True), 0)
    lacking = Observed(unproven="not enough yet")
    assert decide(baking, HOLD, lacking, 99) is baking
    asked = decide(baking, HOLD, lacking, 100)
    assert (asked.phase, asked.paused_from) == (Phase.AWAITING_APPROVAL, Phase.BAKING)
    assert split_for(asked, HOLD).candidate_bp == 10_000
    with pytest.raises(Refused, match="stands already"):
        decide(asked, HOLD, Pause(), 101)
    assert decide(asked, HOLD, Promote(), 101).phase is Phase.COMPLETED


@pytest.mark.parametrize("full", [False, True])
def test_where_the_policy_promotes_what_was_asked_for_may_come_by_itself(full):
    plan = replace(HOLD, on_inconclusive=OnInconclusive.PROMOTE)
    rollout = decide(BEGUN, plan, Promote(full=True), 0) if full else BEGUN
    asked = decide(rollout, plan, Observed(unproven="not enough yet"), 100)
    assert asked.phase is Phase.AWAITING_APPROVAL
    proven = decide(asked, plan, Observed(), 1_000)
    assert proven.phase is (Phase.COMPLETED if full else Phase.BAKING)
    assert proven.reason.startswith("it was proven after max_duration")


def test_nobody_is_asked_twice_where_a_hook_or_a_group_holds_it():
    held = Observed(may_advance=False, unproven="not enough yet")
    assert decide(BEGUN, HOLD, held, 60) is BEGUN


MONDAY = 1_767_571_200.0  # 2026-01-05 00:00 UTC
HOUR = 3_600.0


@pytest.mark.parametrize(
    ("windows", "at", "hours", "expected"),
    [
        ((), 0, 5, 5),
        (("mon-fri 09:00-17:00 UTC",), 8, 1, 10),
        (("mon-fri 09:00-17:00 UTC",), 16, 2, 24 + 10),
        (("mon-fri 09:00-17:00 UTC",), 4 * 24 + 16, 2, 7 * 24 + 10),
        (("daily 00:00-24:00 UTC",), 5, 100, 105),
        (("daily 22:00-02:00 UTC",), 1, 3, 24),
        (("mon 09:00-10:00 UTC", "mon 09:30-11:00 UTC"), 9, 1.5, 10.5),
        (("mon 09:00-10:00 UTC",), 9, 100, None),
    ],
)
def test_a_hold_takes_the_time_in_which_windows_are_open(windows, at, hours, expected):
    listed = [Window.parse(text) for text in windows]
    done = open_for(listed, MONDAY + at * HOUR, hours * HOUR)
    assert done == (None if expected is None else pytest.approx(MONDAY + expected * HOUR))
