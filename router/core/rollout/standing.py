"""A rollout whose candidate was never ready stands at its start: no share, copies or verdict."""

from __future__ import annotations

from router.core.rollout.events import Observed
from router.core.rollout.plan import Plan
from router.core.rollout.reasons import step_name
from router.core.rollout.rollout import Rollout, moved


def stand(rollout: Rollout, plan: Plan, event: Observed, now: float) -> Rollout | None:
    """Stand, go on standing, or begin; None for a rollout that has begun.

    What copies and requests to a candidate that is not there came to says nothing about the model,
    so it convicts nobody. The clocks of the step and of ``max_duration`` begin with the candidate.
    """
    if not rollout.standing:
        free = rollout.step or rollout.override is not None or not event.absent
        return None if free else moved(
            rollout, standing=True, cap_bp=None, actor="router", reason=event.unready,
        )  # fmt: skip
    if event.unready or not event.may_advance:
        return rollout
    return moved(
        rollout, standing=False, step_since=now, started=now, actor="router",
        reason=f"{rollout.candidate} is ready; {step_name(rollout, plan)} begins",
    )  # fmt: skip
