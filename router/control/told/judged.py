"""Judges outside, as people see them."""

from __future__ import annotations

from collections.abc import Iterator

from router.control.outside.judges import Judges
from router.control.rollouts.trial import Trial
from router.control.told.compared import JudgeView, SpentView
from router.core.gates.judge import JudgeBudget, JudgeGate, JudgeGateState
from router.core.judging.spent import Spending


def judge_views(route: str, trial: Trial, judges: Judges) -> list[JudgeView]:
    """One for each gate of an attempt that asks one, in the policy's order."""
    return list(_views(route, trial, judges))


def _views(route: str, trial: Trial, judges: Judges) -> Iterator[JudgeView]:
    for gate in trial.policy.gates:
        state = trial.judge.states.get(gate.title)
        if not isinstance(gate, JudgeGate) or not isinstance(state, JudgeGateState):
            continue
        lane, said = judges.lane(route, gate.title, trial), state.evidence
        yield JudgeView(
            gate=gate.title, asked=state.asked, worse=said.worse, better=said.better,
            alike=said.same, same=state.equal, unanswered=state.unknown,
            first=state.place.candidate, second=state.place.stable, place=state.bias,
            trouble=lane.trouble if lane else "", left_alone=lane.left_alone if lane else False,
            today=_spent(judges.spent(route, gate.title), gate.budget),
        )  # fmt: skip


def _spent(spending: Spending, budget: JudgeBudget) -> SpentView:
    return SpentView(
        calls=spending.calls, calls_most=budget.calls,
        tokens=spending.tokens, tokens_most=budget.tokens,
        cost=spending.cost, cost_most=budget.cost,
        used_up=spending.used_up(budget),
    )  # fmt: skip
