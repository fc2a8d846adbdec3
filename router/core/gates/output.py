"""The state shared by gates that read live predictions, one bet for each sampled request.

A gate asks its question of everything, and where it has a `by` of each segment too (see
:mod:`router.core.gates.by`). What it is fed comes in the order of drawing; a sample of which
nothing will ever be known counts for the accused. Requests without a prediction (failed, refused)
bet nothing: other gates look at those.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final

from router.core.gates.by import SegmentBy, Segments
from router.core.gates.gate import COMPARED_BP, Gate, GateContext, GateState
from router.core.gates.needs import Need
from router.core.gates.sample import Detect, Sample, walk
from router.core.gates.verdict import Counts, judged
from router.core.snapshots import Lasting
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from router.core.wire.outcomes import Batch
    from router.core.wire.paired import PairRows
    from router.core.wire.sampled import PredictedRow, SampleFacts

WHOLE_SHARE: Final = 0.5
"""Of the capital of a gate with segments: what asks of everything together."""


LARGELY: Final = 0.3
"""Share of predictions that are others in a candidate which must have been seen before a step ends;
smaller differences are found too, later."""


UNHEARD_LEAST: Final = 100
"""Answers of both versions after which a declared name that none had is an alarm."""


class OutputPool(Lasting, ABC):
    """One question asked of one segment, or of everything."""

    requests: list[int]

    def __init__(self) -> None:
        self.requests = [0, 0]
        """Sampled requests with rows here: candidate's, stable's."""
        self.heard = True
        """Some row had what is asked for."""

    declared: ClassVar[str] = "prediction"
    """What is asked for, as `predictions` has it."""

    @property
    @abstractmethod
    def capital(self) -> float:
        """The evidence against the candidate, ``capital : 1``."""

    @property
    @abstractmethod
    def candidate(self) -> Counts:
        """Its rows of the kind that is asked for most."""

    @property
    @abstractmethod
    def stable(self) -> Counts:
        """Stable's."""

    @abstractmethod
    def take(self, weight_bp: int, candidate: bool, rows: Sequence[PredictedRow]) -> None:
        """The rows of one request that belong here, at least one."""

    @abstractmethod
    def doubt(self, weight_bp: int, candidate: bool) -> None:
        """One request of which nothing will be known."""

    def pair(self, one: PairRows) -> None:
        """One request that both versions answered."""

    def unreadable(self, weight_bp: int, candidate: bool) -> None:
        """One answer that is not of the payload."""

    @abstractmethod
    def seen(self) -> str:
        """What was seen, for the sentence."""

    @abstractmethod
    def plain(self) -> str:
        """The same as a person would say it of the candidate ("it")."""

    def _formerly(self, data: Any) -> Any:
        return [data[0], *data[1]] if len(data) == 2 else data


class OutputState(GateState, heard="_heard"):
    """Everything together and each segment; the sentence is the leading one's."""

    whole: OutputPool
    parts: list[OutputPool]
    names: Segments
    lost: int

    def __init__(
        self, gate: OutputGate, context: GateContext, make: Callable[[], OutputPool],
        *, tolerated: str, margin: float,
    ) -> None:  # fmt: skip
        super().__init__(gate.title, context, dry_run=gate.dry_run)
        self.whole = make()
        self.parts: list[OutputPool] = []
        self.names = Segments()
        self.tolerated = tolerated
        self.by = gate.by
        self.margin = margin
        self._make = make
        self.lost = 0
        """Samples in doubt."""

    @property
    def capital(self) -> float:
        """The whole's, or the average of it and of the segments, met and to come."""
        if self.by is None:
            return self.whole.capital
        known = math.fsum(part.capital for part in self.parts)
        places = self.by.places
        parts = (known + places - len(self.parts)) / places
        return WHOLE_SHARE * self.whole.capital + (1.0 - WHOLE_SHARE) * parts

    @property
    def leading(self) -> tuple[str, OutputPool]:
        """What is told of: everything (empty), or a segment with half of its evidence or more.

        Where a fault lies in one segment, both have about the same, and the segment says more.
        """
        name, pool, most = "", self.whole, self.whole.capital / 2.0
        if self.capital < self.context.hold_level:
            return name, pool
        for place, part in enumerate(self.parts):
            if part.capital > most and part.candidate.bad >= self.context.min_bad:
                name, pool, most = self.names.name(place), part, part.capital
        return name, pool

    @property
    def unheard(self) -> str:
        """That the first answers or requests had nothing of what is declared; empty otherwise."""
        requests = sum(self.whole.requests)
        if self.whole.heard or requests < UNHEARD_LEAST:
            return self.names.never(self.by)
        return (
            f"none of {requests:,} answers had the {self.whole.declared} that predictions "
            f"declares: the gate learns nothing, so it holds"
        )

    @property
    def held(self) -> bool:
        """A name that no answer has must not switch the gate off."""
        return bool(self.unheard)

    @property
    def candidate(self) -> Counts:
        """The leading segment's rows."""
        return self.leading[1].candidate

    @property
    def stable(self) -> Counts:
        """The leading segment's rows."""
        return self.leading[1].stable

    def observe(self, batch: Batch) -> None:
        """Samples whose turn has come."""
        for sample in batch.samples:
            self._take(sample)
        for one in batch.pairs.rows if batch.pairs is not None else ():
            self._pair(one)

    def _pair(self, one: PairRows) -> None:
        """Of a header it is not known whether pairs tell it: they have one for all gates."""
        self.whole.pair(one)
        if self.by is not None and self.by.feature:
            for name, rows in self.context.told.of_pair(self.by, one, self.names):
                self._part(name).pair(rows)

    def _part(self, name: str) -> OutputPool:
        place = self.names.place(name)
        while len(self.parts) <= place:
            self.parts.append(self._make())
        return self.parts[place]

    def _take(self, sample: SampleFacts) -> None:
        why, weight_bp, candidate = sample.facts.why, sample.weight_bp, sample.candidate
        if why == "lost":
            self.lost += 1
            for pool in (self.whole, *self.parts):
                pool.doubt(weight_bp, candidate)
        elif why == "unreadable":
            self.whole.unreadable(weight_bp, candidate)
        elif not why and sample.facts.rows:
            self._put(self.whole, sample, sample.facts.rows)
            for name, rows in self._segments(sample).items():
                self._put(self._part(name), sample, rows)

    def _put(self, pool: OutputPool, sample: SampleFacts, rows: Sequence[PredictedRow]) -> None:
        pool.take(sample.weight_bp, sample.candidate, rows)
        pool.requests[not sample.candidate] += 1

    def _segments(self, sample: SampleFacts) -> dict[str, list[PredictedRow]]:
        found: dict[str, list[PredictedRow]] = {}
        if self.by is not None:
            self.names.asked += 1
            for row in sample.facts.rows:
                name = self.names.of(self.by, self.context.told.segment(self.by, sample, row))
                if name:
                    found.setdefault(name, []).append(row)
        return found

    def sample(self, detect: Detect, weight_bp: int) -> Sample:
        """Sampled requests of the candidate that show one whose predictions are largely others."""
        if not 0 < weight_bp < FULL_BP:
            return Sample(0, 0)
        w, off = weight_bp / FULL_BP, max(detect.points, LARGELY, 2.0 * self.margin) - self.margin
        variance = 0.25 / (w * (1.0 - w))
        nats = math.log(self.context.limit) + math.log(20.0)
        draws = walk(off * off / (2.0 * variance), off * off / variance, nats)
        return Sample(self.whole.requests[0], math.ceil(draws * w))

    def plain(self) -> str:
        """The leading segment's."""
        name, pool = self.leading
        return pool.plain() + (f" (where {self._by} is {name})" if name else "")

    @property
    def _by(self) -> str:
        return self.by.name if self.by is not None else ""

    def sentence(self) -> str:
        """The leading segment's numbers."""
        name, pool = self.leading
        seen = f"{self._by} {name}: {pool.seen()}" if name else pool.seen()
        if unheard := self.unheard:
            return unheard
        if self.lost:
            seen += f"; {self.lost:,} samples lost, in doubt for it"
        return judged(seen, self.tolerated, self.capital, self.context.limit)

    @property
    def _heard(self) -> bool:
        return self.whole.heard

    @_heard.setter
    def _heard(self, heard: bool) -> None:
        self.whole.heard = heard

    def _make_parts(self, name: str, data: Any) -> None:
        if name == "parts":
            self.parts = [self._make() for _ in data]


class OutputGate(Gate):
    """Fields of gates that read live predictions."""

    needs: ClassVar[frozenset[Need]] = frozenset({Need.COIN, Need.PREDICTIONS})
    brake_bp: ClassVar[int] = COMPARED_BP

    by: SegmentBy | None = None
    """What the question is asked by as well, segment by segment; one that fails is enough."""

    @property
    def segments(self) -> SegmentBy | None:
        """The same for those who make them."""
        return self.by
