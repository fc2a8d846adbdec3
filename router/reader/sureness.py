"""How sure a version was of what it said, and whether it was right, from the prediction log."""

from __future__ import annotations

from typing import Any, Final

from router.core.pairs.comparison import Likeness
from router.core.reviews.confidence import confidence
from router.reader.export import reading

ROWS_MAX: Final = 500_000
"""Predictions that are read, the newest."""


def sure_and_right(
    place: str, route: str, version: str, *, probability: bool
) -> list[tuple[float, bool]]:
    """Confidence and rightness of each prediction whose truth is known. Raises BookError.

    The truth is a label, or what a person answered. Answers of copies count as well: they are what
    is known of a version before it serves. Truths of what it was unsure of bias nothing here, since
    every truth is looked at beside its own confidence.
    """
    likeness = Likeness()
    with reading(place) as db:
        found = db.execute(
            "SELECT p.prediction, p.score, coalesce(t.label, t.answer) FROM predictions p "
            "JOIN truths t ON t.key = p.request_id AND t.row = p.row WHERE p.route = ? "
            "AND p.version = ? AND p.score IS NOT NULL ORDER BY p.time DESC LIMIT ?",
            (route, version, ROWS_MAX),
        ).fetchall()  # fmt: skip
    said = []
    for prediction, score, truth in found:
        sure = confidence(score, probability=probability)
        right = _right(likeness, prediction, score, truth) if truth is not None else None
        if sure is not None and right is not None:
            said.append((sure, right))
    return said


def _right(likeness: Likeness, prediction: Any, score: float, truth: Any) -> bool | None:
    """As the log keeps them: yes and no are 1 and 0."""
    said = prediction if prediction is not None else score
    if isinstance(truth, int | float) and truth in (0, 1):
        truth = bool(truth)
    return likeness.right(said, truth)
