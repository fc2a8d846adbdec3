"""What one sampled request says about its version: a few facts for each row, no bodies.

==================== ====================================================================
fault of a row       where
==================== ====================================================================
missing              the declared label or score is not there
null                 it is null
nan, infinite        the score is such a number
text                 the score is no number
unknown              the label is none of the declared classes
range                the score lies outside the declared range
==================== ====================================================================
"""

from __future__ import annotations

import math
from typing import Any, Final

from router.core.payloads import Beyond, Unreadable, unpacked
from router.core.predictions.rows import (
    MISSING,
    Declared,
    answer_rows,
    class_of,
    number_of,
    request_rows,
)
from router.core.wire.sampled import ROWS_MAX, TEXT_CHARS_MAX, Facts, PredictedRow, Sampled

NO_PREDICTION: Final = Facts(why="none")
UNREADABLE: Final = Facts(why="unreadable")
LOST: Final = Facts(why="lost")
LOGGED: Final = Facts(why="logged")
"""Nobody but the log reads it."""


def facts_of(sample: Sampled, payload: str, declared: Declared, by: tuple[str, ...] = ()) -> Facts:
    """Read a sample's answer, and of its request the features that tell segments apart (``by``).

    Whatever the bytes are, it does not raise.
    """
    if not 200 <= sample.status < 300:
        return NO_PREDICTION
    if sample.cut:
        return LOST
    try:
        rows = answer_rows(payload, unpacked(sample.answer, sample.answer_coding), declared)
    except Unreadable:
        return UNREADABLE
    except Beyond:
        return LOST
    if not rows:
        return NO_PREDICTION
    features = row_features(sample.request, sample.request_coding, payload, by)
    places = spaced(len(rows))
    return Facts(tuple(
        row_facts(rows[i].label, rows[i].score, declared, features[i] if i < len(features) else ())
        for i in places
    ))  # fmt: skip


def spaced(count: int) -> list[int]:
    """At most :data:`ROWS_MAX` places of so many, evenly spaced."""
    if count <= ROWS_MAX:
        return list(range(count))
    return [i * count // ROWS_MAX for i in range(ROWS_MAX)]


def row_features(
    request: bytes, coding: str, payload: str, by: tuple[str, ...]
) -> list[tuple[str, ...]]:
    """Of each row of the request; none where it cannot be read: segments are then unknown."""
    if not by:
        return []
    wanted = Declared(features=tuple((path, "categorical") for path in by))
    try:
        rows = request_rows(payload, unpacked(request, coding), wanted)
    except (Unreadable, Beyond):
        return []
    return [tuple(class_of(row.features[path])[:TEXT_CHARS_MAX] for path in by) for row in rows]


def row_facts(
    label: Any, score: Any, declared: Declared, features: tuple[str, ...]
) -> PredictedRow:
    """What one row of an answer says."""
    fault = _label_fault(label, declared) or _score_fault(score, declared)
    text = class_of(label)[:TEXT_CHARS_MAX] if declared.label else None
    return PredictedRow(text, number_of(score) if declared.score else None, fault, features)


def _label_fault(label: Any, declared: Declared) -> str:
    if not declared.label:
        return ""
    if label is MISSING:
        return "missing"
    if label is None:
        return "null"
    if isinstance(label, float) and not math.isfinite(label):
        return "nan" if math.isnan(label) else "infinite"
    if declared.classes and class_of(label) not in declared.classes:
        return "unknown"
    return ""


def _score_fault(score: Any, declared: Declared) -> str:
    if not declared.score:
        return ""
    if score is MISSING:
        return "missing"
    if score is None:
        return "null"
    if not isinstance(score, int | float):
        return "text"
    if not math.isfinite(score):
        return "nan" if math.isnan(score) else "infinite"
    if declared.range is not None and not declared.range[0] <= score <= declared.range[1]:
        return "range"
    return ""
