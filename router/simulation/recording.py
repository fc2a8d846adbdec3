"""Traffic and failures of a service, read from a recording of the router's own decisions.

A recording holds counts, not requests: every batch that the evidence took in, and with each
beginning what was known of stable's past, latency included. Lines of other routes, and lines that
say nothing about traffic, are passed over.
"""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any

from router.core.wire.histogram import BUCKETS
from router.simulation.access_log import read_access_log
from router.simulation.scenario import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterable

_MARK = '"kind":'


def read_traffic(lines: Iterable[str], route: str) -> tuple[Traffic, int]:
    """The traffic of an access log or of a recording, and how many lines were not understood."""
    rest = iter(lines)
    first = next(rest, None)
    if first is None:
        return Traffic(), 0
    everything = chain([first], rest)
    if first.startswith("{") and _MARK in first:
        return read_recording(everything, route)
    return read_access_log(everything)


def read_recording(lines: Iterable[str], route: str) -> tuple[Traffic, int]:
    """As :func:`read_traffic`, of a recording alone.

    Requests are those of both versions; the bad rate is stable's.
    """
    skipped = requests = stable = bad = 0
    times: list[float] = []
    buckets = (0,) * BUCKETS
    for line in lines:
        try:
            told = json.loads(line)
            if told["route"] != route:
                continue
            if told["kind"] in ("begin", "learn"):
                past = _past(told)
                buckets = tuple(map(int, past)) if any(past) else buckets
            elif told["kind"] == "batch":
                counted = _counted(told["batch"])
                times.append(float(told["t"]))
                requests, stable, bad = requests + counted[0], stable + counted[1], bad + counted[2]
        except (ValueError, KeyError, TypeError, IndexError):
            skipped += 1
    span_s = max(times) - min(times) if times else 0.0
    rate = bad / stable if stable else 0.0
    return Traffic(requests, round(rate * requests), span_s, buckets), skipped


def _past(told: dict[str, Any]) -> list[int]:
    """Stable's latency as it was known at the beginning, or learned since."""
    if told["kind"] == "learn":
        learned: list[int] = told["baseline"]["latency_buckets"]
        return learned
    known: list[int] = told["snapshot"]["judge"]["baseline"][2]
    return known


def _counted(batch: dict[str, Any]) -> tuple[int, int, int]:
    """Requests of both arms, of stable, and stable's bad ones."""
    cells = batch.get("cells", ())
    stable = sum(cell["stable"]["ok"] + cell["stable"]["bad"] for cell in cells)
    candidate = sum(cell["candidate"]["ok"] + cell["candidate"]["bad"] for cell in cells)
    return stable + candidate, stable, sum(cell["stable"]["bad"] for cell in cells)
