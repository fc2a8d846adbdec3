"""The access log, off by default: one JSON line a request, formatted by hand, written in batches.

A structured logger costs more than half a request; this costs a few microseconds. Nothing but
configured names, numbers and the path goes in, the path escaped by the JSON encoder; never a query,
a header or a body.
"""

from __future__ import annotations

import os
import select
import sys
import time
from typing import TYPE_CHECKING, Final

import msgspec

from router.core.wire.outcomes import FULL_BP, Outcome

if TYPE_CHECKING:
    from router.core.wire.table import RouteEntry
    from router.http1 import RequestHead
    from router.proxy.attempt import Attempt

LINES_MAX: Final = 1_000
"""Lines that wait for the next sweep; further ones are dropped, and counted in a line."""
PATH_MAX: Final = 512
"""Bytes of a path that are logged."""
WRITE_BYTES: Final = 4_096
"""Written at once: a pipe that polls writable takes PIPE_BUF bytes without making us wait."""


def _weight_bp(entry: RouteEntry, *, drawn: bool) -> int | None:
    """Share of the candidate, of both arms, when a coin drew this request; None where none did."""
    if not drawn or entry.candidate < 0:
        return None
    candidate, stable = entry.weights_bp[entry.candidate], entry.weights_bp[entry.stable]
    return round(candidate * FULL_BP / (candidate + stable))


def _user(attempt: Attempt | None) -> str | None:
    """The user's name in evidence, a hash, where users are drawn."""
    return f"{attempt.unit:016x}" if attempt is not None and attempt.unit else None


class AccessLog:
    """Collects lines; the plane's sweeper writes them."""

    def __init__(self, fd: int | None = None) -> None:
        self._fd = sys.stderr.fileno() if fd is None else fd
        self._lines: list[bytes] = []
        self.dropped = 0

    def line(  # noqa: PLR0917 - one call, made for each request
        self,
        head: RequestHead,
        request_id: bytes,
        arrived: float,
        entry: RouteEntry | None,
        attempt: Attempt | None,
        rescued: bool,
        outcome: Outcome,
        status: int,
    ) -> None:
        """One request that ended.

        Args:
            head: As it came.
            request_id: Its X-Request-Id.
            arrived: When, monotonic seconds.
            entry: Its route; None where there is none.
            attempt: The last one; None where no version was chosen.
            rescued: That one was stable's, in the place of one that failed.
            outcome: How it ended.
            status: What its client was sent, 0 without an answer.
        """
        if len(self._lines) >= LINES_MAX:
            self.dropped += 1
            return
        drawn = attempt is not None and (attempt.arm is not None or rescued)
        self._lines.append(msgspec.json.encode({
            "event": "request",
            "timestamp": round(time.time(), 3),
            "id": request_id.decode("latin-1"),
            "method": head.method.decode("latin-1"),
            "path": head.path[:PATH_MAX].decode("latin-1"),
            "route": entry.name if entry is not None else "",
            "version": attempt.version.name if attempt is not None else "",
            "status": status,
            "outcome": outcome.name.lower(),
            "ms": round((time.monotonic() - arrived) * 1000, 3),
            "rescued": rescued,
            "weight_bp": _weight_bp(entry, drawn=drawn) if entry is not None else None,
            "user": _user(attempt),
            "empty": attempt is not None and attempt.blank,
        }))  # fmt: skip

    def flush(self) -> None:
        """Write what waits; a full pipe costs lines, never a wait."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        if self.dropped:
            lines.append(b'{"event":"requests_not_logged","count":%d}' % self.dropped)
            self.dropped = 0
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        while lines:
            batch = [lines.pop(0)]
            size = len(batch[0]) + 1
            while lines and size + len(lines[0]) < WRITE_BYTES:
                size += len(lines[0]) + 1
                batch.append(lines.pop(0))
            events = poll.poll(0)
            try:
                if not events or events[0][1] != select.POLLOUT:
                    raise BlockingIOError
                os.write(self._fd, b"\n".join([*batch, b""]))
            except OSError:
                self.dropped += len(batch) + len(lines)
                return
