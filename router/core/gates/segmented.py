"""Gates on pairs and on late truth by segment: one bad segment is hidden by many good ones.

As everywhere (:mod:`router.core.gates.by`): half of the capital asks of everything, each of the
first segments that are met has an equal part of the other half, and further ones are one more. Each
part is a state of the gate itself, with all that it knows of pairs and coins, so the chance of a
false rollback is that of the gate without segments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator

from router.core.gates.by import SegmentBy, Segments
from router.core.gates.gate import Gate, GateContext, GateState
from router.core.gates.output import WHOLE_SHARE
from router.core.gates.sample import Detect, Sample
from router.core.gates.verdict import Counts

if TYPE_CHECKING:
    from router.core.wire.outcomes import Batch
    from router.core.wire.ripe import Ripe


class SegmentedGate(Gate):
    """A gate on pairs, or on truths."""

    by: SegmentBy | None = None
    """What the question is asked by as well, segment by segment; one that fails is enough."""

    @property
    def segments(self) -> SegmentBy | None:
        """The same for those who make them."""
        return self.by

    def start(self, context: GateContext) -> GateState:
        """Evidence 1 : 1, of everything and of each segment."""
        if self.by is None:
            return self.begin(context)
        return SegmentedState(self, context, self.by, self.begin)

    def begin(self, context: GateContext) -> GateState:
        """One question, of everything or of one segment."""
        raise NotImplementedError


def _of_requests(by: SegmentBy | None) -> SegmentBy | None:
    if by is not None and by.header is None:
        raise ValueError("expected by: {header: ...}, since truths are told of requests")
    return by


class LateGate(SegmentedGate):
    """A gate on truths."""

    by: Annotated[SegmentBy | None, AfterValidator(_of_requests)] = None
    """What the question is asked by as well: a request header; one segment that fails is enough."""


class SegmentedState(GateState):
    """See the module."""

    whole: GateState
    parts: list[GateState]
    names: Segments

    def __init__(
        self, gate: Gate, context: GateContext, by: SegmentBy,
        begin: Callable[[GateContext], GateState],
    ) -> None:  # fmt: skip
        super().__init__(gate.title, context, dry_run=gate.dry_run)
        self.by = by
        self.whole = begin(replace(context, limit=context.limit / WHOLE_SHARE))
        self.places = by.places
        limit = context.limit * self.places / (1.0 - WHOLE_SHARE)
        self._begin, self._part_context = begin, replace(context, limit=limit)
        self.names = Segments()
        self.parts: list[GateState] = []

    def _part(self) -> GateState:
        return self._begin(self._part_context)

    @property
    def capital(self) -> float:
        """Of everything and of segments, met and to come."""
        met = math.fsum(part.capital for part in self.parts)
        each = (met + self.places - len(self.parts)) / self.places
        return WHOLE_SHARE * self.whole.capital + (1.0 - WHOLE_SHARE) * each

    def observe(self, batch: Batch) -> None:
        """Everything, and the truths and pairs of each segment."""
        self.whole.observe(batch)
        pairs = batch.pairs.rows if batch.pairs is not None else ()
        self.names.asked += len(batch.matured)
        truths: dict[str, list[Ripe]] = {}
        for one in batch.matured:
            if one.segment:
                truths.setdefault(one.segment, []).append(one)
        for name, several in truths.items():
            self._named(name).observe(batch.of_truths(several))
        for pair in pairs:
            for name, rows in self.context.told.of_pair(self.by, pair, self.names):
                self._named(name).observe(batch.of_pair(rows))

    def _named(self, name: str) -> GateState:
        place = self.names.place(name)
        while len(self.parts) <= place:
            self.parts.append(self._part())
        return self.parts[place]

    @property
    def held(self) -> bool:
        """A header that no request has must not switch segments off."""
        return self.whole.held or bool(self.names.never(self.by))

    @property
    def leading(self) -> tuple[str, GateState]:
        """What has most to do with the evidence, and its segment; empty: everything."""
        if self.parts:
            place = max(range(len(self.parts)), key=lambda one: self.parts[one].capital)
            part = self.parts[place]
            if (1.0 - WHOLE_SHARE) * part.capital / self.places > WHOLE_SHARE * self.whole.capital:
                return self.names.name(place), part
        return "", self.whole

    @property
    def candidate(self) -> Counts:
        """Of what leads."""
        return self.leading[1].candidate

    @property
    def stable(self) -> Counts:
        """Of what leads."""
        return self.leading[1].stable

    def sample(self, detect: Detect, weight_bp: int) -> Sample:
        """What everything together needs."""
        return self.whole.sample(detect, weight_bp)

    def plain(self) -> str:
        """Of what leads."""
        name, state = self.leading
        return state.plain() + (f" (where {self.by.name} is {name})" if name else "")

    def sentence(self) -> str:
        """Of what leads."""
        if not self.whole.held and (never := self.names.never(self.by)):
            return never
        name, state = self.leading
        return f"{self.by.name} {name}: {state.sentence()}" if name else state.sentence()

    def _make_parts(self, name: str, data: Any) -> None:
        if name == "parts":
            self.parts = [self._part() for _ in data]
