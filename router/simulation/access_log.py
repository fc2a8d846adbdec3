"""Traffic and failures of a service, read from its access log.

Lines are JSON objects (fields ``status``, ``time`` or ``ts``, and ``seconds`` if there is one, as
Rampway's own log has them) or the combined log format of the common web servers. Lines that are
neither are counted and skipped.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING

from router.core.wire.histogram import BUCKETS, bucket_of
from router.simulation.scenario import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterable

_COMBINED = re.compile(r'\[(?P<time>[^\]]+)\] "[^"]*" (?P<status>\d{3}) ')


def read_access_log(lines: Iterable[str]) -> tuple[Traffic, int]:
    """The traffic, and how many lines were not understood."""
    requests = bad = skipped = 0
    first, last = float("inf"), float("-inf")
    buckets = [0] * BUCKETS
    for line in lines:
        entry = _entry(line)
        if entry is None:
            skipped += 1
            continue
        at, status, seconds = entry
        requests += 1
        bad += status >= 500
        first, last = min(first, at), max(last, at)
        if seconds is not None:
            buckets[bucket_of(max(seconds, 0.0))] += 1
    span = max(last - first, 0.0) if requests else 0.0
    return Traffic(requests, bad, span, tuple(buckets)), skipped


def _entry(line: str) -> tuple[float, int, float | None] | None:
    """(time, status, seconds) of a line; None if it is not understood."""
    try:
        if line.lstrip().startswith("{"):
            data = json.loads(line)
            seconds = data.get("seconds")
            at = _time(data["time"] if "time" in data else data["ts"])
            return at, int(data["status"]), None if seconds is None else float(seconds)
        match = _COMBINED.search(line)
        if match is None:
            return None
        at = datetime.strptime(match["time"], "%d/%b/%Y:%H:%M:%S %z").timestamp()
        return at, int(match["status"]), None
    except (ValueError, KeyError, TypeError):
        return None


def _time(value: object) -> float:
    """Unix seconds as a number, or ISO 8601 text."""
    if isinstance(value, int | float):
        return float(value)
    return datetime.fromisoformat(str(value)).timestamp()
