"""The OpenAPI 3.1 document of the admin interface, derived from ``ROUTES`` and ``COMMANDS``.

What is said of routes and rollouts is generated from :mod:`router.control.told.views`; a few small
answers are written by hand. The tests hold both against what the real handlers say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec

import router
from router.admin.commands import COMMANDS, OfferedRollout, body_schema
from router.admin.problems import MEDIA_TYPE
from router.control.state.answers import Announcement, CommandResult
from router.control.state.record import JournalEntry
from router.control.told.views import (
    AcceptedView,
    AcknowledgedView,
    HistoryView,
    PolicyView,
    RoutesView,
    RouteView,
)

if TYPE_CHECKING:
    from router.admin.operation import Operation

JsonObject = dict[str, Any]


def _shape(description: str, **properties: Any) -> JsonObject:
    """An object with at least these keys; a router may say more."""
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": [name for name in properties if not name.startswith("_")],
    }


_TEXT = {"type": "string"}
_FLAG = {"type": "boolean"}
_WHOLE = {"type": "integer"}


def _list_of(name: str) -> JsonObject:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


_OBJECT = {"type": "object"}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_OBJECTS = {"type": "array", "items": _OBJECT}
_ANY_LIST = {"type": "array", "items": {"type": "object"}}

COMPONENTS: JsonObject = {
    "Problem": _shape("RFC 9457", type=_TEXT, title=_TEXT, status=_WHOLE, detail=_TEXT, code=_TEXT),
    "Health": _shape("ok decides the status; the rest is for those who may look", ok=_FLAG),
    "Why": _shape(
        "One line that a person would say, the numbers, and the entry they come from",
        line=_TEXT, sentence=_TEXT,
    ),
    "Shadow": _shape(
        "Pairs of answers by version; noise: what differs between two answers of stable",
        route=_TEXT, stable=_TEXT, candidate=_TEXT, noise={"type": "object"},
        versions={"type": "object"},
    ),
    "Journal": _shape("Newest first", entries=_list_of("JournalEntry")),
    "Whois": _shape("Where a key goes", version={"type": ["string", "null"]}),
    "Session": _shape("Who is asking", name=_TEXT, role=_TEXT, open=_FLAG),
    "Frozen": _shape("As it is now", frozen=_FLAG),
    "Feedback": _shape(
        "What became of the statements", accepted=_WHOLE, refused=_ANY_LIST, joined=_WHOLE,
        waiting=_WHOLE, waiting_ids=_TEXTS, duplicates=_WHOLE,
    ),
    "PredictionLog": _shape(
        "The prediction log", file=_TEXT, written=_WHOLE, dropped=_OBJECT, held=_OBJECT,
        unknown=_WHOLE, unknown_ids=_TEXTS, error=_TEXT, lag=_OBJECT,
    ),
    "Predictions": _shape("Rows of the prediction log", route=_TEXT, rows=_OBJECTS),
    "Reloaded": _shape("What the reload did", changed=_FLAG),
    "OpenApi": _shape("OpenAPI 3.1", openapi=_TEXT, paths={"type": "object"}),
}  # fmt: skip


GENERATED: Final = (
    CommandResult, Announcement, JournalEntry, RoutesView, RouteView, OfferedRollout,
    HistoryView, PolicyView, AcknowledgedView, AcceptedView,
)  # fmt: skip
"""Answers whose shape is a type: everything that they have, and nothing else."""


def document(routes: Iterable[Operation]) -> JsonObject:
    """The whole document."""
    paths: JsonObject = {}
    for route in routes:
        for path, operation in _operations(route):
            paths.setdefault(path, {})[route.method.lower()] = operation
    _, generated = msgspec.json.schema_components(
        GENERATED, ref_template="#/components/schemas/{name}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rampway admin interface",
            "version": router.__version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": {**COMPONENTS, **generated},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operations(route: Operation) -> list[tuple[str, JsonObject]]:
    if not route.commands:
        return [(route.path, _operation(route, route.summary, route.body))]
    return [
        (route.path.replace("{command}", name), _operation(route, kind.summary, body_schema(kind)))
        for name, kind in COMMANDS.items()
    ]


def _operation(route: Operation, summary: str, body: Mapping[str, Any] | None) -> JsonObject:
    made: JsonObject = {
        "summary": summary,
        "x-role": route.role or "public",
        "parameters": _parameters(route),
        "responses": {"200": _answer(route), **_refusals(route)},
    }
    if body is not None:
        content = {"application/json": {"schema": body}}
        made["requestBody"] = {"required": bool(body.get("required")), "content": content}
    if route.role is None:
        made["security"] = []
    return made


def _parameters(route: Operation) -> list[JsonObject]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT}
        for name in re.findall(r"{(\w+)}", route.path)
        if name != "command"
    ]
    in_query = [
        {
            "name": name,
            "in": "query",
            "required": schema.get("required", False),
            "schema": {key: value for key, value in schema.items() if key != "required"},
        }
        for name, schema in route.query.items()
    ]
    return in_path + in_query + (_COMMAND_HEADERS if route.commands else [])


_COMMAND_HEADERS: list[JsonObject] = [
    {"name": "If-Match", "in": "header", "schema": _TEXT, "required": False,
     "description": "The revision that was seen; 412 if the rollout has moved since."},
    {"name": "Idempotency-Key", "in": "header", "schema": _TEXT, "required": False,
     "description": "Command id: the same id twice is carried out once."},
]  # fmt: skip


def _answer(route: Operation) -> JsonObject:
    if "/" in route.answer:
        content: JsonObject = {route.answer: {"schema": _TEXT}}
    else:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{route.answer}"}}}
    return {"description": "OK", "content": content}


def _refusals(route: Operation) -> JsonObject:
    statuses = set(route.statuses)
    if route.role is not None:
        statuses |= {401, 403, 421}
    if route.query or route.body is not None:
        statuses.add(422)
    if route.answer == "Health":  # says the same whether it is well or not
        content = _answer(route)["content"]
    else:
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        str(status): {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted(statuses)
    }
