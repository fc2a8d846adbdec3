"""Gates on late truth, segment by segment: one bad segment is hidden by many good ones.

As everywhere (:mod:`router.core.gates.by`): half of the capital asks of everything, each of the
first :data:`SEGMENTS_MAX` segments that are met has an equal part of the other half, and further
ones are one more. Each part is a state of the gate itself, with all that it knows of pairs and
coins, so the chance of a false rollback is that of the gate without segments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator

from router.core.gates.by import SEGMENTS_MAX, SegmentBy, Segments
from router.core.gates.gate import Gate, GateContext, GateState
from router.core.gates.output import WHOLE_SHARE
from router.core.gates.sample import Detect, Sample
from router.core.gates.verdict import Counts
from router.core.wire.outcomes import Batch

if TYPE_CHECKING:
    from router.core.wire.ripe import Ripe

PLACES: Final = SEGMENTS_MAX + 1


def _header(by: SegmentBy | None) -> SegmentBy | None:
    if by is not None and by.header is None:
        raise ValueError("expected by: {header: ...}, since truths are told of requests")
    return by


TruthBy = Annotated[SegmentBy | None, AfterValidator(_header)]


class LateGate(Gate):
    """A gate on truths."""

    by: TruthBy = None
    """What the question is asked by as well: a request header; one segment that fails is enough."""

    def start(self, context: GateContext) -> GateState:
        """Evidence 1 : 1, of everything and of each segment."""
        if self.by is None:
            return self.begin(context)
        return SegmentedState(self, context, self.by, self.begin)

    def begin(self, context: GateContext) -> GateState:
        """One question, of everything or of one segment."""
        raise NotImplementedError


class SegmentedState(GateState):
    """See the module."""

    def __init__(
        self, gate: Gate, context: GateContext, by: SegmentBy,
        begin: Callable[[GateContext], GateState],
    ) -> None:  # fmt: skip
        super().__init__(gate.title, context, dry_run=gate.dry_run)
        self.by = by
        self.whole = begin(replace(context, limit=context.limit / WHOLE_SHARE))
        limit = context.limit * PLACES / (1.0 - WHOLE_SHARE)
        self._begin, self._part_context = begin, replace(context, limit=limit)
        self.names = Segments()
        self.parts: list[GateState] = []

    def _part(self) -> GateState:
        return self._begin(self._part_context)

    @property
    def capital(self) -> float:
        """Of everything and of segments, met and to come."""
        met = math.fsum(part.capital for part in self.parts)
        each = (met + PLACES - len(self.parts)) / PLACES
        return WHOLE_SHARE * self.whole.capital + (1.0 - WHOLE_SHARE) * each

    def observe(self, batch: Batch) -> None:
        """Everything, and the truths of each segment."""
        self.whole.observe(batch)
        found: dict[int, list[Ripe]] = {}
        for one in batch.matured:
            if one.segment:
                found.setdefault(self.names.place(one.segment), []).append(one)
        for place, several in found.items():
            while len(self.parts) <= place:
                self.parts.append(self._part())
            part = Batch(batch.route, batch.revision, matured=tuple(several))
            self.parts[place].observe(part)

    @property
    def leading(self) -> tuple[str, GateState]:
        """What has most to do with the evidence, and its segment; empty: everything."""
        if self.parts:
            place = max(range(len(self.parts)), key=lambda one: self.parts[one].capital)
            part = self.parts[place]
            if (1.0 - WHOLE_SHARE) * part.capital / PLACES > WHOLE_SHARE * self.whole.capital:
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
        name, state = self.leading
        return f"{self.by.name} {name}: {state.sentence()}" if name else state.sentence()

    def snapshot(self) -> dict[str, Any]:
        """Every part's state."""
        return {
            "whole": self.whole.snapshot(),
            "parts": [part.snapshot() for part in self.parts],
            "names": self.names.names,
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot."""
        self.whole.restore(data["whole"])
        self.names.names = [str(name) for name in data["names"]]
        self.parts = [self._part() for _ in data["parts"]]
        for part, state in zip(self.parts, data["parts"], strict=True):
            part.restore(state)
