"""What keeps a rollout that could go on where it is: freezes, time windows, hooks, its group.

Asked at every look of the decider. None of it can keep a rollback from happening, and a person's
order is checked against freezes only: whoever promotes by hand has decided for himself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from router.control.outside.hooks import Hooks, Note
from router.control.rollouts.acknowledged import Acknowledged
from router.control.rollouts.freeze import Freeze, Freezes
from router.control.rollouts.monitored import Monitored, Unwatched
from router.control.rollouts.places import reached_at
from router.control.rollouts.readiness import Readiness
from router.control.rollouts.run import Live, Run, Waiting
from router.control.state.clock import Clock
from router.control.state.settings import StoreSettings
from router.core.policy import RolloutPolicy, Route
from router.core.policy.hooks import Trigger
from router.core.policy.segments import base_of
from router.core.proof import leads_to_all
from router.core.rollout import group
from router.core.rollout.clocks import going
from router.core.rollout.events import Abort, Action, Observed, Rollback
from router.core.rollout.machine import ready
from router.core.rollout.rollout import Phase, Rollout, remaining_s
from router.core.rollout.windows import any_open, moment, next_open, open_for

STANDS_S: Final = 2.0
"""A rollout that begins later than that since its candidate is not there tells people so."""

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

    def __init__(
        self, clock: Clock, note: Note, readiness: Readiness,
        wake: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """``wake`` has the decider turn again at once."""
        self.freezes = Freezes()
        self.acknowledged = Acknowledged()
        self.hooks: Hooks | None = None
        self.monitors: Monitored = Unwatched()
        self._readiness = readiness
        self.tell: Tell = lambda _trigger, _run, _text: None
        self._clock = clock
        self._note = note
        self._wake = wake
        self._ready: dict[str, Whereabouts] = {}
        """Members of groups whose step is done but for the group."""
        self._told: dict[str, tuple[Whereabouts, set[str]]] = {}

    def __repr__(self) -> str:
        return f"<Restraint {self.freezes!r} {self.hooks!r}>"

    def restore(self, settings: StoreSettings) -> None:
        """What the store has of it."""
        if settings.frozen is not None:
            self.freezes.restore(settings.frozen)
        self.acknowledged.restore(settings.acknowledged or {})

    def apply(
        self, run: Run, live: Live, observed: Observed, runs: Iterable[Run], now: float
    ) -> Observed:
        """What the machine is shown: ``observed``, held back by windows, hooks or a freeze.

        Where a hook demands a rollback, that.
        """
        rollout, policy, route = live.rollout, live.policy, run.route.name
        if observed.action is Action.ROLLBACK:
            return observed
        freeze = self.freezes.over(route, self._clock.wall())
        cause = calendar = self._calendar(policy, freeze)
        unready = self._unready(run, rollout, now)
        done = ready(going(rollout, now), live.plan, observed, now)
        if (moved := self.monitors.convicts(run)) and not rollout.standing:
            return replace(observed, action=Action.ROLLBACK, sentence=moved.sentence())
        if self.hooks is not None:
            reaction = self.hooks.look(run, live, now, ready=done and cause is None)
            if reaction.rollback:
                return replace(observed, action=Action.ROLLBACK, sentence=reaction.rollback)
            if cause is None and reaction.hook is not None and not rollout.standing:
                trigger: Trigger | None = None if reaction.hook.mute_alert else "approval_needed"
                kind = f"hook {reaction.hook.title}" if reaction.answered else ""
                cause = Cause(kind, reaction.waits_for, trigger)
        cause = cause or self._drift(run)
        if policy.group is not None and not rollout.standing:
            cause = self._with_group(run, live, runs, cause, done=done)
        gone = unready if self._readiness.heard_of(route, rollout.candidate) else ""
        stopped = calendar.text if calendar else "" if rollout.standing else gone
        cause = cause or self._half(run, live, now, unready, done=done)
        told = filter(None, (cause.text if cause else "", unready))
        at = None if unready else self._next_at(live, freeze, now)
        run.waiting = Waiting("; ".join(told), at)
        if rollout.standing and unready and now - rollout.started >= STANDS_S:
            self._say(run, rollout, Cause("ready", unready, "held"), note=True)
        if cause is not None and cause.kind and (done or cause is calendar):
            self._say(run, rollout, cause, note=cause is not calendar)
        return replace(
            observed, unready=unready, stopped=stopped, may_advance=cause is None,
            wait_reason=run.waiting.reason,
        )  # fmt: skip

    def _unready(self, run: Run, rollout: Rollout, now: float) -> str:
        """Why it cannot take more traffic, or, while it stands at its start, any."""
        first = self.monitors.before(run.route) if rollout.standing else ""
        return self.unready(run.route, rollout.candidate, now) or first

    def _drift(self, run: Run) -> Cause | None:
        """Data that move are nobody's fault, and nothing to promote on."""
        if moved := self.monitors.holds(run):
            return Cause(f"drift in {moved.signal}", moved.sentence(), "held")
        return None

    def _half(self, run: Run, live: Live, now: float, unready: str, *, done: bool) -> Cause | None:
        """Half a version gets no more than half of the traffic, until a person says otherwise."""
        if unready or not done or not leads_to_all(live.rollout, live.plan):
            return None
        text = self._readiness.unsteady(run.route.name, live.rollout.candidate, now)
        return Cause("endpoints", f"not all of it is up: {text}", "held") if text else None

    def unready(self, route: Route, candidate: str, now: float) -> str:
        """Why a version cannot take more traffic; empty when it can."""
        if candidate not in route.versions:
            return ""
        here = reached_at(route, candidate)
        return self._readiness.unready(route.name, candidate, here, now)

    def awaited(self, route: Route, last: Rollout | None, now: float) -> str:
        """The same of who would begin now: the policy's candidate, else the last rollout's."""
        about = route.rollout or last
        if about is None:
            return ""
        return self.unready(route, about.candidate, now) or self.monitors.before(route)

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
            self._wake()  # those before it in this turn have had their look
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
        if live.rollout.phase not in (Phase.PROGRESSING, Phase.BAKING) or live.rollout.standing:
            return None
        if freeze is not None and freeze.until is None:
            return None
        at = self._clock.wall()
        if freeze is not None and freeze.until is not None:
            at = max(at, freeze.until)
        return open_for(live.policy.windows, at, remaining_s(live.rollout, live.plan, now))

    def _say(self, run: Run, rollout: Rollout, cause: Cause, *, note: bool) -> None:
        """Once for each cause at each place: into the journal, and to alerts where it matters.

        ``note``: the machine does not write it itself, as it does where the clocks stop.
        """
        place = _place(rollout)
        told = self._told.get(run.route.name)
        if told is None or told[0] != place:
            told = self._told[run.route.name] = (place, set())
        if cause.kind in told[1]:
            return
        told[1].add(cause.kind)
        if note:
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
