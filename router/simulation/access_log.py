"""Requests of a service, read from an access log: of the router itself, of nginx, of Envoy.

A line is a JSON object, or the combined log format with ``key=value`` pairs behind it. What the
fields are called at Rampway, nginx and Envoy is known (:data:`NAMES`), in this order of preference.
Lines that cannot be understood are counted and skipped.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from router.core.wire.histogram import BUCKETS, bucket_of
from router.core.wire.outcomes import BAD_OUTCOMES, Outcome
from router.simulation.scenario import Traffic

_COMBINED = re.compile(r'\[(?P<time>[^\]]+)\] "[^"]*" (?P<status>\d{3}) (?P<rest>.*)')
_PAIR = re.compile(r'(\w+)=("[^"]*"|\S+)')

NAMES: Mapping[str, tuple[str, ...]] = {
    "at": ("timestamp", "time", "ts", "msec", "time_iso8601", "start_time", "@timestamp"),
    "status": ("status", "response_code"),
    "seconds": ("seconds", "request_time"),
    "ms": ("ms", "duration"),
    "version": ("version", "variant", "upstream_cluster", "upstream"),
    "weight": ("weight_bp", "weight"),
    "user": ("user", "user_id"),
    "route": ("route",),
    "outcome": ("outcome",),
    "bytes": ("bytes", "body_bytes_sent", "bytes_sent"),
}
"""What a value is called in the lines, most telling first."""

FAILED = frozenset(outcome.name.lower() for outcome in BAD_OUTCOMES)
LEFT = Outcome.CLIENT_ABORT.name.lower()
CLIENT_GONE = 499
"""nginx's status for a client that left; Envoy says 0."""
LOAD = 429
"""A status that is about load, not about the request."""
BEGINS = frozenset({"start_time"})
"""Times that are when a request began; others are when it ended."""


@dataclass(frozen=True, slots=True)
class Logged:
    """One request."""

    at_s: float
    """When it ended, seconds since 1970."""
    status: int
    """0: no answer."""
    seconds: float | None = None
    version: str = ""
    weight_bp: int | None = None
    """Share of requests that went to the candidate when it was drawn."""
    user: str = ""
    route: str = ""
    outcome: str = ""
    """As the router says it; empty in other logs."""
    rescued: bool = False
    """The candidate failed and stable answered instead."""
    empty: bool = False
    """Nothing was in the answer."""

    @property
    def began_s(self) -> float:
        """When it was drawn, seconds since 1970."""
        return self.at_s - (self.seconds or 0.0)

    @property
    def refused(self) -> bool:
        """An answer that is none: the request was refused, or nothing is in a good one."""
        if self.failed or self.left or self.status == LOAD:
            return False
        return 400 <= self.status < 500 or (self.empty and self.status == 200)

    @property
    def left(self) -> bool:
        """Its client went away before there was an answer."""
        return self.outcome == LEFT or (not self.outcome and self.status in (0, CLIENT_GONE))

    @property
    def failed(self) -> bool:
        """A bad answer of the version, or none."""
        return self.outcome in FAILED if self.outcome else self.status >= 500


def read_lines(lines: Iterable[str], names: Mapping[str, str] = {}) -> Iterator[Logged | None]:
    """Every line as a request, None where it is not understood.

    ``names``: what a value of :data:`NAMES` is called instead.
    """
    known = {key: (names[key],) if key in names else value for key, value in NAMES.items()}
    for line in lines:
        yield _entry(line, known)


def read_access_log(lines: Iterable[str]) -> tuple[Traffic, int]:
    """The traffic, and how many lines were not understood."""
    requests = bad = skipped = 0
    first, last = float("inf"), float("-inf")
    buckets = [0] * BUCKETS
    for entry in read_lines(lines):
        if entry is None:
            skipped += 1
            continue
        requests += 1
        bad += entry.failed
        first, last = min(first, entry.at_s), max(last, entry.at_s)
        if entry.seconds is not None:
            buckets[bucket_of(max(entry.seconds, 0.0))] += 1
    span = max(last - first, 0.0) if requests else 0.0
    return Traffic(requests, bad, span, tuple(buckets)), skipped


def _entry(line: str, names: Mapping[str, tuple[str, ...]]) -> Logged | None:
    try:
        data = _fields(line)

        def told(key: str) -> Any:
            return next(
                (data[name] for name in names[key] if data.get(name) not in (None, "-")), None
            )

        ms, seconds = told("ms"), told("seconds")
        if seconds is None and ms is not None:
            seconds = float(ms) / 1_000
        seconds = None if seconds is None else _finite(float(seconds))
        return Logged(
            _ended(data, names["at"], seconds),
            int(told("status")),
            seconds,
            str(told("version") or ""),
            _weight(told("weight")),
            str(told("user") or ""),
            str(told("route") or ""),
            str(told("outcome") or ""),
            bool(data.get("rescued", False)),
            bool(data.get("empty")) or (told("bytes") is not None and int(told("bytes")) == 0),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _fields(line: str) -> Mapping[str, Any]:
    if line.lstrip().startswith("{"):
        data = json.loads(line)
        if not isinstance(data, dict):
            raise ValueError("no object")
        return data
    match = _COMBINED.search(line)
    if match is None:
        raise ValueError("neither JSON nor combined")
    at = datetime.strptime(match["time"], "%d/%b/%Y:%H:%M:%S %z").timestamp()
    pairs = {key: value.strip('"') for key, value in _PAIR.findall(match["rest"])}
    return pairs | {"time": at, "status": match["status"]}


def _ended(data: Mapping[str, Any], names: tuple[str, ...], seconds: float | None) -> float:
    """When a request ended: the first of ``names`` that the line has, or what follows from it."""
    name = next((one for one in names if data.get(one) not in (None, "-")), names[0])
    return read_time(data.get(name)) + ((seconds or 0.0) if name in BEGINS else 0.0)


def read_time(value: Any) -> float:
    """Unix seconds as a number, or ISO 8601 text."""
    try:
        return _finite(float(value))
    except (ValueError, TypeError):
        return datetime.fromisoformat(str(value)).timestamp()


def _weight(value: Any) -> int | None:
    """Basis points as a number, or a share as text."""
    if value is None:
        return None
    text = str(value)
    return round(float(text.removesuffix("%")) * 100) if text.endswith("%") else int(text)


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError("no number")
    return number
