"""How long a position has had less than its plan says, since there was evidence against it.

That time counts as hold and as bake: an alarm rings as long as the candidate fails more than stable
did, so a policy that tolerates it would never come to an end (docs/statistics.md). What is told of
a position must be true all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router.core.rollout.rollout import Rollout, step_age_s
from router.core.words import FULL_BP, duration, percent


def afresh(rollout: Rollout, weight_bp: int = 0) -> Mapping[str, Any]:
    """What belongs to one position and ends with it, as the next one begins at ``weight_bp``."""
    return {
        "approved": False, "paused_from": None, "paused_since": None, "stopped_since": None,
        "override": None, "auto_weight_bp": None, "shares": None, "standing": False,
        "capped_s": 0.0, "capped_at_s": 0.0 if below(rollout, weight_bp) else None,
    }  # fmt: skip


def below(rollout: Rollout, weight_bp: int) -> bool:
    """Whether the cap in force leaves less than this."""
    return rollout.cap_bp is not None and rollout.cap_bp < weight_bp


def capped_s(rollout: Rollout, now: float) -> float:
    """Seconds of the position's clock in which it had less than planned."""
    if rollout.capped_at_s is None:
        return rollout.capped_s
    return rollout.capped_s + max(step_age_s(rollout, now) - rollout.capped_at_s, 0.0)


def less(rollout: Rollout, weight_bp: int, now: float) -> str:
    """``8m of it at less than 50 %``; empty for a position that always had what is planned."""
    less_s = capped_s(rollout, now)
    return f"{duration(less_s)} of it at less than {percent(weight_bp)}" if less_s > 0.0 else ""


def baked(rollout: Rollout, lasted_s: float, now: float) -> str:
    """``10m at 100 %``, or ``10m, 8m of it at less than 100 %``."""
    if held := less(rollout, FULL_BP, now):
        return f"{duration(max(lasted_s, capped_s(rollout, now)))}, {held}"
    return f"{duration(lasted_s)} at 100 %"


def at_first(rollout: Rollout, weight_bp: int) -> str:
    """``, held at 5 % at first`` of a position at this weight; empty where nothing holds it."""
    cap_bp = rollout.cap_bp or 0
    return f", held at {percent(cap_bp)} at first" if below(rollout, weight_bp) else ""
