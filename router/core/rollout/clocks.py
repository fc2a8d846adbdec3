"""The clocks of a rollout, and the one rule for what stops them.

Two run: that of the position (a hold, a bake, an approval's deadline) and that of the whole, which
``max_duration`` bounds. Both stand in a pause, in a freeze, outside the policy's windows, and while
no endpoint of the candidate is ready; the whole's stands as well while a person is asked. A time in
which a rollout may not go on, or in which nobody can be judged, is no time that it took.

What stopped them is a state of the rollout (``stopped_since``), so a restart changes nothing.
"""

from __future__ import annotations

from dataclasses import replace

from router.core.rollout.events import Observed
from router.core.rollout.plan import Plan
from router.core.rollout.rollout import Phase, Rollout, age_s, moved, step_age_s
from router.core.words import duration


def stop_or_go(rollout: Rollout, event: Observed, now: float) -> Rollout | None:
    """Stop the clocks, or let them go on with what remained; None where they are right."""
    if bool(event.stopped) is (rollout.stopped_since is not None):
        return None
    if rollout.stopped_since is None:
        return moved(rollout, stopped_since=now, actor="router", reason=event.stopped)
    slept = duration(now - rollout.stopped_since)
    return moved(going(rollout, now), actor="router", reason=f"the clocks go on after {slept}")


def going(rollout: Rollout, now: float) -> Rollout:
    """The same with clocks that go on from ``now``."""
    if rollout.stopped_since is None:
        return rollout
    slept = now - rollout.stopped_since
    return replace(
        rollout, stopped_since=None, step_since=rollout.step_since + slept,
        started=rollout.started + slept,
    )  # fmt: skip


def started_on(rollout: Rollout, now: float) -> float:
    """When it began, as if nothing had stopped its clock until ``now``, when a position is left."""
    asked = Phase.AWAITING_APPROVAL in (rollout.phase, rollout.paused_from)
    until = rollout.paused_since if rollout.paused_since is not None else rollout.stopped_since
    stood = now - until if until is not None else 0.0
    return rollout.started + stood + (step_age_s(rollout, now) if asked else 0.0)


def restarted(rollout: Rollout, plan: Plan, now: float) -> Rollout:
    """After ``max_duration`` a person's answer begins the time anew; before it, the same."""
    limit = plan.max_duration_s
    if limit is None or age_s(rollout, now) < limit:
        return rollout
    asked = Phase.AWAITING_APPROVAL in (rollout.phase, rollout.paused_from)
    return replace(rollout, started=rollout.step_since if asked else now)
