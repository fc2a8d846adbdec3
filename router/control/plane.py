"""The control plane put together and running: tasks, reports of workers, start and stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

from router.config.certificate import ServerCertificate
from router.config.check import LoadedPolicy
from router.control.fleet.compare import Comparer
from router.control.fleet.counted import CountsWaiting
from router.control.fleet.feedback import Feedback
from router.control.fleet.fleet import MakeFleet, Reply
from router.control.fleet.reporters import Reporters, batches_of, samples_of
from router.control.fleet.samples import Samples
from router.control.outside.judges import Judges
from router.control.outside.outreach import Outreach
from router.control.outside.questions import Questions
from router.control.outside.scrapes import Scrapes
from router.control.outside.traces import Traces
from router.control.predictions.booked import PredictionLog
from router.control.predictions.cascades import Cascades
from router.control.predictions.performed import Performed
from router.control.predictions.usage import Usages
from router.control.predictions.watching import Watching
from router.control.reviews.queue import KeptBy, Reviews
from router.control.rollouts.observe import Observatory
from router.control.rollouts.reconciler import Reconciler
from router.control.rollouts.run import Run
from router.control.state.clock import Clock, RolloutClock
from router.control.state.errors import StoreLocked, StoreUnavailable
from router.control.state.record import JournalEntry
from router.control.state.store import Store
from router.control.told.announce import Announcer
from router.control.told.controller import Controller
from router.control.told.history import History
from router.control.told.parts import Parts
from router.control.watch import PolicySource
from router.core.policy.kept import log_terms
from router.core.wire.counts import VersionCounts
from router.core.wire.histogram import bucket_of
from router.core.wire.reporter import WorkerId
from router.link.messages import AskPeople, LookAgain, PairReport, Report, SampleReport, SpanReport
from router.loops import awaited, background, forever, in_turn, my_turn
from router.telemetry.log import get_logger
from router.telemetry.metrics import Metrics, labels

LAG_EVERY_S: Final = 0.1

HISTORY_EVERY_S: Final = 1.0
"""Between two points of what pages draw."""

CERTIFICATE_EVERY_S: Final = 1.0
"""How often the files of the client listener's certificate are looked at."""

HAND_OVER_S: Final = 10.0
"""How long a successor may take until its workers serve and it ends ours."""

BEGUN_S: Final = 2.0
"""How long a start waits for its disk before it says that it serves."""
OWED_LOOK_S: Final = 0.05
"""Between two looks whether the disk has everything, before the store is let go of."""

log = get_logger("router.control")


async def _nothing() -> None:
    """Where nobody else has an address to take."""


class Plane(Parts):
    """Everything of the control process but its admin listener.

    ``start`` opens the store, adopts the policy, starts the workers; ``stop`` drains. Both may be
    called once.
    """

    def __init__(
        self,
        loaded: LoadedPolicy,
        store: Store,
        *,
        fleet: MakeFleet,
        clock: Clock | None = None,
        replica: str = "",
        reviews: KeptBy = None,
        metrics: Metrics | None = None,
    ) -> None:
        """``fleet``: who carries the traffic; those of ``replica`` are on this machine.

        ``metrics``: those of one of several routers, which has booked there what its own workers
        count (:mod:`router.control.fleet.own_counts`).
        ``reviews``: where questions for people are kept; absent: none are.
        """
        policy, self.loaded = loaded.policy, loaded
        self.clock = clock or RolloutClock()
        self.store = store
        self.metrics = metrics or Metrics()
        self._counts = Metrics() if metrics else self.metrics
        """What all workers count: shown where all are this router's."""
        self.announcer = Announcer(self.clock)
        self.fleet = fleet(policy, self)
        self.observatory = Observatory(probed=self.fleet.probes)
        self.history = History()
        self.reporters = Reporters(replica, self._ended)
        self.reconciler = Reconciler(store, self.clock, self.fleet, self, self.observatory)
        self.outreach = Outreach(self.reconciler, self.announcer, self.clock, self._sent)
        self.traces = Traces(self._spans)
        self.watching = Watching(self.reconciler, store, self.clock, self.outreach.tell)
        self.reconciler.restraint.monitors = self.watching
        self.usages = Usages(self.reconciler, self.clock)
        self.observatory.usage = self.usages.view
        self.scrapes = Scrapes(self.reconciler, self.usages, self.clock, self._scraped)
        self.source = PolicySource(loaded.file, self._adopt, self.announcer, self.clock)
        self.source.ending = self.reconciler.ending
        self.controller = Controller(self)
        self._certificate: ServerCertificate | None = None
        self.lag_s, self.loop_failures, self.worker_lag_s, self.worker_connections = 0.0, {}, {}, {}
        self.questions = Questions(self.reconciler, self.usages, self.clock)
        observe = self.reconciler.observe
        self.judges = Judges(self._runs, observe, self._judged, self.clock, store)
        self.comparer = Comparer(self._runs, observe, self._paired, self.clock, judges=self.judges)
        self.samples = Samples(self._runs, observe, self._read, self.comparer.reader)
        self.samples.on_watched, self.samples.on_tokens = self.watching.take, self.usages.spent
        self.log = PredictionLog(self.reconciler, self.comparer.reader, self.clock, self._told)
        self.cascades = Cascades(self.reconciler, self.samples, self.log)
        self.performed = Performed(self.clock, self.log)
        self.feedback = Feedback(self.reconciler, self.clock, self.metrics, self.log)
        self.feedback.labelled = self.log.labelled = self.watching.labelled
        self.reviews = Reviews(self.reconciler, self.log, self.clock, self.metrics, reviews)
        self.comparer.on_differing = self.reviews.differing.take
        self._reported_s, self._hurried = 0.0, False
        self._starts: list[asyncio.Future[bool]] = []
        """What the start writes first: the rollouts that it begins."""
        self._started_s = 0.0
        self.carries = False
        """Whether the workers were told to begin: who is stopped from here on drains them."""
        self._known: set[tuple[str, str]] = set()
        """Versions of the policy in force, with their routes."""
        self._counted = CountsWaiting(self._book)
        self._tasks: set[asyncio.Task[Any]] = set()

    def _runs(self) -> Mapping[str, Run]:
        return self.reconciler.runs

    def __repr__(self) -> str:
        return f"<Plane {self.reconciler!r} {self.fleet!r}>"

    # --- life -------------------------------------------------------------------------------------

    async def start(
        self, *, force: bool = False, bind: Callable[[], Awaitable[None]] = _nothing
    ) -> None:
        """Take the store, then the addresses (``bind`` those of others), and only then begin.

        What fails before has changed nothing: no rollout has begun. Raises StoreDamaged,
        StoreLocked, PolicyRejected, or OSError for port or certificate.
        """
        if (tls := self.loaded.policy.tls) is not None:
            self._certificate = ServerCertificate(tls.certificate, tls.key)
        stored = await self.store.open()
        self.reconciler.resume(stored)
        self.watching.resume(stored.settings)
        self.judges.resume(stored.settings)
        try:
            await self.fleet.bind()
            await bind()
            self.outreach.open()
            self.source.adopted(self.loaded, force=force)
            runs = self.reconciler.runs.values()
            self._starts = [run.pending.done for run in runs if run.pending]
            self._started_s = time.monotonic()
            self.carries = True
            await self.fleet.start()
        except BaseException:
            await self.fleet.kill()
            await self.outreach.close()
            await self.store.close()
            raise
        await self.questions.open()
        self._keep(self.outreach.watch())
        self._keep(forever("traces", self.traces.turn))
        self._keep(self.comparer.reader.run())
        if self._certificate is not None:
            turn = partial(self._watch_certificate, self._certificate)
            self._keep(forever("certificate", turn))
        for job in (self._lost(), self.reconciler.run(), self.source.watch()):
            self._keep(job)
        self._keep(forever("questions", self.questions.turn))
        self._keep(forever("monitors", self.watching.turn))
        self._keep(forever("scrapes", self.scrapes.turn))
        self._keep(forever("judges", self.judges.turn))
        self._keep(forever("lag", self._watch_lag))
        self._keep(forever("reviews", self.reviews.turn))
        self._keep(forever("history", self._remember))

    async def begun(self) -> None:
        """Until the disk has the rollouts that the start begins; a disk that takes none is let be.

        Whoever reads that it serves may order at once, and an order needs its rollout.
        """
        if self._starts:
            await asyncio.wait(self._starts, timeout=BEGUN_S)
        self._starts = []

    @property
    def starting(self) -> bool:
        """Whether the disk does not have some of these yet, for a moment after the start."""
        recent = time.monotonic() < self._started_s + BEGUN_S
        return recent and not all(done.done() for done in self._starts)

    async def stop(self, *, drain_s: float) -> tuple[str, ...]:
        """Stop deciding, write the last words, let go of the store, then wait for the workers.

        A successor knows what the disk knows. So where one waits, this router goes on, deciding,
        until the disk has what is in force, or the successor has given up. Without one the disk is
        tried again while the workers drain. Returns the routes whose last move it never took.
        """
        lost = self.reconciler.writes.ended  # whose store is another's has nothing more to write
        if not lost:
            await self._written(self.store.successor)
        self.reconciler.writes.ended = True
        if successor := lost or self.store.successor():
            self.fleet.hand_over()
        else:
            self.fleet.begin_drain(drain_s)
            deadline = time.monotonic() + drain_s
            await self._written(lambda: time.monotonic() < deadline)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.questions.close()
        await self.scrapes.close()
        await self.judges.close()
        await self.outreach.close()
        await self.traces.close()
        await self.reviews.close()
        self.reconciler.last_words()
        self.watching.keep()
        self.judges.keep()
        self.reconciler.recording.close()
        # A successor may take over from here on, while our last requests still finish.
        await self.store.close()
        await self.fleet.drained(drain_s + (HAND_OVER_S if successor else 0.0))
        return self._owing()

    async def _lost(self) -> None:
        """Whoever does not hold the store any more decides nothing. Raises StoreLocked."""
        why = await self.store.lost()
        self.reconciler.writes.ended = True
        raise StoreLocked(why)

    async def _written(self, worth: Callable[[], bool]) -> None:
        """Until the disk has what is in force, as long as that is worth it, or until it hurries."""
        while True:
            if self._hurried or not self._owing() or not worth():
                return
            await asyncio.sleep(OWED_LOOK_S)

    def _owing(self) -> tuple[str, ...]:
        """Routes whose place the disk may not have as it is in force."""
        return tuple(name for name, run in self.reconciler.runs.items() if run.owes)

    async def kill(self) -> None:
        """The second signal: end everything at once."""
        self._hurried = True
        await self.fleet.kill()

    async def watch_tasks(self) -> None:
        """Returns (or raises) when a task that must run for ever has ended: a bug of ours."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    def _keep(self, job: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(awaited(job))

    def _adopt(self, policy: Any, *, force: bool = False, ends: bool = False) -> tuple[str, ...]:
        policy = policy.model_copy(update={"tls": self.loaded.policy.tls})  # that of the start
        notes = self.reconciler.adopt(policy, force=force, ends=ends)
        self.log.settle(log_terms(policy))
        self.cascades.keep_only()
        self.traces.settle(policy.traces)
        in_turn(self._forget_gone)
        return notes

    def _forget_gone(self) -> None:
        routes = self.reconciler.runs.values()
        known = {(run.route.name, v) for run in routes for v in run.route.versions}
        if known != self._known:
            self._known = known
            self.observatory.given.keep_only(known)
            for book in dict.fromkeys((self.metrics, self._counts)):
                for part in book.keeping_only(known):
                    in_turn(part)

    # --- what workers say -----------------------------------------------------------------------

    def report(self, who: WorkerId, report: Report) -> None:
        """Book a worker's counts and wake the decider, in the turn in which they arrive."""
        if (source := self.reporters.source(who)) is None:
            return  # its successor is here, and nobody could tell the two apart
        self._reported_s = time.perf_counter()
        here = source == who.number
        self.reconciler.observe(report.batches if here else batches_of(source, report.batches))
        self._counted.put(source, report.versions)
        self.reconciler.seen(source, report.endpoints)
        self.usages.told(report.endpoints)
        self._counts.add_mirrors(report.mirrors)
        self._counts.add_routes(report.routes)
        self.observatory.given.add(report.routes)
        self.outreach.asked(source, report.clients)
        self.outreach.mirrored(report.mirrors)
        self.comparer.mirrored(report.mirrors)
        self._counts.add_rejected(report.rejected)
        self._failed(f"worker-{source}", report.failures)
        self.worker_lag_s[source] = report.loop_lag_s
        self.worker_connections[source] = report.connections

    def _book(self, source: int, counts: tuple[VersionCounts, ...]) -> None:
        self.observatory.add(source, counts, self.clock.now())
        self.history.add(counts)
        self._counts.add_versions(counts)

    def _failed(self, process: str, failures: Mapping[str, int]) -> None:
        """Count what was raised in the loops of a process that must go on."""
        for loop, number in failures.items():
            self._counts.count("loop_failures_total", labels(process=process, loop=loop), number)
            key = (process, loop)
            self.loop_failures[key] = self.loop_failures.get(key, 0) + number

    def pairs(self, _who: WorkerId, report: PairReport) -> None:
        """Have the answers compared when there is time."""
        self.log.copied(report.pairs)
        self.reviews.copied(report.pairs)
        self.comparer.put(report.pairs)
        if report.shed:
            self._counts.add_rejected({"pairs_shed": report.shed})

    def sampled(self, who: WorkerId, report: SampleReport) -> None:
        """Have the predictions read when there is time."""
        if (source := self.reporters.source(who)) is not None:
            here = source == who.number
            self.samples.put(report.samples if here else samples_of(source, report.samples))

    def asked(self, asked: AskPeople | LookAgain, reply: Reply) -> None:
        """Have people asked, or tell what they have said."""
        self.reviews.inbox.asked(asked, reply)

    def traced(self, _who: WorkerId, report: SpanReport) -> None:
        """Hand spans on to the collector; their traces are exemplars."""
        self._counts.traced(report.spans)
        self.traces.put(report.spans, report.dropped)

    def _spans(self, result: str, number: int) -> None:
        self.metrics.count("spans_total", labels(result=result), number)

    def _scraped(self, route: str, version: str, result: str) -> None:
        self.metrics.count("scrapes_total", labels(route=route, version=version, result=result))

    def _read(self, route: str, version: str, result: str, number: int) -> None:
        series = labels(route=route, version=version, result=result)
        self.metrics.count("samples_total", series, number)

    def _told(self, route: str, version: str, result: str, number: int) -> None:
        series = labels(route=route, version=version, result=result)
        self.metrics.count("feedback_total", series, number)

    def _paired(self, route: str, version: str, result: str, number: int) -> None:
        series = labels(route=route, version=version, result=result)
        self.metrics.count("pairs_total", series, number)

    def _judged(self, route: str, gate: str, result: str) -> None:
        series = labels(route=route, gate=gate, result=result)
        self.metrics.count("judge_pairs_total", series)

    def noticed(self, who: WorkerId, text: str) -> None:
        """Tell people: it hangs, or of what it did while control was silent."""
        self.announcer.worker(text, who)

    def gone(self, who: WorkerId, text: str) -> None:
        """Nobody will tell what became of what it had under way."""
        if (source := self.reporters.source(who)) is not None:
            self._ended(source)
            self._counts.count("worker_restarts_total", labels(worker=str(source)))
        self.announcer.worker(text, who)

    def _ended(self, source: int) -> None:
        self._counted.rest()
        self.observatory.forget_worker(source)
        self.reconciler.abandon(source)
        for kept in (self.worker_connections, self.worker_lag_s):
            kept.pop(source, None)
        for key in [key for key in self.loop_failures if key[0] == f"worker-{source}"]:
            del self.loop_failures[key]

    # --- what the reconciler says ---------------------------------------------------------------

    def moved(self, entry: JournalEntry) -> None:
        """Count it, tell everybody, and measure how long a rollback took to reach all workers."""
        by = entry.actor if entry.actor in ("router", "policy") else "person"
        self.metrics.count("decisions_total", labels(route=entry.route, action=entry.action, by=by))
        if entry.action == "rollback" and by == "router":
            task = background("timing", self._measure(entry.route, self._reported_s))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self.announcer.moved(entry)
        self.outreach.moved(entry)

    def _sent(self, kind: str, result: str) -> None:
        self.metrics.count("messages_total", labels(kind=kind, result=result))

    def store_failed(self, error: StoreUnavailable) -> None:
        """Pass it on."""
        self.announcer.store_failed(error)

    def store_works(self) -> None:
        """Pass it on."""
        self.announcer.store_works()

    async def _measure(self, route: str, since_s: float) -> None:
        await self.fleet.applied(self.reconciler.generation)
        took_s = time.perf_counter() - since_s
        self.metrics.observe("rollback_seconds", labels(route=route), bucket_of(took_s), took_s)

    # --- now and then -----------------------------------------------------------------------------

    async def _watch_certificate(self, certificate: ServerCertificate) -> None:
        """Workers load it by themselves; this one says how that goes."""
        await asyncio.sleep(CERTIFICATE_EVERY_S)
        try:
            if await asyncio.to_thread(certificate.refresh):
                log.info("certificate_loaded", file=certificate.certificate)
        except OSError as error:
            log.error("certificate_rejected", file=certificate.certificate, error=str(error))  # noqa: TRY400 - the text says it all

    async def _remember(self) -> None:
        await asyncio.sleep(HISTORY_EVERY_S)
        for part in self.history.due(self.reconciler.runs, self.clock.now()):
            await my_turn()
            self.history.sample(part, self.clock.now(), self.clock.wall())

    async def _watch_lag(self) -> None:
        before = time.perf_counter()
        await asyncio.sleep(LAG_EVERY_S)
        late = max(time.perf_counter() - before - LAG_EVERY_S, 0.0)
        self.lag_s = max(late, self.lag_s * 0.9)
