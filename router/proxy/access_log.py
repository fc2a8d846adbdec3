"""The access log, off by default: one line a request, formatted by hand, written in batches.

A structured logger costs more than half a request; this costs a few microseconds. Nothing but
configured names, numbers, the client's address, ids and the path goes in, what others chose is
escaped; never a query, a header or a body. Lines are JSON, or the Common Log Format with
``key=value`` pairs behind it (https://www.w3.org/Daemon/User/Config/Logging.html). Where a share of
requests is written, those that did not end well are written always.
"""

from __future__ import annotations

import os
import re
import select
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from router.core.wire.outcomes import Outcome
from router.core.words import FULL_BP
from router.http1 import trace_parent
from router.http1.messages import TRACE
from router.proxy.coin import coin
from router.proxy.stage import Stage

if TYPE_CHECKING:
    from router.core.wire.spans import AccessTerms
    from router.core.wire.table import RouteEntry
    from router.proxy.attempt import Attempt
    from router.proxy.tracing import WatchedExchange

LINES_MAX: Final = 1_000
"""Lines that wait for the next sweep; further ones are dropped, and counted in a line."""
PATH_MAX: Final = 512
"""Bytes of a path that are logged."""
WRITE_BYTES: Final = 4_096
"""Written at once: a pipe that polls writable takes PIPE_BUF bytes without making us wait."""

_UNSAFE: Final = re.compile(r"[^\x21\x23-\x5b\x5d-\x7e]")
_PAIRS: Final = ("seconds", "route", "version", "endpoint", "outcome", "weight_bp", "user", "id",
                 "trace", "rescued")  # fmt: skip
"""Behind a line in the common format, where there is a value."""


def _weight_bp(entry: RouteEntry, *, drawn: bool) -> int | None:
    """Share of the candidate, of both arms, when a coin drew this request; None where none did."""
    if not drawn or entry.candidate < 0:
        return None
    candidate, stable = entry.weights_bp[entry.candidate], entry.weights_bp[entry.stable]
    return round(candidate * FULL_BP / (candidate + stable))


def _user(attempt: Attempt | None) -> str | None:
    """The user's name in evidence, a hash, where users are drawn."""
    return f"{attempt.unit:016x}" if attempt is not None and attempt.unit else None


def _trace(exchange: WatchedExchange) -> str:
    """The id of its trace; empty where it has none."""
    if exchange.spans is not None:
        return exchange.spans.trace.decode()
    head = exchange.head
    return trace_parent(head)[3:35].decode() if head.kinds & TRACE else ""


def _facts(exchange: WatchedExchange, attempt: Attempt | None, outcome: Outcome, status: int,
           seconds: float) -> dict[str, Any]:  # fmt: skip
    head, rescued = exchange.head, exchange.first is not None
    entry = route.entry if (route := getattr(exchange, "route", None)) is not None else None
    endpoint = attempt.endpoint if attempt is not None else None
    drawn = attempt is not None and (attempt.arm is not None or rescued)
    return {
        "event": "request",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "client": exchange.client.peer.address.decode("latin-1"),
        "id": exchange.id.decode("latin-1"),
        "trace": _trace(exchange),
        "method": head.method.decode("latin-1"),
        "path": head.path[:PATH_MAX].decode("latin-1"),
        "route": entry.name if entry is not None else "",
        "version": attempt.version.name if attempt is not None else "",
        "endpoint": endpoint.authority.decode("latin-1") if endpoint is not None else "",
        "status": status,
        "outcome": outcome.name.lower(),
        "ms": round(seconds * 1000, 3),
        "bytes": getattr(exchange, "told", 0),
        "rescued": rescued,
        "weight_bp": _weight_bp(entry, drawn=drawn) if entry is not None else None,
        "user": _user(attempt),
        "empty": attempt is not None and attempt.blank,
    }


def _common(facts: dict[str, Any], minor: int) -> bytes:
    """``client - - [time] "request" status bytes key=value ...``."""
    at = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
    pairs = facts | {"seconds": f"{facts['ms'] / 1000:.6f}", "rescued": int(facts["rescued"])}
    told = " ".join(
        f"{name}={_safe(str(pairs[name]))}" for name in _PAIRS if pairs[name] not in (None, "")
    )
    asked = f"{_safe(facts['method'])} {_safe(facts['path'])} HTTP/1.{minor}"
    line = f'{facts["client"]} - - [{at}] "{asked}" {facts["status"]} {facts["bytes"]} {told}'
    return line.encode("latin-1")


def _safe(text: str) -> str:
    return _UNSAFE.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class AccessLog:
    """Collects lines; the plane's sweeper writes them."""

    def __init__(self, terms: AccessTerms, fd: int | None = None) -> None:
        self.terms = terms
        self._fd = sys.stderr.fileno() if fd is None else fd
        self._lines: list[bytes] = []
        self.dropped = 0

    def line(self, exchange: WatchedExchange, stage: Stage, outcome: Outcome, status: int) -> None:
        """One request that ended.

        Args:
            exchange: As it stands.
            stage: How far it had come.
            outcome: How it ended.
            status: What its client was sent, 0 without an answer.
        """
        share_bp = self.terms.share_bp
        if outcome is Outcome.OK and share_bp < FULL_BP and coin() >= share_bp:
            return
        if len(self._lines) >= LINES_MAX:
            self.dropped += 1
            return
        attempt = exchange.attempt if stage >= Stage.WAITING else None
        facts = _facts(exchange, attempt, outcome, status, time.monotonic() - exchange.arrived)
        if self.terms.common:
            self._lines.append(_common(facts, exchange.head.minor))
        else:
            self._lines.append(msgspec.json.encode(facts))

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
