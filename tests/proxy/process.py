"""A worker process as control starts it, with the test on the other end of its link."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections import Counter
from pathlib import Path

from router.core.wire.outcomes import Outcome
from router.core.wire.table import RoutingTable
from router.link.messages import Applied, Beat, Drain, Hello, PairReport, Publish, Report
from router.link.socket import open_link
from tests.proxy.rig import LIMITS, Client, until

ROOT = Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
START_S = 60.0
"""A start on a machine that is busy with everything else."""


class Process:
    """``async with Process(entry, ...) as worker``; ``files`` bounds its file descriptors."""

    def __init__(self, *entries, limits=LIMITS, files=0, code="", **table):
        self.entries = entries
        self.limits = limits
        self.files = files
        self.code = code
        self.extra = table
        self.generation = 0
        self.port = 0
        self.messages = []
        self.reports = []
        self.closed = ""

    async def __aenter__(self):
        ours, theirs = socket.socketpair()
        run = ["-c", self.code] if self.code else ["-m", "router.proxy.worker"]
        command = [sys.executable, *run, "--link-fd", str(theirs.fileno()), "--worker", "0",
                   "--listen", "127.0.0.1:0"]  # fmt: skip
        if self.files:
            command = ["prlimit", f"--nofile={self.files}", *command]
        self.child = await asyncio.create_subprocess_exec(
            *command, pass_fds=[theirs.fileno()], cwd=ROOT, stderr=asyncio.subprocess.PIPE
        )
        theirs.close()
        self.link = await open_link(ours, self._take, self._end)
        self.beating = asyncio.create_task(self._beat())
        await until(lambda: self.port, START_S)
        await self.apply(*self.entries)
        return self

    async def _beat(self):
        """Say that control lives; a test that cancels this is a control process that hangs."""
        while True:
            await asyncio.sleep(0.25)
            self.link.send(Beat())

    async def __aexit__(self, *_):
        self.beating.cancel()
        self.link.close()
        if self.child.returncode is None:
            self.child.kill()
        self.stderr = (await self.child.communicate())[1].decode()

    def _take(self, message):
        self.messages.append(message)
        if isinstance(message, Hello):
            self.port = message.port
        elif isinstance(message, Report):
            self.reports.append(message)

    def _end(self, reason):
        self.closed = reason

    async def apply(self, *entries):
        """Publish a table and wait for the acknowledgement."""
        self.generation += 1
        table = RoutingTable(self.generation, entries, limits=self.limits, **self.extra)
        self.link.send(Publish(table))
        await until(self.applied, START_S)

    def applied(self):
        return any(
            isinstance(m, Applied) and m.generation == self.generation for m in self.messages
        )

    def drain(self, within_s):
        self.link.send(Drain(within_s))

    async def client(self):
        return await Client.to(self.port)

    async def ask(self, data=None, **request):
        client = await self.client()
        try:
            return await client.ask(data, **request)
        finally:
            client.close()

    def outcomes(self):
        """Sum over all reports so far."""
        total = Counter()
        for report in self.reports:
            for one in report.versions:
                for index, number in enumerate(one.outcomes):
                    if number:
                        total[one.version, one.role, Outcome(index).name] += number
        return total

    def rejected(self):
        total = Counter()
        for report in self.reports:
            total.update(report.rejected)
        return total

    def pairs(self):
        return [p for m in self.messages if isinstance(m, PairReport) for p in m.pairs]

    # What it costs.

    def rss(self) -> int:
        """Resident bytes."""
        pages = int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def peak(self) -> int:
        """The most there were since the last :meth:`forget_peak`."""
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM")

    def forget_peak(self) -> int:
        """Begin to watch for the peak; the resident bytes now."""
        Path(f"/proc/{self.child.pid}/clear_refs").write_text("5")
        return self.rss()

    def cpu_s(self) -> float:
        """User and system seconds so far."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def fds(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.child.pid}/fd").iterdir())


def quantile(values, q):
    """The value below which a share ``q`` of them lies."""
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


async def timed(client, count, **fields):
    """Seconds that each of this many requests took."""
    took = []
    for _ in range(count):
        began = time.perf_counter()
        assert (await client.ask(**fields)).status == 200
        took.append(time.perf_counter() - began)
    return took
