"""What keeps a rollout that could go on where it is: freezes, time windows, hooks, its group.

Asked at every look of the decider. None of it can keep a rollback from happening, and a person's
order is checked against freezes only: whoever promotes by hand has decided for himself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from router.control.outside.hooks import Hooks, Note
from router.control.rollouts.freeze import Freeze, Freezes
from router.control.rollouts.run import Live, Run, Waiting
from router.control.state.clock import Clock
from router.core.policy import RolloutPolicy
from router.core.policy.hooks import Trigger
from router.core.policy.segments import base_of
from router.core.rollout import group
from router.core.rollout.events import Abort, Action, Observed, Rollback
from router.core.rollout.machine import ready
from router.core.rollout.rollout import Phase, Rollout, remaining_s
from router.core.rollout.windows import any_open, moment, next_open

Unready = Callable[[str, str], str]
"""``unready(route, version)``: why it cannot take more traffic; empty when it can."""

Tell = Callable[[Trigger, Run, str], None]
"""``tell(trigger, run, text)`` sends alerts."""

Whereabouts = tuple[str, int, Phase, int]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why it stays."""

    kind: str
    """Tells causes apart, however their sentences change; empty: not worth telling yet."""
    text: str
    trigger: Trigger | None = None


class Restraint:
    """What may keep a rollout from going on although its evidence allows it."""

    def __init__(self, clock: Clock, note: Note, unready: Unready) -> None:
        self.freezes = Freezes()
        self.hooks: Hooks | None = None
        self._unready = unready
        self.tell: Tell = lambda _trigger, _run, _text: None
        self._clock = clock
        self._note = note
        self._ready: dict[str, Whereabouts] = {}
        """Members of groups whose step is done but for the group."""
        self._told: dict[str, tuple[Whereabouts, set[str]]] = {}

    def __repr__(self) -> str:
        return f"<Restraint {self.freezes!r} {self.hooks!r}>"

    def apply(
        self, run: Run, live: Live, observed: Observed, runs: Iterable[Run], now: float
    ) -> Observed:
        """What the machine is shown: ``observed``, held back by windows, hooks or a freeze.

        Where a hook demands a rollback, that.
        """
        rollout = live.rollout
        unready = self._unready(run.route.name, rollout.candidate)
        if unready and _never_began(live):
            run.waiting = Waiting(unready)
            return replace(observed, unready=unready, absent=True, wait_reason=unready)
        return self._restrained(run, live, observed, runs, now, unready)

    def _restrained(  # noqa: PLR0917 - of apply
        self, run: Run, live: Live, observed: Observed, runs: Iterable[Run], now: float,
        unready: str,
    ) -> Observed:  # fmt: skip
        rollout, policy, plan = live.rollout, live.policy, live.plan
        if observed.action is Action.ROLLBACK:
            return observed
        freeze = self.freezes.over(run.route.name, self._clock.wall())
        done = ready(rollout, plan, observed, now)
        cause = self._calendar(policy, freeze)
        if self.hooks is not None:
            reaction = self.hooks.look(run, live, now, ready=done and cause is None)
            if reaction.rollback:
                return replace(observed, action=Action.ROLLBACK, sentence=reaction.rollback)
            if cause is None and reaction.hook is not None:
                trigger: Trigger | None = None if reaction.hook.mute_alert else "approval_needed"
                kind = f"hook {reaction.hook.title}" if reaction.answered else ""
                cause = Cause(kind, reaction.waits_for, trigger)
        if policy.group is not None:
            cause = self._with_group(run, live, runs, cause, done=done)
        at = self._next_at(live, freeze, now)
        run.waiting = Waiting(cause.text if cause else "", at)
        if cause is None:
            if not unready:
                return observed
            run.waiting = Waiting(unready, at)
            return replace(observed, unready=unready, wait_reason=unready)
        if done and cause.kind:
            self._say(run, rollout, cause)
        return replace(observed, may_advance=False, wait_reason=cause.text)

    def _calendar(self, policy: RolloutPolicy, freeze: Freeze | None) -> Cause | None:
        if freeze is not None:
            return Cause("freeze", freeze.sentence(), "held")
        wall = self._clock.wall()
        if any_open(policy.windows, wall):
            return None
        opens = next_open(policy.windows, wall)
        when = moment(opens, policy.windows[0].zone) if opens is not None else "never"
        written = ", ".join(map(str, policy.windows))
        return Cause("window", f"waits for its time window ({written}); it opens {when}")

    def arrived(self, run: Run) -> None:
        """The rollout has come to a new step or phase: what held the last one back is forgotten."""
        freeze = self.freezes.over(run.route.name, self._clock.wall())
        at = self._next_at(run.live, freeze, self._clock.now()) if run.live else None
        run.waiting = Waiting("", at)

    def starting(self, run: Run) -> str:
        """Why no new rollout may begin on a route now; empty when one may."""
        freeze = self.freezes.over(run.route.name, self._clock.wall())
        return freeze.sentence() if freeze else ""

    # --- groups -----------------------------------------------------------------------------------

    def _with_group(
        self, run: Run, live: Live, runs: Iterable[Run], cause: Cause | None, *, done: bool
    ) -> Cause | None:
        """Lock-step; a member that becomes ready has the others looked at again at once."""
        members = [one for one in runs if one is not run and same_group(one, run)]
        name = run.route.name
        place = _place(live.rollout) if done and cause is None else None
        if place is not None and self._ready.get(name) != place:
            self._ready[name] = place
            for one in members:
                one.look_at = 0.0
        elif place is None:
            self._ready.pop(name, None)
        if cause is not None:
            return cause
        text = group.waits_for(live.rollout, live.plan, map(self._member, members))
        return Cause("group", text) if text else None

    def _member(self, run: Run) -> group.Member:
        record = run.pending.record if run.pending else run.record
        rollout = record.rollout
        here = rollout is not None and self._ready.get(run.route.name) == _place(rollout)
        plan = record.pinned.plan if record.pinned else None
        return group.Member(run.route.name, rollout, plan, here)

    def fellows(self, run: Run, runs: Iterable[Run]) -> tuple[str, ...]:
        """Routes that go back with ``run``, whose rollout was taken back."""
        rollout = run.rollout
        if rollout is None or rollout.phase not in (Phase.ABORTED, Phase.ROLLED_BACK):
            return ()
        everyone = list(runs)
        members = [one for one in everyone if one is not run and same_group(one, run)]
        if _too_many(run, everyone):
            members += [one for one in everyone if one not in members and same_family(one, run)]
        return group.taken_back_with(rollout, map(self._member, members))

    # --- what people see --------------------------------------------------------------------------

    def _next_at(self, live: Live, freeze: Freeze | None, now: float) -> float | None:
        """The earliest wall time at which it may advance; None where no clock decides that."""
        if live.rollout.phase not in (Phase.PROGRESSING, Phase.BAKING):
            return None
        if freeze is not None and freeze.until is None:
            return None
        at = self._clock.wall() + remaining_s(live.rollout, live.plan, now)
        if freeze is not None and freeze.until is not None:
            at = max(at, freeze.until)
        return next_open(live.policy.windows, at)

    def _say(self, run: Run, rollout: Rollout, cause: Cause) -> None:
        """Once for each cause at each place: into the journal, and to alerts where it matters."""
        place = _place(rollout)
        told = self._told.get(run.route.name)
        if told is None or told[0] != place:
            told = self._told[run.route.name] = (place, set())
        if cause.kind in told[1]:
            return
        told[1].add(cause.kind)
        self._note(run, "wait", cause.text)
        if cause.trigger is not None:
            self.tell(cause.trigger, run, cause.text)


def group_of(run: Run) -> str | None:
    """The group it belongs to: by the policy of its rollout, or by the file when none is live."""
    policy = run.live.policy if run.live else run.route.rollout
    return policy.group if policy is not None else None


def same_group(one: Run, other: Run) -> bool:
    """Whether two routes go in lock-step."""
    name = group_of(one)
    return name is not None and name == group_of(other)


def same_family(one: Run, other: Run) -> bool:
    """Whether two routes are segments of one, and try the same candidate."""
    mine, theirs = one.rollout, other.rollout
    if one is other or mine is None or theirs is None or mine.candidate != theirs.candidate:
        return False
    return base_of(one.route.name) == base_of(other.route.name)


def _never_began(live: Live) -> bool:
    """Whether it is at its start, and its candidate was never seen ready in this attempt."""
    rollout = live.rollout
    starts = rollout.phase is Phase.PROGRESSING and rollout.step == 0 and rollout.override is None
    return starts and not live.trial.was_ready


def _too_many(run: Run, runs: Iterable[Run]) -> bool:
    """Whether so many segments were taken back that none may go on (``stop_all_when``)."""
    most = _segments_lost_max(run)
    lost = sum(_lost(one) for one in runs if one is run or same_family(one, run))
    return most is not None and lost >= most


def _segments_lost_max(run: Run) -> int | None:
    each = run.record.pinned.policy.for_each if run.record.pinned else None
    return each.stop_all_when if each is not None else None


def _lost(run: Run) -> bool:
    return run.rollout is not None and run.rollout.phase in (Phase.ABORTED, Phase.ROLLED_BACK)


def _place(rollout: Rollout) -> Whereabouts:
    return (rollout.id, rollout.attempt, rollout.phase, rollout.step)


def fellow_order(failed: Run, ended: Rollout, fellow: Run) -> Abort | Rollback:
    """What takes ``fellow`` back since ``failed``, of the same group, ``ended`` badly."""
    aborted = ended.phase is Phase.ABORTED
    if (root := _root(ended)) is not None:
        return Abort("router", root) if aborted and fellow.live else Rollback("router", root)
    what = "was aborted" if aborted else "was rolled back"
    if not same_group(failed, fellow):
        most = _segments_lost_max(failed)
        why = f"{failed.route.name} {what}, and stop_all_when is {most} segments: {ended.reason}"
        return Rollback("router", why)
    why = f"{failed.route.name} of group {group_of(failed)} {what}: {ended.reason}"
    return Abort("router", why) if aborted and fellow.live else Rollback("router", why)


def _root(ended: Rollout) -> str | None:
    """Why one that went back with another did: that one's cause, told once, not as a chain."""
    for word in ("aborted", "rolled back"):
        chain = f"{word} by router: "
        if ended.actor == "router" and ended.reason.startswith(chain):
            return ended.reason.removeprefix(chain)
    return None
