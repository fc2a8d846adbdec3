"""Automation: from people alone to the version alone, by levels that are steps like any others.

    human_only  people answer; the version sees nothing
    shadow      people answer; the version gets copies, and is compared with them
    assist      the same, and people see what it says before they answer
    partial     the version answers what it is sure of; people the rest, and a random audit
    full        the version answers

Levels stand in this order, and each may be left out. A rollback at any of them leaves all requests
with people. A strategy without ``full`` ends in ``partial``: with ``approval`` there it goes on
being judged until a person turns it on.
"""

from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from router.core.quantities import BasisPoints, Seconds
from router.core.rollout.plan import Plan
from router.core.rollout.plan import Step as PlanStep
from router.core.spec import Spec
from router.core.strategies.base import ApprovalPolicy, Strategy, Until, approved, asked
from router.core.words import FULL_BP

NAME: Final = "automation"
ASSIST: Final = "assist"
FULL: Final = "full"


class PeopleAlone(Spec):
    """How long people alone answer; it ends when all of its conditions are satisfied."""

    hold: Seconds = 0.0
    """How long it lasts at least."""
    approval: ApprovalPolicy | None = None
    """A person must turn the dial further."""


class Level(Spec):
    """How long a level lasts; it ends when all of its conditions are satisfied."""

    hold: Seconds = 0.0
    """How long it lasts at least."""
    until: Until | None = None
    """Answers of people that must have been compared with the version's."""
    approval: ApprovalPolicy | None = None
    """A person must turn the dial further."""


class PartialLevel(Level):
    """The version answers what it is sure of; `review` of the route says what that is."""

    weight: Annotated[BasisPoints, Field(gt=0)] = FULL_BP
    """Share of the requests that the version is asked; people get the rest, as before."""


class FullLevel(Spec):
    """The version answers everything: after the last step, for as long as it bakes."""

    bake: Seconds = 0.0
    """How long gates go on watching before people are stable no more."""


class Automation(Strategy):
    """Turn a route from people to a version, level by level, each by its own gates' proof."""

    human_only: PeopleAlone | None = None
    """People alone: what they do, and how long it takes, is known before anything changes."""
    shadow: Level | None = None
    """The version gets copies of all that people answer."""
    assist: Level | None = None
    """People see what the version says. It leads them: what is compared here is less worth."""
    partial: PartialLevel | None = None
    """The version answers what it is sure of."""
    full: FullLevel | None = None
    """The version answers everything; absent: the dial stays at partial."""

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if self.partial is None and self.full is None:
            raise ValueError("expected partial or full, got neither. A dial has to lead somewhere")
        if self.shadow is None and self.assist is None:
            raise ValueError(
                "expected shadow or assist before a version answers, got neither. "
                "Nothing would be known about it"
            )
        return self

    def plan(self) -> Plan:
        """A step for each level but full, which is where plans end.

        At partial what people still answer is copied to the version: it goes on being compared.
        """
        steps = []
        if (first := self.human_only) is not None:
            approval = approved(first.approval)
            steps.append(PlanStep(hold_s=first.hold, approval=approval, label="human_only"))
        if self.shadow is not None:
            steps.append(_step(self.shadow, "shadow", 0))
        if self.assist is not None:
            steps.append(_step(self.assist, ASSIST, 0))
        if self.partial is not None:
            steps.append(_step(self.partial, "partial", self.partial.weight))
        bake_s = self.full.bake if self.full is not None else 0.0
        if bake_s:
            steps.append(PlanStep(weight_bp=FULL_BP, hold_s=bake_s, label=FULL))
        return Plan(tuple(steps), strategy=self.word)

    @property
    def word(self) -> str:
        """Name of its plans: those that end with the version alone say so."""
        return NAME if self.full is None else f"{NAME} to full"


def _step(level: Level, word: str, weight_bp: int) -> PlanStep:
    return PlanStep(
        weight_bp=weight_bp, mirror_bp=FULL_BP if weight_bp < FULL_BP else 0, hold_s=level.hold,
        **asked(level.until), approval=approved(level.approval), label=word,
    )  # fmt: skip


def alone(plan: Plan, step: int, *, over: bool) -> bool:
    """Whether the version answers without people at this step; ``over``: the plan is completed."""
    if not plan.strategy.startswith(NAME):
        return False
    return plan.strategy != NAME if over else plan.steps[step].label == FULL


def assists(plan: Plan, step: int) -> bool:
    """Whether people see at this step what the version says."""
    return plan.strategy.startswith(NAME) and plan.steps[step].label == ASSIST
