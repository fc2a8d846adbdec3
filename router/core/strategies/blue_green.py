"""Blue-green: look at the candidate without risk, then switch everybody in one moment."""

from router.core.quantities import Seconds
from router.core.rollout.plan import Plan
from router.core.rollout.plan import Step as PlanStep
from router.core.strategies.base import (
    ApprovalPolicy,
    Mirrored,
    Strategy,
    Until,
    approved,
    asked,
    copied,
)
from router.core.words import FULL_BP

GRADUAL_STEPS = 20
"""Plateaus of a switch `over` a time: 5 % each, the finest that people still follow on a graph."""


class BlueGreen(Strategy):
    """Preview the candidate, switch all traffic to it at once (or over a time), then bake."""

    mirror: Mirrored | None = None
    """Share of requests copied to the candidate during the preview, whose answers clients never
    see, or `{share: 10%, unit: user}`: of users; absent: none."""
    hold: Seconds = 0.0
    """How long the preview lasts at least."""
    until: Until | None = None
    """Compared pairs the preview must have seen before the switch."""
    approval: ApprovalPolicy | None = None
    """A person must promote before the switch."""
    over: Seconds = 0.0
    """Time over which traffic moves in equal parts; 0s switches everybody at once."""
    bake: Seconds = 0.0
    """How long gates watch after the switch while the old version stays warm for an undo."""

    def plan(self) -> Plan:
        """Preview at weight 0, a gradual switch's plateaus below 100 %, the bake at 100 %."""
        preview = PlanStep(
            **copied(self.mirror),
            hold_s=self.hold,
            **asked(self.until),
            approval=approved(self.approval),
            label="preview",
        )
        return Plan((preview, *self._switch()), bake_s=self.bake, strategy="blue_green")

    def _switch(self) -> tuple[PlanStep, ...]:
        if not self.over:
            return ()
        part = FULL_BP // GRADUAL_STEPS
        hold_s = self.over / GRADUAL_STEPS
        return tuple(
            PlanStep(weight_bp=bp, hold_s=hold_s, label="switch")
            for bp in range(part, FULL_BP, part)
        )
