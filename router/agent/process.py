"""The process beside one Envoy: ``python -m router.agent.process``, started by control.

To control it is a worker like any other: it gets tables and tells counts, so the same decisions
are made of the same evidence. To Envoy it is the one that knows its routes. While control is gone
or silent it takes bad candidates back by itself (:mod:`router.proxy.alone`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Final

import aiohttp

from router.agent.command import EnvoyMissingError
from router.agent.counting import AttemptBook
from router.agent.envoy import Envoy, private
from router.agent.offers import Offers
from router.agent.samples import SampleDesk
from router.agent.servers import Discovery, read_records
from router.agent.shadows import Shadows
from router.agent.streams import read_samples
from router.agent.tables import TableOffers
from router.control.fleet import processes
from router.core.wire.succession import amended, outdated
from router.core.wire.table import RouteEntry, RoutingTable
from router.link.messages import (
    Amend,
    Applied,
    Beat,
    Drain,
    Hello,
    Lowered,
    Message,
    PairReport,
    Publish,
    Report,
    ReportSoon,
    SampleReport,
    TableRefused,
)
from router.link.socket import ORPHAN_GRACE_S, Link, open_link
from router.link.urgent import Urgent
from router.loops import BOOKS, background, forever
from router.proxy.alone import Alone
from router.proxy.serving import Serving
from router.proxy.worker import (
    BEHIND_BYTES_MAX,
    REPORT_S,
    more_files,
    tell,
    tell_failure,
    write_line,
)
from router.telemetry.recorder import Recorder
from router.upstream import Pools

SWEEP_S: Final = 0.05
SAID_S: Final = 0.3
"""From a refusal to the word of it: Envoy writes its log twenty times a second."""
CUT_S: Final = 0.1
LOOK_S: Final = 0.5
"""Between two looks at Envoy: whether it lives, and whether it lost records."""


class Agent:
    """Envoy, and our end of the link."""

    def __init__(self, index: int, listener: socket.socket, folder: Path, threads: int) -> None:
        self.listener = listener
        self.folder = folder
        host, self.port = listener.getsockname()[:2]
        started = int(time.monotonic() * 1_000)
        self._urgent = Urgent(self.report, lambda: self.alone.deciding)
        self.recorder = Recorder(
            self._urgent.wake, self._urgent.soon, source=index, first_slice=started
        )
        self.samples = SampleDesk(self.recorder)
        self.recorder.samples_ready = self._many_samples
        self.counting = AttemptBook(self.recorder, samples=self.samples)
        self.shadows = Shadows(index)
        self.pools = Pools()
        self.serving = Serving(RoutingTable(0), self.pools, self.recorder)
        self.offers = Offers(secrets.token_hex(4))
        self.tables = TableOffers(self.offers, (host, self.port))
        self.tables.comparer_port = self.shadows.port
        self.tables.bridge_port = self.shadows.bridge_port
        self.discovery = Discovery(self.offers, self._asked)
        self.envoy = Envoy(folder, threads)
        self.alone = Alone(lambda: self.serving.table, self._lower)
        self.link: Link[Message] | None = None
        self.ended = asyncio.Event()
        self._records: set[asyncio.BaseTransport] = set()
        self._told = (0, 0)
        """The rank of the table that control was last told of."""
        self._lost = self._no_route = self._connections = 0
        self._first = True
        self._draining: asyncio.Task[None] | None = None
        self._orphan: asyncio.TimerHandle | None = None
        self._lag_s = 0.0

    async def run(self, link_fd: int) -> None:
        """Serve until drained. Raises EnvoyMissingError, OSError."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(tell)
        BOOKS.tell = tell_failure
        for number in (signal.SIGTERM, signal.SIGUSR2):
            loop.add_signal_handler(number, self._stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._take_over()
        await self.discovery.start(self.folder / "discovery")
        records = await read_records(self.folder / "records", self.counting.take, self._records)
        samples = await read_samples(self.folder / "samples", self.samples)
        await self.envoy.start()
        await self.envoy.up()
        self.link = await open_link(link_fd, self._on_message, self._on_close)
        self.link.send(Hello(self.port))
        jobs = [
            background(name, forever(name, turn))
            for name, turn in {
                "reports": self._report_regularly, "sweep": self._sweep, "cut": self._cut,
                "envoy": self._look,
            }.items()
        ]  # fmt: skip
        await self.ended.wait()
        for job in jobs:
            job.cancel()
        records.close()
        samples.close()
        self.report()
        self._send_pairs()
        self.link.close()
        await self.discovery.close()

    # --- predecessors -----------------------------------------------------------------------------

    @property
    def _owner(self) -> Path:
        return self.folder / "agent.pid"

    def _take_over(self) -> None:
        """Envoy is ours from now on; an agent before us lets go of it."""
        before = processes.written_down(self._owner)
        processes.write_down(self._owner, [os.getpid()])
        for pid in before:
            processes.send(pid, signal.SIGTERM)

    @property
    def _replaced(self) -> bool:
        """Whether another agent has taken over."""
        return processes.written_down(self._owner) not in ([os.getpid()], [])

    # --- the link ---------------------------------------------------------------------------------

    def _on_message(self, message: Message) -> None:
        if isinstance(message, Beat):
            if (lowered := self.alone.heard()) is not None and self.link is not None:
                self.report()
                self.link.send(Lowered(*lowered))
        elif isinstance(message, Publish):
            self._apply(message.table)
            self.alone.again()
        elif isinstance(message, Amend):
            table = self.serving.table
            if (message.term, message.base) == table.rank:
                self._apply(amended(table, message.generation, message.routes))
                self.alone.again()
            elif outdated(message.term, table):
                self._in_force()
        elif isinstance(message, ReportSoon):
            self._urgent.asked()
        elif isinstance(message, Drain):
            self._drain(message.within_s)

    def _apply(self, table: RoutingTable) -> None:
        """Offer this table to Envoy; its records are understood before it has it."""
        if table.rank < self.serving.table.rank:
            self._in_force()
            return
        self.serving = Serving(table, self.pools, self.recorder, self.serving)
        self.counting.follow(self.serving, self.tables.put(table))
        self.recorder.keep_routes({route.name for route in table.routes})
        self.pools.keep(table)
        if self._first:
            self._first = False
            background("shadows", self.shadows.start(table))
        else:
            self.shadows.follow(table)
        self.discovery.news()

    def _in_force(self) -> None:
        """What stays, since who sent something else leads no more."""
        if self.link is not None:
            term, generation = self.tables.good.rank
            self.link.send(Applied(generation, term))

    def _lower(self, entry: RouteEntry) -> None:
        """Use this entry, which sends less to a candidate, until control says otherwise."""
        table = self.serving.table
        self._apply(amended(table, table.generation, (entry,)))

    def _asked(self) -> None:
        """Envoy has asked: it may have taken, or refused, what it was offered."""
        rank = term, wanted = self.tables.wanted.rank
        before = self.offers.numbers
        taken = self.tables.advance()
        if taken and rank != self._told:
            self._told = rank
            if self.link is not None:
                self.link.send(Applied(wanted, term))
        elif (kind := self.offers.refused) is not None and rank != self._told:
            self._told = rank
            loop = asyncio.get_running_loop()
            loop.call_later(SAID_S, self._tell_refusal, kind.value, wanted)
        if self.offers.numbers != before:
            self.discovery.news()

    def _tell_refusal(self, kind: str, generation: int) -> None:
        """What Envoy did not take, and why in its own words, which it has written by now."""
        why = self.envoy.said("rejected") or "its log does not say why"
        said = (
            f"Envoy refused the {kind} of generation {generation}; "
            f"generation {self.tables.good.generation} stays in force: {why}"
        )
        write_line({"event": "table_refused", "level": "error", "error": said})
        if self.link is not None:
            self.link.send(TableRefused(generation, said))

    def _on_close(self, _reason: str) -> None:
        if self._draining is None:
            self.alone.gone()
            self._orphan = asyncio.get_running_loop().call_later(ORPHAN_GRACE_S, self._stop)

    def _stop(self) -> None:
        self._drain(self.serving.limits.drain_s)

    def _drain(self, within_s: float) -> None:
        if self._draining is None:
            self._draining = background("drain", self._drained(within_s))

    async def _drained(self, within_s: float) -> None:
        if not self._replaced:
            await self.envoy.drain(within_s)
            await asyncio.sleep(SWEEP_S)  # its last records are on their way
            self._owner.unlink(missing_ok=True)
        await self.shadows.close()
        self.ended.set()

    # --- time -------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        began = time.monotonic()
        await asyncio.sleep(SWEEP_S)
        self._lag_s = max(self._lag_s, time.monotonic() - began - SWEEP_S)
        self.counting.sweep()
        self.samples.sweep()

    async def _cut(self) -> None:
        await asyncio.sleep(CUT_S)
        self.recorder.cut()

    async def _look(self) -> None:
        """Whether Envoy lives, and has lost records; it is started again if not."""
        await asyncio.sleep(LOOK_S)
        if self._draining is not None:
            return
        if not self.envoy.lives:
            write_line({"event": "envoy_ended", "level": "error", "error": self.envoy.said()})
            self.counting.lost()
            self.offers.lost()
            self._lost = self._no_route = 0
            await self.envoy.start()
            await self.envoy.up()
            return
        with contextlib.suppress(OSError, TimeoutError, aiohttp.ClientError):
            self._read(await self.envoy.numbers())

    def _read(self, numbers: dict[str, int]) -> None:
        lost, self._lost = self._lost, numbers.get("entries_lost", 0)
        if self._lost > lost:
            self.counting.lost()
            said = f"{self._lost - lost} records of Envoy are lost: that time is no evidence"
            write_line({"event": "records_lost", "level": "warning", "error": said})
            self.recorder.reject("records_lost")
        refused, self._no_route = self._no_route, numbers.get("no_route", 0)
        for _ in range(min(self._no_route - refused, 10_000)):
            self.recorder.reject("no_route")
        self._connections = numbers.get("downstream_cx_active", 0)

    # --- reports ----------------------------------------------------------------------------------

    async def _report_regularly(self) -> None:
        await asyncio.sleep(REPORT_S)
        self.report()
        self.alone.look()
        self._send_pairs()

    @property
    def _behind(self) -> bool:
        link = self.link
        return link is None or not link.open or link.outbox_bytes > BEHIND_BYTES_MAX

    def report(self) -> None:
        """Send what was counted; when the link is behind it stays here and adds up."""
        if self._behind or self.link is None:
            if self.alone.deciding:
                self.alone.observe(self.recorder.delta().batches)
            return
        delta, (shadows, mirrors) = self.recorder.delta(), self.shadows.take()
        self.alone.observe(delta.batches)
        lag_s, self._lag_s = self._lag_s, 0.0
        self.link.send(Report(
            batches=delta.batches, versions=(*delta.versions, *shadows),
            mirrors=(*delta.mirrors, *mirrors), routes=delta.routes, endpoints=self.pools.states(),
            loop_lag_s=lag_s, connections=self._connections, rejected=delta.rejected,
            failures=BOOKS.take(), clients=delta.clients,
        ))  # fmt: skip

    def _send_pairs(self) -> None:
        if not self._behind and self.link is not None:
            pairs, shed = self.shadows.take_pairs()
            if pairs or shed:
                self.link.send(PairReport(pairs, shed))
            if samples := self.recorder.take_samples():
                self.link.send(SampleReport(samples))
            self.samples.turn()

    def _many_samples(self) -> None:
        """Some of them now: all of a quarter of a second would hold a turn up."""
        if not self._behind and self.link is not None:
            self.link.send(SampleReport(self.recorder.take_samples(again=False)))


def main(argv: list[str] | None = None) -> None:
    """The command of an agent process."""
    parser = argparse.ArgumentParser(prog="router.agent.process")
    parser.add_argument("--link-fd", type=int, required=True)
    parser.add_argument("--worker", type=int, required=True)
    parser.add_argument("--listen", required=True, help="fd:N of a bound socket")
    parser.add_argument("--folder", type=Path, required=True, help="of Envoy's sockets")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quotas-fd", type=int, default=-1, help="not used")
    args = parser.parse_args(argv)
    more_files()
    listener = socket.socket(fileno=int(args.listen.rpartition(":")[2]))

    async def serve() -> None:
        agent = Agent(args.worker, listener, private(args.folder), args.threads)
        await agent.run(args.link_fd)

    try:
        asyncio.run(serve())
    except (EnvoyMissingError, OSError) as error:
        write_line({"event": "envoy_missing", "level": "error", "error": str(error)})
        sys.exit(1)


if __name__ == "__main__":
    main()
