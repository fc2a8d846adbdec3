"""What evidence and rewards do to the share of a candidate, in whatever phase it is."""

from __future__ import annotations

from router.core.rollout.events import Observed
from router.core.rollout.plan import Step
from router.core.rollout.rollout import Rollout, moved
from router.core.words import percent


def cap(rollout: Rollout, event: Observed) -> Rollout | None:
    """The share falls while there is evidence against the candidate, and grows again after it."""
    if (event.cap_bp, event.round) == (rollout.cap_bp, rollout.round):
        return None
    return moved(
        rollout, cap_bp=event.cap_bp, round=event.round, actor="router",
        reason=event.cap_reason or "the share is as planned again",
    )  # fmt: skip


def ramp(rollout: Rollout, step: Step, event: Observed) -> Rollout:
    """Follow the evidence; upwards only where the rollout may advance."""
    grows = event.may_advance and not event.unready
    highest = step.weight_bp if grows else rollout.auto_weight_bp or 0
    weight_bp = min(event.auto_weight_bp or 0, highest)
    if weight_bp == (rollout.auto_weight_bp or 0):
        return rollout
    before = percent(rollout.auto_weight_bp or 0)
    return moved(
        rollout, auto_weight_bp=weight_bp, actor="router",
        reason=f"ramp {before} -> {percent(weight_bp)}",
    )  # fmt: skip


def share_out(rollout: Rollout, event: Observed) -> Rollout:
    """Follow the rewards."""
    if event.shares == rollout.shares or event.shares is None:
        return rollout
    shares = ", ".join(f"{name} {percent(bp)}" for name, bp in event.shares)
    return moved(
        rollout, shares=event.shares, actor="router", reason=f"shares follow rewards: {shares}"
    )
