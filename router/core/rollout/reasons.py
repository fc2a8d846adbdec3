"""The sentences of the machine: who ordered what, and how a step was left."""

from __future__ import annotations

from router.core.rollout.capped import less
from router.core.rollout.events import Command, Observed, Promote
from router.core.rollout.plan import Plan
from router.core.rollout.rollout import Rollout, step_age_s
from router.core.words import duration, percent


def said(event: Command, what: str) -> str:
    """``paused by ann: lunch``; of a promotion also what is unproven."""
    by = f"{what} by {event.actor}"
    told = f"{by}: {event.reason}" if event.reason else by
    unproven = event.unproven if isinstance(event, Promote) else ""
    return f"{told}; {unproven}" if unproven else told


def step_name(rollout: Rollout, plan: Plan) -> str:
    """``step 2 of 5 (shadow) at 1 %``."""
    step = plan.steps[rollout.step]
    label = f" ({step.label})" if step.label else ""
    return f"step {rollout.step + 1} of {len(plan.steps)}{label} at {percent(step.weight_bp)}"


def step_done_reason(rollout: Rollout, plan: Plan, event: Observed, now: float) -> str:
    """``step 2 of 5 at 1 % done after 2m and 310 samples``."""
    held = duration(step_age_s(rollout, now))
    if below := less(rollout, plan.steps[rollout.step].weight_bp, now):
        held = f"{held} ({below})"
    return f"{step_name(rollout, plan)} done after {held} and {event.samples:,} samples"
