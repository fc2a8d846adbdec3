"""Watches the play from outside and writes the recording: status, journal, metrics, answers."""

import asyncio
import contextlib
import math
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from prediction_services.demo.admin import Admin, AdminError, read_moment
from prediction_services.demo.exposition import Scrape, difference, read_scrape
from prediction_services.demo.recording import (
    BIN_S,
    SCRAPE_S,
    Entry,
    Mark,
    Moment,
    Recording,
    Served,
)
from prediction_services.load import Answer

LOOK_S = 0.2
"""Between two looks at rollout and journal."""


@dataclass(slots=True)
class _Bin:
    latencies_ms: list[float] = field(default_factory=list)
    bad: int = 0


class Recorder:
    """Fills a `Recording` while it runs.

    Attributes:
        recording: everything so far.
        now: the last look at the rollout; None while there is none.
        failed_looks: looks in a row that the router did not answer.
        failed: requests so far that brought their client no good prediction.
    """

    def __init__(self, recording: Recording, admin: Admin) -> None:
        self.recording = recording
        self.now: Moment | None = None
        self.failed_looks = 0
        self._admin = admin
        self.failed = 0
        self._begun_s = time.perf_counter()
        self._bins: dict[tuple[int, str], _Bin] = defaultdict(_Bin)
        self._scrape: Scrape | None = None
        self._journal_id = 0

    @property
    def clock_s(self) -> float:
        """Seconds since the play began."""
        return time.perf_counter() - self._begun_s

    def on_answer(self, answer: Answer) -> None:
        """Count how one request ended for its client."""
        now_s = self.clock_s
        version = answer.version or ""
        bin_ = self._bins[int(now_s / BIN_S), version]
        bin_.bad += not answer.good
        self.failed += not answer.good
        if answer.status is not None:
            bin_.latencies_ms.append(answer.latency_s * 1000)
            sent_s = now_s - answer.latency_s
            last = self.recording.last_sent_s
            last[version] = max(sent_s, last.get(version, 0.0))

    def answered(self, version: str) -> int:
        """Complete answers of a version so far."""
        return sum(
            len(bin_.latencies_ms) for (_, name), bin_ in self._bins.items() if name == version
        )

    def recent(self, seconds: float = 1.0) -> list[Served]:
        """What clients got in the last whole bins, one entry a version."""
        last = int(self.clock_s / BIN_S)
        count = max(1, round(seconds / BIN_S))
        merged: dict[str, _Bin] = defaultdict(_Bin)
        for index in range(last - count, last):
            for version in {"", *self.recording.versions}:
                bin_ = self._bins.get((index, version))
                if bin_ is not None:
                    merged[version].latencies_ms += bin_.latencies_ms
                    merged[version].bad += bin_.bad
        return [_served(last * BIN_S, version, bin_) for version, bin_ in merged.items()]

    def mark(self, kind: str, text: str, policy: str = "") -> None:
        """Note what a person did."""
        self.recording.marks.append(Mark(self.clock_s, kind, text, policy))

    async def watch(self) -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look_often())
            tasks.create_task(self._scrape_often())

    async def look(self) -> None:
        """Read rollout and journal once."""
        status = await self._admin.rollout()
        if status is not None:
            self.now = read_moment(status, self.clock_s)
            self.recording.moments.append(self.now)
        for entry in await self._admin.journal(self._journal_id):
            self._journal_id = max(self._journal_id, entry["id"])
            self.recording.journal.append(self._entry(entry))

    async def scrape(self) -> None:
        """Read the metrics once and keep what has happened since the last time."""
        present = read_scrape(await self._admin.metrics())
        if self._scrape is not None:
            at_s = self.clock_s
            self.recording.attempts += difference(self._scrape, present, at_s)
        self._scrape = present

    def finish(self, load: dict[str, Any]) -> None:
        """Put the bins in order and keep the load's report."""
        self.recording.ends_s = self.clock_s
        self.recording.load = load
        self.recording.served = [
            _served(index * BIN_S, version, bin_)
            for (index, version), bin_ in sorted(self._bins.items())
        ]

    async def _look_often(self) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, AdminError, TimeoutError):
                self.failed_looks += 1
                await self.look()
                self.failed_looks = 0
            await asyncio.sleep(LOOK_S)

    async def _scrape_often(self) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, AdminError, TimeoutError):
                await self.scrape()
            await asyncio.sleep(SCRAPE_S)

    def _entry(self, entry: dict[str, Any]) -> Entry:
        return Entry(
            at_s=entry["at"] - self.recording.started,
            id=entry["id"],
            rollout=entry["rollout"],
            actor=entry["actor"],
            action=entry["action"],
            phase_to=entry["phase_to"],
            step=entry["step"],
            weight_bp=entry["weight_bp"],
            reason=entry["reason"],
            evidence=entry["evidence"],
        )


def _served(at_s: float, version: str, bin_: _Bin) -> Served:
    ordered = sorted(bin_.latencies_ms)
    return Served(
        at_s=at_s,
        version=version,
        answers=len(ordered),
        bad=bin_.bad,
        p50_ms=_quantile(ordered, 0.5),
        p95_ms=_quantile(ordered, 0.95),
    )


def _quantile(ordered: list[float], share: float) -> float:
    if not ordered:
        return 0.0
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 3)
