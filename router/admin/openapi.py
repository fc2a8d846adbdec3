"""The OpenAPI 3.1 document of the admin interface, derived from ``ROUTES`` and ``COMMANDS``.

Every answer is generated from a type of :mod:`router.control.told`; the tests hold them against
what the real handlers say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec

import router
from router.admin.commands import COMMANDS, body_schema
from router.admin.problems import MEDIA_TYPE
from router.admin.schemas import (
    MediaType,
    OpenApiDocument,
    OperationObject,
    Parameter,
    Response,
    Schema,
)
from router.control.told.answers import (
    AnnouncementView,
    EntryView,
    FrozenView,
    HealthView,
    JournalView,
    LogView,
    OrderView,
    PredictionsView,
    ProblemDocument,
    ReadyView,
    ReloadView,
    SessionView,
    SnapshotView,
    StatementsView,
    StatusView,
    WhoisView,
    WhyView,
)
from router.control.told.compared import ShadowView
from router.control.told.data_views import DataView, PerformanceView
from router.control.told.pipeline import PipelineView
from router.control.told.reviewed import ClaimedView, ReviewedView, ReviewsView
from router.control.told.verdict import VerdictView
from router.control.told.view import View
from router.control.told.views import (
    AcceptedView,
    AcknowledgedView,
    HistoryView,
    OfferedRollout,
    PolicyView,
    RoutesView,
    RouteView,
)

if TYPE_CHECKING:
    from router.admin.operation import Operation

_TEXT: Schema = {"type": "string"}
_REVISION: Schema = {"type": "string", "pattern": r'^(\*|[0-9]{1,18}|"[0-9]{1,18}")$'}
_COMMAND_ID: Schema = {"type": "string", "pattern": r"^[!-~]{1,100}$"}


class OpenApi(View, frozen=True, kw_only=True):
    """OpenAPI 3.1."""

    openapi: str
    info: dict[str, Any]
    security: list[dict[str, list[str]]]
    paths: dict[str, Any]
    components: dict[str, Any]


ANSWERS: Final[dict[str, type[View]]] = {
    kind.__name__: kind
    for kind in (
        AcceptedView, AcknowledgedView, ClaimedView, DataView, FrozenView, HealthView,
        HistoryView, JournalView, LogView, OfferedRollout, OpenApi, OrderView,
        PerformanceView, PipelineView, PolicyView, PredictionsView, ProblemDocument, ReadyView,
        ReloadView, ReviewedView, ReviewsView, RouteView, RoutesView, SessionView, ShadowView,
        StatementsView, VerdictView, WhoisView, WhyView,
    )
}  # fmt: skip
"""Every answer, by the name that operations call it."""

HEARD: Final = (SnapshotView, StatusView, AnnouncementView, EntryView)
"""What the stream says; nothing refers to it."""


def document(routes: Iterable[Operation]) -> OpenApiDocument:
    """The whole document."""
    paths: dict[str, dict[str, OperationObject]] = {}
    for route in routes:
        for path, operation in _operations(route):
            paths.setdefault(path, {})[route.method.lower()] = operation
    _, generated = msgspec.json.schema_components(
        (*ANSWERS.values(), *HEARD), ref_template="#/components/schemas/{name}"
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
            "schemas": generated,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operations(route: Operation) -> list[tuple[str, OperationObject]]:
    if not route.commands:
        name = route.name or route.handler.__name__.strip("_")
        return [(route.path, _operation(route, name, route.summary, route.body))]
    kinds = [(name.replace("-", "_"), COMMANDS[name]) for name in route.commands]
    told = [_operation(route, name, kind.summary, body_schema(kind)) for name, kind in kinds]
    return list(zip(route.paths, told, strict=True))


def _operation(route: Operation, name: str, summary: str, body: Schema | None) -> OperationObject:
    made: OperationObject = {
        "operationId": name,
        "summary": summary,
        "x-role": route.role or "public",
        "parameters": _parameters(route),
        "responses": {"200": _answer(route), **_refusals(route)},
    }
    if body is not None:
        made["requestBody"] = {
            "required": True, "content": {"application/json": {"schema": body}},
        }  # fmt: skip
    if route.role is None:
        made["security"] = []
    return made


def _parameters(route: Operation) -> list[Parameter]:
    in_path: list[Parameter] = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT}
        for name in re.findall(r"{(\w+)}", route.path)
        if name != "command"
    ]
    in_query: list[Parameter] = [
        {
            "name": name,
            "in": "query",
            "required": bool(schema.get("required", False)),
            "schema": _bare(schema),
        }
        for name, schema in route.query.items()
    ]
    return in_path + in_query + (_COMMAND_HEADERS if route.commands else [])


def _bare(schema: Schema) -> Schema:
    """Without what OpenAPI says of the parameter instead."""
    bare = schema.copy()
    bare.pop("required", None)
    return bare


_COMMAND_HEADERS: list[Parameter] = [
    {"name": "If-Match", "in": "header", "schema": _REVISION, "required": False,
     "description": "The revision that was seen; 412 if the rollout has moved since."},
    {"name": "Idempotency-Key", "in": "header", "schema": _COMMAND_ID, "required": False,
     "description": "Command id: the same id twice is carried out once."},
]  # fmt: skip


def _answer(route: Operation) -> Response:
    if "/" in route.answer:
        content: dict[str, MediaType] = {route.answer: {"schema": _TEXT}}
    else:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{route.answer}"}}}
    return {"description": "OK", "content": content}


def _refusals(route: Operation) -> dict[str, Response]:
    statuses = set(route.statuses)
    if route.role is not None:
        statuses |= {401, 403, 421}
    if route.query or route.body is not None:
        statuses.add(422)
    if route.answer in ("HealthView", "ReadyView"):  # says the same whether it is well or not
        content = _answer(route)["content"]
    else:
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    return {
        str(status): {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted(statuses)
    }
