"""Segments of a gate: requests, or rows, told apart by a header or a feature.

A version can be good for most and bad for some; all together hide that. A gate with `by` asks its
question of everything and of each segment, and one segment that fails fails the rollout. The error
is shared: half of the capital asks of everything, each of the first :data:`SEGMENTS_MAX` segments
that are met has an equal part of the other half; further ones are one more segment.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol, Self

from pydantic import Field, StrictInt, StrictStr, model_validator

from router.core.quantities import Formed
from router.core.snapshots import Lasting
from router.core.spec import Spec

if TYPE_CHECKING:
    from router.core.wire.paired import PairRow, PairRows
    from router.core.wire.sampled import PredictedRow, SampleFacts

SEGMENTS_MAX: Final = 20
"""Segments of one gate with evidence of their own."""

ABSENT: Final = "(missing)"
"""The segment of rows that do not have the feature, as labels that are not there are called."""

NO_NUMBER: Final = "(no number)"
"""The segment of rows whose feature is none, where it has parts."""
NO_NAMES: Final = frozenset((ABSENT, NO_NUMBER))

VALUES_FIRST: Final = 200
"""Values of a number that its parts are made of; those rows are in none."""

NEVER_LEAST: Final = 100
"""Requests after which a header or feature that none had is an alarm: a typo must not pass."""

OTHER: Final = "(other)"
"""All segments beyond."""

SegmentHeader = Annotated[
    StrictStr,
    Formed(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$", "a field name such as X-Country"),
]


class SegmentBy(Spec):
    """What segments are told apart by: exactly one of header and feature."""

    header: SegmentHeader | None = None
    """Request header whose value is the segment, such as X-Country."""
    feature: Annotated[StrictStr, Field(min_length=1, max_length=200)] | None = None
    """Feature of a request's row whose value is the segment, by its path, such as carrier."""
    parts: Annotated[StrictInt, Field(ge=2, le=SEGMENTS_MAX)] | None = None
    """Of a feature that is a number, such as departure_delay: so many equal parts of its first
    values are the segments. Absent: each value is one."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.header is None) is (self.feature is None):
            raise ValueError("expected exactly one of header, feature")
        if self.parts is not None and self.feature is None:
            raise ValueError("expected feature with parts, since a header is no number")
        return self

    @property
    def places(self) -> int:
        """How many segments there may be: what the evidence is shared among."""
        return SEGMENTS_MAX + 1 if self.parts is None else self.parts + 2

    @property
    def name(self) -> str:
        """For people."""
        return self.header or self.feature or ""


class Segmented(Protocol):
    """A gate, as far as this matters."""

    @property
    def segments(self) -> SegmentBy | None:
        """What it tells segments apart by."""


class SegmentKeys:
    """Which headers and features the samples of a rollout tell of, in order."""

    __slots__ = ("features", "headers")

    def __init__(self, gates: Iterable[Segmented]) -> None:
        found = [by for gate in gates if (by := gate.segments) is not None]
        self.headers = tuple(sorted({by.header.lower() for by in found if by.header}))
        self.features = tuple(sorted({by.feature for by in found if by.feature}))

    def segment(self, by: SegmentBy, sample: SampleFacts, row: PredictedRow) -> str:
        """A row's segment; empty where it has none."""
        if by.header is not None:
            place, values = self.headers.index(by.header.lower()), sample.segments
        else:
            place, values = self.features.index(by.feature or ""), row.features
        return values[place] if place < len(values) else ""

    def of_pair(
        self, by: SegmentBy, pair: PairRows, names: Segments
    ) -> Iterator[tuple[str, PairRows]]:
        """A pair's segments, each with its rows; none where it has none."""
        names.asked += 1
        if by.header is not None:
            if pair.segment:
                yield pair.segment_name, pair
            return
        place = self.features.index(by.feature or "")
        found: dict[str, list[PairRow]] = {}
        for row in pair.rows:
            if place < len(row.stable.features):
                found.setdefault(names.of(by, row.stable.features[place]), []).append(row)
        found.pop("", None)
        for name, rows in found.items():
            yield name, replace(pair, rows=tuple(rows))


class Segments(Lasting, listed="names asked edges values"):
    """The names of the first segments that were met, or the parts of a number."""

    __slots__ = ("asked", "edges", "names", "values")

    names: list[str]
    asked: int
    edges: list[float]
    values: list[float]

    def __init__(self) -> None:
        self.names: list[str] = []
        self.asked = 0
        """Requests that were asked for their segment."""
        self.edges: list[float] = []
        """Between the parts, ascending; none until the first values are there."""
        self.values: list[float] = []
        """The first ones, of both versions: a coin decided who got which."""

    def of(self, by: SegmentBy, value: str) -> str:
        """The segment of a header's or a feature's value; empty: none (yet)."""
        if by.parts is None or not value or value == ABSENT:
            return value
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if math.isnan(number):
            return NO_NUMBER
        if self.edges:
            return self._part(number)
        if math.isfinite(number):
            self.values.append(number)
        if len(self.values) >= VALUES_FIRST:
            known, self.values = sorted(self.values), []
            cuts = (known[i * VALUES_FIRST // by.parts - 1] for i in range(1, by.parts))
            self.edges = sorted(set(cuts) - {known[-1]}) or [known[-1]]
        return ""

    def _part(self, number: float) -> str:
        place = bisect_left(self.edges, number)
        low = f"above {self.edges[place - 1]:g}" if place else ""
        high = f"up to {self.edges[place]:g}" if place < len(self.edges) else ""
        return " ".join(filter(None, (low, high)))

    def _formerly(self, data: Any) -> Any:
        return data if data and isinstance(data[0], list) else [data, 0, [], []]  # names alone

    def place(self, name: str) -> int:
        """Which one it is, from 0; :data:`SEGMENTS_MAX` for all beyond."""
        if name in self.names:
            return self.names.index(name)
        if len(self.names) < SEGMENTS_MAX:
            self.names.append(name)
            return len(self.names) - 1
        return SEGMENTS_MAX

    def never(self, by: SegmentBy | None) -> str:
        """That none of the first requests had what tells segments apart; empty otherwise."""
        met = self.edges or self.values or any(name not in NO_NAMES for name in self.names)
        if by is None or self.asked < NEVER_LEAST or met:
            return ""
        kind = "header" if by.header else "feature" if by.parts is None else "number"
        return (
            f"none of {self.asked:,} requests had the {kind} {by.name}, which tells its segments "
            f"apart: nothing is learnt of them, so the gate holds"
        )

    def name(self, place: int) -> str:
        """For people."""
        return self.names[place] if place < len(self.names) else OTHER
