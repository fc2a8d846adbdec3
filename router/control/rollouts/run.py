"""One route at work: what is in force, what is on its way to the disk, what is not there yet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from math import inf
from typing import Final

from router.control.rollouts.observe import Observatory
from router.control.rollouts.publish import Situation, VersionEntries, entry_of
from router.control.rollouts.salt import UNSALTED, Salt
from router.control.rollouts.trial import Trial
from router.control.state.answers import AnsweredOrder
from router.control.state.errors import ControlError, NotPossible, StoreUnavailable
from router.control.state.evidence import TrialState
from router.control.state.record import Carried, Change, JournalEntry, RouteRecord
from router.control.state.store import Superseded
from router.core.evidence.users import bets_of
from router.core.policy import Policy, Route
from router.core.rollout.rollout import Rollout
from router.core.rollout.traffic import returning_bp, returns_on
from router.core.wire.table import RouteEntry
from router.loops import net

UNSAVED_ENTRIES_MAX: Final = 1_000
"""Journal entries of one route that wait for a broken store; the oldest are dropped beyond."""


@dataclass(eq=False)
class Move:
    """One change on its way into force."""

    entry: JournalEntry
    record: RouteRecord
    command: tuple[str, AnsweredOrder] | None = None
    done: asyncio.Future[bool] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """True: durable and published. False: published, the store is broken. Or a ControlError."""
    generation: int = 0
    """Table that carried it; 0 until published."""

    def settle(self, durable: bool) -> None:
        """It is in force."""
        if not self.done.done():
            self.done.set_result(durable)

    def saved(self, error: StoreUnavailable | None) -> None:
        """It is in force, and this is what the disk says.

        Where another router leads, only our own workers do it, until they follow that one.
        """
        if isinstance(error, Superseded):
            self.fail(Superseded(f"{error}; send the order to that one"))
        self.settle(durable=error is None)

    def fail(self, error: ControlError) -> None:
        """It is not, and will not be."""
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # nobody has to listen to the router's own moves


@dataclass(frozen=True, slots=True)
class Waiting:
    """What besides its own conditions keeps a rollout in its step."""

    reason: str = ""
    """Empty: nothing."""
    next_at: float | None = None
    """The earliest wall time at which it may advance; None where no clock decides that."""


@dataclass(slots=True)
class LabelTally:
    """What feedback said about one version's predictions."""

    right: int = 0
    wrong: int = 0
    rewards: int = 0
    reward_sum: float = 0.0


@dataclass(frozen=True, slots=True)
class Live(Carried):
    """A rollout that is being carried out now, with the evidence of its attempt."""

    trial: Trial


@dataclass(eq=False)
class Run:
    """One route at work. ``record`` is what is in force; a step up may be on its way behind it."""

    route: Route
    record: RouteRecord
    live: Live | None = None
    """What there is to watch; None: nothing, since no rollout began or the last one has ended."""
    trial: Trial | None = None
    """The evidence of the last attempt, also when that has ended: for people."""
    pending: Move | None = None
    unsaved: list[Move] = field(default_factory=list)
    """In force but not on the disk."""
    saving: bool = False
    revision_floor: int = 0
    """Largest revision ever handed to the store; a failed write may have got there all the same."""
    doubt: str = ""
    """That a write failed which the disk may have taken all the same: what is in force is written
    again, above it, or the next start would take that up. Empty: nothing of the kind."""
    notes: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()
    """What monitors have against the data, or the candidate, now."""
    look_at: float = 0.0
    """When to judge it next; 0 means at once."""
    retry_at: float = 0.0
    """Not before this is a step up tried again after the store failed."""
    waiting: Waiting = Waiting()
    settle_again: bool = False
    """The policy may have another candidate, now that a rollout ended or failed to begin."""
    labelled: dict[str, LabelTally] = field(default_factory=dict)
    """Feedback by version since the process began, for people."""
    back_bp: int = 0
    """What the candidate still has while its traffic returns in steps, in the table's entry."""
    salt: Salt = UNSALTED
    """Of the installation, for sticky keys."""
    workers: int = 1
    """Who count users of this route, each on its own."""
    _entry: RouteEntry | None = None
    _versions: VersionEntries = field(default_factory=VersionEntries)

    def __repr__(self) -> str:
        rollout = self.record.rollout
        state = f"{rollout.phase.value} step {rollout.step + 1}" if rollout else "no rollout"
        waiting = " writing" if self.pending else f" unsaved={len(self.unsaved)}"
        return f"<Run {self.route.name}: {state}, revision {self.record.revision},{waiting}>"

    def write_first(self, move: Move | None, why: str = "") -> None:
        """The one place where ``pending`` changes: who waits on the former is answered."""
        former, self.pending = self.pending, move
        if former is not None and former is not move:
            former.fail(NotPossible(f"overtaken: {why}"))

    def owe(self, move: Move) -> None:
        """It is in force and has to be written; of too many the oldest are dropped."""
        self.unsaved.append(move)
        for lost in self.unsaved[:-UNSAVED_ENTRIES_MAX]:
            lost.settle(durable=False)
        del self.unsaved[:-UNSAVED_ENTRIES_MAX]

    @property
    def rollout(self) -> Rollout | None:
        """The rollout in force."""
        return self.record.rollout

    @property
    def reason(self) -> str:
        """What moved the rollout last, in a sentence; empty without one."""
        return self.record.rollout.reason if self.record.rollout else ""

    @property
    def ahead(self) -> RouteRecord:
        """What is watched: the live one of what is being written and what is in force.

        A completion that is still being written must not hide a candidate that turns bad.
        """
        pending = self.pending.record if self.pending else self.record
        return pending if pending.live else self.record

    @property
    def entry(self) -> RouteEntry:
        """Its part of the table, made anew only after a change."""
        if self._entry is None:
            judge = self.trial.judge if self.trial else None
            thresholds = judge.thresholds_s if judge else ()
            tolerance = judge.tolerance if judge else 0.0
            bets = bets_of(judge.baseline.bad_rate, self.workers) if judge else 1
            self._entry = entry_of(
                Situation(
                    self.route, self.record, thresholds, tolerance, bets,
                    judge.baseline.together if judge else 1,
                    judge.waits if judge else None, self.back_bp,
                    self.salt.of(self.route.sticky, self.route.name, self.record.rollout),
                    self.salt.marks, self._versions,
                )
            )  # fmt: skip
        return self._entry

    def pass_time(self, now: float) -> bool:
        """Let a stepped return go on; True when the entry is another one now."""
        if self.live is not None and not self.back_bp:
            return False  # nothing returns from it
        share_bp, carried = 0, self.record.carried
        if carried is not None and carried.rollout.candidate in self.route.versions:
            share_bp = returning_bp(carried.rollout, carried.plan, now)
        if share_bp == self.back_bp:
            return False
        self.back_bp, self._entry = share_bp, None
        return True

    def returns_on(self, now: float) -> float | None:
        """When the next part of a stepped return is due; None when nothing is returning."""
        carried = self.record.carried
        return returns_on(carried.rollout, carried.plan, now) if carried else None

    @property
    def owes(self) -> bool:
        """Whether the disk may have another position than the one in force."""
        return bool(self.unsaved or self.doubt or self.pending)

    @property
    def parting(self) -> RouteRecord:
        """What is kept of it when its route leaves: above whatever the disk may have of it."""
        return replace(self.record, revision=max(self.record.revision, self.revision_floor))

    def writing(self, now: float) -> bool:
        """Whether a write is under way, or one failed so lately that no other is tried yet."""
        return self.pending is not None or bool(self.unsaved) or now < self.retry_at

    def changed(self) -> None:
        """Something of the table's entry is new, or there is something to judge."""
        self._entry = None
        self.look_at = 0.0

    def enforce(self, record: RouteRecord, trial: Trial | None) -> None:
        """Take ``record`` as what is in force, with the evidence of its last attempt."""
        self.record, self.trial = record, trial
        live = record.live
        self.live = Live(live.rollout, live.pinned, trial) if live and trial else None
        self.revision_floor = max(self.revision_floor, record.revision)
        self.changed()

    def trial_of(self, record: RouteRecord, observatory: Observatory, now: float) -> Trial | None:
        """The evidence that goes with ``record``: a new attempt begins without any."""
        trial, live = self.trial, record.live
        if live is None:
            return trial
        rollout = live.rollout
        if trial and (trial.rollout_id, trial.attempt) == (rollout.id, rollout.attempt):
            return trial
        past = observatory.baseline(self.route.name, rollout.stable, now)
        return Trial(self.route, live.policy, rollout, past, now)

    def counts_others(self) -> bool:
        """Whether an edit of `sticky` has other units drawn than the live trial counts."""
        live, drawn = self.live, self.route.sticky is not None
        return live is not None and live.trial.settings.sticky is not drawn

    def drawn_anew(self, observatory: Observatory, now: float) -> str:
        """Begin the evidence anew under a revision of its own; the sentence that says so.

        What requests did is no evidence of users, nor the other way round, and a count that is
        under way belongs to the revision that drew it.
        """
        new, old = ("users", "requests") if self.route.sticky else ("requests", "users")
        said = f"`sticky` was edited: {new} are drawn, not {old}, so the evidence begins anew"
        self.write_first(None, said)
        record = self.fresh_revision(self.record)
        self.trial = None
        self.enforce(record, self.trial_of(record, observatory, now))
        return said

    def resumed(self, state: TrialState | None, now: float) -> Trial | None:
        """The evidence of a live rollout as the store has it."""
        if (live := self.record.live) is None:
            return None
        trial = Trial.resumed(self.route, live.policy, live.rollout, state, now)
        trial.abandon(None, now)  # whoever drew then is gone
        return trial

    def fresh_revision(self, record: RouteRecord) -> RouteRecord:
        """No two states share a revision, also when a write failed that may have got through."""
        revision = max(record.revision, self.revision_floor + 1)
        self.revision_floor = revision
        if revision == record.revision:
            return record
        rollout = replace(record.rollout, revision=revision) if record.rollout else None
        return replace(record, revision=revision, rollout=rollout)


async def settled(runs: Mapping[str, Run], name: str) -> None:
    """Until the live run (no name: each) was looked at, and what it moved is in force."""
    for run in [runs[name]] if name else list(runs.values()):
        while run.live is not None and (run.look_at <= 0.0 or run.pending is not None):
            if run.pending is not None:
                await asyncio.wait([run.pending.done])
            else:
                await asyncio.sleep(TURN_S)


def goes_on(run: Run | None, route: Route, policy: Policy) -> bool:
    """Whether an edit leaves this route, with its rollout, exactly as it is."""
    if run is None or run.route is not route or run.workers != policy.workers:
        return False
    return run.pending is None and (run.live is not None) is (route.rollout is not None)


def in_doubt(move: Move) -> str:
    """Why what is in force is written again after this one failed."""
    entry = move.entry
    if entry.action == "keep":
        return entry.reason
    return f"{entry.action} by {entry.actor} did not come into force: the store failed"


def evidence_of(runs: Iterable[Run]) -> dict[str, TrialState]:
    """Of live rollouts by route; what cannot be taken down is left out."""
    taken: dict[str, TrialState] = {}
    for run in runs:
        if run.live is not None:
            with net("evidence"):
                taken[run.route.name] = run.live.trial.snapshot()
    return taken


def change_of(run: Run, moves: list[Move], now: float, *, urgent: bool = False) -> Change:
    """The transaction that makes moves of one route durable, with the evidence as it is."""
    # A later state may have reached the disk.
    record = max(moves[-1].record, run.record, key=lambda one: one.revision)
    return Change(
        now, (record,), tuple(move.entry for move in moves), evidence_of([run]),
        commands=tuple(move.command for move in moves if move.command), urgent=urgent,
    )  # fmt: skip


TURN_S: Final = 0.005
"""How soon it is looked again whether the decider has turned; many of its turns are shorter."""

LOOK_EVERY_S: Final = 1.0
"""A live rollout is looked at this often even when nothing is reported: silence is news too."""

STORE_RETRY_S: Final = 1.0
"""How soon a failed write is tried again."""

LOOKS_A_TURN: Final = 8
"""Rollouts that one turn judges, some 0.3 ms each; then the loop's other work has its turn."""


def tended_now(runs: Iterable[Run], now: float) -> tuple[list[Run], float]:
    """Who is looked at in this turn, and when the next of the others is due.

    What is more than a turn can judge waits for the next one, which follows at once; news goes
    first. Most of a thousand are not due: nothing is called for them.
    """
    tended: list[Run] = []
    judged: list[Run] = []
    due = inf
    for run in runs:
        if run.live is None:
            tended.append(run)
        elif now >= run.look_at:
            tended.append(run)
            judged.append(run)
        else:
            due = min(due, run.look_at)
            if run.unsaved:
                tended.append(run)
    if len(judged) <= LOOKS_A_TURN:
        return tended, due
    chosen = nsmallest(LOOKS_A_TURN, judged, key=lambda run: run.look_at)  # told something: 0
    later = {id(run) for run in judged} - {id(run) for run in chosen}
    return [run for run in tended if id(run) not in later], now
