"""A stepped return: the rollout is over at once, its traffic follows by the clock alone."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.core.rollout.events import Abort, Action, Observed, Promote, Refused, Retry, Rollback
from router.core.rollout.machine import decide
from router.core.rollout.plan import Plan, Step
from router.core.rollout.rollout import Phase, Rollout, begin
from router.core.rollout.traffic import returns_on, split_for

PLAN = Plan((Step(5_000, hold_s=60),), bake_s=60, back_s=100.0)
GATES_TOO = replace(PLAN, back_by_gates=True)
BAD = Observed(Action.ROLLBACK, "4 of 57 failed")


def taken_back(event, plan=PLAN, at=10.0, *, full=False):
    rollout = begin("r-1", "r", "v1", "v2", revision=1, now=0.0)
    if full:
        rollout = decide(rollout, plan, Promote(full=True), 1.0)
    return decide(rollout, plan, event, at)


def share(rollout, now, plan=PLAN):
    return split_for(rollout, plan, now).candidate_bp


@pytest.mark.parametrize("event", [Rollback("ann"), Abort("ann")])
def test_a_person_s_order_returns_in_ten_parts_the_first_at_once(event):
    back = taken_back(event)
    assert not back.phase.live
    assert [share(back, 10.0 + t) for t in (0, 9.9, 10, 50, 89, 90, 100, 1e9)] == [
        4_500, 4_500, 4_000, 2_000, 500, 0, 0, 0,
    ]  # fmt: skip
    assert split_for(back, PLAN).candidate_bp == 0, "where it leads to"
    assert "50 % return over 1m40s" in back.reason


@pytest.mark.parametrize(
    ("event", "plan", "expected"),
    [
        (BAD, PLAN, 0),
        (BAD, GATES_TOO, 4_500),
        (Rollback("router", "a fellow failed"), PLAN, 0),
        (Abort("policy", "another candidate"), PLAN, 0),
        (Rollback("ann", instant=True), PLAN, 0),
        (Rollback("ann"), replace(PLAN, back_s=0.0), 0),
    ],
)
def test_everything_else_is_instant_unless_the_plan_says_stepped(event, plan, expected):
    assert share(taken_back(event, plan), 10.0, plan) == expected


def test_an_undo_begins_at_90_percent():
    assert share(taken_back(Rollback("ann"), full=True), 10.0) == 9_000


def test_a_second_order_takes_the_rest_at_once_and_a_third_is_refused():
    back = taken_back(Rollback("ann"))
    all_back = decide(back, PLAN, Rollback("bob", "hurry"), 20.0)
    assert share(back, 20.0) == 4_000
    assert share(all_back, 20.0) == 0
    assert (all_back.phase, all_back.revision) == (Phase.ROLLED_BACK, back.revision + 1)
    with pytest.raises(Refused, match="on stable already"):
        decide(all_back, PLAN, Rollback("bob"), 21.0)
    with pytest.raises(Refused, match="on stable already"):
        decide(back, PLAN, Rollback("bob"), 101.0)


def test_what_is_measured_changes_nothing_and_retry_begins_anew():
    back = taken_back(Rollback("ann"))
    assert decide(back, PLAN, BAD, 20.0) is back
    again = decide(back, PLAN, Retry("ann"), 20.0)
    assert share(again, 20.0) == 5_000
    assert again.back_bp == 0


@given(
    st.integers(0, 10_000), st.floats(0.1, 1e6),
    st.lists(st.floats(0, 2e6), min_size=2, max_size=20),
)  # fmt: skip
def test_it_only_shrinks_and_ends_in_time(weight_bp, over_s, times):
    plan = Plan((Step(weight_bp),), back_s=over_s)
    back = decide(begin("r-1", "r", "a", "b", revision=1, now=0.0), plan, Rollback("ann"), 5.0)
    assert Rollout.from_json(back.to_json()) == back
    shares = [share(back, 5.0 + t, plan) for t in sorted(times)]
    assert all(0 <= later <= earlier <= weight_bp for earlier, later in itertools.pairwise(shares))
    assert share(back, 5.0 + over_s, plan) == 0
    assert weight_bp < 10 or share(back, 5.0, plan) < weight_bp


@given(st.floats(0.1, 1e6))
def test_the_next_part_is_due_when_it_is_said_to_be(over_s):
    plan = Plan((Step(10_000),), back_s=over_s)
    back = decide(begin("r-1", "r", "a", "b", revision=1, now=0.0), plan, Rollback("ann"), 5.0)
    now, seen = 5.0, [share(back, 5.0, plan)]
    while (due := returns_on(back, plan, now)) is not None:
        assert due > now
        now = due
        seen.append(share(back, now, plan))
    assert seen == list(range(9_000, -1, -1_000))
