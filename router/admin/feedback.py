"""Late truth: ``POST /api/v1/feedback`` says what was right, ``/truth`` what a person answered.

Either takes one statement, or up to 10,000 as ``labels`` or ``answers``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec

from router.admin.schemas import Schema
from router.control.fleet.feedback import Statement
from router.core.logged.truth import FACTS, ID_CHARS_MAX, LABEL_CHARS_MAX, Truth
from router.core.wire.receipt import RECEIPT_CHARS_MAX

LABELS_MAX: Final = 10_000
"""Statements of one request."""

Short = Annotated[str, msgspec.Meta(max_length=LABEL_CHARS_MAX)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class StatementBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is said of one prediction."""

    receipt: Annotated[str, msgspec.Meta(max_length=RECEIPT_CHARS_MAX)] = ""
    request_id: Annotated[str, msgspec.Meta(max_length=ID_CHARS_MAX)] = ""
    row: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    label: bool | float | Short | None = None
    truth: bool | float | Short | None = None
    correct: bool | None = None
    score: Share | None = None
    reward: Share | None = None
    value: float | None = None
    accepted: bool | None = None
    source: Literal["system", "human"] = "system"


class FeedbackBody(StatementBody, forbid_unknown_fields=True):
    """One statement, or several."""

    labels: (
        Annotated[list[StatementBody], msgspec.Meta(min_length=1, max_length=LABELS_MAX)] | None
    ) = None


def statements(body: msgspec.Struct | None) -> list[Statement]:
    """What a :class:`FeedbackBody` says. Raises ValueError that names the place."""
    if not isinstance(body, FeedbackBody):
        raise ValueError("expected feedback")  # noqa: TRY004 - callers answer 422
    if body.labels is None:
        return [_statement(body)]
    _alone(body, FeedbackBody(labels=body.labels), "labels")
    made = []
    for index, one in enumerate(body.labels):
        try:
            made.append(_statement(one))
        except ValueError as error:
            raise ValueError(f"labels[{index}]: {error}") from None
    return made


def _alone(body: msgspec.Struct, several: msgspec.Struct, name: str) -> None:
    """Nothing of what is beside a list would be read."""
    if body != several:
        raise ValueError(f"{name}: in place of the other fields, so give either")


class AnswerBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a person answered to one request."""

    request_id: Annotated[str, msgspec.Meta(max_length=ID_CHARS_MAX)] = ""
    row: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    answer: bool | float | Short | None = None


class TruthBody(AnswerBody, forbid_unknown_fields=True):
    """One answer, or several."""

    answers: (
        Annotated[list[AnswerBody], msgspec.Meta(min_length=1, max_length=LABELS_MAX)] | None
    ) = None


def answers(body: msgspec.Struct | None) -> list[Statement]:
    """What a :class:`TruthBody` says. Raises ValueError that names the place."""
    if not isinstance(body, TruthBody):
        raise ValueError("expected answers")  # noqa: TRY004 - callers answer 422
    if body.answers is None:
        return [_answered(body, "")]
    _alone(body, TruthBody(answers=body.answers), "answers")
    return [_answered(one, f"answers[{index}]: ") for index, one in enumerate(body.answers)]


def _answered(one: AnswerBody, place: str) -> Statement:
    if not one.request_id or not one.request_id.isprintable():
        raise ValueError(f"{place}expected request_id, which is printable")
    if one.answer is None:
        raise ValueError(f"{place}expected answer: a class, yes or no, or a number")
    if isinstance(one.answer, float) and not math.isfinite(one.answer):
        raise ValueError(f"{place}answer: expected a finite number")
    return Statement(Truth(one.request_id, one.row, answer=one.answer))


def _statement(one: StatementBody) -> Statement:
    if bool(one.receipt) == bool(one.request_id):
        raise ValueError("expected either receipt or request_id")
    if not (one.receipt or one.request_id).isprintable():
        raise ValueError("expected printable text as receipt or request_id")
    label = one.truth if one.label is None else one.label
    score = one.reward if one.score is None else one.score
    for name, number in (("label", label), ("value", one.value)):
        if isinstance(number, float) and not math.isfinite(number):
            raise ValueError(f"{name}: expected a finite number")
    truth = Truth(
        one.request_id, one.row, "", label, one.correct, score, one.value, one.accepted,
        source=one.source,
    )  # fmt: skip
    if all(getattr(truth, name) is None for name in FACTS):
        raise ValueError(f"expected one of {', '.join(FACTS[:-1])}")  # answers: /api/v1/truth
    return Statement(truth, one.receipt)


def _text(most: int, about: str) -> Schema:
    return {"type": "string", "maxLength": most, "description": about}


def _flag(about: str) -> Schema:
    return {"type": ["boolean", "null"], "description": about}


STATEMENT_SCHEMA: Final[Mapping[str, Schema]] = {
    "receipt": _text(RECEIPT_CHARS_MAX, "X-Rampway-Receipt of the answer that this is about."),
    "request_id": _text(ID_CHARS_MAX, "X-Request-Id of the answer, where its route has a log."),
    "row": {
        "type": "integer", "minimum": 0, "maximum": 1_000_000,
        "description": "Which prediction of a request with several, from 0.",
    },
    "label": {
        "type": ["boolean", "number", "string", "null"], "maxLength": LABEL_CHARS_MAX,
        "description": "What was right; it judges both answers of a mirrored request.",
    },
    "truth": {
        "type": ["boolean", "number", "string", "null"], "maxLength": LABEL_CHARS_MAX,
        "description": "The same as label.",
    },
    "correct": _flag("Whether the prediction was right."),
    "score": {
        "type": ["number", "null"], "minimum": 0, "maximum": 1, "description": "How good it was.",
    },
    "reward": {
        "type": ["number", "null"], "minimum": 0, "maximum": 1, "description": "The same as score.",
    },
    "value": {
        "type": ["number", "null"], "description": "What it brought, in the unit of the business.",
    },
    "accepted": _flag("Whether the person who got it took it; false: overruled."),
    "source": {"enum": ["system", "human"], "description": "Who says so."},
}  # fmt: skip
"""Fields of a statement, for the OpenAPI document."""

ANSWER_SCHEMA: Final[Mapping[str, Schema]] = {
    "request_id": STATEMENT_SCHEMA["request_id"],
    "row": STATEMENT_SCHEMA["row"],
    "answer": {
        "type": ["boolean", "number", "string", "null"], "maxLength": LABEL_CHARS_MAX,
        "description": "What the person answered: a class, yes or no, or a number.",
    },
}  # fmt: skip
"""Fields of an answer, likewise."""
