"""A rollout whose candidate is not ready yet stands at its start: no share, copies or verdict."""

from __future__ import annotations

from router.core.rollout.events import Action, Observed
from router.core.rollout.plan import Plan
from router.core.rollout.reasons import step_name
from router.core.rollout.rollout import Rollout, moved


def stand(rollout: Rollout, plan: Plan, event: Observed, now: float) -> Rollout | None:
    """Go on standing, or begin; None for a rollout that has begun, which never stands again.

    What copies and requests to a candidate that is not there came to says nothing about the model,
    so it convicts nobody. The clocks of the step and of ``max_duration`` begin with the candidate.
    """
    if not rollout.standing:
        return None
    if event.action is Action.ROLLBACK:  # a hook's: nothing else judges what has not begun
        return None
    if event.unready or not event.may_advance:
        return rollout
    return moved(
        rollout, standing=False, step_since=now, started=now, stopped_since=None, actor="router",
        reason=f"{rollout.candidate} is ready; {step_name(rollout, plan)} begins",
    )  # fmt: skip
