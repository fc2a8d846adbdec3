"""The dial is a plan like any other: levels are steps."""

import pytest
from pydantic import ValidationError

from router.core.strategies import STRATEGIES
from router.core.strategies.automation import alone, assists

DIAL = {
    "human_only": {"hold": "1h"}, "shadow": {"until": {"samples": 50}}, "assist": {},
    "partial": {"approval": {}}, "full": {"bake": "1h"},
}  # fmt: skip


def made(**levels):
    return STRATEGIES["automation"].model_validate(levels).plan()


def test_levels_are_steps_in_their_order():
    plan = made(**dict(reversed(DIAL.items())))
    assert [(s.label, s.weight_bp, s.mirror_bp) for s in plan.steps] == [
        ("human_only", 0, 0), ("shadow", 0, 10_000), ("assist", 0, 10_000),
        ("partial", 10_000, 0), ("full", 10_000, 0),
    ]  # fmt: skip
    assert [assists(plan, n) for n in range(5)] == [False, False, True, False, False]
    assert [alone(plan, n, over=False) for n in range(5)] == [False] * 4 + [True]
    assert alone(plan, 4, over=True)


def test_a_dial_without_full_stays_at_partial():
    plan = made(shadow={"hold": "1h"}, partial={"weight": "90%"})
    assert [(s.weight_bp, s.mirror_bp) for s in plan.steps] == [(0, 10_000), (9_000, 10_000)]
    assert not alone(plan, 1, over=True)


def test_levels_may_be_left_out_but_a_plan_of_another_strategy_has_none():
    plan = made(assist={"hold": "1h"}, full={})
    assert [s.label for s in plan.steps] == ["assist"]
    assert alone(plan, 0, over=True)
    other = STRATEGIES["shadow"].model_validate({"mirror": "5%", "hold": "1h"}).plan()
    assert not alone(other, 0, over=True)
    assert not assists(other, 0)


@pytest.mark.parametrize("levels", [{"shadow": {}}, {"partial": {}}, {"full": {}}])
def test_a_dial_leads_somewhere_and_proves_something(levels):
    with pytest.raises(ValidationError, match="expected"):
        made(**levels)
