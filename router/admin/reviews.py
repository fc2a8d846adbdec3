"""The review queue over HTTP: who has a token with the role reviewer claims questions and answers.

A claim is one person's, by the token's name, until its lease is over; what was answered is durable
when the answer comes back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from router.admin.feedback import Short
from router.admin.handlers import json_response
from router.admin.problems import HttpProblem
from router.admin.schemas import Schema
from router.control.reviews.queue import CLAIM_MAX
from router.control.told.reviewed import ClaimedView, ReviewedView
from router.core.logged.truth import LABEL_CHARS_MAX
from router.core.predictions.rows import ROWS_MAX

if TYPE_CHECKING:
    from aiohttp import web

    from router.admin.handlers import Call

ID_CHARS_MAX: Final = 64

Value = bool | int | float | Short


class ReviewAnswer(msgspec.Struct, forbid_unknown_fields=True):
    """What a person says to a question."""

    id: Annotated[str, msgspec.Meta(max_length=ID_CHARS_MAX)]
    answer: Value | Annotated[list[Value], msgspec.Meta(min_length=1, max_length=ROWS_MAX)]


_VALUES: Final[list[Schema]] = [
    {"type": "boolean"}, {"type": "number"}, {"type": "string", "maxLength": LABEL_CHARS_MAX},
]  # fmt: skip

ANSWER_SCHEMA: Final[Mapping[str, Schema]] = {
    "id": {"type": "string", "maxLength": ID_CHARS_MAX, "description": "Of the question."},
    "answer": {
        "anyOf": [*_VALUES, {
            "type": "array", "minItems": 1, "maxItems": ROWS_MAX, "items": {"anyOf": _VALUES},
        }],
        "description": "A class, yes or no, or a number; a list of them where there are rows.",
    },
}  # fmt: skip
"""Fields of an answer, for the OpenAPI document."""


async def standing(call: Call) -> web.Response:
    """How many questions wait, and what people said of each version."""
    return json_response(call.controller.reviews.view())


async def claim(call: Call) -> web.Response:
    """Questions that are the caller's from now on, for as long as their lease says."""
    route, count = call.body.get("route", ""), call.body.get("count", 1)
    if count != int(count) or not 1 <= count <= CLAIM_MAX:
        raise HttpProblem(422, f"count: expected a whole number from 1 to {CLAIM_MAX}")
    found = await call.controller.reviews.claim(call.identity.name, route, int(count))
    return json_response(ClaimedView(reviewer=call.identity.name, items=found))


async def release(call: Call) -> web.Response:
    """Give a claim back, for others."""
    await call.controller.reviews.release(call.identity.name, call.body["id"])
    return json_response(ReviewedView(id=call.body["id"], state="open"))


async def answer(call: Call) -> web.Response:
    """Take what a person says to a question that is claimed."""
    given = call.shaped
    if not isinstance(given, ReviewAnswer):
        raise HttpProblem(422, "expected an answer")
    said = given.answer if isinstance(given.answer, list) else [given.answer]
    if any(isinstance(one, float) and not math.isfinite(one) for one in said):
        raise HttpProblem(422, "answer: expected finite numbers")
    name = call.identity.name
    return json_response(await call.controller.reviews.answer(name, given.id, given.answer))
