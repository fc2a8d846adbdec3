"""Shadow: the candidate sees copies of real requests and answers nobody."""

from dataclasses import replace
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from router.core.quantities import Name, Seconds
from router.core.rollout.plan import Ending, Plan
from router.core.rollout.plan import Step as PlanStep
from router.core.spec import Kinds, OneOf
from router.core.strategies.base import (
    ApprovalPolicy,
    Mirrored,
    MirrorShare,
    Strategy,
    Until,
    approved,
    asked,
    copied,
)
from router.core.strategies.blue_green import BlueGreen
from router.core.strategies.canary import Canary

ALSO_MAX = 8
"""Further shadows; each is one more copy of every request that is copied."""

AFTER: Kinds[Strategy] = Kinds({"canary": Canary, "blue_green": BlueGreen})
"""What may follow a shadow by itself."""


class Shadow(Strategy):
    """Copy requests to the candidate and compare its answers; stable stays, or `then` follows."""

    mirror: Mirrored
    """Share of requests copied to the candidate, or `{share: 10%, unit: user}`: of users;
    required, since tools disagree on its default."""
    hold: Seconds = 0.0
    """How long the shadow runs at least."""
    until: Until | None = None
    """Compared pairs the shadow must have seen before it ends."""
    approval: ApprovalPolicy | None = None
    """A person must end the shadow, for instance after reading the disagreements."""
    also: Annotated[tuple[Name, ...], Field(max_length=ALSO_MAX)] = ()
    """Further versions that get the same copies; they are compared for people, not for gates."""
    then: Annotated[Strategy, OneOf(AFTER, "strategy")] | None = None
    """What follows by itself once the shadow ended well: canary or blue_green; absent: nothing."""

    @field_validator("mirror")
    @classmethod
    def _copies(cls, mirror: MirrorShare) -> MirrorShare:
        if not mirror.share:
            raise ValueError("expected more than 0%, got 0%. A shadow copies something")
        return mirror

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if not self.hold and self.until is None and self.approval is None:
            raise ValueError("expected hold, until or approval, got none. A shadow must end by one")
        return self

    def plan(self) -> Plan:
        """One step at weight 0, then the steps of `then`; without it, the outcome keeps stable."""
        step = PlanStep(
            **copied(self.mirror),
            hold_s=self.hold,
            **asked(self.until),
            approval=approved(self.approval),
            label="shadow",
            also=self.also,
        )
        if self.then is None:
            return Plan((step,), ending=Ending.KEEP, strategy="shadow")
        after = self.then.plan()
        name = f"shadow, then {after.strategy}"
        return replace(after, steps=(step, *after.steps), strategy=name)
