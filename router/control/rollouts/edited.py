"""What another policy would have decided on a recording: the same evidence, other rules.

The outcomes stand: who was drawn, at which weight, and how it ended. A gate's evidence needs only
the weight with which each request was drawn, so it is exact under any policy; *when* the other
policy would have got it is as recorded. Where it would have sent more traffic it would have learnt
sooner, so its rollbacks are told late rather than early. What people ordered they order here too;
what held the recorded rollout (freeze, window, hook, disk) holds this one.

When the recorded candidate's traffic ends nothing more is known: a rollout that has not ended by
then is ``undecided``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from router.control.rollouts import lines as lines_of
from router.control.rollouts.lines import (
    AnyLine,
    BatchLine,
    BeginLine,
    DecideLine,
    FollowLine,
    GapLine,
    MeasureLine,
    TurnLine,
)
from router.control.rollouts.orders import action_of
from router.control.rollouts.recording import unsealed
from router.control.rollouts.replay import EVENTS, NOWHERE, FedLine, fed, outside_moved
from router.control.rollouts.trial import Trial
from router.core.gates.gate import Gate
from router.core.policy import RolloutPolicy, Route
from router.core.rollout.events import Action, Event, Observed, Refused, SetWeight
from router.core.rollout.machine import decide
from router.core.rollout.plan import Plan
from router.core.rollout.rollout import Phase, Rollout
from router.core.wire.baseline import Baseline
from router.core.wire.outcomes import Batch, Cell

UNDECIDED = "undecided"

_ENDS = {
    Phase.COMPLETED: "completed",
    Phase.ABORTED: "aborted",
    Phase.ROLLED_BACK: "rolled back",
}


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision, of the recording or of the edited policy."""

    clock: float
    """Rollout clock, seconds."""
    action: str
    reason: str


@dataclass
class Compared:
    """One attempt of one rollout, decided by both policies."""

    route: str
    rollout: str
    attempt: int
    recorded: list[Decided] = field(default_factory=list)
    edited: list[Decided] = field(default_factory=list)
    recorded_end: str = UNDECIDED
    edited_end: str = UNDECIDED
    notes: list[str] = field(default_factory=list)
    """What the recording cannot tell about the edited policy."""

    @property
    def verdict(self) -> str:
        """Whether both end the same: ``same``, ``later`` or ``different``.

        Later: the recording ends before the edited policy lets go a candidate that was not taken
        back.
        """
        if self.recorded_end == self.edited_end:
            return "same"
        late = self.edited_end == UNDECIDED and self.recorded_end in ("completed", "aborted")
        return "later" if late else "different"


@dataclass
class _Attempt:
    """The edited policy at work on one attempt."""

    compared: Compared
    trial: Trial
    plan: Plan
    rollout: Rollout
    recorded: Rollout
    slices: dict[tuple[int, int], int] = field(default_factory=dict)
    """Round of the edited policy's evidence in which a slice was drawn, by source and slice."""

    @property
    def live(self) -> bool:
        return self.rollout.phase.live

    def take(self, line: FedLine) -> None:
        """One line of evidence."""
        if isinstance(line, BatchLine):
            self.trial.observe(self._batch(line.batch), line.t)
        elif not isinstance(line, MeasureLine) or line.gate in self.trial.judge.gates:
            fed(self.trial, line)

    def _batch(self, batch: Batch) -> Batch:
        cells = tuple(replace(cell, round=self._round(cell)) for cell in batch.cells)
        return replace(batch, cells=cells)

    def _round(self, cell: Cell) -> int:
        """A slice belongs to the round that was in force here when it was first told of."""
        if not cell.slice:
            return self.rollout.round
        key = cell.source, cell.slice
        while len(self.slices) > _SLICES_MAX:
            del self.slices[next(iter(self.slices))]
        return self.slices.setdefault(key, self.rollout.round)

    def turn(self, held: str | None, now: float) -> None:
        """The decider looked, then; so it does here."""
        if self.live:
            seen = self.trial.tick(self.rollout, self.plan, now)
            if held is not None:
                if self.rollout.standing:
                    return
                stopped = held if self.rollout.stopped_since is not None else ""
                seen = replace(seen, may_advance=False, wait_reason=held, stopped=stopped)
            self.decide(seen, now)

    def decide(self, event: Event, now: float) -> None:
        """Whatever the machine makes of it, under the edited plan."""
        try:
            made = decide(self.rollout, self.plan, event, now)
        except Refused:
            return  # what was ordered then is not possible where this one is
        if made is self.rollout:
            return
        made = replace(made, revision=self.recorded.revision)
        action = _action(self.rollout, made, event)
        self.compared.edited.append(Decided(now, action, made.reason))
        self.rollout = made
        self.trial.follow(made, now)
        self.compared.edited_end = _ENDS.get(made.phase, UNDECIDED)


_SLICES_MAX = 10_000
"""Slices remembered; a worker begins ten a second, and an answer is waited for minutes."""


class Edited:
    """``Edited(routes).run(lines)``; ``routes`` of the edited policy by name, segments too."""

    def __init__(self, routes: Mapping[str, Route]) -> None:
        self._routes = routes
        self._attempts: dict[tuple[str, str, int], _Attempt] = {}
        self._now: dict[str, _Attempt] = {}
        self.unknown: dict[str, str] = {}
        """Why a route of the recording is not decided again, by its name."""

    @property
    def compared(self) -> list[Compared]:
        """Every attempt, in order."""
        return [
            replace(one.compared, notes=[*one.compared.notes, *_unfed(one)])
            for one in self._attempts.values()
        ]

    def run(self, lines: Iterable[bytes]) -> None:
        """Take in a file of a recording; older files first. Raises ValueError for other text."""
        for line in _read(lines):
            if isinstance(line, BeginLine):
                self._begin(line)
            elif (attempt := self._now.get(line.route)) is None:
                continue
            elif isinstance(line, TurnLine):
                attempt.turn(line.held, line.t)
            elif isinstance(line, DecideLine):
                self._decided(attempt, line)
            elif not isinstance(line, GapLine | FollowLine):
                attempt.take(line)

    def _begin(self, line: BeginLine) -> None:
        name, first = line.route, Rollout.from_json(line.rollouts[0])
        route = self._routes.get(name)
        policy = route.rollout if route is not None else None
        self._now.pop(name, None)
        if why := _unlike(route, policy, first):
            self.unknown[name] = why
            return
        key = name, first.id, first.attempt
        if key not in self._attempts and route is not None and policy is not None:
            self._attempts[key] = _fresh(route, policy, line, first)
        attempt = self._now[name] = self._attempts[key]
        if not line.snapshot.judge["ledger"]["known"]:
            attempt.trial.abandon(None, line.t)

    def _decided(self, attempt: _Attempt, line: DecideLine) -> None:
        if line.rollout is None:
            return
        recorded = Rollout.from_json(line.rollout)
        if (recorded.id, recorded.attempt) != (attempt.recorded.id, attempt.recorded.attempt):
            return  # another attempt: it begins with a line of its own
        attempt.recorded = recorded
        entry = line.entry
        attempt.compared.recorded.append(Decided(line.t, entry.action, entry.reason))
        attempt.compared.recorded_end = _ENDS.get(recorded.phase, UNDECIDED)
        if not attempt.live or line.cause is None:
            return
        kind, fields = line.cause
        event: Event = msgspec.convert(fields, EVENTS[kind])
        moved = not isinstance(event, Observed) or outside_moved(attempt.rollout, event)
        if moved or _of_a_hook(event):
            attempt.decide(event, line.t)


def _of_a_hook(event: Event) -> bool:
    """Whether a rollback was demanded from outside."""
    if not isinstance(event, Observed):
        return False
    return event.action is Action.ROLLBACK and event.sentence.startswith("hook ")


def _read(lines: Iterable[bytes]) -> Iterator[AnyLine]:
    for number, raw in enumerate(lines, 1):
        if not raw.endswith(b"\n"):
            return  # its writer was killed
        try:
            content, _ = unsealed(raw)
            yield lines_of.read(content)
        except ValueError as error:
            raise ValueError(f"line {number} cannot be read: {error}") from None


def _unlike(route: Route | None, policy: RolloutPolicy | None, first: Rollout) -> str:
    """Why the edited file cannot answer for a recorded rollout; empty when it can."""
    if route is None:
        return "the policy has no such route"
    if policy is None:
        return "the policy has no rollout on it"
    if policy.candidate != first.candidate:
        return f"the policy's candidate is {policy.candidate}, the recording's {first.candidate}"
    return ""


def _fresh(route: Route, policy: RolloutPolicy, line: BeginLine, first: Rollout) -> _Attempt:
    """The attempt as the edited policy would have met it."""
    compared = Compared(line.route, first.id, first.attempt)
    plan = policy.plan()
    state, now = line.snapshot, line.t
    judge = state.judge
    requests, bad, buckets, *more = judge["baseline"]
    here = Route(
        name="replay", payload=route.payload, stable=first.stable,
        sticky=route.sticky if line.sticky else None,
        versions=dict.fromkeys((first.stable, first.candidate), NOWHERE),
    )  # fmt: skip
    past = Baseline(requests, bad, tuple(buckets), *more)
    trial = Trial(here, policy, first, past, now)
    if any(judge["counts"]):
        resumed = Trial.resumed(here, policy, first, state, now)
        kept = resumed.judge.answers or resumed.judge.pairs
        trial = resumed if kept else trial
        how = "its evidence until then is taken over" if kept else "what was before counts nothing"
        compared.notes.append(f"the recording begins in the middle of the attempt; {how}")
    if line.sticky != (route.sticky is not None):
        drawn = "users" if line.sticky else "requests"
        compared.notes.append(f"`sticky` differs: the recording drew {drawn}")
    if first.step >= len(plan.steps):
        first = replace(first, step=len(plan.steps) - 1)
    return _Attempt(compared, trial, plan, first, first)


def _action(before: Rollout, after: Rollout, event: Event) -> str:
    if isinstance(event, Observed):
        return action_of(before, after, event)
    return "set_weight" if isinstance(event, SetWeight) else type(event).__name__.lower()


def _unfed(attempt: _Attempt) -> Iterator[str]:
    """Gates that the recording holds nothing for, such as a threshold that was not counted then."""
    for title, gate in attempt.trial.judge.gates.items():
        state = attempt.trial.judge.states.get(title)
        fed = state is not None and (state.candidate.total or state.stable.total or state.approved)
        if not fed:
            yield f"{title} learnt nothing: the recording has no {_lives_on(gate)}"


def _lives_on(gate: Gate) -> str:
    if gate.paired:
        return "compared pairs"
    if not gate.bets:
        return "answers to it from outside"
    return "outcomes counted as it asks"
