"""The data-plane processes: started, supplied with tables, watched, replaced, drained.

The control process binds one socket a worker (SO_REUSEPORT: the kernel spreads connections) and
keeps it; the worker gets it too, and listens when it has a table. Who connects while a worker is
dead waits in the queue of its socket for the next one, so that nobody is refused.

Both sides listen to each other. A worker reports four times a second; one that says nothing for
:data:`SILENT_S` hangs, whatever the operating system says, and is replaced. Control says twice a
second that it lives; what a worker does when it does not, is in ``router.proxy.alone``.

A worker that outlives a killed control process serves on. It is found by the file of process ids
beside the store, and ends when the next control process has workers of its own that serve; should
none come, it ends by itself after ``router.link.socket.ORPHAN_GRACE_S``.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from router.control.fleet import ports, processes
from router.control.fleet.beginning import ChildProcess, CommandLine, begun, worker_command
from router.control.fleet.fleet import Hears, WorkerState
from router.core.wire.reporter import WorkerId
from router.core.wire.succession import changed_routes
from router.core.wire.table import RoutingTable
from router.link.messages import (
    Amend,
    Applied,
    AskPeople,
    Beat,
    Drain,
    Hello,
    LookAgain,
    Lowered,
    Message,
    PairReport,
    Publish,
    Report,
    ReportSoon,
    SampleReport,
    SpanReport,
    TableRefused,
    encode,
)
from router.link.quotas import SharedQuotas
from router.link.socket import Link, open_link
from router.link.spare import Spare
from router.loops import awaited, background, forever, net

APPLY_TIMEOUT_S: Final = 5.0
"""A worker that has not confirmed a table by then is replaced: it may serve an older one."""
SILENT_S: Final = 3.0
"""A worker that serves and says nothing for so long is replaced. It reports four times a second;
the longest that one request may hold its loop is a fraction of this."""
STARVED_S: Final = 10.0
"""The same for one that wants to run and is hardly let: a crowded machine is not made better by one
more start."""
SILENT_START_S: Final = 30.0
"""The same for one that does not serve yet: an interpreter starts in a quarter of a second when CPU
is free."""
WATCH_S: Final = 0.25
"""Between two looks at the workers."""
BEAT_EVERY: Final = 2
"""Looks from one word that control lives to the next."""
AWAY_S: Final = 1.0
"""A look that comes so late says that this process was held up: then nobody else is blamed."""
RESYNC_S: Final = 0.25
"""From the word of a worker that decided alone to the whole table: the decider's turn is first."""
CRASHES_MAX: Final = 3
"""Quick ends in a row after which a worker's queue is given up, where others serve."""
START_TIMEOUT_S: Final = 60.0
"""Time in which all workers must serve after a start; a quarter of a second when CPU is free."""
BACKOFF_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Pauses before a worker is started again; the last one repeats."""
STABLE_AFTER_S: Final = 10.0
"""A worker that lived this long was healthy: its next restart is immediate again."""
KILL_AFTER_S: Final = 2.0
"""Beyond the drain time, before a worker that does not end is killed."""


@dataclass(eq=False)
class WorkerProcess:
    """One worker process and its end of the link."""

    who: WorkerId
    process: ChildProcess
    link: Link[Message]
    port: int = 0
    applied: int = 0
    """Generation of the table of ours in force there; 0 before the first."""
    term: int = 0
    """Of the table in force there; later than ours: it follows another router."""
    sent: int = 0
    """Generation of the table sent last."""
    sent_s: float = 0.0
    """When, monotonic clock."""
    heard_s: float = 0.0
    """When it said something last, monotonic clock."""
    quiet: tuple[float, float] | None = None
    """When its silence was first seen, and the CPU seconds that it had had by then."""
    hello: bool = False
    refused: int = 0
    """Generation of the last table that it does not take; it goes on with the one before."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def fault(self, now: float) -> str:
        """Why it must be replaced, at ``now`` of the monotonic clock; empty for a good one."""
        silent_s = now - self.heard_s
        if silent_s > (SILENT_S if self.applied else SILENT_START_S):
            return f"worker {self.number} said nothing for {silent_s:.1f} s"
        asked = self.hello and max(self.applied, self.refused) < self.sent
        if asked and now - self.sent_s > APPLY_TIMEOUT_S:
            return f"worker {self.number} did not confirm a table"
        return ""

    def __repr__(self) -> str:
        state = "ended" if self.ended.is_set() else f"generation {self.applied}"
        return f"<Worker {self.number} pid {self.process.pid}: {state}, {self.link!r}>"

    @property
    def number(self) -> int:
        """Among the workers of this machine, from 0."""
        return self.who.number


class Workers:
    """See the module: the fleet of one machine, which is called ``replica``."""

    probes = True

    def __init__(
        self, count: int, listen: tuple[str, int], hears: Hears, *, replica: str = "",
        pids_file: Path | None = None, command: CommandLine = worker_command,
        spare: Spare | None = None,
    ) -> None:  # fmt: skip
        """``spare``: a process that becomes the first worker."""
        self.count = count
        self.host, self.port = listen
        self._replica = replica
        self._hears = hears
        self._books: dict[type, Callable[[WorkerId, Any], None]] = {
            Report: hears.report, PairReport: hears.pairs, SampleReport: hears.sampled,
            SpanReport: hears.traced,
        }  # fmt: skip
        self._who: dict[int, WorkerId] = {}
        """Who was started last, by number."""
        self.since = 0
        """Each is called later than this."""
        self._noted = False
        """Whether the file of process ids is ours; before, it may be one's who lives."""
        self._pids_file, self._command, self._spare = pids_file, command, spare
        self._workers: dict[int, WorkerProcess] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._table: RoutingTable | None = None
        self.generation = 0
        self._applied = asyncio.Event()
        self._stopping = False
        self._turns = 0
        """Of :meth:`_watch`."""
        self._listeners: list[socket.socket] = []
        self._quotas = SharedQuotas(count)
        self._troubles: dict[int, str] = {}
        self._looked_s = time.monotonic()
        self._orphaned: list[int] = []
        self.heard: Callable[[], bool] = lambda: True
        """Whether who decides is heard here: else workers are told nothing, and decide alone."""
        self.neighbour: Callable[[], bool] = lambda: False
        """Whether somebody may listen on our port in our name already: a worker takes it over."""

    def __repr__(self) -> str:
        return f"<Workers {len(self._workers)} of {self.count} on {self.host}:{self.port}>"

    # --- life -----------------------------------------------------------------------------------

    @property
    def listen(self) -> str:
        """Where clients are served, ``host:port``."""
        return f"{self.host}:{self.port}"

    async def bind(self) -> None:
        """Take the port; nobody is accepted yet. Raises OSError when somebody else is on it."""
        self._orphaned = self._orphans()
        if not self._orphaned and not self.neighbour():
            await ports.free(self.host, self.port)
        for _ in range(self.count):
            self._listeners.append(ports.bound(self.host, self.port, shared=True))
            self.port = self._listeners[0].getsockname()[1]

    async def start(self) -> None:
        """Start all workers, on the port if it was taken before; the table should be published.

        Raises OSError when somebody else is on the port.
        """
        if not self._listeners:
            await self.bind()
        self._tasks = [background("workers", self._supervise(i)) for i in range(self.count)]
        self._tasks.append(background("watch", forever("watch", self._watch)))
        if self._orphaned:
            self._tasks.append(background("orphans", self._relieve(self._orphaned)))

    async def _relieve(self, orphans: list[int]) -> None:
        """End a predecessor's workers once ours serve; until then both do, and control decides."""
        with contextlib.suppress(OSError):  # late as they are, they must not serve for ever
            await self.serving()
        await processes.end(orphans, KILL_AFTER_S)
        self._orphaned = []
        self._remember()

    async def serving(self) -> None:
        """Wait until every worker serves the newest table. Raises OSError when that takes long."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while not self.ready():
                    self._applied.clear()
                    await self._applied.wait()
        except TimeoutError:
            raise OSError(f"not every worker serves after {START_TIMEOUT_S:g} s") from None

    def publish(self, table: RoutingTable) -> None:
        """Send the table to every worker; those to come get it when they say hello.

        A worker that has the one before gets only the routes that changed.
        """
        before, self._table, self.generation = self._table, table, table.generation
        if before is not None and before.term != table.term:
            for worker in self._workers.values():  # what they have of another leader is not ours
                worker.applied = worker.sent = worker.refused = 0
        serving = [worker for worker in self._workers.values() if worker.hello]
        changed = changed_routes(before, table) if before else None
        if before is not None and changed is not None:
            amend = encode(Amend(table.generation, before.generation, changed, table.term))
            for worker in serving:
                if worker.sent == before.generation and worker.link.send_amendment(amend):
                    worker.sent, worker.sent_s = table.generation, time.monotonic()
        self._send_whole([worker for worker in serving if worker.sent != table.generation])

    def _send_whole(self, workers: Sequence[WorkerProcess]) -> None:
        if workers and self._table is not None:
            encoded = encode(Publish(self._table))
            for worker in workers:
                worker.sent, worker.sent_s = self._table.generation, time.monotonic()
                worker.link.send_table(encoded)

    async def applied(self, generation: int) -> None:
        """Wait until no live worker serves an older table than ``generation``.

        A worker that does not confirm within :data:`APPLY_TIMEOUT_S` is killed, waited for or not,
        since it might serve what was taken back; its successor starts with the new table.
        """
        # One without a hello serves nobody: it is slow to start, and a kill would not help.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(APPLY_TIMEOUT_S + KILL_AFTER_S):
                await self._all_applied(generation)

    async def _all_applied(self, generation: int) -> None:
        while self._behind(generation):
            self._applied.clear()
            await self._applied.wait()

    def _behind(self, generation: int) -> bool:
        # Others serve nobody yet: they will begin with the newest table.
        serving = [w for w in self._workers.values() if w.hello and not self._astray(w)]
        return not serving or any(max(w.applied, w.refused) < generation for w in serving)

    def _astray(self, worker: WorkerProcess) -> bool:
        """Whether it has the table of a later leader: what we send is not taken any more."""
        return self._table is not None and worker.term > self._table.term

    def ready(self) -> bool:
        """Whether every worker runs, speaks, and serves the newest table."""
        live = sum(w.hello and w.applied >= self.generation for w in self._workers.values())
        return self.generation > 0 and live == self.count and not self.troubles()

    def troubles(self) -> list[str]:
        """What is wrong with workers now: one that hangs, or is being replaced after it did."""
        now = time.monotonic()
        faults = filter(None, (self._fault(worker, now) for worker in self._workers.values()))
        return list(dict.fromkeys((*self._troubles.values(), *faults)))

    def _fault(self, worker: WorkerProcess, now: float) -> str:
        if self._astray(worker):
            return f"worker {worker.number} follows a router of a later term ({worker.term})"
        return worker.fault(now)

    @property
    def table(self) -> RoutingTable | None:
        """The newest that was published; None before the first."""
        return self._table

    def states(self) -> list[WorkerState]:
        """Of those that run."""
        return [
            WorkerState(w.who, w.process.pid, w.port, w.term, w.applied)
            for w in self._workers.values()
        ]

    def hurry(self, but: WorkerId | None) -> set[WorkerId]:
        """Let all of them but one report what they have counted; answers who was asked."""
        asked = [w for w in self._workers.values() if w.hello and w.who != but]
        for worker in asked:
            worker.link.send(ReportSoon())
        return {worker.who for worker in asked}

    def begin_drain(self, within_s: float) -> None:
        """Tell every worker to stop accepting and to finish what is under way.

        From here on the workers are nobody's business: a successor may take store and port over.
        """
        self._stopping = True
        self._forget()
        self._let_go()
        for worker in self._workers.values():
            worker.link.send(Drain(within_s))

    def hand_over(self) -> None:
        """Leave the workers to a successor: they serve until it ends them, as it does orphans."""
        self._stopping = True
        self._pids_file = None  # the successor reads it
        self._let_go()

    async def drained(self, within_s: float) -> None:
        """Wait for the end of all workers, then end those that are late."""
        waiting = [awaited(w.ended.wait()) for w in self._workers.values()]
        if waiting:
            await asyncio.wait(waiting, timeout=within_s + KILL_AFTER_S)
        await self.kill()

    async def kill(self) -> None:
        """End everything now."""
        self._stopping = True
        killed = [worker.process for worker in self._workers.values()]
        for process in killed:
            processes.send(process.pid, signal.SIGKILL)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(process.wait() for process in killed))
        self._let_go()
        self._forget()

    def _let_go(self) -> None:
        """The port is the workers' alone: what they close is closed."""
        while self._listeners:
            self._listeners.pop().close()
        self._quotas.close()

    # --- one worker -----------------------------------------------------------------------------

    async def _supervise(self, index: int) -> None:
        """Start worker ``index`` again whenever it ends."""
        failures = 0
        while not self._stopping:
            code, began_s = -1, time.monotonic()
            with net("workers"):
                code = await self._live(index)
            lived_s = time.monotonic() - began_s
            failures = 0 if lived_s >= STABLE_AFTER_S else failures + 1
            if not self._stopping:
                if failures >= CRASHES_MAX:
                    self._give_up_queue(index)
                who = self._who.get(index, WorkerId(self._replica, 0, index))
                self._hears.gone(who, f"worker {index} ended with status {code}; it is replaced")
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S)) - 1] if failures else 0)

    async def _live(self, index: int) -> int:
        """One life of worker ``index``: its exit status."""
        worker = await self._spawn(index)
        self._workers[index] = worker
        self._remember()
        try:
            return await worker.process.wait()
        finally:
            self._gone(worker)

    async def _spawn(self, index: int) -> WorkerProcess:
        fds = self._listeners[index].fileno(), self._quotas.fd
        spare, self._spare = self._spare, None
        ours, process = await begun(self._command, index, *fds, spare)
        found: list[WorkerProcess] = []
        link = await open_link(
            ours, lambda message: self._receive(found[0], message), lambda _why: None
        )
        who = self._who[index] = self._fresh(index)
        found.append(WorkerProcess(who, process, link, heard_s=time.monotonic()))
        return found[0]

    def _fresh(self, index: int) -> WorkerId:
        """Later than who was there before, also where the clock went back."""
        before = self._who[index].boot if index in self._who else self.since
        return WorkerId(self._replica, max(int(time.time() * 1_000), before + 1), index)

    def _receive(self, worker: WorkerProcess, message: Message) -> None:
        worker.heard_s = time.monotonic()
        if (book := self._books.get(type(message))) is not None:
            book(worker.who, message)
        elif isinstance(message, AskPeople | LookAgain):
            self._hears.asked(message, worker.link.send)
        elif isinstance(message, Applied):
            self._confirmed(worker, message)
        elif isinstance(message, TableRefused):
            worker.refused = message.generation
            self._troubles[worker.number] = message.why
            self._hears.noticed(worker.who, message.why)
            self._applied.set()
        elif isinstance(message, Lowered):
            for text in message.sentences(worker.number):
                self._hears.noticed(worker.who, text)
            loop = asyncio.get_running_loop()
            loop.call_later(RESYNC_S, lambda: self._send_whole([worker]))
        elif isinstance(message, Hello):
            worker.hello, worker.port = True, message.port
            self._send_whole([worker])

    def _confirmed(self, worker: WorkerProcess, applied: Applied) -> None:
        """It says what it has: what we sent, or what a later leader did."""
        worker.term = max(worker.term, applied.term)
        if self._table is not None and applied.term == self._table.term:
            worker.applied = max(worker.applied, applied.generation)
            self._troubles.pop(worker.number, None)
        self._applied.set()

    def _gone(self, worker: WorkerProcess) -> None:
        if self._workers.get(worker.number) is worker:
            del self._workers[worker.number]
        worker.link.close("the worker ended")
        if worker.process.returncode is None:
            processes.send(worker.process.pid, signal.SIGKILL)
        worker.ended.set()
        self._applied.set()

    async def _watch(self) -> None:
        """Say that control lives, and look for workers that do not."""
        await asyncio.sleep(WATCH_S)
        self._turns += 1
        self.look(time.monotonic())
        if self._turns % BEAT_EVERY == 0 and self.heard():
            for worker in list(self._workers.values()):
                if worker.hello:
                    worker.link.send(Beat())

    def look(self, now: float) -> None:
        """Replace workers that hang; ``now`` is the monotonic clock."""
        late_s, self._looked_s = now - self._looked_s, now
        for worker in list(self._workers.values()):
            if now - worker.heard_s < 2 * WATCH_S:
                worker.quiet = None
            elif worker.quiet is None:
                worker.quiet = (now, processes.state_of(worker.process.pid)[1])
            if late_s > AWAY_S:
                worker.heard_s = worker.sent_s = now  # its words wait in the socket: read them
            elif self._astray(worker):
                continue  # it serves, by the table of who leads now
            elif (fault := worker.fault(now)) and not self._starved(worker, now):
                if worker.number not in self._troubles:
                    self._hears.noticed(worker.who, f"{fault}; it is ended")
                self._troubles[worker.number] = f"{fault}; it is being replaced"
                processes.send(worker.process.pid, signal.SIGKILL)

    def _starved(self, worker: WorkerProcess, now: float) -> bool:
        """Whether it would speak if it were let."""
        if worker.quiet is None or now - worker.heard_s >= STARVED_S:
            return False
        return processes.starved(worker.process.pid, *worker.quiet, now)

    def _give_up_queue(self, index: int) -> None:
        """A worker that ends again and again keeps nobody waiting whom others can serve."""
        if any(w.applied for w in self._workers.values()) and self._listeners:
            new = ports.bound(self.host, self.port, shared=True)
            self._listeners[index].close()
            self._listeners[index] = new

    # --- predecessors -----------------------------------------------------------------------------

    def _remember(self) -> None:
        """Ours, and a predecessor's as long as they serve: whoever comes next must find them."""
        if self._pids_file is None:
            return
        pids = [*(worker.process.pid for worker in self._workers.values()), *self._orphaned]
        processes.write_down(self._pids_file, pids)
        self._noted = True

    def _forget(self) -> None:
        """Ours are over. A start that fails leaves a predecessor's, who may live, to others."""
        if self._orphaned:
            self._remember()
        elif self._pids_file is not None and self._noted:
            self._pids_file.unlink(missing_ok=True)
        self._pids_file = None

    def _orphans(self) -> list[int]:
        """Workers of a control process that was killed."""
        return processes.written_down(self._pids_file) if self._pids_file is not None else []
