"""Shadow: the candidate sees copies of real requests and answers nobody."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from router.core.plan import Ending, Plan
from router.core.plan import Step as PlanStep
from router.core.quantities import BasisPoints, Seconds
from router.core.strategies.base import Approval, Strategy, Until, approved


class Shadow(Strategy):
    """Copy requests to the candidate, compare its answers, and leave stable where it is."""

    mirror: Annotated[BasisPoints, Field(gt=0)]
    """Share of requests copied to the candidate; required, since tools disagree on its default."""
    hold: Seconds = 0.0
    """How long the shadow runs at least."""
    until: Until | None = None
    """Compared pairs the shadow must have seen before it ends."""
    approval: Approval | None = None
    """A person must end the shadow, for instance after reading the disagreements."""

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if not self.hold and self.until is None and self.approval is None:
            raise ValueError("expected hold, until or approval, got none. A shadow must end by one")
        return self

    def plan(self) -> Plan:
        """One step at weight 0; its outcome keeps stable."""
        step = PlanStep(
            mirror_bp=self.mirror,
            hold_s=self.hold,
            until_samples=self.until.samples if self.until else 0,
            approval=approved(self.approval),
            label="shadow",
        )
        return Plan((step,), ending=Ending.KEEP, strategy="shadow")
