"""Traffic and failures of a service, read from a recording of the router's own decisions.

A recording holds counts, not requests: every batch that the evidence took in, and with each
beginning what was known of stable's past, latency included. Lines of other routes, and lines that
say nothing about traffic, are passed over.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

import msgspec

from router.core.wire.histogram import BUCKETS
from router.simulation.access_log import read_access_log
from router.simulation.scenario import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterable

_MARK = '"kind":'


class _Arm(msgspec.Struct):
    ok: int
    bad: int

    @property
    def all(self) -> int:
        return self.ok + self.bad


class _Cell(msgspec.Struct):
    stable: _Arm
    candidate: _Arm


class _Batch(msgspec.Struct):
    cells: list[_Cell] = []


class _Baseline(msgspec.Struct):
    latency_buckets: tuple[int, ...]


class _Judge(msgspec.Struct):
    baseline: list[float | tuple[int, ...]]
    """Its fields; one of them is a list."""


class _Snapshot(msgspec.Struct):
    judge: _Judge


class _Line(msgspec.Struct):
    """What is read of one line of a recording."""

    route: str
    kind: str
    t: float = 0.0
    batch: _Batch | None = None
    baseline: _Baseline | None = None
    """Of a ``learn``."""
    snapshot: _Snapshot | None = None
    """Of a ``begin``."""

    @property
    def past(self) -> tuple[int, ...]:
        """Stable's latency as it was known at the beginning, or learned since."""
        if self.baseline is not None:
            return self.baseline.latency_buckets
        kept = self.snapshot.judge.baseline if self.snapshot is not None else ()
        return next((one for one in kept if isinstance(one, tuple)), ())


_decode: Final = msgspec.json.Decoder(_Line).decode


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
            told = _decode(line)
        except msgspec.DecodeError:
            skipped += 1
            continue
        if told.route != route:
            continue
        buckets = told.past if any(told.past) else buckets
        skipped += told.kind == "batch" and told.batch is None
        if told.batch is not None:
            times.append(told.t)
            for cell in told.batch.cells:
                requests += cell.stable.all + cell.candidate.all
                stable, bad = stable + cell.stable.all, bad + cell.stable.bad
    span_s = max(times) - min(times) if times else 0.0
    rate = bad / stable if stable else 0.0
    return Traffic(requests, round(rate * requests), span_s, buckets), skipped
