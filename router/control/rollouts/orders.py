"""What a command would lead to, computed without doing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from router.control.rollouts import lifecycle
from router.control.rollouts.places import endpoints_of
from router.control.rollouts.run import Run
from router.control.state.errors import NoRollout, NotPermitted, NotPossible
from router.control.state.record import Carried, JournalEntry, Pinned, RouteRecord
from router.control.told.answers import JudgementView, OrderView
from router.control.told.judgement import judged
from router.core.policy import RolloutPolicy
from router.core.rollout.events import (
    Abort,
    AnyCommand,
    Event,
    Observed,
    Pause,
    Promote,
    Refused,
    Retry,
    Rollback,
    SetWeight,
)
from router.core.rollout.machine import decide
from router.core.rollout.plan import Plan
from router.core.rollout.rollout import Phase, Rollout
from router.core.rollout.traffic import split_for
from router.core.words import duration


def decided(run: Run, event: Event, now: float) -> tuple[RouteRecord, str]:
    """What ``event`` would lead to, without doing it: the record and its sentence."""
    base = ground(run, event)
    carried = base.carried
    if isinstance(event, Retry):
        _refuse_flapping(run, base, event, now)
        if found := _retried(run, base, event, now):
            return found
    if carried is None:
        raise NoRollout(f"{run.route.name} has no rollout")
    rollout = carried.rollout
    target = event.to if isinstance(event, Rollback) else ""
    if isinstance(event, Rollback) and not target and rollout.stable not in run.route.versions:
        raise NotPossible(f"{rollout.stable} is no longer in the policy: nothing to go back to")
    if isinstance(event, Rollback) and event.to:
        _refuse_target(run, base, rollout, event.to)
    if isinstance(event, Retry) and rollout.candidate not in run.route.versions:
        raise NotPossible(f"{rollout.candidate} is no longer in the policy: nothing to retry")
    if isinstance(event, Rollback):
        _refuse_late(rollout, carried.policy, now)
    _refuse_stranger(rollout, carried.plan, event)
    try:
        following = decide(rollout, carried.plan, event, now)
    except Refused as refusal:
        raise NotPossible(str(refusal)) from None
    after = lifecycle.advanced(base, carried, following)
    if isinstance(event, Retry):
        after = lifecycle.retried(after, carried.key, now)
    return after, following.reason


def _refuse_stranger(rollout: Rollout, plan: Plan, event: Event) -> None:
    """A step that names who may promote it is left, or grows, by nobody else's order."""
    baking = Phase.BAKING in (rollout.phase, rollout.paused_from)
    if not isinstance(event, Promote | SetWeight) or baking or not rollout.phase.live:
        return
    full = isinstance(event, Promote) and event.full
    steps = plan.steps[rollout.step :] if full else plan.steps[rollout.step : rollout.step + 1]
    if isinstance(event, SetWeight) and (event.weight_bp or 0) <= steps[0].weight_bp:
        return
    for step in steps:
        if step.approval is not None and step.approval.by and event.actor not in step.approval.by:
            names = ", ".join(step.approval.by)
            raise NotPermitted(f"approval.by of {step.label or 'this step'} names {names}")


def ground(run: Run, event: Event) -> RouteRecord:
    """What an order is about: what is being written, as it will hold before the order does.

    A way back begins where the traffic is: a step that never came into force gives nothing back.
    """
    here = run.record
    if run.pending is None or (isinstance(event, Abort | Rollback) and _one_attempt(run)):
        return here
    return run.pending.record


def followed(run: Run, live: Carried, observed: Observed, now: float) -> tuple[Rollout, Rollout]:
    """Where the machine stands and what it decides; a way back likewise begins where it is."""
    rollout, here = live.rollout, run.rollout
    following = decide(rollout, live.plan, observed, now)
    if here is None or following.phase not in _WAYS_BACK or not _one_attempt(run):
        return rollout, following
    return here, decide(here, live.plan, observed, now)


_WAYS_BACK = (Phase.ABORTED, Phase.ROLLED_BACK)


def _one_attempt(run: Run) -> bool:
    """Whether what is being written is of the attempt that is in force."""
    ahead, here = run.pending.record.rollout if run.pending else None, run.rollout
    if ahead is None or here is None:
        return False
    return (ahead.id, ahead.attempt) == (here.id, here.attempt)


def informed(run: Run, event: AnyCommand, unready: str) -> AnyCommand:
    """An order with what the person need not know: what is unproven, that nobody is ready.

    Also that an attempt which is still being written never had the share that would return.
    """
    if isinstance(event, Retry):
        return replace(event, unready=unready)
    if isinstance(event, Abort | Rollback) and run.pending is not None and not _one_attempt(run):
        return replace(event, instant=True)
    if not isinstance(event, Promote) or run.live is None:
        return event
    live = run.live
    return replace(event, unproven=live.trial.unproven(live.rollout, live.plan))


def result_of(entry: JournalEntry, **more: Any) -> OrderView:
    """The answer to the command that made ``entry``."""
    return OrderView(
        route=entry.route,
        command=entry.action,
        changed=more.pop("changed", True),
        revision=entry.revision,
        phase=entry.phase_to,
        step=entry.step,
        weight_bp=entry.weight_bp,
        reason=entry.reason,
        **more,
    )


def so_already(run: Run, event: Event, now: float) -> OrderView | None:
    """The answer to an order that asks for what is in force; None where it changes something."""
    rollout, phases = run.rollout, _SO_ALREADY.get(type(event), ())
    if rollout is None or run.pending is not None or rollout.phase not in phases:
        return None
    if rollout.phase is not Phase.PAUSED and run.returns_on(now) is not None:
        return None
    if isinstance(event, Rollback) and event.to not in ("", run.record.stable):
        return None
    name = type(event).__name__.lower()
    return OrderView(
        route=run.route.name, command=name, changed=False, revision=run.record.revision,
        phase=rollout.phase.value, step=rollout.step + 1,
        weight_bp=run.record.carried.split.candidate_bp if run.record.carried else 0,
        reason=f"already so: {rollout.reason}",
    )  # fmt: skip


_SO_ALREADY: Mapping[type[Event], tuple[Phase, ...]] = {
    Pause: (Phase.PAUSED,),
    Promote: (Phase.COMPLETED,),
    Abort: _WAYS_BACK,
    Rollback: _WAYS_BACK,
}
"""Phases in which there is nothing left to do for an order."""


def _refuse_flapping(run: Run, base: RouteRecord, event: Retry, now: float) -> None:
    """A candidate that was tried again too often, or too soon, waits, unless forced."""
    rollout = base.rollout
    policy = run.route.rollout or (base.pinned.policy if base.pinned else None)
    if policy is None or rollout is None or rollout.phase.live or event.force:
        return
    if policy.candidate not in run.route.versions:
        return
    key = lifecycle.candidate_key(policy.candidate, run.route.versions[policy.candidate])
    times = [at for known, at in base.retries if known == key]
    if why := policy.anti_flap.refusal(times, rollout.ended or 0.0, now):
        raise NotPossible(f"{policy.candidate} was {why}")


def _refuse_target(run: Run, base: RouteRecord, rollout: Rollout, to: str) -> None:
    """`rollback --to`: any version of the policy but the candidate itself and convicted ones."""
    if to not in run.route.versions:
        known = ", ".join(name for name in run.route.versions if name != rollout.candidate)
        raise NotPossible(f"the policy has no version {to}; known are {known}")
    if to == rollout.candidate:
        raise NotPossible(f"{to} is the version that would be taken back")
    if lifecycle.stays_out(run.route, base, to):
        raise NotPossible(f"{to} was taken back itself; `retry` is its way")


def _refuse_late(rollout: Rollout, policy: RolloutPolicy, now: float) -> None:
    """A completed rollout is undone within its window; later a rollout of the old one does it."""
    window_s, ended = policy.rollback_window, rollout.ended
    if rollout.phase is not Phase.COMPLETED or window_s is None or ended is None:
        return
    if now - ended > window_s:
        raise NotPossible(
            f"it completed {duration(now - ended)} ago and rollback_window is "
            f"{duration(window_s)}; roll out {rollout.stable} as a candidate"
        )


def _retried(
    run: Run, base: RouteRecord, event: Retry, now: float
) -> tuple[RouteRecord, str] | None:
    """A retry by the policy as it is now; None where the plain table applies."""
    policy, rollout = run.route.rollout, base.rollout
    if policy is None or rollout is None or rollout.phase.live:
        return None
    if rollout.phase is Phase.COMPLETED and not lifecycle.waiting_candidate(run.route, base):
        return None
    if policy.candidate == base.stable:
        raise NotPossible(f"{policy.candidate} is stable already")
    said = f"retried by {event.actor}" + (f": {event.reason}" if event.reason else "")
    if policy.candidate != rollout.candidate or base.stable != rollout.stable:
        new = lifecycle.begun(run.route, base, policy, now, event.unready)
        here = endpoints_of(run.route.versions[policy.candidate])
        reason = f"{said}; {new.rollout.reason}"
        new = replace(new, rollout=replace(new.rollout, actor=event.actor, reason=reason))
        return lifecycle.retried(lifecycle.entered(base, new, here), new.key, now), reason
    again = Carried(rollout, Pinned.of(policy, lifecycle.identity(run.route, policy)))
    following = decide(rollout, again.plan, event, now)
    after = lifecycle.advanced(base, again, following)
    return lifecycle.retried(after, again.key, now), following.reason


def grows(before: RouteRecord, after: RouteRecord) -> bool:
    """Whether the candidate gets a larger share than before; what a freeze does not allow."""
    return _share(after) > _share(before)


def _share(record: RouteRecord) -> tuple[int, int]:
    live = record.live
    return (live.split.trial_bp, live.split.mirror_bp) if live else (0, 0)


def entry_for(
    run: Run,
    record: RouteRecord,
    action: str,
    actor: str,
    reason: str,
    *,
    now: float,
    wall: float,
    before: Rollout | None = None,
) -> JournalEntry:
    """The journal's account of a move, with what the judge said at that moment.

    ``before``: what the machine was given; absent: what is being written, or in force.
    """
    if before is None:
        before = run.pending.record.rollout if run.pending else run.rollout
    rollout, carried, live = record.rollout, record.carried, run.live
    line = rollout.line if rollout is not None and reason == rollout.reason else ""
    if live is not None and before is not None and before.phase.live:
        samples = live.trial.samples(before, live.plan)
        evidence = judged(live.trial.judgement(), samples=samples, line=line)
    else:
        evidence = JudgementView(line=line)
    weight = split_for(carried.rollout, carried.plan, now).candidate_bp if carried else 0
    same = before is not None and rollout is not None and before.id == rollout.id
    return JournalEntry(
        wall, now, run.route.name, rollout.id if rollout else "", record.revision, actor, action,
        before.phase.value if before and same else "",
        rollout.phase.value if rollout else "", rollout.step + 1 if rollout else 0,
        weight, reason, evidence,
    )  # fmt: skip


def action_of(before: Rollout, after: Rollout, observed: Observed) -> str:
    """The journal's word for what the machine did by itself."""
    if after.phase is not before.phase:
        return _ACTIONS.get(after.phase, "advance")
    if after.step != before.step:
        return "advance"
    if after.standing != before.standing:
        return "begin"
    if (after.stopped_since is None) is not (before.stopped_since is None):
        return "go_on" if after.stopped_since is None else "stop"
    if after.override != before.override:
        return "override"
    if after.shares != before.shares:
        return "share"
    if (after.cap_bp, after.round) != (before.cap_bp, before.round):
        return "cap"
    return "ramp" if observed.auto_weight_bp is not None else "advance"


_ACTIONS = {
    Phase.AWAITING_APPROVAL: "await",
    Phase.BAKING: "bake",
    Phase.COMPLETED: "complete",
    Phase.ABORTED: "abort",
    Phase.ROLLED_BACK: "rollback",
}
