"""One process of the data plane: ``python -m router.proxy.worker``, started by control.

It serves with the last table it was given and tells what it counted: four times a second, and in
the same loop turn when something happened that a rollback may depend on. When the link closes,
control is gone: it serves on for ``ORPHAN_GRACE_S``, then drains and ends; a new control process
ends it sooner, as soon as its own workers serve. While control is gone or silent it takes bad
candidates back by itself (:mod:`router.proxy.alone`).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
import time
from dataclasses import asdict
from typing import Any, Final

import msgspec

from router.core.wire.succession import outdated
from router.core.wire.table import RouteEntry
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
    Settle,
    SpanReport,
)
from router.link.socket import ORPHAN_GRACE_S, Link, open_link
from router.link.spare import terms
from router.link.urgent import Urgent
from router.loops import BOOKS, LoopFailure, background, forever, places_of
from router.proxy.alone import Alone
from router.proxy.held import settle
from router.proxy.plane import DataPlane, Listen
from router.proxy.scheduling import ask_for_short_turns
from router.telemetry.recorder import Recorder

REPORT_S: Final = 0.25
"""Between reports; a bad candidate outcome does not wait for it."""
BEHIND_BYTES_MAX: Final = 1_048_576
"""Unsent bytes on the link above which counts go on adding up here instead of being sent."""
GC_THRESHOLD: Final = 50_000
"""Allocations between collections: requests make no cycles, and the start-up is frozen."""


FILES: Final = 65_536
"""File descriptors wanted, as far as the hard limit allows: the usual soft limit is 1,024."""


ERROR_CHARS_MAX: Final = 500
"""Of an unexpected exception's text in the log."""


class Worker:
    """The plane and its end of the link."""

    def __init__(self, index: int, listen: Listen) -> None:
        self.index = index
        # Slices are numbered with time, so that a successor of this worker goes on from them.
        started = int(time.monotonic() * 1_000)
        self._urgent = Urgent(self.report, lambda: self.alone.deciding)
        self.recorder = Recorder(
            self._urgent.wake, self._urgent.soon, source=index, first_slice=started
        )
        self.recorder.samples_ready = self._many_samples
        self.plane = DataPlane(self.recorder, listen)
        self.plane.ask = lambda item: self._send(AskPeople(item))
        self.plane.look = lambda ref, review: self._send(LookAgain(ref, review))
        self.alone = Alone(lambda: self.plane.serving.table, self._lower)
        self.link: Link[Message] | None = None
        self.ended = asyncio.Event()
        self._served = asyncio.Event()
        self._draining: asyncio.Task[None] | None = None
        self._orphan: asyncio.TimerHandle | None = None

    async def run(self, link_fd: int) -> None:
        """Serve until drained."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(tell)
        BOOKS.tell = tell_failure
        for number in (signal.SIGTERM, signal.SIGUSR2):
            loop.add_signal_handler(number, self._stop)
        # A terminal's Ctrl-C reaches the whole group; only control decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.plane.bind()
        self.link = await open_link(link_fd, self._on_message, self._on_close)
        self.link.send(Hello(self.plane.port))
        # Nobody is accepted before there is a table: the kernel gives new clients to the others.
        await self._served.wait()
        if not self.ended.is_set():
            await self.plane.start()
            self._applied()
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)
        reporting = background("reports", forever("reports", self._report_regularly))
        await self.ended.wait()
        reporting.cancel()
        self.report()
        self.link.close()

    # --- the link -------------------------------------------------------------------------------

    def _on_message(self, message: Message) -> None:
        if isinstance(message, Beat):
            self._heard()
        elif isinstance(message, Publish):
            self.plane.apply(message.table)
            self.alone.again()
            if self._served.is_set():
                self._applied()
            self._served.set()
        elif isinstance(message, Amend):
            # One that does not fit is not confirmed: control then replaces this worker.
            base, routes, term = message.base, message.routes, message.term
            fits = self.plane.amend(message.generation, base, routes, term=term)
            self.alone.again()
            if fits or outdated(term, self.plane.serving.table):
                self._applied()
        elif isinstance(message, ReportSoon):
            self._urgent.asked()
        elif isinstance(message, Settle):
            for one in message.settled:
                settle(self.plane, one)
        elif isinstance(message, Drain):
            self._drain(message.within_s)

    def _heard(self) -> None:
        if (lowered := self.alone.heard()) is not None and self.link is not None:
            self.report()  # what led to it arrives first
            self.link.send(Lowered(*lowered))

    def _send(self, message: Message) -> bool:
        """Send at once what somebody waits for; False: control is not there, or behind."""
        link = self.link
        if link is None or not link.open or link.outbox_bytes > BEHIND_BYTES_MAX:
            return False
        return link.send(message)

    def _lower(self, entry: RouteEntry) -> None:
        """Use this entry, which sends less to a candidate, until control says otherwise."""
        term, generation = self.plane.serving.table.rank
        self.plane.amend(generation, generation, (entry,), term=term)

    def _applied(self) -> None:
        if self.link is not None:
            term, generation = self.plane.serving.table.rank
            self.link.send(Applied(generation, term))

    def _on_close(self, _reason: str) -> None:
        if self._draining is None:
            self.alone.gone()
            loop = asyncio.get_running_loop()
            self._orphan = loop.call_later(ORPHAN_GRACE_S, self._stop)

    def _stop(self) -> None:
        self._drain(self.plane.serving.limits.drain_s)

    def _drain(self, within_s: float) -> None:
        if self._draining is not None:
            return

        async def drain() -> None:
            await self.plane.drain(within_s)
            self.ended.set()
            self._served.set()

        self._draining = background("drain", drain())

    # --- reports --------------------------------------------------------------------------------

    async def _report_regularly(self) -> None:
        await asyncio.sleep(REPORT_S)
        self.report()
        self.alone.look()
        self._send_pairs()

    def report(self) -> None:
        """Send what was counted; when the link is behind it stays here and adds up."""
        link = self.link
        if link is None or not link.open or link.outbox_bytes > BEHIND_BYTES_MAX:
            if self.alone.deciding:  # nobody else will: counts that control cannot take are spent
                self.alone.observe(self.recorder.delta().batches)
            return
        delta = self.recorder.delta()
        self.alone.observe(delta.batches)
        endpoints = self.plane.pools.states()
        link.send(Report(
            batches=delta.batches, versions=delta.versions,
            mirrors=delta.mirrors, routes=delta.routes, endpoints=endpoints,
            loop_lag_s=self.plane.take_lag(),
            connections=len(self.plane.connections), rejected=delta.rejected,
            failures=BOOKS.take(), clients=delta.clients,
        ))  # fmt: skip

    def _send_pairs(self) -> None:
        link = self.link
        if link is None or not link.open or link.outbox_bytes > BEHIND_BYTES_MAX:
            return
        pairs, shed = self.recorder.take_pairs()
        if pairs or shed:
            link.send(PairReport(pairs, shed))
        if samples := self.recorder.take_samples():
            link.send(SampleReport(samples))
        if (tracer := self.plane.tracer) is not None:
            spans, dropped = tracer.take()
            if spans or dropped:
                link.send(SpanReport(spans, dropped))

    def _many_samples(self) -> None:
        """Some of them now: all of a quarter of a second would hold a turn up."""
        link = self.link
        if link is not None and link.open and link.outbox_bytes <= BEHIND_BYTES_MAX:
            link.send(SampleReport(self.recorder.take_samples(again=False)))


def more_files() -> None:
    """Raise the soft limit of file descriptors, never lower it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def tell(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """One line of the log for what a callback of the loop raised, in place of a printed stack.

    What the operating system refuses (no file descriptor for an accept, which then pauses for a
    second) is no mistake of ours and needs no stack.
    """
    error = context.get("exception")
    ours = error is not None and not isinstance(error, OSError)
    write_line(
        {
            "event": "worker_error" if ours else "worker_trouble",
            "level": "error" if ours else "warning",
            "message": str(context.get("message", "")),
            "error": repr(error)[:ERROR_CHARS_MAX],
            "stack": places_of(error) if error is not None and ours else (),
        }
    )


def tell_failure(failure: LoopFailure) -> None:
    """One line of the log for the first failure of its kind in a loop."""
    write_line({"event": "loop_failed", "level": "error", **asdict(failure)})


def write_line(line: dict[str, object]) -> None:
    """One line of the log."""
    line["timestamp"] = round(time.time(), 3)
    with contextlib.suppress(OSError):  # a full disk under the log
        os.write(sys.stderr.fileno(), msgspec.json.encode(line) + b"\n")


def main(argv: list[str] | None = None) -> None:
    """The command of a worker process."""
    import argparse  # noqa: PLC0415 - a worker that was forked has none

    parser = argparse.ArgumentParser(prog="router.proxy.worker")
    parser.add_argument("--link-fd", type=int, required=True)
    parser.add_argument("--worker", type=int, required=True)
    parser.add_argument("--listen", required=True, help="host:port, or fd:N of a bound socket")
    parser.add_argument("--quotas-fd", type=int, default=-1, help="see router.link.quotas")
    args = parser.parse_args(argv)
    host, _, port = args.listen.rpartition(":")
    listen = Listen("", 0, int(port)) if host == "fd" else Listen(host.strip("[]"), int(port))
    serve(args.link_fd, args.worker, listen, args.quotas_fd)


def stand_by(link: socket.socket) -> None:
    """A worker that waits for what it is to work with (:mod:`router.link.spare`)."""
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: F401, PLC0415 - see `serve`; imported while there is time
    if (given := terms(link)) is not None:
        gc.enable()  # control starts without
        serve(link.detach(), given.worker, Listen("", 0, given.listen), given.quotas)


def serve(link_fd: int, index: int, listen: Listen, quotas_fd: int) -> None:
    """Be worker ``index`` until drained."""
    more_files()
    ask_for_short_turns()

    async def run() -> None:
        worker = Worker(index, listen)
        worker.plane.quotas_fd = quotas_fd
        await worker.run(link_fd)

    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415 - optional: the router runs without it

        uvloop.run(run())
        return
    asyncio.run(run())


if __name__ == "__main__":
    main()
