"""The access log, off by default: one JSON line a request, formatted by hand, written in batches.

A structured logger costs more than half a request; this costs a few microseconds. Nothing but
configured names, numbers and the path goes in, the path escaped by the JSON encoder; never a query,
a header or a body.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final

import msgspec

from router.core.outcomes import Outcome

if TYPE_CHECKING:
    from router.proxy.exchange import Exchange

LINES_MAX: Final = 1_000
"""Lines that wait to be written; the oldest are dropped beyond, and counted in the next line."""


class AccessLog:
    """Collects lines; the plane's sweeper writes them."""

    def __init__(self, fd: int | None = None) -> None:
        self._fd = sys.stderr.fileno() if fd is None else fd
        self._lines: list[bytes] = []
        self.dropped = 0

    def line(self, exchange: Exchange, outcome: Outcome) -> None:
        """One request that ended."""
        if len(self._lines) >= LINES_MAX:
            self.dropped += 1
            return
        self._lines.append(msgspec.json.encode({
            "event": "request",
            "timestamp": round(time.time(), 3),
            "id": exchange.id.decode("latin-1"),
            "method": exchange.head.method.decode("latin-1"),
            "path": exchange.head.path.decode("latin-1"),
            "route": exchange.route.entry.name,
            "version": exchange.version.name,
            "status": exchange.status,
            "outcome": outcome.name.lower(),
            "ms": round((time.monotonic() - exchange.arrived) * 1000, 3),
            "rescued": exchange.rescuing,
        }))  # fmt: skip

    def flush(self) -> None:
        """Write what waits in one system call; a full pipe costs lines, never a wait."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        if self.dropped:
            lines.append(b'{"event":"requests_not_logged","count":%d}' % self.dropped)
            self.dropped = 0
        try:
            os.write(self._fd, b"\n".join(lines) + b"\n")
        except OSError:
            self.dropped += len(lines)
