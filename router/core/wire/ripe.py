"""A prediction whose truth has come, as evidence: what gates on truth read of a batch.

One :class:`Ripe` is one request. Of a request with several rows the served prediction is the first
row's, since they share one coin; a pair has all its rows, whose mean is one bet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class RipePair(NamedTuple):
    """Both versions' predictions of one row, beside the truth; None: unknown."""

    positive: bool | None = None
    """Whether the truth is."""
    stable_correct: bool | None = None
    candidate_correct: bool | None = None
    stable_error: float | None = None
    """Distance from the true number."""
    candidate_error: float | None = None
    stable_score: float | None = None
    candidate_score: float | None = None


@dataclass(frozen=True, slots=True)
class Ripe:
    """One request. What the truth does not tell is None."""

    weight_bp: int = 0
    """The candidate's share of the coin that routed it."""
    candidate: bool | None = None
    """Which arm the coin chose; None: no coin, so that only pairs are evidence."""
    correct: bool | None = None
    error: float | None = None
    score: float | None = None
    positive: bool | None = None
    value: float | None = None
    """What it brought, in the unit of the business."""
    accepted: bool | None = None
    """Whether a person took it; of a person's label: whether it was the prediction."""
    pairs: tuple[RipePair, ...] = ()
    segment: str = ""
    """Value of the header that segments are told apart by."""
