"""What two answers to one request say of its rows, without bodies: what gates on pairs bet on.

Rows of one request are dependent (one client, one batch, one moment), so a request is one bet,
weighted by the share of its rows that are of a kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from router.core.wire.sampled import TEXT_CHARS_MAX, PredictedRow


class PairRow(NamedTuple):
    """One row, as both versions answered it."""

    agreed: bool
    """Nothing that decides differs in it."""
    stable: PredictedRow = PredictedRow()
    candidate: PredictedRow = PredictedRow()
    change: int | None = None
    """+1 where only the candidate's is positive, -1 where only stable's is, 0 where both are alike;
    None where one of them is neither positive nor negative."""
    moved: float | None = None
    """Candidate's score less stable's as a share of the declared range, -1..1; None without both
    scores or without a range."""


@dataclass(frozen=True, slots=True)
class PairRows:
    """One request that both versions answered."""

    rows: tuple[PairRow, ...]
    """At least one, at most :data:`router.core.wire.sampled.ROWS_MAX`, evenly spaced."""
    segment: str = ""
    """Value of the header that agreement is shown by."""

    @property
    def segment_name(self) -> str:
        """The segment, as long as samples tell one."""
        return self.segment[:TEXT_CHARS_MAX]

    @property
    def changes(self) -> list[int]:
        """Of the rows that are positive or negative in both answers."""
        return [row.change for row in self.rows if row.change is not None]

    @property
    def moves(self) -> list[float]:
        """Of the rows with both scores."""
        return [row.moved for row in self.rows if row.moved is not None]

    @property
    def disagreed(self) -> float:
        """Share of rows that differ in what decides, 0..1."""
        return share(not row.agreed for row in self.rows)

    def apart(self, limit: float) -> float:
        """Share of rows whose scores are further apart, or of which only one has a score."""
        return share(
            abs(row.moved) > limit
            if row.moved is not None
            else bool(row.candidate.fault) is not bool(row.stable.fault)
            for row in self.rows
        )


def share(flags: Iterable[bool]) -> float:
    """How many of them are true, 0..1; at least one."""
    values = list(flags)
    return sum(values) / len(values)
