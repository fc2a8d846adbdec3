"""The one decider: observe, judge, let the machine decide, publish, write.

Everything is decided synchronously in the control process's loop, so there is one order of events
and no lock. Only the disk is waited for, and how depends on the risk:

    more traffic for the candidate     write, and when it is on the disk: publish
    less traffic for the candidate     publish at once, then write, again and again until it is

While a step up is being written the rollout is watched on: a rollback does not wait for the disk,
it overtakes. Its revision is larger, so whatever the disk holds in the end, the rollback counts.

:meth:`Reconciler.turn` does what is due and says when to come back; :meth:`Reconciler.run` sleeps
until then or until something wakes it. A bad outcome wakes it in the same turn of the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import replace

from router.control.rollouts import lifecycle, orders
from router.control.rollouts.adoption import adoption, told_of
from router.control.rollouts.arrivals import Arrivals
from router.control.rollouts.forgetting import forget_gone
from router.control.rollouts.freeze import EVERYTHING, Freeze
from router.control.rollouts.keeping import Keeping
from router.control.rollouts.observe import Observatory
from router.control.rollouts.orders import action_of, decided, entry_for, grows
from router.control.rollouts.recording import Recording
from router.control.rollouts.restraint import Restraint, fellow_order
from router.control.rollouts.run import (
    LOOK_EVERY_S,
    STORE_RETRY_S,
    Live,
    Move,
    Run,
    change_of,
    in_doubt,
    tended_now,
)
from router.control.rollouts.salt import UNSALTED, Salt
from router.control.rollouts.tables import Tables
from router.control.state.answers import AnsweredOrder, OrderKey
from router.control.state.clock import Clock
from router.control.state.errors import (
    ControlError,
    NotPossible,
    PolicyRejected,
    StoreUnavailable,
    UnknownRoute,
)
from router.control.state.evidence import TrialState
from router.control.state.ports import Listener, Publisher
from router.control.state.receipts import Receipts
from router.control.state.record import Change, JournalEntry, RouteRecord, Stored
from router.control.state.store import Store, failure_of
from router.control.state.writes import Writes
from router.control.told.views import ProblemView
from router.core.gates.gate import Measurement
from router.core.policy import Policy, Route
from router.core.policy.segments import expanded
from router.core.rollout.events import AnyCommand, Event, Observed, SetWeight
from router.core.rollout.machine import decide
from router.core.rollout.rollout import Rollout, remaining_s
from router.core.wire.counts import EndpointState
from router.core.wire.outcomes import Batch
from router.loops import forever, net


class Reconciler:
    """The one decider: takes evidence and orders in, moves rollouts, publishes, writes."""

    def __init__(
        self, store: Store, clock: Clock, publisher: Publisher, listener: Listener,
        observatory: Observatory | None = None,
    ) -> None:  # fmt: skip
        self.store = store
        self.clock = clock
        self.listener = listener
        self.observatory = observatory or Observatory()
        self.policy: Policy | None = None
        self.runs: dict[str, Run] = {}
        self.salt = UNSALTED
        self.tables = Tables(publisher)
        self.wake = asyncio.Event()
        self.restraint = Restraint(clock, self.note, self.observatory.readiness, self.wake.set)
        self.recording = Recording(lambda: list(self.runs.values()))
        self.writes = Writes(store, listener, self.wake.set)
        self._records: dict[str, RouteRecord] = {}
        self._evidence: dict[str, TrialState] = {}
        self._keeping = Keeping(self.writes.quietly)
        self._adopting = False
        self._arrived = Arrivals()

    def __repr__(self) -> str:
        live = sum(run.live is not None for run in self.runs.values())
        return f"<Reconciler {len(self.runs)} routes, {live} live rollouts, {self.generation=}>"

    @property
    def receipts(self) -> Receipts:
        """Those that labels have used."""
        return self.writes.receipts

    @property
    def store_error(self) -> str:
        """Why the last write failed; empty while the store works."""
        return self.writes.error

    @property
    def generation(self) -> int:
        """Of the table in force; 0 before the first."""
        return self.tables.generation

    # --- policies -------------------------------------------------------------------------------

    def resume(self, stored: Stored) -> None:
        """Take over what the store holds; called once, before the first policy."""
        self.clock.resume_at(stored.clock)
        self._records, self._evidence = dict(stored.records), dict(stored.evidence)
        self.receipts.restore(stored.receipts)
        self.restraint.restore(stored.settings)
        self._keeping.stored_s = stored.clock
        self.salt, self.tables.term = Salt.kept_in(stored), stored.term

    def ending(self, policy: Policy) -> tuple[str, ...]:
        """Routes whose live rollout would end by this policy, since it has none for them."""
        records = (run.record for run in self.runs.values())
        return lifecycle.left_out(expanded(policy), records)

    def adopt(self, policy: Policy, *, force: bool = False, ends: bool = False) -> tuple[str, ...]:
        """Put a checked policy into force as a whole, or nothing of it.

        ``ends``: live rollouts that it has no more (:meth:`ending`) end. Returns notes for the
        operator. Raises PolicyRejected with every conflict between the file and what is running.
        """
        policy = expanded(policy)
        now, starting = self.clock.now(), self.policy is None
        adopted = adoption(
            policy, self.runs, self._records, now, force=force, ends=ends, starting=starting,
            awaited=lambda route: self.restraint.awaited(route, None, now),
        )  # fmt: skip
        if adopted.problems:
            told = [ProblemView(message=problem) for problem in adopted.problems]
            raise PolicyRejected("; ".join(adopted.problems), told)
        self.policy = policy
        fresh = list(adopted.moved.values())
        self._adopting = True
        with self.tables.gathered():  # a half-adopted policy is never published
            for run in adopted.gone:
                if ends:
                    self._carry_out(run, lifecycle.taken_out(run.record, now).deeds, now)
                self._records[run.route.name] = self.runs.pop(run.route.name).parting
            self._records |= adopted.moved
            for route in policy.routes:
                if one := adopted.settled.get(route.name):
                    self._adopt_route(route, one, fresh, now)
        self._adopting = False
        self.runs = {route.name: self.runs[route.name] for route in policy.routes}
        said = told_of(adopted.renamed, self.runs, self._told)
        self.writes.quietly(Change(now, tuple(fresh), said, settings=self.salt.kept()))
        forget_gone(policy, lambda: self.policy, self.observatory)
        for run in self.runs.values():
            run.pass_time(now)
        self.tables.publish(self.policy, self.runs.values())
        self.recording.use(policy.recording, now)
        for run in self.runs.values():
            self._take_back_fellows(run)  # of a crash between the first and the last of them
        self.wake.set()
        return adopted.notes

    def _adopt_route(
        self, route: Route, settled: lifecycle.Settled, fresh: list[RouteRecord], now: float
    ) -> None:
        run = self.runs.get(route.name)
        known = run.record if run else self._records.pop(route.name, None)
        record = lifecycle.first_seen(route, known)
        if run is None:
            run = Run(route, record, salt=self.salt)
            run.enforce(run.record, run.resumed(self._evidence.pop(route.name, None), now))
            self.runs[route.name] = run
        run.route = route
        run.workers = self.policy.workers if self.policy else 1
        run.notes = settled.notes
        run.changed()
        if not settled.deeds and run.pending is None and settled.record != run.record:
            run.enforce(settled.record, run.trial)
            fresh += [] if run.doubt else [settled.record]  # in doubt all is written anew, above
        self._carry_out(run, settled.deeds, now)
        if record is not known and not run.writing(now):  # it starts nothing, or not in a freeze
            fresh.append(run.record)
        if run.counts_others():
            self.note(run, "redraw", run.drawn_anew(self.observatory, now))
            self.recording.begun(run, now)
            fresh.append(run.record)

    def _carry_out(self, run: Run, deeds: tuple[lifecycle.Deed, ...], now: float) -> None:
        for deed in deeds:
            if deed.action == "start" and (frozen := self.restraint.starting(run)):
                run.notes = (*run.notes, f"a new rollout waits for the end of the freeze: {frozen}")
                run.settle_again = True
                return
            self._move(run, deed.record, deed.action, now, actor="policy", reason=deed.reason)

    # --- what comes in ----------------------------------------------------------------------------

    def observe(self, batches: tuple[Batch, ...]) -> None:
        """Counted outcomes of a worker; the loop is woken to judge them.

        What is more than one turn can take in waits for the next ones, in order.
        """
        waited = bool(self._arrived)
        self._arrived.put(batches)
        if waited:
            self.wake.set()
        else:
            self._take_in(self._arrived.part())

    def _take_in(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            run = self.runs.get(batch.route)
            if run is not None and (live := run.live):
                self._look_soon(run)
                with net("decider"):
                    live.trial.observe(batch, self.clock.now())
                    for action, told in live.trial.news():
                        self.note(run, action, told)
        if self._arrived:
            self.wake.set()

    def abandon(self, source: int) -> None:
        """A worker is gone; what it had under way will never be told."""
        self._take_in(self._arrived.rest())
        for run in self.runs.values():
            if live := run.live:
                live.trial.abandon(source, self.clock.now())
                self._look_soon(run)

    def measured(self, run: Run, gate: str, measurement: Measurement) -> None:
        """Take in what a gate of this route was answered from outside, and look soon."""
        if run.live is not None:
            run.live.trial.measure(gate, measurement, self.clock.now())
            self._look_soon(run)

    def seen(self, worker: int, states: tuple[EndpointState, ...]) -> None:
        """What a worker saw of endpoints; who waits for one of them is looked at soon."""
        for route, version in self.observatory.readiness.told(worker, states, self.clock.now()):
            run = self.runs.get(route)
            if run and run.rollout and run.rollout.candidate == version:
                self._look_soon(run)

    def _look_soon(self, run: Run) -> None:
        run.look_at = 0.0
        self._keeping.told(run.route.name)
        self.wake.set()

    def order(self, name: str, event: AnyCommand, *, key: OrderKey | None = None) -> Move:
        """Decide one command now, answered by the move's ``done``. Raises a ControlError."""
        self.writes.refuse_late()
        run, now = self.run_of(name), self.clock.now()
        event = orders.informed(run, event, self.restraint.awaited(run.route, run.rollout, now))
        record, reason = decided(run, event, now)
        self._refuse_risk(run, record)
        action = "set_weight" if isinstance(event, SetWeight) else type(event).__name__.lower()
        return self._move(
            run, record, action, now, actor=event.actor, reason=reason, key=key,
            cause=(orders.ground(run, event).rollout, event),
        )  # fmt: skip

    def run_of(self, name: str) -> Run:
        """The route's run. Raises UnknownRoute."""
        if name not in self.runs:
            raise UnknownRoute(f"no route {name!r}; known are {', '.join(self.runs)}")
        return self.runs[name]

    def freeze(
        self, frozen: bool, actor: str, reason: str, *, route: str = EVERYTHING,
        until: float | None = None,
    ) -> asyncio.Future[None]:  # fmt: skip
        """Stop or allow advances (until a wall time); done on the disk. Raises UnknownRoute."""
        for run in [self.run_of(route)] if route else list(self.runs.values()):
            run.look_at = 0.0  # its clocks stop, or go on, in the next turns
        self.wake.set()
        freeze = Freeze(actor, reason, self.clock.wall(), until)
        return self.writes.commit(self.restraint.freezes.order(self.clock, route, freeze, frozen))

    def note(self, run: Run, action: str, reason: str) -> None:
        """Write something into the journal that moves nothing."""
        self.writes.quietly(Change(self.clock.now(), entries=(self._told(run, action, reason),)))

    def _told(self, run: Run, action: str, reason: str) -> JournalEntry:
        now, wall = self.clock.now(), self.clock.wall()
        entry = entry_for(run, run.record, action, "router", reason, now=now, wall=wall)
        self.listener.moved(entry)
        return entry

    # --- the loop ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Turn until cancelled."""
        await forever("decider", self._step)

    async def _step(self) -> None:
        self.wake.clear()
        due = self.turn()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(due - self.clock.now(), 0.0)):
                await self.wake.wait()

    def turn(self) -> float:
        """Do everything that is due; answers when to come back, rollout clock seconds."""
        now = self.clock.now()
        with net("recording"):
            self.recording.tend(now)
        due = self._keeping.due(now)
        for change in self.restraint.freezes.lapsed(self.clock):
            self.writes.quietly(change)
        self._take_in(self._arrived.part())
        idle = (run for run in self.runs.values() if run.live is None or run.back_bp)
        if [run for run in idle if run.pass_time(now)] or self.tables.stale:
            self.tables.publish(self.policy, self.runs.values())
        tended, next_look = tended_now(self.runs.values(), now)
        due = min(due, next_look)
        for run in tended:
            with net("decider"):  # one rollout that cannot be judged must not hide the others
                due = min(due, self._tend(run, now))
        with net("decider"):
            self._keeping.store(self.runs, now)
        return now if self._arrived else max(min(due, self._keeping.due(now)), now)

    def _tend(self, run: Run, now: float) -> float:
        """Do what is due for one route; answers when to come back."""
        live = run.live
        due = run.look_at if live else run.returns_on(now)
        if live is not None and now >= run.look_at:
            due = run.look_at = now + LOOK_EVERY_S  # should looking fail
            if not self.writes.ended:  # who stops decides nothing more
                due = run.look_at = self._look(run, live, now)
        elif due is None and run.settle_again and not run.writing(now):
            self._settle_again(run, now)
        if not run.saving and run.pending is None and (run.doubt or run.unsaved):
            due = min(due or run.retry_at, run.retry_at)  # else the disk's word wakes
            if now >= run.retry_at and run.doubt:  # above it, before all that is owed
                self._move(run, run.record, "keep", now, actor="router", reason=run.doubt)
            elif now >= run.retry_at:
                self._save(run)
        return due if due is not None else float("inf")

    def _look(self, run: Run, live: Live, now: float) -> float:
        """Judge one live rollout; answers when to look again."""
        if ahead := run.ahead.live:
            live = replace(live, rollout=ahead.rollout)
        rollout, plan = live.rollout, live.plan
        if live.trial.learn(self.observatory.baseline(run.route.name, rollout.stable, now), now):
            run.changed()
            self.tables.publish(self.policy, self.runs.values())
        seen = live.trial.tick(rollout, plan, now)
        observed = self.restraint.apply(run, live, seen, self.runs.values(), now)
        self._follow(run, live, seen, observed, now)
        left = remaining_s(rollout, plan, now)
        return now + (min(left, LOOK_EVERY_S) if left > 0 else LOOK_EVERY_S)

    def _follow(self, run: Run, live: Live, seen: Observed, observed: Observed, now: float) -> None:
        """Carry out what the machine decides, unless something outside, or the disk, holds it.

        ``seen`` is what the evidence says, ``observed`` the same after the restraint
        (windows, hooks, a freeze, a group) has had its say.
        """
        plan = live.plan
        rollout, following = orders.followed(run, live, observed, now)
        if following is rollout:
            free = observed is seen or decide(rollout, plan, seen, now) is rollout
            self.recording.turn(run, rollout, now, held=None if free else observed.wait_reason)
            return
        after = lifecycle.advanced(run.ahead, live, following)
        waits = lifecycle.adds_risk(run.record, after) and run.writing(now)
        self.recording.turn(run, rollout, now, held="waits for the disk" if waits else None)
        if waits:
            return
        action = action_of(rollout, following, observed)
        self._move(
            run, after, action, now, actor=following.actor, reason=following.reason,
            cause=(rollout, observed),
        )  # fmt: skip

    def _settle_again(self, run: Run, now: float) -> None:
        """A rollout ended: the policy may have another candidate waiting."""
        if self.writes.ended or self.restraint.starting(run):
            return
        run.settle_again = False
        unready = self.restraint.awaited(run.route, None, now)
        settled = lifecycle.settle(run.route, run.record, now, unready=unready)
        run.notes = settled.notes
        self._carry_out(run, settled.deeds, now)

    # --- into force -------------------------------------------------------------------------------

    def _refuse_risk(self, run: Run, record: RouteRecord) -> None:
        """With a broken store only the way back is open; in a freeze nothing grows."""
        if run.unsaved and self.store_error and lifecycle.adds_risk(run.record, record):
            raise StoreUnavailable(f"the store is broken ({self.store_error}); nothing is added")
        if (frozen := self.restraint.starting(run)) and grows(run.record, record):
            raise NotPossible(frozen)

    def _move(
        self, run: Run, record: RouteRecord, action: str, now: float, *, actor: str, reason: str,
        key: OrderKey | None = None, cause: tuple[Rollout | None, Event | None] = (None, None),
    ) -> Move:  # fmt: skip
        """``cause``: what the machine was given; nothing where the policy decides."""
        wall = self.clock.wall()
        record = replace(run.fresh_revision(record), decided_at=wall)
        entry = entry_for(run, record, action, actor, reason, now=now, wall=wall, before=cause[0])
        answer = (key.id, AnsweredOrder(orders.result_of(entry), key.asked)) if key else None
        move = Move(entry, record, answer)
        self.recording.decided(run, *cause, move, now)
        servable = run.record.stable in run.route.versions
        if lifecycle.adds_risk(run.record, record) and servable:
            run.write_first(move, reason)
            change = change_of(run, [move], self.clock.now())
            self.writes.then(self.writes.commit(change), lambda d: self._written(run, move, d))
            return move
        run.write_first(None, reason)
        run.owe(move)
        run.doubt = ""  # it is above whatever the disk may have
        self._enforce(run, move, now)
        self._save(run)
        return move

    def _written(self, run: Run, move: Move, done: asyncio.Future[None]) -> None:
        """The disk answered for a step up."""
        error = failure_of(done)
        if error is None:
            self.writes.works()
        else:
            self.writes.failed(error)
            run.retry_at = self.clock.now() + STORE_RETRY_S
            run.settle_again = True
            move.fail(error)
        if run.pending is move:
            run.doubt = "" if error is None else in_doubt(move)
            if error is None:
                with self.tables.gathered():  # many may be on the disk at once; a turn comes next
                    self._enforce(run, move, self.clock.now())
                move.settle(durable=True)
            run.write_first(None)
        self.wake.set()

    def _save(self, run: Run) -> None:
        """Write what is in force already, all of it in one transaction."""
        moves = list(run.unsaved)
        run.saving = True
        change = change_of(run, moves, self.clock.now(), urgent=True)
        self.writes.then(self.writes.commit(change), lambda done: self._saved(run, moves, done))

    def _saved(self, run: Run, moves: list[Move], done: asyncio.Future[None]) -> None:
        run.saving = False
        error = failure_of(done)
        if error is None:
            self.writes.works()
            run.unsaved = [move for move in run.unsaved if move not in moves]
            run.doubt = ""
        else:
            self.writes.failed(error)
            run.retry_at = self.clock.now() + STORE_RETRY_S
        for move in moves:
            move.saved(error)
        self.wake.set()

    def _enforce(self, run: Run, move: Move, now: float) -> None:
        """From here on it holds: table out, trial along, everybody told."""
        before, after = run.trial, move.record.rollout
        run.enforce(move.record, run.trial_of(move.record, self.observatory, now))
        if run.trial is not before:
            self.recording.begun(run, now)
        elif after is not None and run.trial is not None:
            run.trial.follow(after, now)
        self.restraint.arrived(run)
        if after is not None and not after.phase.live:
            run.settle_again = True
        run.pass_time(now)
        move.generation = self.tables.publish(self.policy, self.runs.values())
        self.listener.moved(move.entry)
        if not self._adopting:
            self._take_back_fellows(run)
        self.wake.set()

    def _take_back_fellows(self, run: Run) -> None:
        """One failure takes the whole group back, in the same turn."""
        if (ended := run.rollout) is None:
            return
        for name in self.restraint.fellows(run, self.runs.values()):
            with contextlib.suppress(ControlError):  # a version is gone: there is no way back
                self.order(name, fellow_order(run, ended, self.runs[name]))

    def last_words(self) -> None:
        """Write clock and evidence before a stop; no order is taken from here on."""
        self._take_in(self._arrived.rest())
        self._keeping.last_words(self.runs, self.clock.now())
        self.writes.ended = True
