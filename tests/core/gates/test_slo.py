"""Gate slo."""

from router.core.gates import GateContext, SlowLimit
from router.core.gates.slo import Slo
from router.core.wire.baseline import Baseline
from router.core.wire.outcomes import ArmCounts, Batch, Cell

GATE = Slo.model_validate({"slower_than": "300ms"})


def test_both_arms_have_the_same_limit(past):
    assert GATE.limits(past) == (SlowLimit(0.3, 0.3),)
    assert GATE.limits(Baseline()) == (SlowLimit(0.3, 0.3),)


def test_more_slow_answers_than_stable_convict(past):
    state = GATE.start(GateContext(baseline=past))
    cell = Cell(
        500, ArmCounts(fast=(30,), slow=(20,)), ArmCounts(fast=(980,), slow=(20,)),
        thresholds_s=(0.3,),
    )  # fmt: skip
    state.observe(Batch("route", 1, (cell,)))
    assert state.capital > 100
    assert state.sentence().startswith(
        "slower than 300ms: candidate 20 of 50 (40.0 %), stable 20 of 1,000 (2.0 %); "
        "tolerated: stable + 10 % + 0.1 pp"
    )


def test_an_unknown_past_only_costs_power():
    state = GATE.start(GateContext())
    cell = Cell(500, ArmCounts(slow=(5,), fast=(0,)), ArmCounts(slow=(1,), fast=(99,)), (0.3,))
    state.observe(Batch("route", 1, (cell,)))
    assert state.capital > 100
