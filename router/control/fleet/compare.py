"""Compares the two answers of mirrored requests: beside the decider, a little at a time.

The one place where answers are read; it runs in the control process, never beside user traffic.
What a pair says is decided in :mod:`router.core.pairs.shadow`; here is only when: pairs wait in a
bounded queue and are compared in slices of 2 ms, so that a flood of them delays no decision. A pair
too large for a slice goes to a thread. What does not fit is dropped and counted: fewer pairs make a
verdict later, never wrong, because it is not their content that drops them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from router.control.rollouts.run import Run
from router.control.rollouts.trial import Trial
from router.control.state.clock import Clock
from router.core.pairs.shadow import together
from router.core.pairs.tally import Finding
from router.core.wire.counts import MirrorCounts, PairSample
from router.core.wire.outcomes import Batch, Pairs
from router.loops import forever

QUEUE_PAIRS_MAX: Final = 2_000
"""Pairs that wait; the newest is dropped when they are exceeded."""
QUEUE_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bytes of both answers of all pairs that wait; the newest is dropped when they are exceeded."""

SLICE_S: Final = 0.002
"""Comparing goes on for this long before everything else has its turn."""

LARGE_BYTES: Final = 4 * 1024
"""Pairs with more than this in both answers are compared in a thread: a batch of 100 predictions
takes a few milliseconds of Python."""

Observe = Callable[[tuple[Batch, ...]], None]
"""``observe(batches)`` of the reconciler."""
Count = Callable[[str, str, str, int], None]
"""``count(route, version, result, number)`` of pairs, for metrics."""

_Found = list[tuple[tuple[str, int, bool], Pairs]]


class Comparer:
    """See the module. ``run`` is the one task that compares."""

    def __init__(
        self, runs: Callable[[], Mapping[str, Run]], observe: Observe, count: Count, clock: Clock
    ) -> None:
        self._runs = runs
        self._observe = observe
        self._count = count
        self._clock = clock
        self._queue: deque[PairSample] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="compare")

    def __repr__(self) -> str:
        return f"<Comparer {len(self._queue)} pairs wait, {self._bytes:,} bytes>"

    def put(self, samples: Iterable[PairSample]) -> None:
        """Take pairs of a worker."""
        for sample in samples:
            trial = self._trial(sample)
            if trial is None:
                self._count(sample.route, sample.version, "stale", 1)
            elif (
                len(self._queue) >= QUEUE_PAIRS_MAX or self._bytes + _size(sample) > QUEUE_BYTES_MAX
            ):
                trial.shadow.uncompared += 1
                self._count(sample.route, sample.version, "dropped", 1)
            else:
                self._queue.append(sample)
                self._bytes += _size(sample)
        if self._queue:
            self._arrived.set()

    def mirrored(self, counts: Iterable[MirrorCounts]) -> None:
        """Take what became of copies; :class:`ShadowBook` tells how many did not arrive."""
        for one in counts:
            run = self._runs().get(one.route)
            if run is None or run.live is None:
                continue
            run.live.trial.shadow.mirrored(one)

    async def run(self) -> None:
        """Compare whatever comes, until cancelled."""
        await forever("compare", self._step)

    async def _step(self) -> None:
        await self._arrived.wait()
        await self.turn()

    async def turn(self) -> None:
        """One slice."""
        found: _Found = []
        until = time.perf_counter() + SLICE_S
        while self._queue and time.perf_counter() < until:
            sample = self._queue.popleft()
            self._bytes -= _size(sample)
            trial = self._trial(sample)
            if trial is None:
                self._count(sample.route, sample.version, "stale", 1)
            elif _size(sample) > LARGE_BYTES:
                loop = asyncio.get_running_loop()
                finding = await loop.run_in_executor(self._thread, trial.shadow.judge, sample)
                self._book(trial, sample, finding, found)
                break
            else:
                self._book(trial, sample, trial.shadow.judge(sample), found)
        if not self._queue:
            self._arrived.clear()
        if found:
            self._observe(_batches(found))

    def close(self) -> None:
        """Let go of the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _book(self, trial: Trial, sample: PairSample, finding: Finding, found: _Found) -> None:
        finding = trial.shadow.excused(sample, finding)
        self._count(sample.route, sample.version, finding.result.value, 1)
        pairs = trial.shadow.add(sample, finding, self._clock.wall())
        if pairs is not None:
            found.append(((sample.route, sample.revision, pairs.reverse), pairs))

    def _trial(self, sample: PairSample) -> Trial | None:
        """The attempt that a pair belongs to, by the revision of the table that made it."""
        run = self._runs().get(sample.route)
        if run is None or run.live is None or sample.revision < run.live.trial.revision:
            return None
        return run.live.trial


def _size(sample: PairSample) -> int:
    return len(sample.primary_body) + len(sample.shadow_body)


def _batches(found: _Found) -> tuple[Batch, ...]:
    """One batch for each route, revision and direction, in the order of their first pairs."""
    groups: dict[tuple[str, int, bool], list[Pairs]] = {}
    for key, pairs in found:
        groups.setdefault(key, []).append(pairs)
    return tuple(
        Batch(route, revision, pairs=together(group))
        for (route, revision, _), group in groups.items()
    )
