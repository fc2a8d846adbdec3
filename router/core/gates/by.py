"""Segments of a gate: requests, or rows, told apart by a header or a feature.

A version can be good for most and bad for some; all together hide that. A gate with `by` asks its
question of everything and of each segment, and one segment that fails fails the rollout. The error
is shared: half of the capital asks of everything, each of the first :data:`SEGMENTS_MAX` segments
that are met has an equal part of the other half; further ones are one more segment.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Final, Protocol, Self

from pydantic import Field, StrictStr, model_validator

from router.core.quantities import Formed
from router.core.spec import Spec

if TYPE_CHECKING:
    from router.core.wire.sampled import PredictedRow, SampleFacts

SEGMENTS_MAX: Final = 20
"""Segments of one gate with evidence of their own."""

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

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.header is None) is (self.feature is None):
            raise ValueError("expected exactly one of header, feature")
        return self

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


class Segments:
    """The names of the first segments that were met."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: list[str] = []

    def place(self, name: str) -> int:
        """Which one it is, from 0; :data:`SEGMENTS_MAX` for all beyond."""
        if name in self.names:
            return self.names.index(name)
        if len(self.names) < SEGMENTS_MAX:
            self.names.append(name)
            return len(self.names) - 1
        return SEGMENTS_MAX

    def name(self, place: int) -> str:
        """For people."""
        return self.names[place] if place < len(self.names) else OTHER
