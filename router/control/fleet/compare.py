"""The two answers of mirrored requests on their way through the reader.

No body is read here. Pairs wait in a queue for each route, go to the reader's process
(:mod:`router.reader`) a few at a time, the routes in turn, and are booked in the order in which
they came, whatever is known first: an order that knows the outcome would bend the evidence.
What a pair says is decided in :mod:`router.core.pairs.shadow`.

What does not fit is dropped and counted, and so is what the reader had when it ended: fewer pairs
make a verdict later. One route's flood drops its own pairs, not those of another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from router.control.fleet.reader import ReaderProcess
from router.control.outside.judges import JudgeQuestion, Judges
from router.control.rollouts.run import Run
from router.control.rollouts.trial import Trial
from router.control.state.clock import Clock
from router.core.judging.question import Told
from router.core.pairs.shadow import together
from router.core.pairs.tally import PairFinding, Result
from router.core.wire.counts import MirrorCounts, PairSample
from router.core.wire.outcomes import Batch, Pairs
from router.link.reading import Found, Read, Reading
from router.loops import BOOKS, net

QUEUE_PAIRS_MAX: Final = 2_000
"""Pairs that wait; the newest is dropped when they are exceeded. A route has half of it."""
QUEUE_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bytes of both answers of all pairs that wait; a route has half of it, too."""

AHEAD_PAIRS: Final = 16
"""Pairs that the reader has been given and has not answered."""
AHEAD_BYTES: Final = 4 * 1024 * 1024
"""Bytes of these; one pair is always given."""

Observe = Callable[[tuple[Batch, ...]], None]
"""``observe(batches)`` of the reconciler."""
CountPairs = Callable[[str, str, str, int], None]
"""``count(route, version, result, number)`` of pairs, for metrics."""

_Found = list[tuple[tuple[str, int, bool], Pairs]]


@dataclass(eq=False, slots=True)
class _Pair:
    """One pair from its arrival to its booking."""

    sample: PairSample
    trial: Trial
    size: int
    silenced: frozenset[str] = frozenset()
    """As it was read."""
    finding: PairFinding | None = None
    lost: bool = False
    questions: tuple[JudgeQuestion, ...] = ()
    """Of judges outside that it was drawn for."""
    told: Told | None = None
    """What they may be told of it."""


@dataclass(eq=False, slots=True)
class _Lane:
    """The pairs of one route."""

    order: deque[_Pair] = field(default_factory=deque)
    """As they came, until they are booked."""
    unread: deque[_Pair] = field(default_factory=deque)
    """Those of them whose bodies the reader has not been given."""
    size: int = 0


class Comparer:
    """See the module. Everything happens in the loop turn in which something arrives."""

    def __init__(
        self,
        runs: Callable[[], Mapping[str, Run]],
        observe: Observe,
        count: CountPairs,
        clock: Clock,
        reader: ReaderProcess | None = None,
        *,
        judges: Judges | None = None,
    ) -> None:
        """``judges``: who is asked outside which of two answers is better."""
        self._runs = runs
        self._observe = observe
        self._count = count
        self._clock = clock
        self._judges = judges
        self.reader = reader or ReaderProcess()
        self.reader.on_found = self._found
        self.reader.on_ready.append(self._feed)
        self.reader.on_lost.append(self._lost)
        self.on_differing: Callable[[PairSample], None] = lambda _: None
        """Called with each pair of a candidate whose answers differ."""
        self._lanes: dict[str, _Lane] = {}
        self._turns: deque[str] = deque()
        """Routes with unread pairs, the next one first."""
        self._ahead: dict[int, _Pair] = {}
        self._told: dict[str, Reading] = {}
        self._number = self._pairs = self._bytes = self._ahead_bytes = 0

    def __repr__(self) -> str:
        return f"<Comparer {self._pairs} pairs wait, {self._bytes:,} bytes, {self.reader!r}>"

    @property
    def waiting(self) -> int:
        """Pairs that wait for the reader."""
        return self._pairs

    def put(self, samples: Iterable[PairSample]) -> None:
        """Take pairs of a worker."""
        touched: dict[str, None] = {}
        for sample in samples:
            trial = self._trial(sample)
            if trial is None:
                self._count(sample.route, sample.version, "stale", 1)
            elif trial.shadow.terms.awaited(sample):
                trial.shadow.awaited += 1
                self._count(sample.route, sample.version, "awaited", 1)
            elif not self._room(sample):
                trial.shadow.uncompared += 1
                self._count(sample.route, sample.version, "dropped", 1)
            else:
                self._queue(_Pair(sample, trial, _size(sample)))
                touched[sample.route] = None
        self._book(touched)
        self._feed()

    def mirrored(self, counts: Iterable[MirrorCounts]) -> None:
        """Take what became of copies; :class:`ShadowBook` tells how many did not arrive."""
        for one in counts:
            run = self._runs().get(one.route)
            if run is None or run.live is None:
                continue
            run.live.trial.shadow.mirrored(one)

    # --- waiting ----------------------------------------------------------------------------------

    def _room(self, sample: PairSample) -> bool:
        size, lane = _size(sample), self._lanes.get(sample.route)
        if self._pairs >= QUEUE_PAIRS_MAX or self._bytes + size > QUEUE_BYTES_MAX:
            return False
        return lane is None or (
            2 * len(lane.order) < QUEUE_PAIRS_MAX and 2 * (lane.size + size) <= QUEUE_BYTES_MAX
        )

    def _queue(self, pair: _Pair) -> None:
        lane = self._lanes.setdefault(pair.sample.route, _Lane())
        lane.order.append(pair)
        lane.size += pair.size
        self._pairs += 1
        self._bytes += pair.size
        pair.finding = pair.trial.shadow.terms.by_status(pair.sample)
        if pair.finding is None:
            if self._judges is not None:
                pair.questions = self._judges.draw(pair.sample, pair.trial)
            self._unread(lane, pair)

    def _unread(self, lane: _Lane, pair: _Pair, *, first: bool = False) -> None:
        if not lane.unread:
            self._turns.append(pair.sample.route)
        if first:
            lane.unread.appendleft(pair)
        else:
            lane.unread.append(pair)

    # --- reading ----------------------------------------------------------------------------------

    def _feed(self) -> None:
        """Give the reader what it has room for, one pair of each route in turn."""
        while self._turns and self.reader.ready:
            route = self._turns[0]
            lane = self._lanes[route]
            pair = lane.unread[0]
            if self._ahead and (
                len(self._ahead) >= AHEAD_PAIRS or self._ahead_bytes + pair.size > AHEAD_BYTES
            ):
                return
            if not self._ask(pair):
                return
            lane.unread.popleft()
            self._turns.rotate(-1)
            if not lane.unread:
                self._turns.pop()

    def _ask(self, pair: _Pair) -> bool:
        shadow, route = pair.trial.shadow, pair.sample.route
        terms = shadow.terms
        by = pair.trial.judge.told.features
        hidden = (*terms.compare.redact, *sorted(terms.redacted))
        reading = Reading(route, terms.payload, terms.likeness, shadow.noise.silenced, by, hidden)
        if self._told.get(route) != reading:
            if not self.reader.send(reading):
                return False
            self._told[route] = reading
        self._number += 1
        stable, other = terms.sides(pair.sample)
        codings = (stable.coding, other.coding)
        one = pair.sample
        read = Read(
            self._number, route, stable.body, other.body, codings, one.payload, one.request,
            one.request_coding, judged=bool(pair.questions),
        )  # fmt: skip
        if not self.reader.send(read, answered=True):
            return False
        pair.silenced = reading.silenced
        self._ahead[self._number] = pair
        self._ahead_bytes += pair.size
        return True

    def _found(self, found: Found) -> None:
        """The reader's answer about one pair."""
        pair = self._ahead.pop(found.number, None)
        if pair is None:
            return
        self._ahead_bytes -= pair.size
        if found.comparison is None:
            pair.lost = True
            BOOKS.failed("reader", RuntimeError(found.error))
        elif pair.silenced != pair.trial.shadow.noise.silenced:
            # What is noise was settled meanwhile: the question is another one now.
            self._unread(self._lanes[pair.sample.route], pair, first=True)
        else:
            pair.finding = pair.trial.shadow.terms.read_as(found.comparison)
            pair.told = found.told
        self._book((pair.sample.route,))
        self._feed()

    def _lost(self) -> None:
        """The reader has gone, with what it had."""
        lost, self._ahead, self._ahead_bytes = self._ahead, {}, 0
        self._told.clear()
        for pair in lost.values():
            pair.lost = True
        self._book({pair.sample.route: None for pair in lost.values()})
        if self._turns:
            self.reader.ready  # noqa: B018 - asks for the next one

    # --- booking ----------------------------------------------------------------------------------

    def _book(self, routes: Iterable[str]) -> None:
        """Book what is known of these routes, as far as nothing before it is unknown."""
        found: _Found = []
        for route in routes:
            lane = self._lanes[route]
            while lane.order and (lane.order[0].lost or lane.order[0].finding is not None):
                pair = lane.order.popleft()
                lane.size -= pair.size
                self._pairs -= 1
                self._bytes -= pair.size
                with net("compare"):
                    self._one(pair, found)
            if not lane.order:
                del self._lanes[route]
        if found:
            self._observe(_batches(found))

    def _one(self, pair: _Pair, found: _Found) -> None:
        sample, trial, finding = pair.sample, pair.trial, pair.finding
        if pair.questions and self._judges is not None:
            self._judges.found(pair.questions, finding, pair.told)
        if self._trial(sample) is not trial:
            self._count(sample.route, sample.version, "stale", 1)
        elif finding is None:
            trial.shadow.uncompared += 1
            self._count(sample.route, sample.version, "lost", 1)
        else:
            finding = trial.shadow.excused(sample, finding)
            self._count(sample.route, sample.version, finding.result.value, 1)
            if finding.result is Result.DISAGREED and trial.shadow.terms.decides(sample):
                self.on_differing(sample)
            pairs = trial.shadow.add(sample, finding, self._clock.wall())
            if pairs is not None:
                found.append(((sample.route, sample.revision, pairs.reverse), pairs))
            if (labelled := trial.shadow.settled(sample.nonce)) is not None:
                batch = Batch(sample.route, sample.revision, labelled_pairs=labelled)
                self._observe((batch,))

    def _trial(self, sample: PairSample) -> Trial | None:
        """The attempt that a pair belongs to, by the revision of the table that made it."""
        run = self._runs().get(sample.route)
        if run is None or run.live is None or sample.revision < run.live.trial.revision:
            return None
        return run.live.trial


def _size(sample: PairSample) -> int:
    return len(sample.primary_body) + len(sample.shadow_body) + len(sample.request)


def _batches(found: _Found) -> tuple[Batch, ...]:
    """One batch for each route, revision and direction, in the order of their first pairs."""
    groups: dict[tuple[str, int, bool], list[Pairs]] = {}
    for key, pairs in found:
        groups.setdefault(key, []).append(pairs)
    return tuple(
        Batch(route, revision, pairs=together(group))
        for (route, revision, _), group in groups.items()
    )
