"""A truth beside what versions said: who was right, and by how much the others missed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from router.core.logged.truth import AnsweredTruth, Judged, MaturedRow, TrueValue
from router.core.pairs.comparison import Likeness


class Said(NamedTuple):
    """One version's prediction, as it is logged (see :class:`LoggedPrediction`)."""

    id: int
    """Grows with every row of the log."""
    request_id: str
    rows: int
    time: float
    route: str
    version: str
    role: str
    weight: float
    prediction: TrueValue | None
    score: float | None
    revision: int
    arm: str
    unit: int
    segment: str = ""
    error: str = ""
    latency_s: float = 0.0
    made: str = ""
    """Which draws of other routes made its input."""


class Fresh(NamedTuple):
    """What a truth brings that was not known before."""

    label: TrueValue | None
    correct: bool | None
    score: float | None
    value: float | None
    accepted: bool | None
    answer: TrueValue | None
    source: str
    time: float


def positive(label: TrueValue | None, likeness: Likeness) -> bool | None:
    """Whether a truth is positive: a yes, or a number above ``positive_above``; texts are not."""
    if label is None or isinstance(label, str):
        return None
    return label if isinstance(label, bool) else label > likeness.positive_above


def judged(one: Said, label: TrueValue | None, likeness: Likeness) -> Judged:
    """What a label says about one version's prediction."""
    if label is None:
        return Judged(one.version)
    said = one.prediction if one.prediction is not None else one.score
    error = None
    if isinstance(said, int | float) and not isinstance(label, str):
        distance = abs(float(said) - float(label))
        error = distance if math.isfinite(distance) else None
    score = one.score if positive(label, likeness) is not None else None
    return Judged(one.version, likeness.right(said, label), error, score)


def row_of(served: Said, shadow: Said | None, fresh: Fresh, likeness: Likeness) -> MaturedRow:
    """One row; ``fresh`` has what was told (label, correct, score, value, accepted)."""
    ours = judged(served, fresh.label, likeness)
    if fresh.correct is not None:
        ours = Judged(ours.version, fresh.correct, ours.error, ours.score)
    theirs = judged(shadow, fresh.label, likeness) if shadow is not None else None
    beside = served if shadow is None and (served.prediction, served.score) != NOTHING else shadow
    answer = answered(beside, fresh.answer, likeness) if beside is not None else None
    return MaturedRow(
        ours, theirs, positive(fresh.label, likeness), fresh.score, fresh.value, fresh.accepted,
        answer,
    )  # fmt: skip


NOTHING: Final = (None, None)
"""Prediction and score of people, whose answer is yet to come, and of what cannot be read."""
LOST: Final = frozenset(("server_error", "no_answer"))
"""Failures of copies, which are told when they happen: they wait for no person."""


def answered(shadow: Said, answer: TrueValue | None, likeness: Likeness) -> AnsweredTruth | None:
    """A version's prediction beside what a person answered; None: nothing new to compare.

    It was that of a copy, or, where people audit, what the client got.
    """
    if answer is None or shadow.error in LOST:
        return None
    said = shadow.prediction if shadow.prediction is not None else shadow.score
    return AnsweredTruth(
        likeness.right(said, answer), answer, said,
        (positive(answer, likeness), positive(said, likeness)), shadow.score, shadow.latency_s,
    )  # fmt: skip


def met(said: Sequence[Said]) -> tuple[Said | None, list[Said]]:
    """Who served, and the copies' answers."""
    served = [one for one in said if one.role != "shadow"]
    return (served[-1] if served else None), [one for one in said if one.role == "shadow"]
