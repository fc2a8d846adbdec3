"""The one state machine. Everything that changes a phase is in this file.

Theory
------
A rollout walks through the steps of a plan. What it *is* doing is its phase:

    PROGRESSING        in a step; leaves it when the step's conditions hold
    AWAITING_APPROVAL  the step is done, a person must say so (or its deadline decides)
    PAUSED             a person stopped the clock; the weight stays, the gates keep watching
    BAKING             all traffic on the candidate, the old version still warm
    COMPLETED          the plan's ending took effect
    ABORTED            a person gave up before completion
    ROLLED_BACK        a gate or a person took the candidate back, whenever

Two kinds of events arrive. *Observed* comes from the reconciler, on every bad outcome and on every
tick; it carries what the judge says. *Commands* come from people. A command that makes no sense in
a phase is :class:`Refused` with a sentence that says what would make sense; an observation is
never refused.

Conflicts resolve in a fixed order, the same in every live phase: a demand to roll back wins over
everything, then the plan's deadline, then a person's override, then a gate's hold, then progress.
Terminal phases absorb observations: nothing that is measured brings a finished rollout back to
life; only ``retry`` (from ABORTED and ROLLED_BACK) and ``rollback`` (from COMPLETED) leave them.
A plan may return the traffic of a rollback in steps. That is no phase: the rollout is over, and
what the candidate still has is a function of the time since then (core/rollout/traffic.py).

Time alone promotes nobody: what is *unproven* (a gate without its sample) or *unready* (no endpoint
answers) leaves no step, no switch and no bake, and no default or deadline promotes it. What was
never ready stands at its start without traffic (core/rollout/standing.py). A person may promote it
all the same, and the journal then says what was unproven.

One rule stops the clocks, all of them alike (hold, bake, an approval's deadline, ``max_duration``):
a pause, a freeze, a closed window, a candidate that is not ready; while a person is asked,
``max_duration`` stands as well (core/rollout/clocks.py).

Rules take (rollout, plan, event, now) and return the next rollout, or the same object when nothing
changes. They read no clock: ``now`` is rollout clock seconds. The table below is the whole truth;
the diagram in docs/state-machine.md is drawn from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from router.core.rollout.capped import afresh, at_first, baked
from router.core.rollout.clocks import going, restarted, started_on, stop_or_go
from router.core.rollout.events import (
    Abort,
    Action,
    Command,
    Event,
    Observed,
    Pause,
    Promote,
    Refused,
    Resume,
    Retry,
    Rollback,
    SetWeight,
)
from router.core.rollout.plan import Default, Ending, OnInconclusive, Plan, Step
from router.core.rollout.reasons import said, step_done_reason, step_name
from router.core.rollout.rollout import Override, Phase, Rollout, age_s, moved, step_age_s
from router.core.rollout.standing import stand
from router.core.rollout.traffic import returning_bp, split_for
from router.core.rollout.weights import cap, expire_override, ramp, refuse_weight, share_out
from router.core.spoken import spoken
from router.core.words import FULL_BP, duration, percent

AUTOMATIC = frozenset({"router", "policy"})
"""Actors that are no person: a rollback of theirs is instant unless the plan says otherwise."""


NextRollout = Callable[[Rollout, Plan, Any, float], Rollout]


@dataclass(frozen=True, slots=True)
class Transition:
    """One entry of the table: the rule and the phases it can lead to (for people and diagrams)."""

    rule: NextRollout
    to: tuple[Phase, ...]


# --- progress -------------------------------------------------------------------------------


def _observe_step(rollout: Rollout, plan: Plan, event: Observed, now: float) -> Rollout:
    """PROGRESSING: roll back, end an override, hold, follow the ramp, or leave the step."""
    if (stood := stand(rollout, plan, event, now)) is not None:
        return stood
    urgent = _urgent(rollout, plan, event, now)
    if urgent is not None:
        return urgent
    if (capped := cap(rollout, plan, event, now)) is not None:
        return capped
    if rollout.override is not None or event.action is Action.HOLD:
        return rollout
    step = plan.steps[rollout.step]
    if step.auto and event.auto_weight_bp is not None:
        ramped = ramp(rollout, step, event)
        if ramped is not rollout:
            return ramped
    if not _step_done(rollout, step, event, now):
        moves = step.bandit is not None and event.shares is not None and event.may_advance
        return share_out(rollout, event) if moves else rollout
    if step.approval is not None and not rollout.approved:
        return moved(
            rollout, phase=Phase.AWAITING_APPROVAL, step_since=now, actor="router",
            reason=f"{step_name(rollout, plan)} waits for approval",
        )  # fmt: skip
    return _leave_step(rollout, plan, now, step_done_reason(rollout, plan, event, now))


def _step_done(rollout: Rollout, step: Step, event: Observed, now: float) -> bool:
    """All conditions of the step hold; ``ramp: auto`` must also have reached the step's weight."""
    return (
        event.may_advance
        and event.sound(blind=step.blind)
        and step_age_s(rollout, now) >= step.hold_s
        and event.samples >= step.until_samples
        and (event.proven or not step.proof)
        and (not step.auto or (rollout.auto_weight_bp or 0) >= step.weight_bp)
    )


def _leave_step(
    rollout: Rollout, plan: Plan, now: float, reason: str, actor: str = "router"
) -> Rollout:
    """To the next step, or behind the last one to the bake or the ending."""
    following = rollout.step + 1
    if following < len(plan.steps):
        weight_bp = plan.steps[following].weight_bp
        weight = f"{percent(weight_bp)}{at_first(rollout, weight_bp)}"
        return moved(
            rollout, phase=Phase.PROGRESSING, step=following, step_since=now, actor=actor,
            started=started_on(rollout, now), **afresh(rollout, weight_bp),
            reason=f"{reason}; next: step {following + 1} of {len(plan.steps)} at {weight}",
        )  # fmt: skip
    return _finish_steps(rollout, plan, now, reason, actor)


def _finish_steps(rollout: Rollout, plan: Plan, now: float, reason: str, actor: str) -> Rollout:
    if plan.ending is Ending.PROMOTE and plan.bake_s > 0:
        how = f"at 100 % for {duration(plan.bake_s)}{at_first(rollout, FULL_BP)}"
        return moved(
            rollout, phase=Phase.BAKING, step=len(plan.steps) - 1, step_since=now, actor=actor,
            started=started_on(rollout, now), **afresh(rollout, FULL_BP),
            reason=f"{reason}; {rollout.candidate} bakes {how}",
        )  # fmt: skip
    return _complete(rollout, plan, now, reason, actor)


def _complete(rollout: Rollout, plan: Plan, now: float, reason: str, actor: str) -> Rollout:
    promoted = plan.ending is Ending.PROMOTE
    end = f"{rollout.candidate} is stable" if promoted else f"{rollout.stable} stays stable"
    return moved(
        rollout, phase=Phase.COMPLETED, ended=now, actor=actor, reason=f"{reason}; {end}",
        started=started_on(rollout, now), **afresh(rollout),
    )  # fmt: skip


def _observe_approval(rollout: Rollout, plan: Plan, event: Observed, now: float) -> Rollout:
    """AWAITING_APPROVAL: roll back, or let the deadline decide."""
    if event.action is Action.ROLLBACK:
        return _end(rollout, plan, Phase.ROLLED_BACK, now, event.sentence)
    held = stop_or_go(rollout, event, now) or expire_override(rollout, plan, now)
    if (held := held or cap(rollout, plan, event, now)) is not None:
        return held
    approval = plan.steps[rollout.step].approval
    if approval is None or rollout.paused_from is Phase.BAKING:
        return _answered(rollout, plan, event, now) or rollout
    if approval.deadline_s is None:
        return rollout
    if step_age_s(rollout, now) < approval.deadline_s or approval.then is Default.HOLD:
        return rollout
    why = f"nobody approved {step_name(rollout, plan)} within {duration(approval.deadline_s)}"
    if approval.then is Default.ABORT:
        return _end(rollout, plan, Phase.ABORTED, now, why)
    blind = plan.steps[rollout.step].blind
    if not event.may_advance or event.action is Action.HOLD or not event.sound(blind=blind):
        return rollout
    return _leave_step(rollout, plan, now, why)


def _observe_pause(rollout: Rollout, plan: Plan, event: Observed, now: float) -> Rollout:
    """PAUSED: the clock stands, but a bad candidate is still taken back."""
    if event.action is Action.ROLLBACK:
        return _end(rollout, plan, Phase.ROLLED_BACK, now, event.sentence)
    return expire_override(rollout, plan, now) or cap(rollout, plan, event, now) or rollout


def _observe_bake(rollout: Rollout, plan: Plan, event: Observed, now: float) -> Rollout:
    """BAKING: roll back, or complete when the bake is over and no gate holds.

    The plan's deadline is last here: a bake that ends well as it passes is a decision.
    """
    if event.action is Action.ROLLBACK:
        return _end(rollout, plan, Phase.ROLLED_BACK, now, event.sentence)
    if (held := stop_or_go(rollout, event, now) or cap(rollout, plan, event, now)) is not None:
        return held
    free = event.action is not Action.HOLD and event.may_advance and event.sound()
    if free and step_age_s(rollout, now) >= plan.bake_s:
        return _complete(rollout, plan, now, f"baked {baked(rollout, plan.bake_s, now)}", "router")
    return _overdue(rollout, plan, event, now) or rollout


def _urgent(rollout: Rollout, plan: Plan, event: Observed, now: float) -> Rollout | None:
    """What comes before progress: rollback, the clocks, the plan's deadline, an override's end."""
    if event.action is Action.ROLLBACK:
        return _end(rollout, plan, Phase.ROLLED_BACK, now, event.sentence)
    held = stop_or_go(rollout, event, now) or _overdue(rollout, plan, event, now)
    return held or expire_override(rollout, plan, now)


def _overdue(rollout: Rollout, plan: Plan, event: Observed, now: float) -> Rollout | None:
    """What the plan says about a rollout that took longer than it may; None before that.

    ``promote`` leads into the bake, and never cuts one short. Where proof is missing, or the plan
    says ``hold``, a person is asked; of a bake that is under way, at its end.
    """
    limit, baking = plan.max_duration_s, rollout.phase is Phase.BAKING
    if limit is None or age_s(rollout, now) < limit:
        return None
    why = f"no decision within max_duration {duration(limit)}"
    if plan.on_inconclusive is OnInconclusive.ROLLBACK:
        return _end(rollout, plan, Phase.ROLLED_BACK, now, f"{why}; on_inconclusive: rollback")
    if not event.may_advance or (baking and step_age_s(rollout, now) < plan.bake_s):
        return None
    if plan.on_inconclusive is OnInconclusive.PROMOTE and event.sound():
        if baking or event.action is not Action.CONTINUE:
            return None
        return _finish_steps(rollout, plan, now, f"{why}; on_inconclusive: promote", "router")
    return _asked(rollout, event, why, now)


def _asked(rollout: Rollout, event: Observed, why: str, now: float) -> Rollout:
    """A person must decide, with the shares as they are; the answer begins the time anew."""
    lacks = event.unproven or event.unready or event.sentence
    return moved(
        rollout, phase=Phase.AWAITING_APPROVAL, step_since=now, actor="router",
        paused_from=Phase.BAKING if rollout.phase is Phase.BAKING else None,
        reason="; ".join(filter(None, (why, lacks, "`promote` it or `abort`"))),
    )  # fmt: skip


def _answered(rollout: Rollout, plan: Plan, event: Observed, now: float) -> Rollout | None:
    """What a person was asked for came by itself, where the plan says ``promote``; else None."""
    free = event.action is Action.CONTINUE and event.may_advance and event.sound()
    if not free or plan.on_inconclusive is not OnInconclusive.PROMOTE:
        return None
    why = "it was proven after max_duration; on_inconclusive: promote"
    ends = _complete if rollout.paused_from is Phase.BAKING else _finish_steps
    return ends(rollout, plan, now, why, "router")


def _absorb(rollout: Rollout, _plan: Plan, _event: Observed, _now: float) -> Rollout:
    """Terminal phases: an observation changes nothing."""
    return rollout


# --- commands -------------------------------------------------------------------------------


def _promote(rollout: Rollout, plan: Plan, event: Promote, now: float) -> Rollout:
    rollout = restarted(rollout, plan, now)
    why = said(event, "promoted fully" if event.full else f"{step_name(rollout, plan)} promoted")
    if event.full:
        return _finish_steps(rollout, plan, now, why, event.actor)
    return _leave_step(rollout, plan, now, why, event.actor)


def _promote_bake(rollout: Rollout, plan: Plan, event: Promote, now: float) -> Rollout:
    return _complete(rollout, plan, now, said(event, "bake ended early"), event.actor)


def _promote_waiting(rollout: Rollout, plan: Plan, event: Promote, now: float) -> Rollout:
    """From a pause, or where a person was asked; both may have begun in the bake."""
    baking = rollout.paused_from is Phase.BAKING
    return (_promote_bake if baking else _promote)(rollout, plan, event, now)


def _pause(rollout: Rollout, _plan: Plan, event: Pause, now: float) -> Rollout:
    if rollout.phase is Phase.AWAITING_APPROVAL and rollout.paused_from is not None:
        raise Refused(f"cannot pause {rollout.route}: it stands already; `promote` it or `abort`")
    return moved(
        going(rollout, now), phase=Phase.PAUSED, paused_from=rollout.phase, paused_since=now,
        actor=event.actor, reason=said(event, "paused"),
    )  # fmt: skip


def _resume(rollout: Rollout, _plan: Plan, event: Resume, now: float) -> Rollout:
    """Go on with what remained: the pause is added to both clocks it must not count against."""
    assert rollout.paused_since is not None  # noqa: S101 - PAUSED always has it
    assert rollout.paused_from is not None  # noqa: S101 - PAUSED always has it
    slept = now - rollout.paused_since
    return moved(
        rollout, phase=rollout.paused_from, paused_from=None, paused_since=None,
        step_since=rollout.step_since + slept, started=rollout.started + slept,
        actor=event.actor, reason=said(event, f"resumed after {duration(slept)}"),
    )  # fmt: skip


def _abort(rollout: Rollout, plan: Plan, event: Abort, now: float) -> Rollout:
    back = _end(rollout, plan, Phase.ABORTED, now, said(event, "aborted"), event.actor)
    return replace(back, back_bp=0, reason=said(event, "aborted")) if event.instant else back


def _roll_back(rollout: Rollout, plan: Plan, event: Rollback, now: float) -> Rollout:
    """Back to the version before, or to another one that a person names."""
    why = said(event, f"rolled back to {event.to}" if event.to else "rolled back")
    rollout = replace(rollout, stable=event.to or rollout.stable)
    back = _end(rollout, plan, Phase.ROLLED_BACK, now, why, event.actor)
    return replace(back, back_bp=0, reason=why) if event.instant else back


def _hurry(rollout: Rollout, plan: Plan, event: Rollback, now: float) -> Rollout:
    """A person ends a stepped return: what the candidate still has goes back at once."""
    if not returning_bp(rollout, plan, now):
        raise Refused(f"cannot rollback {rollout.route}: all traffic is on stable already")
    return moved(rollout, back_bp=0, actor=event.actor, reason=said(event, "all taken back"))


def _retry(rollout: Rollout, _plan: Plan, event: Retry, now: float) -> Rollout:
    attempt = rollout.attempt + 1
    started = said(event, f"attempt {attempt} started" + (", forced," if event.force else ""))
    return moved(
        rollout, phase=Phase.PROGRESSING, step=0, step_since=now, started=now, ended=None,
        attempt=attempt, approved=False, back_bp=0, cap_bp=None, round=0, actor=event.actor,
        capped_s=0.0, capped_at_s=None, standing=bool(event.unready), reason=started,
    )  # fmt: skip


def _set_weight(rollout: Rollout, plan: Plan, event: SetWeight, now: float) -> Rollout:
    if event.weight_bp is None:
        lifted = expire_override(rollout, plan, float("inf"))
        if lifted is None:
            raise Refused("no weight override is in force")
        return replace(lifted, actor=event.actor, reason=said(event, "weight override lifted"))
    if not 0 <= event.weight_bp <= FULL_BP or event.until <= now:
        raise Refused("set-weight takes 0 % to 100 % and a time in the future")
    refuse_weight(rollout, plan, event.weight_bp)
    what = f"weight set to {percent(event.weight_bp)} for {duration(event.until - now)}"
    return moved(
        rollout, override=Override(event.weight_bp, event.until), actor=event.actor,
        reason=said(event, what),
    )  # fmt: skip


def _end(  # noqa: PLR0917 - how it ends, when, why and by whom
    rollout: Rollout, plan: Plan, phase: Phase, now: float, reason: str, actor: str = "router"
) -> Rollout:
    """All traffic to stable, for good: at once, or in steps where the plan says so."""
    stepped = plan.back_s > 0 and (plan.back_by_gates or actor not in AUTOMATIC)
    back_bp = split_for(rollout, plan).candidate_bp if stepped else 0
    if back_bp:
        reason = f"{reason}; {percent(back_bp)} return over {duration(plan.back_s)}"
    return moved(
        rollout, phase=phase, ended=now, back_bp=back_bp, actor=actor, reason=reason,
        started=started_on(rollout, now), **afresh(rollout),
    )  # fmt: skip


def _refuse(text: str) -> Transition:
    def rule(rollout: Rollout, _plan: Plan, event: Command, _now: float) -> Rollout:
        name = "set-weight" if isinstance(event, SetWeight) else type(event).__name__.lower()
        raise Refused(
            f"cannot {name} {rollout.route}: the rollout is {rollout.phase.value}; {text}"
        )

    return Transition(rule, ())


# --- the table ------------------------------------------------------------------------------

_FINISHED = (Phase.BAKING, Phase.COMPLETED)
_NOTHING_LIVE = "there is nothing to stop; a new candidate in the policy starts a new rollout"
_RETRY_ONLY = "`retry` starts it again"

TRANSITIONS: Mapping[Phase, Mapping[type[Event], Transition]] = {
    Phase.PROGRESSING: {
        Observed: Transition(
            _observe_step,
            (Phase.PROGRESSING, Phase.AWAITING_APPROVAL, *_FINISHED, Phase.ROLLED_BACK),
        ),
        Promote: Transition(_promote, (Phase.PROGRESSING, *_FINISHED)),
        Pause: Transition(_pause, (Phase.PAUSED,)),
        Resume: _refuse("it is not paused"),
        Abort: Transition(_abort, (Phase.ABORTED,)),
        Rollback: Transition(_roll_back, (Phase.ROLLED_BACK,)),
        Retry: _refuse("abort or roll it back first"),
        SetWeight: Transition(_set_weight, (Phase.PROGRESSING,)),
    },
    Phase.AWAITING_APPROVAL: {
        Observed: Transition(
            _observe_approval,
            (
                Phase.PROGRESSING,
                Phase.AWAITING_APPROVAL,
                *_FINISHED,
                Phase.ABORTED,
                Phase.ROLLED_BACK,
            ),
        ),
        Promote: Transition(_promote_waiting, (Phase.PROGRESSING, *_FINISHED)),
        Pause: Transition(_pause, (Phase.PAUSED,)),
        Resume: _refuse("it waits for approval: `promote` or `abort`"),
        Abort: Transition(_abort, (Phase.ABORTED,)),
        Rollback: Transition(_roll_back, (Phase.ROLLED_BACK,)),
        Retry: _refuse("abort or roll it back first"),
        SetWeight: Transition(_set_weight, (Phase.AWAITING_APPROVAL,)),
    },
    Phase.PAUSED: {
        Observed: Transition(_observe_pause, (Phase.PAUSED, Phase.ROLLED_BACK)),
        Promote: Transition(_promote_waiting, (Phase.PROGRESSING, *_FINISHED)),
        Pause: _refuse("it is paused already"),
        Resume: Transition(_resume, (Phase.PROGRESSING, Phase.AWAITING_APPROVAL, Phase.BAKING)),
        Abort: Transition(_abort, (Phase.ABORTED,)),
        Rollback: Transition(_roll_back, (Phase.ROLLED_BACK,)),
        Retry: _refuse("abort or roll it back first"),
        SetWeight: Transition(_set_weight, (Phase.PAUSED,)),
    },
    Phase.BAKING: {
        Observed: Transition(
            _observe_bake,
            (Phase.BAKING, Phase.AWAITING_APPROVAL, Phase.COMPLETED, Phase.ROLLED_BACK),
        ),
        Promote: Transition(_promote_bake, (Phase.COMPLETED,)),
        Pause: Transition(_pause, (Phase.PAUSED,)),
        Resume: _refuse("it is not paused"),
        Abort: Transition(_abort, (Phase.ABORTED,)),
        Rollback: Transition(_roll_back, (Phase.ROLLED_BACK,)),
        Retry: _refuse("abort or roll it back first"),
        SetWeight: _refuse("it bakes at 100 %: `rollback` takes it back"),
    },
    Phase.COMPLETED: {
        Observed: Transition(_absorb, (Phase.COMPLETED,)),
        Promote: _refuse("it is promoted already"),
        Pause: _refuse(_NOTHING_LIVE),
        Resume: _refuse(_NOTHING_LIVE),
        Abort: _refuse("`rollback` undoes a completed rollout"),
        Rollback: Transition(_roll_back, (Phase.ROLLED_BACK,)),
        Retry: _refuse(_NOTHING_LIVE),
        SetWeight: _refuse(_NOTHING_LIVE),
    },
    Phase.ABORTED: {
        Observed: Transition(_absorb, (Phase.ABORTED,)),
        Promote: _refuse(_RETRY_ONLY),
        Pause: _refuse(_RETRY_ONLY),
        Resume: _refuse(_RETRY_ONLY),
        Abort: _refuse(_RETRY_ONLY),
        Rollback: Transition(_hurry, (Phase.ABORTED,)),
        Retry: Transition(_retry, (Phase.PROGRESSING,)),
        SetWeight: _refuse(_RETRY_ONLY),
    },
    Phase.ROLLED_BACK: {
        Observed: Transition(_absorb, (Phase.ROLLED_BACK,)),
        Promote: _refuse(_RETRY_ONLY),
        Pause: _refuse(_RETRY_ONLY),
        Resume: _refuse(_RETRY_ONLY),
        Abort: _refuse(_RETRY_ONLY),
        Rollback: Transition(_hurry, (Phase.ROLLED_BACK,)),
        Retry: Transition(_retry, (Phase.PROGRESSING,)),
        SetWeight: _refuse(_RETRY_ONLY),
    },
}


def decide(rollout: Rollout, plan: Plan, event: Event, now: float) -> Rollout:
    """The next state of ``rollout``, or the same object when ``event`` changes nothing.

    Raises:
        Refused: a command that the table does not allow now.
        KeyError: a missing row, which is a bug of this file.
    """
    row = TRANSITIONS[rollout.phase][type(event)]
    following = row.rule(rollout, plan, event, now)
    if following.phase is not rollout.phase and following.phase not in row.to:
        raise AssertionError(
            f"{rollout.phase} x {type(event).__name__} may not lead to {following.phase}"
        )
    if following is rollout:
        return rollout
    return replace(following, line=spoken(rollout, following, plan, event, now))


def ready(rollout: Rollout, plan: Plan, event: Observed, now: float) -> bool:
    """Whether nothing but permission is missing for the next position.

    True for a step (an approval, a bake) that would end now if ``event.may_advance`` were true.
    """
    following = decide(rollout, plan, replace(event, may_advance=True), now)
    moves = (following.phase, following.step) != (rollout.phase, rollout.step)
    return moves and following.phase not in (Phase.ABORTED, Phase.ROLLED_BACK)
