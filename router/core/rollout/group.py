"""Rollouts in lock-step: routes whose candidates belong together.

Theory. A member may leave its step when every other member has done the same step too, or is ahead
of it, or has completed. Whoever fails takes all back that were under way with it. So members are
never more than one step apart unless a person moved one of them, and then the others catch up.

A member counts as under way with a failed one if the failure came after its own start: what failed
before a member began does not end it, but keeps it at its first step, since the group is not whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from router.core.rollout.plan import Plan
from router.core.rollout.rollout import Phase, Rollout

BAKE_PLACE: Final = 1 << 30
"""The bake comes after every step."""


@dataclass(frozen=True, slots=True)
class Member:
    """One route of a group."""

    route: str
    rollout: Rollout | None = None
    """The last one, live or ended; None before the first."""
    plan: Plan | None = None
    ready: bool = False
    """Its step is done as far as it is concerned: only the group keeps it."""


def place(rollout: Rollout) -> int:
    """How far it is: the step, counted from 0, or :data:`BAKE_PLACE`."""
    phase = rollout.paused_from if rollout.phase is Phase.PAUSED else rollout.phase
    return BAKE_PLACE if phase is Phase.BAKING else rollout.step


def waits_for(rollout: Rollout, plan: Plan, others: Iterable[Member]) -> str:
    """Whom a live rollout waits for before it leaves its step; empty when for nobody."""
    return next((text for other in others if (text := _missing(rollout, plan, other))), "")


def _missing(mine: Rollout, plan: Plan, other: Member) -> str:
    rollout = other.rollout
    if rollout is None:
        return f"waits for {other.route}, which has not begun"
    if rollout.phase is Phase.COMPLETED:
        return ""
    if not rollout.phase.live:
        return f"waits for {other.route}, which was taken back; `retry` it"
    if place(rollout) > place(mine):
        return ""
    if place(rollout) == place(mine) and (other.ready or _both_ask(mine, plan, rollout)):
        return ""
    return f"waits for {other.route}, which is {_where(other, rollout)}"


def _both_ask(mine: Rollout, plan: Plan, other: Rollout) -> bool:
    """The other one has done the step and waits for a person; I am about to do the same."""
    asks = plan.steps[mine.step].approval is not None and not mine.approved
    here = mine.phase is Phase.PROGRESSING
    return asks and here and other.phase is Phase.AWAITING_APPROVAL


def _where(member: Member, rollout: Rollout) -> str:
    phase = rollout.phase.value.replace("_", " ")
    if place(rollout) == BAKE_PLACE or member.plan is None:
        return phase
    return f"{phase} in step {rollout.step + 1} of {len(member.plan.steps)}"


def taken_back_with(failed: Rollout, others: Iterable[Member]) -> tuple[str, ...]:
    """Routes whose rollouts go back since ``failed``, which has ended badly, was one of them."""
    return tuple(other.route for other in others if _under_way_with(failed, other))


def _under_way_with(failed: Rollout, other: Member) -> bool:
    rollout = other.rollout
    if rollout is None or failed.ended is None:
        return False
    if rollout.phase.live:
        return failed.ended > rollout.started
    if rollout.phase is not Phase.COMPLETED or rollout.ended is None:
        return False
    return failed.started < rollout.ended <= failed.ended
