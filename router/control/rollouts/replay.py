"""Making every decision of a recording again, with the same code, and comparing.

A trial is restored at each `begin`, fed what the recorded one was fed and told the time when that
one was (`turn`), and at each `decide` the machine is given what it was given. Reason, position,
weights and every number of the evidence must come out as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import nan
from typing import Any, TypeVar

import msgspec

from router.control.rollouts import lines as lines_of
from router.control.rollouts.lines import (
    AbandonLine,
    AnyLine,
    BatchLine,
    BeginLine,
    DecideLine,
    FollowLine,
    GapLine,
    LearnLine,
    MeasureLine,
    RewardLine,
    TurnLine,
)
from router.control.rollouts.recording import digest, unsealed
from router.control.rollouts.trial import Trial
from router.control.told.answers import NOTHING_SAID
from router.control.told.judgement import judged
from router.core.gates import Measurement
from router.core.policy import RolloutPolicy, Route, Sticky, Version
from router.core.rollout import events
from router.core.rollout.events import Action, Observed, Refused
from router.core.rollout.machine import decide
from router.core.rollout.plan import Plan
from router.core.rollout.rollout import Rollout

T = TypeVar("T", bound=msgspec.Struct)

FedLine = BatchLine | AbandonLine | MeasureLine | LearnLine | RewardLine
"""What a trial is fed."""

NOWHERE = Version.model_validate({"endpoints": ["http://127.0.0.1:1"]})
"""A replay sends nothing."""

EVENTS: dict[str, type[events.Event]] = {kind.__name__: kind for kind in events.EVENTS}
"""Kinds of causes, by their names in a recording."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One decision of the recording, made again; or a line that cannot be right."""

    line: int
    """Counted from 1."""
    clock: float
    """Rollout clock, seconds."""
    route: str
    action: str
    reason: str
    difference: str = ""
    """What came out otherwise; empty: everything is the same."""


@dataclass
class _Run:
    """One route while its recording is replayed."""

    trial: Trial
    plan: Plan
    rollouts: dict[int, Rollout] = field(default_factory=dict)
    seen: Observed | None = None
    wanted: Rollout | None = None
    """What the decider must carry out, or say why not."""


class Replay:
    """``for decision in Replay().run(lines)``."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}

    def run(self, lines: Iterable[bytes]) -> Iterator[Replayed]:
        """Every decision of a recording, and every line that was changed, as they come."""
        before = ""
        for number, raw in enumerate(lines, 1):
            if not raw.endswith(b"\n"):
                return  # the last one: its writer was killed
            try:
                content, told = unsealed(raw)
                line = lines_of.read(content)
                if told != digest(before, content):
                    yield Replayed(number, 0.0, "", "line", "", "it is not the line written here")
                before = told
                found = self._take(line)
            except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
                yield Replayed(number, 0.0, "", "line", "", f"it cannot be read: {error!r}")
                continue
            if found is not None:
                yield replace(found, line=number)

    def _take(self, line: AnyLine) -> Replayed | None:
        if isinstance(line, GapLine):
            self._runs.clear()
            return None
        if isinstance(line, BeginLine):
            self._begin(line)
            return None
        run = self._runs.get(line.route)
        missed = self._missed(line, run)
        if isinstance(line, DecideLine):
            return self._decide(line, run)
        if run is None:
            return None
        if isinstance(line, TurnLine):
            self._turn(line, run)
        elif isinstance(line, FollowLine):
            run.trial.follow(run.rollouts[line.revision], line.t)
        else:
            fed(run.trial, line)
        return missed

    def _begin(self, line: BeginLine) -> None:
        policy = RolloutPolicy.model_validate(line.policy)
        rollouts = [Rollout.from_json(one) for one in line.rollouts]
        first = rollouts[0]
        route = Route(
            name="replay",
            payload=line.payload,
            sticky=Sticky(header="X-User-Id") if line.sticky else None,
            versions=dict.fromkeys((first.stable, first.candidate), NOWHERE),
            stable=first.stable,
        )
        trial = Trial.resumed(route, policy, first, line.snapshot, line.t)
        if _again(trial.snapshot()) != line.snapshot:
            raise ValueError("the state at its beginning does not come back the same")
        known = {one.revision: one for one in rollouts}
        self._runs[line.route] = _Run(trial, policy.plan(), known)

    @staticmethod
    def _turn(line: TurnLine, run: _Run) -> None:
        """What the evidence asks for must be the next decision, unless something held it."""
        rollout, now = run.rollouts[line.revision], line.t
        run.seen = run.trial.tick(rollout, run.plan, now)
        following = decide(rollout, run.plan, run.seen, now)
        run.wanted = None if line.held is not None or following is rollout else following

    @staticmethod
    def _missed(line: AnyLine, run: _Run | None) -> Replayed | None:
        """A decision that the evidence asks for and that is not in the recording."""
        if run is None or run.wanted is None or isinstance(line, DecideLine):
            return None
        wanted, run.wanted = run.wanted, None
        return Replayed(
            0, line.t, line.route, "missing", wanted.reason,
            f"the evidence leads to {wanted.phase.value}, step {wanted.step + 1}",
        )  # fmt: skip

    @staticmethod
    def _decide(line: DecideLine, run: _Run | None) -> Replayed | None:
        entry = line.entry
        made = Replayed(0, line.t, line.route, entry.action, entry.reason)
        if run is None or line.rollout is None:
            return made
        recorded = Rollout.from_json(line.rollout)
        run.rollouts[recorded.revision] = recorded
        if len(run.rollouts) > _ROLLOUTS_MAX:
            del run.rollouts[min(run.rollouts)]
        wanted, run.wanted = run.wanted, None
        return replace(made, difference=_difference(line, run, recorded, wanted))


_ROLLOUTS_MAX = 64
"""States of one route that later lines may speak of; two are enough, a late line may be late."""


def outside_moved(before: Rollout, event: Observed) -> bool:
    """Whether what moved it was no evidence: it was let begin, or its clocks stopped or went on."""
    return before.standing or bool(event.stopped) is not (before.stopped_since is not None)


def _difference(line: DecideLine, run: _Run, recorded: Rollout, wanted: Rollout | None) -> str:
    """What came out otherwise, in one sentence; empty when nothing did."""
    before, entry = run.rollouts.get(line.before or -1), line.entry
    if line.cause is None or before is None or before.id != recorded.id:
        return ""  # the policy decided, or a retry began with another one: nothing to compare
    kind, fields = line.cause
    event: Any = msgspec.convert(fields, EVENTS[kind])
    if isinstance(event, Observed):
        if run.seen is None:
            return "the decider had not looked"
        outside = event.action is Action.ROLLBACK and run.seen.action is not Action.ROLLBACK
        if not outside:  # a hook's demand is from outside; everything else is the evidence's
            event = replace(
                run.seen,
                may_advance=event.may_advance,
                wait_reason=event.wait_reason,
                unready=event.unready,
                stopped=event.stopped,
            )
        if wanted is None and not outside and not outside_moved(before, event):
            return "the evidence leads nowhere here"
    try:
        made = decide(before, run.plan, event, line.t)
    except Refused as refused:
        return f"the machine refuses it: {refused}"
    line_of = made.line if recorded.line else ""  # older recordings have none
    if replace(made, revision=recorded.revision, line=line_of) != recorded:
        return f"it comes to {made.phase.value}, step {made.step + 1}: {made.reason}"
    said = judged(run.trial.judgement(), samples=run.trial.samples(before, run.plan))
    told = msgspec.structs.replace(entry.evidence, line="")
    if told not in (NOTHING_SAID, _again(said)):
        return "the evidence has other numbers"
    if entry.reason != recorded.reason:
        return "the journal tells another reason"
    return ""


# --- what a trial is fed ------------------------------------------------------------------------


def fed(trial: Trial, line: FedLine) -> None:
    """Have a trial take in what a recorded one took in."""
    if isinstance(line, BatchLine):
        trial.observe(line.batch, line.t)
    elif isinstance(line, AbandonLine):
        trial.abandon(line.source, line.t)
    elif isinstance(line, MeasureLine):
        told = line.measurement
        values = tuple(nan if value is None else float(value) for value in told.values)
        trial.measure(line.gate, Measurement(values, told.error), line.t)
    elif isinstance(line, LearnLine):
        trial.learn(line.baseline, line.t)
    else:
        trial.reward(line.version, line.reward, line.t)


def _again(value: T) -> T:
    """As it is after a way through JSON."""
    return msgspec.json.decode(msgspec.json.encode(value), type=type(value))
