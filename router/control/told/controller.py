"""What people may ask of the control plane and order it to do; the admin API is a view of this."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import structs

from router.control.fleet.feedback import Statement
from router.control.fleet.reporters import ELSEWHERE_FROM
from router.control.rollouts.adoption import upcoming
from router.control.rollouts.orders import decided, entry_for, informed, result_of, so_already
from router.control.rollouts.run import Move, Run, settled
from router.control.state.answers import Announcement, AnsweredOrder, OrderKey
from router.control.state.errors import (
    Busy,
    Conflict,
    ControlError,
    KeyReused,
    NoRollout,
    NotAnswered,
    StoreUnavailable,
)
from router.control.state.record import NOTES, RouteRecord
from router.control.state.store import JOURNAL_PAGE_MAX, under_all_names
from router.control.told import status
from router.control.told.answers import (
    EntryView,
    HealthView,
    LogView,
    OrderView,
    ReadyView,
    ReloadView,
    StatementsView,
    WhoisView,
    WhyView,
)
from router.control.told.compared import ShadowView
from router.control.told.data_desk import DataDesk
from router.control.told.foreseen import Foresight
from router.control.told.gathered import gathered
from router.control.told.health import behind_of, health_view, ready_view
from router.control.told.judged import judge_views
from router.control.told.judgement import judged
from router.control.told.monitored import monitor_gauges, monitors_view
from router.control.told.paired import shadow_view
from router.control.told.views import (
    HistoryView,
    PolicyView,
    RolloutView,
    RouteSummary,
    RouteView,
)
from router.core.rollout.events import Abort, AnyCommand, Rollback
from router.core.rollout.traffic import Draw, bucket_of
from router.core.words import duration
from router.loops import BOOKS
from router.telemetry.metrics import Gauge, labels
from router.telemetry.processes import exposition

if TYPE_CHECKING:
    from router.control.reviews.queue import Reviews
    from router.control.told.parts import Parts

ORDER_S: Final = 10.0
"""Longest time until an order is answered; it may still come into force."""
WAITING_MAX: Final = 256
"""Commands under way at the same time; more are refused as busy."""
RESERVED: Final = 64
"""Commands beyond these, for those that take traffic away."""
NOTES_AHEAD_MAX: Final = 200
"""Journal entries that are read back for the one that explains where the traffic is."""
SUMMARIES_A_TURN: Final = 16
"""Routes in one line that are put together in one turn of the loop, some 0.1 ms each."""
ROLLOUTS_A_TURN: Final = 2
"""The same for rollouts in full, 1 to 3 ms each."""
_OVERTAKE: Final = (Abort, Rollback)
"""Commands that do not wait for a step up that is being written."""


class Controller:
    """The façade. Everything here runs in the control process's loop and answers views."""

    def __init__(self, plane: Parts) -> None:
        self._plane = plane
        self.data = DataDesk(plane)
        self._reconciler = plane.reconciler
        self._waiting = 0
        self._foresight = Foresight()
        self._by_id: dict[OrderKey, asyncio.Future[OrderView]] = {}

    def __repr__(self) -> str:
        return f"<Controller {self._waiting} commands under way>"

    # --- reading ----------------------------------------------------------------------------------

    async def routes(self) -> list[RouteSummary]:
        """One line of each route, all of one moment."""
        told = await gathered(lambda: self._reconciler.runs, self._summary, SUMMARIES_A_TURN)
        return list(told.values())

    async def rollouts(self) -> dict[str, tuple[RouteSummary, RolloutView | None]]:
        """Of each route its summary, and its rollout in full where it has one; of one moment."""

        def both(run: Run) -> tuple[RouteSummary, RolloutView | None]:
            return self._summary(run), self._rollout(run)

        return await gathered(lambda: self._reconciler.runs, both, ROLLOUTS_A_TURN)

    def names(self) -> tuple[str, ...]:
        """Of all routes, in the order of matching."""
        return tuple(self._reconciler.runs)

    def summary(self, name: str) -> RouteSummary:
        """A route in one line. Raises UnknownRoute."""
        return self._summary(self._reconciler.run_of(name))

    def _summary(self, run: Run) -> RouteSummary:
        return status.summary(run, self._beside(run))

    def _beside(self, run: Run) -> status.Beside:
        restraint, clock = self._reconciler.restraint, self._plane.clock
        return status.Beside(
            frozen=restraint.starting(run),
            unseen=restraint.acknowledged.wanted(run.rollout),
            rate=self._plane.history.rate(run.route.name),
            wall_less_clock=clock.wall() - clock.now(),
        )

    def history(self, name: str, since: float = 0.0) -> HistoryView:
        """The course of a route for plots, later than ``since``. Raises UnknownRoute."""
        return self._plane.history.view(self._reconciler.run_of(name), since)

    async def policy(self) -> PolicyView:
        """The policy file."""
        return await self._plane.source.view()

    async def acknowledge(self, name: str, *, actor: str, reason: str = "") -> bool:
        """Somebody has seen that the candidate was taken back; False: there was nothing to see.

        Raises UnknownRoute, StoreUnavailable.
        """
        run, restraint = self._reconciler.run_of(name), self._reconciler.restraint
        rollout = run.rollout
        if rollout is None or not restraint.acknowledged.wanted(rollout):
            return False
        change = restraint.acknowledged.order(self._plane.clock, rollout, actor, reason)
        await self._reconciler.writes.commit(change)
        self._plane.announcer.moved(change.entries[0])
        return True

    def accept(self, name: str, *, actor: str, reason: str = "") -> int:
        """Data are as they are now; how many changes that settled. Raises UnknownRoute."""
        return self._plane.watching.accept(self._reconciler.run_of(name), actor, reason)

    def route(self, name: str) -> RouteView:
        """Everything about one route. Raises UnknownRoute."""
        run = self._reconciler.run_of(name)
        observatory, now = self._reconciler.observatory, self.now()
        watch = self._plane.watching.watches.get(name)
        return status.route_view(
            run, observatory, self._reconciler.generation, now, self._beside(run),
            foreseen=self._foresight.of(run, observatory, now, self._plane.clock.wall()),
            monitors=monitors_view(watch) if watch is not None else None,
        )  # fmt: skip

    def rollout(self, name: str) -> RolloutView:
        """The complete status of a route's rollout. Raises UnknownRoute, NoRollout."""
        told = self._rollout(self._reconciler.run_of(name))
        if told is None:
            raise NoRollout(f"{name} has no rollout")
        return told

    def _rollout(self, run: Run) -> RolloutView | None:
        carried = run.record.carried
        if carried is None:
            return None
        observatory, now = self._reconciler.observatory, self.now()
        return status.rollout_view(
            run, carried, observatory, self._reconciler.generation, now,
            foreseen=self._foresight.of(run, observatory, now, self._plane.clock.wall()),
        )  # fmt: skip

    async def journal(
        self, route: str | None = None, *, since: int | None = None, limit: int = 100
    ) -> list[EntryView]:
        """Journal entries, newest first; ``since`` is an entry id, exclusive. Limit 1 to 1000.

        What a broken store does not have yet comes first, with id 0. Raises UnknownRoute,
        StoreUnavailable.
        """
        former = self._reconciler.run_of(route).record.former if route is not None else ()
        limit = min(max(limit, 1), JOURNAL_PAGE_MAX)
        unsaved = [
            move.entry
            for name, run in self._reconciler.runs.items()
            if route in (None, name)
            for move in reversed(run.unsaved)
        ]
        try:
            names = ((route, 0.0), *former)
            stored = await under_all_names(self._plane.store, names, since or 0, None, limit)
        except StoreUnavailable:
            if not unsaved:
                raise
            stored = []
        return [EntryView.like(entry) for entry in [*unsaved, *stored][:limit]]

    async def why(self, route: str, at: float | None = None) -> WhyView:
        """The journal entry that explains the position (at a wall time): sentence and evidence.

        With the judge's present answer while the rollout is live and no time was asked for.
        Raises UnknownRoute, NoRollout.
        """
        run = self._reconciler.run_of(route)
        if at is None and run.unsaved:
            entry = run.unsaved[-1].entry
        else:
            store, names = self._plane.store, ((route, 0.0), *run.record.former)
            page = await under_all_names(store, names, 0, at, NOTES_AHEAD_MAX)
            found = [entry for entry in page if entry.action not in NOTES]
            if not found:
                raise NoRollout(f"{route}: nothing was decided{' by then' if at else ' yet'}")
            # A slow or failing disk may have taken a way back after what followed it.
            entry = max(found, key=lambda one: (one.revision, one.id))
        asks = at is None and run.live is not None
        return WhyView(
            line=entry.line, sentence=entry.reason, entry=EntryView.like(entry),
            evidence=entry.evidence,
            now=judged(run.live.trial.judgement()) if asks and run.live is not None else None,
        )  # fmt: skip

    def shadow(self, route: str) -> ShadowView:
        """What is known from requests that several versions answered.

        Counts begin with the attempt. Raises UnknownRoute, NoRollout.
        """
        run = self._reconciler.run_of(route)
        if run.rollout is None or run.trial is None:
            raise NoRollout(f"{route}: there is no rollout to compare in")
        live, judges = run.live is not None, judge_views(route, run.trial, self._plane.judges)
        book, about = run.trial.shadow, run.rollout.id
        return shadow_view(book, route=route, rollout=about, live=live, judges=judges)

    def subscribe(self, route: str | None = None) -> AsyncIterator[Announcement]:
        """Events from now on; a listener that is 256 behind loses the oldest."""
        return self._plane.announcer.subscribe(route)

    def whois(self, route: str, key: str) -> WhoisView:
        """Where a sticky key goes. Raises UnknownRoute."""
        run = self._reconciler.run_of(route)
        entry = run.entry
        bucket = bucket_of(key.encode(), entry.sticky.salt.encode() if entry.sticky else b"")
        weight_bp = entry.weights_bp[entry.candidate] if entry.candidate >= 0 else 0
        draw = Draw(entry.versions, entry.weights_bp, entry.candidate, entry.offset)
        return WhoisView(
            bucket=bucket, offset=entry.offset, version=draw.at(bucket).name, weight_bp=weight_bp,
            sticky=run.route.sticky is not None,
        )  # fmt: skip

    def now(self) -> float:
        """Rollout clock seconds; ``SetWeight.until`` is ``now() + duration``."""
        return self._plane.clock.now()

    def health(self) -> HealthView:
        """Liveness; not ok when nobody serves."""
        return health_view(self._plane)

    def ready(self) -> ReadyView:
        """Readiness: ok once every worker has applied the current table."""
        return ready_view(self._plane)

    async def metrics_text(self, *, openmetrics: bool = False) -> str:
        """Prometheus text format 0.0.4 of the whole router, or OpenMetrics 1.0."""
        text = await self._plane.metrics.render(self._gauges(), openmetrics=openmetrics)
        pids = self._pids()
        return text + await asyncio.to_thread(exposition, pids, openmetrics=openmetrics)

    def _pids(self) -> dict[str, int]:
        """The processes that run now, by the name that metrics give them."""
        pids = {"control": os.getpid(), "reader": self._plane.comparer.reader.pid}
        for worker in self._plane.fleet.states():
            if worker.pid is not None:
                pids[f"worker-{worker.who.number}"] = worker.pid
        return {name: pid for name, pid in pids.items() if pid}

    def _gauges(self) -> Iterator[Iterator[Gauge]]:
        """In parts: each is of one moment."""
        for run in list(self._reconciler.runs.values()):
            yield status.route_gauges(run, self._reconciler.observatory)
        for route, watch in list(self._plane.watching.watches.items()):
            yield monitor_gauges(route, watch)
        yield status.gauges(self._reconciler)
        yield from self._plane.usages.gauges()
        yield from (self._plane.reviews.gauges(), self._own_gauges())

    def _own_gauges(self) -> Iterator[Gauge]:
        plane, states = self._plane, self._plane.fleet.states()
        tables = self._reconciler.tables
        behind = behind_of(states, tables.term, self._reconciler.generation)
        yield "leads", (), 1
        yield "replicas", (), len(behind)
        yield "replicas_behind", (), sum(behind.values())
        yield "workers", (), sum(one.pid is not None for one in states)
        yield "config_last_reload_successful", (), 1 if plane.source.ok else 0
        accepted = plane.source.accepted_at
        yield "config_last_reload_success_timestamp_seconds", (), accepted
        yield "reader_restarts_total", (), plane.comparer.reader.restarts
        for loop, kept in BOOKS.failures.items():
            yield "loop_failures_total", labels(process="control", loop=loop), kept.count
        yield "event_loop_lag_seconds", labels(process="control"), plane.lag_s
        for worker, lag_s in plane.worker_lag_s.items():
            if worker < ELSEWHERE_FROM:  # each router tells of its own
                yield "event_loop_lag_seconds", labels(process=f"worker-{worker}"), lag_s
        for worker, connections in plane.worker_connections.items():
            if worker < ELSEWHERE_FROM:
                yield "connections", labels(worker=str(worker)), connections

    # --- ordering -------------------------------------------------------------------------------

    async def command(
        self,
        route: str,
        event: AnyCommand,
        *,
        if_revision: int | None = None,
        key: OrderKey | None = None,
        dry_run: bool = False,
    ) -> OrderView:
        """Carry out one order; answers when it is durable and applied by all live workers.

        ``event`` is a :mod:`router.core.rollout.events` command with actor and reason.
        ``if_revision`` refuses when the rollout has moved. The same ``key`` twice is
        carried out once, and is refused for another order (never for a way back). An order that
        changes nothing is answered with what is so already. Every order is answered within
        ``ORDER_S``. A rollback or abort with a broken store is carried out and answered with
        ``durable`` False. Raises a :class:`router.control.state.errors.ControlError`.
        """
        room = WAITING_MAX + (RESERVED if isinstance(event, _OVERTAKE) else 0)
        if self._waiting >= room:
            raise Busy(f"{WAITING_MAX} commands are under way")
        self._waiting += 1
        try:
            async with asyncio.timeout(ORDER_S):
                if key is None or dry_run:
                    return await self._carry_out(route, event, if_revision, None, dry_run)
                return await self._once(route, event, if_revision, key)
        except TimeoutError:
            raise NotAnswered(
                f"not in force after {duration(ORDER_S)}, and it may be later: look at "
                f"`rampway get {route}` and the health page before you repeat it"
            ) from None
        finally:
            self._waiting -= 1

    async def _once(
        self, route: str, event: AnyCommand, if_revision: int | None, key: OrderKey
    ) -> OrderView:
        """A key is carried out once, also when it arrives twice at the same time."""
        if key in self._by_id:
            return _repeated(await asyncio.shield(self._by_id[key]))
        done: asyncio.Future[OrderView] = asyncio.get_running_loop().create_future()
        self._by_id[key] = done
        try:
            old = await self._answered(key.id)
            other = old is not None and old.asked not in ("", key.asked)
            if other:
                _refuse_reuse(event, key)
            if old is not None and not other:
                result = _repeated(old.result)
            else:
                result = await self._carry_out(route, event, if_revision, key, False)
        except BaseException as error:
            if not done.done():
                known = isinstance(error, ControlError)
                done.set_exception(error if known else Busy("the first order was cut off"))
                done.exception()
            raise
        finally:
            self._by_id.pop(key, None)
        done.set_result(result)
        return result

    async def _answered(self, command_id: str) -> AnsweredOrder | None:
        try:
            return await self._plane.store.answer(command_id)
        except StoreUnavailable:
            return None  # a rollback must work without a store; twice is as good as once

    async def _carry_out(
        self,
        route: str,
        event: AnyCommand,
        if_revision: int | None,
        key: OrderKey | None,
        dry_run: bool,
    ) -> OrderView:
        started_s = time.perf_counter()
        run = self._reconciler.run_of(route)
        while run.pending is not None and not isinstance(event, _OVERTAKE):
            await asyncio.wait([run.pending.done])
        if if_revision is not None and if_revision != run.record.revision:
            raise Conflict(if_revision, run.record.revision, run.reason)
        if already := so_already(run, event, self.now()):
            return structs.replace(already, dry_run=dry_run)
        if dry_run:
            return self._would(run, event)
        move = self._reconciler.order(route, event, key=key)
        durable = await self._in_force(move)
        took_s = round(time.perf_counter() - started_s, 6)
        draining = status.draining(run, self._reconciler.observatory)
        return result_of(
            move.entry, durable=durable, took_s=took_s, draining=draining,
            next=self._next(run, move.record),
        )  # fmt: skip

    def _next(self, run: Run, record: RouteRecord) -> str:
        """What follows of itself where this record holds."""
        following, frozen = upcoming(run.route, record), self._reconciler.restraint.starting(run)
        starts = following.startswith("the rollout of")
        return f"{following}, after the freeze: {frozen}" if starts and frozen else following

    async def _in_force(self, move: Move) -> bool:
        """Durable (or known not to be), and no live worker serves an older table."""
        durable = await asyncio.shield(move.done)
        await self._plane.fleet.applied(move.generation)
        return durable

    def _would(self, run: Run, event: AnyCommand) -> OrderView:
        now = self.now()
        unready = self._reconciler.restraint.awaited(run.route, run.rollout, now)
        record, reason = decided(run, informed(run, event, unready), now)
        name = type(event).__name__.lower()
        entry = entry_for(
            run, record, name, event.actor, reason, now=now, wall=self._plane.clock.wall()
        )
        told = result_of(entry, next=self._next(run, record))
        return structs.replace(told, changed=False, dry_run=True)

    async def freeze(
        self, frozen: bool, *, actor: str, reason: str = "", route: str = "",
        lasting_s: float | None = None,
    ) -> None:  # fmt: skip
        """Stop (or allow) every advance of every rollout, or of one route's; rollbacks go on.

        It ends after ``lasting_s`` seconds of the wall clock, or by order; it survives restarts.
        Answers when the clocks stand (or go on), so the revision that is read next is the last.
        Raises UnknownRoute, StoreUnavailable.
        """
        until = None if lasting_s is None else self._plane.clock.wall() + lasting_s
        done = self._reconciler.freeze(frozen, actor, reason, route=route, until=until)
        try:
            async with asyncio.timeout(ORDER_S):
                await asyncio.shield(done)
                await settled(self._reconciler.runs, route)
        except TimeoutError:
            text = "it holds, but is not on the disk yet; look at the health page"
            raise NotAnswered(text) from None

    @property
    def reviews(self) -> Reviews:
        """The questions that wait for people."""
        return self._plane.reviews

    async def feedback(self, given: Sequence[Statement]) -> StatementsView:
        """The truth about predictions; see :meth:`Feedback.tell`."""
        return await self._plane.feedback.tell(given)

    def prediction_log(self) -> LogView:
        """How the prediction log stands: what it holds and dropped, how late truths come."""
        return self._plane.log.view()

    async def reload(self, *, force: bool = False, actor: str = "operator") -> ReloadView:
        """Read the policy file now. Raises PolicyRejected."""
        answer = await self._plane.source.reload(force=force, actor=actor)
        await self._plane.fleet.applied(self._reconciler.generation)
        return answer


def _repeated(answer: OrderView) -> OrderView:
    return structs.replace(answer, repeated=True, changed=False)


def _refuse_reuse(event: AnyCommand, key: OrderKey) -> None:
    """Another order under a known key is a mistake, unless it is a way back: that is never kept."""
    if not isinstance(event, _OVERTAKE):
        raise KeyReused(f"the Idempotency-Key {key.id} belongs to another order")
