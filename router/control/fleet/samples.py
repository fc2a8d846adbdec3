"""Sampled requests on their way through the reader.

No body is read here. Samples wait in a queue for each route, go to the reader's process
(:mod:`router.reader`) a few at a time, the routes in turn, and what is found goes to the decider at
once: the order that matters to the evidence is that of drawing, which the judge restores
(:mod:`router.core.evidence.drawn`).

What does not fit, and what the reader had when it ended, is lost and counted; no decision waits for
it, and it counts for the accused. One route's flood loses its own samples, not those of another.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from router.control.fleet.reader import ReaderProcess
from router.control.rollouts.run import Run
from router.core.gates.by import SegmentKeys
from router.core.monitors.watched import Watched
from router.core.policy.rollout import RolloutPolicy
from router.core.policy.route import Route
from router.core.predictions.facts import LOGGED, LOST
from router.core.wire.fed import FedTold, fed_together
from router.core.wire.outcomes import Batch
from router.core.wire.receipt import Chosen
from router.core.wire.sampled import Facts, Sampled, SampleFacts
from router.link.reading import Enter, Look, Looked, Reads
from router.loops import BOOKS

QUEUE_SAMPLES_MAX: Final = 16_000
"""Samples that wait; the newest is lost when they are exceeded. A route has half of it: half a
second of what a worker tells the prediction log."""
QUEUE_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bytes of both bodies of all samples that wait; a route has half of it, too."""

AHEAD_SAMPLES: Final = 1_024
"""Samples that the reader has been given and has not answered."""
AHEAD_BYTES: Final = 4 * 1024 * 1024
"""Bytes of these; one message is always given."""
ENTER_AT_ONCE: Final = 32
"""Samples of one message for the log alone: these need no answer each."""

BOOK_AT_ONCE: Final = 32
"""Samples that were read are booked when there are so many, or when the reader has no more."""

ObserveSamples = Callable[[tuple[Batch, ...]], None]
"""``observe(batches)`` of the reconciler."""
OnWatched = Callable[[Sampled, Watched], None]
"""Who hears of the values of rows."""
OnTokens = Callable[[Sampled, tuple[int, int]], None]
"""Who hears of an answer's tokens."""
OnMade = Callable[[Sampled, Looked], Iterable[FedTold]]
"""Who says what a sample tells of the routes that made its input."""
CountSamples = Callable[[str, str, str, int], None]
"""``count(route, version, result, number)`` of samples, for metrics."""


_About = tuple[str, int]
"""Route and revision."""


@dataclass(eq=False, slots=True)
class _Lane:
    """The samples of one route that the reader has not been given."""

    waiting: deque[Sampled] = field(default_factory=deque)
    size: int = 0

    def first(self) -> tuple[Sampled, ...]:
        """What is given next: one that is read, or several that the log alone has."""
        if self.waiting[0].read:
            return (self.waiting[0],)
        size, found = 0, list[Sampled]()
        for sample in islice(self.waiting, ENTER_AT_ONCE):
            size += sample.size
            if sample.read or (found and size > AHEAD_BYTES):
                break
            found.append(sample)
        return tuple(found)

    def given(self, batch: Sequence[Sampled]) -> int:
        """The first ones have gone; their bytes."""
        for _ in batch:
            self.waiting.popleft()
        size = sum(sample.size for sample in batch)
        self.size -= size
        return size


class Samples:
    """See the module. Everything happens in the loop turn in which something arrives."""

    def __init__(
        self,
        runs: Callable[[], Mapping[str, Run]],
        observe: ObserveSamples,
        count: CountSamples,
        reader: ReaderProcess,
    ) -> None:
        self._runs = runs
        self._observe = observe
        self._count = count
        self.on_watched: OnWatched = lambda _sample, _watched: None
        self.on_tokens: OnTokens = lambda _sample, _tokens: None
        self.on_made: OnMade = lambda _sample, _looked: ()
        self.reader = reader
        reader.on_looked = self._looked
        reader.on_entered = self._entered
        reader.on_ready.append(self._feed)
        reader.on_lost.append(self._lost)
        self._lanes: dict[str, _Lane] = {}
        self._turns: deque[str] = deque()
        """Routes with waiting samples, the next one first."""
        self._ahead: dict[int, tuple[Sampled, ...]] = {}
        self._told: dict[str, Reads] = {}
        self._known: dict[str, tuple[Route, RolloutPolicy | None, Reads]] = {}
        """How a route is read, by the policy that says so."""
        self._found: list[tuple[Sampled, Facts]] = []
        """Read, and not booked yet: the decider looks once for many of them."""
        self._fed: list[FedTold] = []
        """What these tell of the routes that made their inputs."""
        self._number = self._samples = self._bytes = self._ahead_samples = self._ahead_bytes = 0

    def __repr__(self) -> str:
        return f"<Samples {self._samples} wait, {self._bytes:,} bytes, {self.reader!r}>"

    def put(self, samples: Iterable[Sampled]) -> None:
        """Take samples of a worker."""
        lost = [sample for sample in samples if not self._queued(sample)]
        self._book((sample, LOST) for sample in lost)
        self._feed()

    def _queued(self, sample: Sampled) -> bool:
        lane = self._lanes.get(sample.route) or _Lane()
        size = sample.size
        if (
            sample.route not in self._runs()
            or self._samples >= QUEUE_SAMPLES_MAX
            or self._bytes + size > QUEUE_BYTES_MAX
            or 2 * len(lane.waiting) >= QUEUE_SAMPLES_MAX
            or 2 * (lane.size + size) > QUEUE_BYTES_MAX
        ):
            return False
        if not lane.waiting:
            self._turns.append(sample.route)
        self._lanes[sample.route] = lane
        lane.waiting.append(sample)
        lane.size += size
        self._samples += 1
        self._bytes += size
        return True

    # --- reading ----------------------------------------------------------------------------------

    def _feed(self) -> None:
        """Give the reader what it has room for, one sample of each route in turn."""
        while self._turns and self.reader.ready:
            lane = self._lanes[self._turns[0]]
            batch = lane.first()
            if self._ahead and (
                self._ahead_samples + len(batch) > AHEAD_SAMPLES
                or self._ahead_bytes + sum(sample.size for sample in batch) > AHEAD_BYTES
            ):
                return
            if not self._ask(batch):
                return
            self._samples -= len(batch)
            self._bytes -= lane.given(batch)
            self._turns.rotate(-1)
            if not lane.waiting:
                del self._lanes[self._turns.pop()]

    def _ask(self, batch: tuple[Sampled, ...]) -> bool:
        """Give them to the reader; False: not now."""
        if batch[0].read:
            reads = self._reads(batch[0].route)
            if reads is None:
                self._book((sample, LOST) for sample in batch)
                return True
            if self._told.get(reads.route) != reads:
                if not self.reader.send(reads):
                    return False
                self._told[reads.route] = reads
        self._number += 1
        message = Look(self._number, batch[0]) if batch[0].read else Enter(self._number, batch)
        if not self.reader.send(message, answered=True):
            return False
        self._ahead[self._number] = batch
        self._ahead_samples += len(batch)
        self._ahead_bytes += sum(sample.size for sample in batch)
        return True

    def _reads(self, route: str) -> Reads | None:
        """How it is read now; None for a route that is no more and was never read."""
        run = self._runs().get(route)
        if run is None:
            return self._told.get(route)
        policy = run.live.policy if run.live is not None else None
        known = self._known.get(route)
        if known is None or known[0] is not run.route or known[1] is not policy:
            known = self._known[route] = run.route, policy, reads_of(run)
        return known[2]

    def _answered(self, number: int) -> tuple[Sampled, ...]:
        """What the reader was given with that number."""
        batch = self._ahead.pop(number, ())
        self._ahead_samples -= len(batch)
        self._ahead_bytes -= sum(sample.size for sample in batch)
        return batch

    def _entered(self, number: int) -> None:
        """The log has these."""
        versions = Counter((sample.route, sample.version) for sample in self._answered(number))
        for (route, version), count in versions.items():
            self._count(route, version, LOGGED.why, count)
        self._feed()
        self._book_what_is_due()

    def _looked(self, looked: Looked) -> None:
        """The reader's answer about one sample."""
        batch = self._answered(looked.number)
        if not batch:
            return
        (sample,) = batch
        if looked.facts is None:
            BOOKS.failed("reader", RuntimeError(looked.error))
        self._found.append((sample, looked.facts or LOST))
        if looked.watched is not None:
            self.on_watched(sample, looked.watched)
        self._fed += self.on_made(sample, looked)
        self._feed()
        self._book_what_is_due()

    def _lost(self) -> None:
        """The reader has gone, with what it had."""
        lost, self._ahead = self._ahead, {}
        self._ahead_samples = self._ahead_bytes = 0
        self._told.clear()
        self._found += [(sample, LOST) for batch in lost.values() for sample in batch]
        self._book_found()
        if self._turns:
            self.reader.ready  # noqa: B018 - asks for the next one

    # --- booking ----------------------------------------------------------------------------------

    def _book_what_is_due(self) -> None:
        """Whatever the reader had last, a sample or what is only entered into the log."""
        if not self._ahead or len(self._found) >= BOOK_AT_ONCE:
            self._book_found()

    def _book_found(self) -> None:
        found, self._found = self._found, []
        self._book(found)

    def _book(self, found: Iterable[tuple[Sampled, Facts]]) -> None:
        """Tell the decider, and count for people."""
        batches: dict[_About, list[SampleFacts]] = {}
        for sample, facts in found:
            self._count(sample.route, sample.version, facts.why or "read", 1)
            if facts.tokens is not None:
                self.on_tokens(sample, facts.tokens)
            if sample.counted:
                told = batches.setdefault((sample.route, sample.revision), [])
                told.append(SampleFacts(
                    sample.source, sample.slice, sample.weight_bp,
                    sample.arm == Chosen.CANDIDATE, sample.unit, sample.segments, facts,
                ))  # fmt: skip
        made = fed_together(self._fed)
        self._fed = []
        if batches or made:
            self._observe(tuple(
                Batch(*about, samples=tuple(batches.get(about, ())), fed=made.get(about, ()))
                for about in dict.fromkeys((*batches, *made))
            ))  # fmt: skip


def reads_of(run: Run) -> Reads:
    """How the predictions of a route are read."""
    route, live = run.route, run.live
    declared = route.declared
    told = SegmentKeys(live.policy.gates if live is not None else ())
    monitored = route.monitors is not None
    return Reads(
        route.name, route.payload, declared, told.features, monitored, bool(route.tokens_bp)
    )
