"""How sure a version is of an answer, and which answers people are asked about."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum


class Reason(StrEnum):
    """Why people are asked."""

    PERSON = "person"
    """People are the version that the request was routed to."""
    UNSURE = "unsure"
    """The version's confidence is below the policy's."""
    UNREADABLE = "unreadable"
    """Nobody can tell how sure it is."""
    AUDIT = "audit"
    """A coin chose an answer that the version was sure of; it went out all the same."""
    DISAGREEMENT = "disagreement"
    """Another version answers a copy of the request otherwise; the answer has gone out."""


def confidence(score: float | None, *, probability: bool) -> float | None:
    """How sure a version is of one row, 0 to 1; None: it does not say.

    ``probability``: the score is the probability of a yes, so that 0.02 is a sure no; otherwise it
    is the confidence itself.
    """
    if score is None:
        return None
    return max(score, 1.0 - score) if probability else score


def least(values: Sequence[float | None]) -> float | None:
    """That of a request: of its least sure row; None where one says nothing, or there is none."""
    known = [value for value in values if value is not None]
    return min(known) if known and len(known) == len(values) else None
