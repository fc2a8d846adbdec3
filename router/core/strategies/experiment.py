"""Experiment: several versions beside stable for a planned time; nobody is declared the winner."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from router.core.quantities import BasisPoints, Name, Seconds, format_share
from router.core.rollout.plan import Bandit as PlanBandit
from router.core.rollout.plan import Ending, Plan
from router.core.rollout.plan import Step as PlanStep
from router.core.spec import Spec
from router.core.strategies.base import Strategy
from router.core.words import FULL_BP

ARMS_MAX = 8
"""Versions of one experiment besides stable."""

SHARE_MIN_BP = 100
"""An arm of less than 1 % would be measured after the experiment has ended."""


class BanditPolicy(Spec):
    """Shares follow the rewards that feedback brings (Thompson sampling).

    Moving shares change what is measured: better versions are seen more often and at other times,
    so the mean rewards are no fair comparison any more. Use it to earn, and equal shares to learn.
    """

    every: Annotated[Seconds, Field(ge=1)] = 60.0
    """How often the shares may move."""
    floor: Annotated[BasisPoints, Field(ge=SHARE_MIN_BP)] = 500
    """The least that every version keeps, stable as well, so that it goes on being measured."""


class Experiment(Strategy):
    """Give several versions their shares for a time, stable the rest; then stable has all again.

    The rollout's candidate is one of the arms: gates compare it with stable and end the experiment
    if it is bad. The other arms are counted and shown.
    """

    arms: dict[Name, Annotated[BasisPoints, Field(ge=SHARE_MIN_BP)]] = Field(
        min_length=1, max_length=ARMS_MAX
    )
    """Share of each version, the candidate among them; stable gets what is left."""
    lasting: Annotated[Seconds, Field(gt=0)] = Field(alias="for")
    """How long it lasts; pauses do not count."""
    bandit: BanditPolicy | None = None
    """Shares that follow rewards, beginning with those of `arms`; absent: they stay."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        together = sum(self.arms.values())
        if together > FULL_BP - SHARE_MIN_BP:
            raise ValueError(
                f"expected arms of at most 99% together, got {format_share(together)}. "
                "Stable needs at least 1% to be compared with"
            )
        if self.bandit and self.bandit.floor * (len(self.arms) + 1) > FULL_BP:
            raise ValueError(
                f"expected floors of at most 100% together, got {len(self.arms) + 1} times "
                f"{format_share(self.bandit.floor)}"
            )
        return self

    def plan(self) -> Plan:
        """One step that ends by the clock and keeps stable.

        All arms are `others` here; the rollout knows which of them is its candidate.
        """
        step = PlanStep(
            hold_s=self.lasting,
            others=tuple(self.arms.items()),
            bandit=PlanBandit(self.bandit.every, self.bandit.floor) if self.bandit else None,
            label="experiment",
        )
        return Plan((step,), ending=Ending.KEEP, strategy="experiment")
