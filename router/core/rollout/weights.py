"""What evidence and rewards do to the share of a candidate, in whatever phase it is."""

from __future__ import annotations

from dataclasses import replace

from router.core.rollout.capped import below, capped_s
from router.core.rollout.events import Observed, Refused
from router.core.rollout.plan import Plan, Step
from router.core.rollout.rollout import Phase, Rollout, moved, step_age_s
from router.core.words import FULL_BP, percent

STABLE_MIN_BP = 100
"""What stable keeps of an experiment, so that there is something to compare with."""


PLANNED = "the share is as planned again"
ANEW = "all users count anew, since few had not been seen"


def cap(rollout: Rollout, plan: Plan, event: Observed, now: float) -> Rollout | None:
    """The share falls while there is evidence against the candidate, and grows again after it."""
    if (event.cap_bp, event.round) == (rollout.cap_bp, rollout.round):
        return None
    baking = Phase.BAKING in (rollout.phase, rollout.paused_from)
    after = moved(
        rollout, cap_bp=event.cap_bp, round=event.round, actor="router",
        capped_s=capped_s(rollout, now), capped_at_s=None,
        reason=event.cap_reason or (ANEW if event.cap_bp == rollout.cap_bp else PLANNED),
    )  # fmt: skip
    if below(after, FULL_BP if baking else plan.steps[rollout.step].weight_bp):
        return replace(after, capped_at_s=step_age_s(rollout, now))
    return after


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


def refuse_weight(rollout: Rollout, plan: Plan, weight_bp: int) -> None:
    """A weight that would not be given is refused, not promised."""
    if rollout.standing:
        raise Refused(f"{rollout.candidate} is not ready yet; its rollout begins when it is")
    if rollout.paused_from is Phase.BAKING:
        raise Refused(f"{rollout.candidate} bakes at 100 %: `rollback` takes it back")
    if rollout.cap_bp is not None and weight_bp > rollout.cap_bp:
        raise Refused(
            f"{rollout.candidate} has at most {percent(rollout.cap_bp)} while there is evidence "
            "against it"
        )
    shares = rollout.shares if rollout.shares is not None else plan.steps[rollout.step].others
    others_bp = sum(bp for name, bp in shares if name != rollout.candidate)
    if others_bp and weight_bp > FULL_BP - others_bp - STABLE_MIN_BP:
        raise Refused(
            f"set-weight: at most {percent(FULL_BP - others_bp - STABLE_MIN_BP)}, since other "
            f"versions have {percent(others_bp)} and stable keeps {percent(STABLE_MIN_BP)}"
        )


def expire_override(rollout: Rollout, plan: Plan, now: float) -> Rollout | None:
    """A weight that a person set ends by itself; None before that."""
    override = rollout.override
    if override is None or now < override.until:
        return None
    back = percent(plan.steps[rollout.step].weight_bp)
    return moved(
        rollout, override=None, actor="router",
        reason=f"weight override {percent(override.weight_bp)} ended; back to {back}",
    )  # fmt: skip
