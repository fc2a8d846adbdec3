"""``ROUTES``: every path of the admin interface with its role, fields and answers.

The server is built from this table and so is the OpenAPI document; nothing is served that is not in
it. Every path of a GET is free of effects.
"""

from __future__ import annotations

import asyncio
from functools import cache

import msgspec
from aiohttp import web

from router.admin import feedback, handlers, openapi, reviews
from router.admin.access import PUBLIC
from router.admin.commands import COMMANDS, LINE_PATTERN, SHARED_FIELDS
from router.admin.operation import Operation
from router.admin.schemas import OpenApiDocument, Schema
from router.control.reviews.queue import CLAIM_MAX
from router.control.told.verdict import CONFIRMS
from router.core.policy.server import Role
from router.core.quantities import DURATION_PATTERN

_NAME: Schema = {"type": "string", "maxLength": 63}
_TEXT: Schema = {"type": "string", "maxLength": 256, "default": ""}
_ROUTE: Schema = {**_NAME, "description": "Only this route."}
_NAMED: Schema = {**_NAME, "pattern": LINE_PATTERN}
_TIME: Schema = {"type": "number", "minimum": 0, "maximum": 10**15}
_LASTING: Schema = {
    "type": "string",
    "pattern": DURATION_PATTERN,
    "examples": ["12h"],
    "description": "How long it lasts; left out: until it is ended.",
}
_REASON = {"reason": SHARED_FIELDS["reason"]}


def _object(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(required),
    }


async def _openapi(_call: handlers.Call) -> web.Response:
    """Anybody may ask; making it takes longer than a turn of the decider may."""
    return handlers.json_response(await asyncio.to_thread(_document))


@cache
def _document() -> OpenApiDocument:
    return openapi.document(ROUTES)


class JsonPayload(msgspec.Struct):
    """Somebody else's, of any content."""


_COMMAND_STATUSES = (400, 403, 404, 409, 412, 413, 415, 503, 507)

ROUTES: tuple[Operation, ...] = (
    Operation("GET", "/healthz", PUBLIC, handlers.healthz, "Alive", answer="HealthView",
              statuses=(503,)),
    Operation("GET", "/readyz", PUBLIC, handlers.readyz, "Ready for traffic", answer="ReadyView",
          statuses=(503,)),
    Operation("GET", "/api/v1/health", Role.VIEWER, handlers.health,
              "What is wrong, as who decides sees it; 200 also where it is not ok",
              answer="HealthView"),
    Operation("GET", "/metrics", Role.VIEWER, handlers.metrics, "Metrics in Prometheus text format",
          answer="text/plain"),
    Operation("GET", "/api/v1/routes", Role.VIEWER, handlers.routes, "All routes in brief",
          answer="RoutesView"),
    Operation("GET", "/api/v1/routes/{route}", Role.VIEWER, handlers.route,
          "One route with its versions", answer="RouteView", statuses=(404,)),
    Operation("GET", "/api/v1/routes/{route}/history", Role.VIEWER, handlers.history,
          "The course of a route, for plots", answer="HistoryView", statuses=(404,),
          query={"since": {**_TIME,
                           "description": "Only what is later than this wall time."}}),
    Operation("GET", "/api/v1/routes/{route}/data", Role.VIEWER, handlers.data,
          "What monitors see of a route's data, signal by signal", answer="DataView",
          statuses=(404,),
          query={"signal": {**_TEXT, "description": "The one that is told with all its cells."},
                 "segment": {**_TEXT, "description": "Of this segment."}}),
    Operation("GET", "/api/v1/routes/{route}/performance", Role.VIEWER, handlers.performance,
          "How well the versions of a route did, from the prediction log",
          answer="PerformanceView", statuses=(404, 503),
          query={"span": {"type": "number", "minimum": 1, "maximum": 315_360_000,
                          "default": handlers.SPAN_S,
                          "description": "How far back, seconds."}}),
    Operation("GET", "/api/v1/pipeline", Role.VIEWER, handlers.pipeline,
          "Which route feeds which, what became of it by version, and which moved first",
          answer="PipelineView"),
    Operation("GET", "/api/v1/policy", Role.OPERATOR, handlers.policy,
          "The policy file: in force, and what was refused of it", answer="PolicyView"),
    Operation("GET", "/api/v1/rollouts/{route}", Role.VIEWER, handlers.rollout,
          "A rollout with its evidence", answer="OfferedRollout", statuses=(404,)),
    Operation("GET", "/api/v1/rollouts/{route}/why", Role.VIEWER, handlers.why,
          "The decision that explains where the traffic is", answer="WhyView", statuses=(404,),
          query={"at": {**_TIME,
                        "description": "Wall time, seconds since 1970; absent: now."}}),
    Operation("GET", "/api/v1/rollouts/{route}/shadow", Role.VIEWER, handlers.shadow,
          "How answers to the same requests compare", answer="ShadowView", statuses=(404,)),
    Operation("GET", "/api/v1/rollouts/{route}/verdict", Role.VIEWER, handlers.verdict,
          "The verdict in one word, for Argo Rollouts' web metric", answer="VerdictView",
          statuses=(404,)),
    *(
        Operation("POST", f"/api/v1/rollouts/{{route}}/{point}", Role.VIEWER, handlers.confirm,
                  f"{meaning}; for Flagger's webhook, whatever its body says",
                  name=point.replace("-", "_"), body={"type": "object"}, shape=JsonPayload,
                  answer="VerdictView", statuses=(400, 404, 409, 413, 415))
        for point, (meaning, _) in CONFIRMS.items()
    ),
    Operation("POST", "/api/v1/rollouts/{route}/{command}", Role.OPERATOR, handlers.command,
          "Order", body={}, answer="OrderView", statuses=_COMMAND_STATUSES,
          commands=tuple(COMMANDS)),
    Operation("GET", "/api/v1/journal", Role.VIEWER, handlers.journal, "Journal, newest first",
          answer="JournalView", statuses=(404,),
          query={"route": _ROUTE,
                 "since": {"type": "integer", "minimum": 0, "maximum": 10**15,
                           "description": "Only entries with a larger id."},
                 "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}}),
    Operation("GET", "/api/v1/events", Role.VIEWER, handlers.events,
          "Snapshot, then changes as they happen", answer="text/event-stream",
          statuses=(404, 503),
          query={"route": _ROUTE,
                 "brief": {"type": "integer", "minimum": 0, "maximum": 1, "default": 0,
                           "description": "1: one line of each route and no more."}}),
    Operation("GET", "/api/v1/whois", Role.VIEWER, handlers.whois, "The version a sticky key gets",
          answer="WhoisView", statuses=(404,),
          query={"route": {**_NAME, "required": True},
                 "key": {"type": "string", "maxLength": 1024, "required": True}}),
    Operation("GET", "/api/v1/session", Role.VIEWER, handlers.session, "Who is asking",
          answer="SessionView"),
    Operation("POST", "/api/v1/freeze", Role.ADMIN, handlers.freeze,
          "Stop every advance of every rollout, or of one route's, or allow it again",
          body=_object(("frozen",), frozen={"type": "boolean"},
                       route={**_ROUTE, "pattern": LINE_PATTERN},
                       **{"for": _LASTING}, **_REASON),
          answer="FrozenView", statuses=(400, 404, 413, 415, 507)),
    Operation("POST", "/api/v1/acknowledge", Role.OPERATOR, handlers.acknowledge,
          "A way back was seen; pages show it no more as what needs attention",
          body=_object(("route",), route=_NAMED, **_REASON),
          answer="AcknowledgedView", statuses=(400, 404, 413, 415, 507)),
    Operation("POST", "/api/v1/accept", Role.OPERATOR, handlers.accept,
          "Data that have changed are so from now on: monitors of a route hold it no more for that",
          body=_object(("route",), route=_NAMED, **_REASON),
          answer="AcceptedView", statuses=(400, 404, 413, 415)),
    Operation("POST", "/api/v1/feedback", Role.OPERATOR, handlers.feedback,
          "The truth about predictions, by request id or receipt",
          body=_object(**feedback.STATEMENT_SCHEMA, labels={
              "type": "array", "minItems": 1, "maxItems": feedback.LABELS_MAX,
              "items": _object(**feedback.STATEMENT_SCHEMA),
              "description": "Several, in place of the other fields.",
          }),
          shape=feedback.FeedbackBody,
          answer="StatementsView", statuses=(400, 413, 415, 503)),
    Operation("POST", "/api/v1/truth", Role.OPERATOR, handlers.truth,
          "What people answered, where they serve (person: true)",
          body=_object(**feedback.ANSWER_SCHEMA, answers={
              "type": "array", "minItems": 1, "maxItems": feedback.LABELS_MAX,
              "items": _object(("request_id", "answer"), **feedback.ANSWER_SCHEMA),
              "description": "Several, in place of the other fields.",
          }),
          shape=feedback.TruthBody,
          answer="StatementsView", statuses=(400, 413, 415, 503)),
    Operation("GET", "/api/v1/reviews", Role.VIEWER, reviews.standing,
          "How many questions wait for people, and what people said of each version",
          answer="ReviewsView"),
    Operation("POST", "/api/v1/reviews/claim", Role.REVIEWER, reviews.claim,
          "Get questions that nobody else has, for as long as their lease says",
          body=_object(route={**_ROUTE, "pattern": LINE_PATTERN}, count={
              "type": "integer", "minimum": 1, "maximum": CLAIM_MAX,
              "description": "Left out: one."}),
          answer="ClaimedView", statuses=(400, 403, 404, 413, 415, 507)),
    Operation("POST", "/api/v1/reviews/release", Role.REVIEWER, reviews.release,
          "Give a claimed question back", body=_object(("id",), id={
              "type": "string", "maxLength": reviews.ID_CHARS_MAX, "pattern": LINE_PATTERN,
              "description": "Of the question."}),
          answer="ReviewedView", statuses=(400, 409, 413, 415, 507)),
    Operation("POST", "/api/v1/reviews/answer", Role.REVIEWER, reviews.answer,
          "Answer a question that is claimed; durable when this is answered",
          body=_object(("id", "answer"), **reviews.ANSWER_SCHEMA), shape=reviews.ReviewAnswer,
          answer="ReviewedView", statuses=(400, 409, 413, 415, 507)),
    Operation("GET", "/api/v1/log", Role.VIEWER, handlers.prediction_log,
          "How the prediction log stands, and how late truths come", answer="LogView"),
    Operation("GET", "/api/v1/predictions", Role.DATA, handlers.predictions,
          "What was asked and answered, as the prediction log has it, newest first",
          answer="PredictionsView", statuses=(404, 503),
          query={"route": {**_NAME, "required": True},
                 "request_id": {"type": "string", "maxLength": 128, "default": "",
                                "description": "Only the rows of this request."},
                 "since": {**_TIME, "default": 0,
                           "description": "Wall time, seconds since 1970."},
                 "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
                 "bodies": {"type": "integer", "minimum": 0, "maximum": 1, "default": 0,
                            "description": "1: with requests and answers, where they are kept."}}),
    Operation("POST", "/api/v1/reload", Role.ADMIN, handlers.reload, "Read the policy file now",
          body=_object(force={"type": "boolean", "description": "Even if it did not change."}),
          answer="ReloadView", statuses=(400, 413, 415)),
    Operation("GET", "/api/v1/openapi.json", PUBLIC, _openapi, "This document", answer="OpenApi"),
    Operation("GET", "/", PUBLIC, handlers.page, "Dashboard", answer="text/html"),
    Operation("GET", "/static/{file}", PUBLIC, handlers.static, "A file of the dashboard",
          answer="application/octet-stream", statuses=(404,)),
)  # fmt: skip
