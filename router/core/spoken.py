"""The one line that a person would say of a decision; the sentence with the numbers comes second.

At most :data:`WORDS_MAX` words, no odds, one comparison of counts of one stretch. A judge does not
know how the versions are called: it writes :data:`STABLE`, :func:`spoken` puts the name there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.core.rollout.capped import at_first, baked, capped_s
from router.core.rollout.events import (
    Abort,
    Command,
    Event,
    Observed,
    Pause,
    Promote,
    Resume,
    Rollback,
)
from router.core.rollout.plan import Ending, Plan
from router.core.rollout.rollout import Phase, Rollout, step_age_s
from router.core.words import FULL_BP, count, duration, percent

if TYPE_CHECKING:
    from router.core.evidence.recent import Recent
    from router.core.gates.gate import GateState

WORDS_MAX = 25
"""Longer lines are cut."""

STABLE = "{stable}"
"""Stands for the name of stable in what a judge says."""


def headline(sentence: str) -> str:
    """The parts of a sentence without odds, cut to :data:`WORDS_MAX` words."""
    parts = sentence.split("; ")
    plain = [part for part in parts if " : 1" not in part and "evidence" not in part]
    words = "; ".join(plain or parts[:1]).replace(" : 1", " to 1").split()
    return " ".join(words) if len(words) <= WORDS_MAX else " ".join(words[:WORDS_MAX]) + " ..."


def case(state: GateState, recent: Recent, replays: tuple[int, int] = (0, 0)) -> str:
    """What one gate has against the candidate: the stretch that tells most, or its own totals.

    ``replays``: of its failures, those that stable was asked again and answered, and failed.
    """
    stretch, last = recent.telling()
    if not state.fails or not stretch.bad:
        return state.plain()
    number = f"last {stretch.total:,}" if last else f"{stretch.total:,}"
    beside = f"; {STABLE} failed {stretch.stable_bad:,} of {stretch.stable_total:,}"
    text = f"{stretch.bad:,} of its {number} answers failed"
    return text + (beside if stretch.stable_total else "") + _again(*replays)


def _again(answered: int, failed: int) -> str:
    asked = answered + failed
    if not asked:
        return ""
    share = f"all {asked:,}" if not failed else f"{answered:,} of {asked:,}"
    return f"; asked again, {STABLE} answered {share} of them"


def held(rollout: Rollout, plain: str) -> str:
    """Of a rollout that may not get more traffic."""
    return _line(rollout, f"{rollout.candidate} is held: {plain}")


def spoken(before: Rollout, after: Rollout, plan: Plan, event: Event, now: float) -> str:
    """What the move from ``before`` to ``after`` was, and why."""
    return _line(after, _ENDS.get(after.phase, _under_way)(before, after, plan, event, now))


def _line(rollout: Rollout, text: str) -> str:
    return headline(text.replace(STABLE, rollout.stable))


def _by(event: Event) -> str:
    """`` by ann: lunch``; nothing where the router decided."""
    if not isinstance(event, Command):
        return ""
    return f" by {event.actor}" + (f": {event.reason}" if event.reason else "")


def _taken_back(before: Rollout, after: Rollout, _plan: Plan, event: Event, _now: float) -> str:
    if isinstance(event, Observed):
        why = event.plain or event.sentence
        if event.action != "rollback" or not why:
            why = after.reason
        return f"{after.candidate} was taken back: {why}"
    rest = f"the rest of {after.candidate}" if before.phase is after.phase else after.candidate
    return f"{rest} was taken back{_by(event)}"


def _given_up(before: Rollout, after: Rollout, plan: Plan, event: Event, now: float) -> str:
    if isinstance(event, Rollback):
        return _taken_back(before, after, plan, event, now)
    return f"{after.candidate} was given up{_by(event) or f': {after.reason}'}"


def _completed(before: Rollout, after: Rollout, plan: Plan, event: Event, now: float) -> str:
    if plan.ending is Ending.KEEP:
        return f"the test of {after.candidate} is over; {after.stable} stays stable"
    if isinstance(event, Promote):
        return f"{after.candidate} is stable: promoted{_by(event)}"
    if before.phase is Phase.BAKING:
        how = "it was not convicted" if capped_s(before, now) else "nothing was found against it"
        return (
            f"{after.candidate} is stable: {how} in {baked(before, step_age_s(before, now), now)}"
        )
    return f"{after.candidate} is stable: nothing was found against it in {_steps(plan)}"


def _steps(plan: Plan) -> str:
    return count(len(plan.steps), "step")


def _baking(before: Rollout, after: Rollout, plan: Plan, event: Event, now: float) -> str:
    if isinstance(event, Resume) or after.phase is before.phase:
        return _under_way(before, after, plan, event, now)
    held = at_first(after, FULL_BP)
    has = "bakes" if held else "has all traffic and bakes"
    bakes = f"{after.candidate} {has} for {duration(plan.bake_s)}{held}"
    return f"{bakes}: promoted{_by(event)}" if isinstance(event, Command) else bakes


def _waiting(before: Rollout, after: Rollout, plan: Plan, event: Event, now: float) -> str:
    if before.phase in (after.phase, Phase.PAUSED):
        return _under_way(before, after, plan, event, now)
    step = plan.steps[after.step]
    if step.approval is None or after.paused_from is not None:
        within = f"within {duration(plan.max_duration_s or 0.0)}"
        return f"{after.candidate} could not be judged {within}: `promote` it or `abort`"
    weight = percent(step.weight_bp)
    place = f"step {after.step + 1} of {len(plan.steps)}, {weight}"
    return f"{after.candidate} waits for approval ({place}): `promote` it or `abort`"


def _under_way(before: Rollout, after: Rollout, plan: Plan, event: Event, now: float) -> str:
    """A step was left, the evidence moved the share, or a person gave an order."""
    if after.step != before.step:
        return _stepped(before, after, plan, event, now)
    if isinstance(event, Observed) and (after.cap_bp, after.round) != (before.cap_bp, before.round):
        if after.cap_bp is None or not event.plain:
            return f"{after.candidate} goes on: {after.reason}"
        return f"{after.candidate} is held at {percent(after.cap_bp)}: {event.plain}"
    if isinstance(event, Pause | Resume | Abort):
        word = "is paused" if isinstance(event, Pause) else "goes on"
        return f"{after.candidate} {word}{_by(event)}"
    return after.reason


def _stepped(before: Rollout, after: Rollout, plan: Plan, event: Event, now: float) -> str:
    weight = percent(plan.steps[after.step].weight_bp)
    goes = f"{after.candidate} goes to {weight} (step {after.step + 1} of {len(plan.steps)})"
    goes += at_first(after, plan.steps[after.step].weight_bp)
    if not isinstance(event, Observed) or before.phase is not Phase.PROGRESSING:
        return f"{goes}{_by(event)}"
    held_s = duration(step_age_s(before, now))
    return f"{goes}: step {before.step + 1} took {held_s} and {event.samples:,} samples"


_ENDS = {
    Phase.ROLLED_BACK: _taken_back,
    Phase.ABORTED: _given_up,
    Phase.COMPLETED: _completed,
    Phase.BAKING: _baking,
    Phase.AWAITING_APPROVAL: _waiting,
}
