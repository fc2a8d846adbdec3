"""Gate latency: thresholds from the past, and a time axis of its own for the candidate."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from router.core.evidence.users import Users
from router.core.gates import GateContext
from router.core.gates.latency import Latency, position
from router.core.wire.baseline import Baseline
from router.core.wire.outcomes import ArmCounts, Batch, Cell, UserCounts

HANG = {
    "candidate": ArmCounts(fast=(0, 0, 0), slow=(3, 3, 3)),
    "stable": ArmCounts(fast=(30, 57, 60), slow=(30, 3, 0)),
}


def test_limits_are_quantiles_of_the_past(past):
    limits = Latency().limits(past)
    assert [limit.stable_s for limit in limits] == [0.0993, 0.226, 0.313]
    assert all(limit.candidate_s == pytest.approx(1.1 * limit.stable_s) for limit in limits)


def test_equal_quantiles_give_one_limit():
    narrow = Baseline(600, 0, (600,), 1.0)
    assert len(Latency().limits(narrow)) == 1
    assert Latency().start(GateContext(baseline=narrow)).capital == pytest.approx(1.0)


def test_a_hanging_candidate_is_seen_by_its_age(past):
    """Three requests of the candidate grew older than every threshold; none of them ended."""
    state = Latency().start(GateContext(baseline=past))
    cell = Cell(500, thresholds_s=(0.0993, 0.226, 0.313), tolerance=0.1, **HANG)
    state.observe(Batch("route", 1, (cell,)))
    assert state.capital > 100
    assert state.candidate.total == 3
    assert "slower than 313ms: candidate 3 of 3 (100 %), stable 0 of 60 (0 %)" in state.sentence()
    assert "tolerated: candidate 10 % slower (344ms)" in state.sentence()


def test_requests_counted_against_other_thresholds_are_ignored(past):
    state = Latency().start(GateContext(baseline=past))
    for cell in (
        Cell(500, thresholds_s=(9.0,), tolerance=0.1, **HANG),
        Cell(500, thresholds_s=(), **HANG),
        Cell(500, thresholds_s=(0.0993, 0.226, 0.313), tolerance=0.1),
    ):
        state.observe(Batch("route", 1, (cell,)))
    assert state.capital == pytest.approx(1.0)


def test_a_limit_with_another_tolerance_reads_the_candidate_elsewhere(past):
    """The route counts with 10 %; a gate with 0 % finds its candidate count at T / 1.1."""
    gate = Latency.model_validate({"quantiles": [0.5], "tolerance": "0%"})
    state = gate.start(GateContext(baseline=past))
    cell = Cell(
        500, ArmCounts(fast=(0, 9), slow=(4, 0)), ArmCounts(fast=(0, 8), slow=(0, 8)),
        thresholds_s=(0.0993 / 1.1, 0.0993), tolerance=0.1,
    )  # fmt: skip
    state.observe(Batch("route", 1, (cell,)))
    assert (state.candidate.bad, state.candidate.total) == (4, 4)
    assert (state.stable.bad, state.stable.total) == (8, 16)


def test_sticky_users_of_slow_requests(past):
    state = Latency().start(GateContext(baseline=past, sticky=True))
    arm = ArmCounts(fast=(0,) * 3, slow=(9,) * 3, users=UserCounts((5,), slow=((5,),) * 3))
    other = ArmCounts(fast=(0,) * 3, slow=(0,) * 3, users=UserCounts(slow=((),) * 3))
    users = Users()
    cell = Cell(500, arm, other, (0.0993, 0.226, 0.313), 0.1, True)
    state.observe(Batch("route", 1, (users.admit(cell),)))
    once = state.capital
    state.observe(Batch("route", 1, (users.admit(cell), replace(cell, round=1))))
    assert 1 < once == state.capital
    assert "of each user the first request" in state.sentence()


def test_thresholds_travel_through_divisions():
    cell = Cell(500, thresholds_s=(0.1 * 1.1 / 1.1, 0.25))
    assert position(cell, 0.1) == 0
    assert position(cell, 0.2) is None


@pytest.mark.parametrize("quantiles", [[], [0.0], [1.0], [0.5] * 9, ["0.5"]])
def test_quantiles_that_are_none_are_refused(quantiles):
    with pytest.raises(ValidationError):
        Latency.model_validate({"quantiles": quantiles})
