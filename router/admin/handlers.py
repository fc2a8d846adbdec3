"""What each path of the admin interface does, once access and body are in order.

A handler gets a :class:`Call` and returns a response; it refuses by raising
:class:`router.admin.problems.HttpProblem` or by letting a ControlError through.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from router.admin import dashboard
from router.admin.access import Access, Caller
from router.admin.commands import COMMANDS, Order, body_schema, check_fields, offered
from router.admin.feedback import answers, statements
from router.admin.problems import HttpProblem
from router.admin.stream import COMMENT, COMMENT_S, LISTENERS_MAX, LOOK_S, WRITE_S, Hub
from router.control.state.answers import OrderKey
from router.control.told.answers import (
    FrozenView,
    JournalView,
    PredictionsView,
    ReadyView,
    SessionView,
)
from router.control.told.controller import Controller
from router.control.told.verdict import CONFIRMS, verdict_of
from router.control.told.views import AcceptedView, AcknowledgedView, RoutesView
from router.core.policy.server import Role
from router.core.quantities import parse_duration
from router.reader.book import BookError
from router.reader.export import ExportScope, latest

COMMAND_ID_CHARS_MAX = 100
SPAN_S = 86_400.0
"""How far back *Model performance* looks unless it is told."""
READING = asyncio.Lock()
"""Of the prediction log: one at a time, so that no crowd of threads reads a large table."""
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
ACCEPTED_MAX = 32
"""Media types of an Accept that are looked at."""
ANYBODY = Caller("anybody", Role.VIEWER)


@dataclass(frozen=True, slots=True)
class Call:
    """One admitted request."""

    request: web.Request
    controller: Controller
    hub: Hub
    access: Access
    identity: Caller = ANYBODY
    body: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    shaped: msgspec.Struct | None = None
    """The body of an operation with a ``shape``."""

    @property
    def route(self) -> str:
        """The route named in the path."""
        return self.request.match_info["route"]


def json_response(
    document: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """JSON; msgspec writes a number that is not finite as null, since JSON has none."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(document),
        content_type="application/json",
        headers=headers,
    )


# --- health ---------------------------------------------------------------------------------


async def healthz(call: Call) -> web.Response:
    """200 while the router lives; what is wrong is told only to those who may look."""
    return told(call.request, call.access, call.controller.health())


async def health(call: Call) -> web.Response:
    """The same for people: of all routers on one store, whichever of them is asked."""
    return json_response(call.controller.health())


async def readyz(call: Call) -> web.Response:
    """200 once every worker has applied the current table."""
    return told(call.request, call.access, call.controller.ready())


def told(request: web.Request, access: Access, health: ReadyView) -> web.Response:
    """How a router is; who may not look hears ``ok`` alone."""
    status = 200 if health.ok else 503
    try:
        access.identify(request, Role.VIEWER)
    except HttpProblem:
        return json_response({"ok": health.ok}, status)
    return json_response(health, status)


async def metrics(call: Call) -> web.Response:
    """Prometheus text, or OpenMetrics for who prefers it, as Prometheus does."""
    return await exposed(call.request, call.controller.metrics_text)


async def exposed(request: web.Request, text_of: Callable[..., Awaitable[str]]) -> web.Response:
    """``text_of(openmetrics=...)`` in the format that is preferred."""
    rich = prefers(request.headers.get("Accept", ""))
    text = await text_of(openmetrics=rich)
    kind = OPENMETRICS_TYPE if rich else METRICS_TYPE
    return web.Response(body=text.encode(), headers={"Content-Type": kind, "Vary": "Accept"})


def prefers(accept: str) -> bool:
    """Whether OpenMetrics 1.0 is wanted more than text (RFC 9110 section 12.5.1)."""
    weights = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for part in accept.split(",")[:ACCEPTED_MAX]:
        kind, *given = (piece.strip() for piece in part.lower().split(";"))
        said = dict(piece.split("=", 1) for piece in given if "=" in piece)
        old = kind == "application/openmetrics-text" and said.get("version", "1") < "1"
        if kind in weights and not old:
            with suppress(ValueError):
                weights[kind] = max(weights[kind], float(said.get("q", "1")))
    return weights["application/openmetrics-text"] > weights["text/plain"]


# --- reading --------------------------------------------------------------------------------


async def routes(call: Call) -> web.Response:
    """A summary of every route."""
    return json_response(RoutesView(routes=await call.controller.routes()))


async def route(call: Call) -> web.Response:
    """One route with its versions."""
    return json_response(call.controller.route(call.route))


async def history(call: Call) -> web.Response:
    """The course of a route, for plots."""
    return json_response(call.controller.history(call.route, call.query.get("since", 0.0)))


async def data(call: Call) -> web.Response:
    """What monitors see, signal by signal; categories by name for those who may read rows."""
    asked = call.query
    told = call.controller.data.quality(
        call.route, asked.get("signal", ""), asked.get("segment", ""),
        named=call.identity.may(Role.DATA),
    )  # fmt: skip
    return json_response(told)


async def pipeline(call: Call) -> web.Response:
    """Which route feeds which."""
    return json_response(call.controller.data.pipeline())


async def performance(call: Call) -> web.Response:
    """How well the versions did, from the prediction log."""
    span_s = float(call.query.get("span", SPAN_S))
    return json_response(await call.controller.data.performance(call.route, span_s))


async def policy(call: Call) -> web.Response:
    """The policy file: in force, and refused."""
    return json_response(await call.controller.policy())


async def rollout(call: Call) -> web.Response:
    """The rollout with its evidence; the ETag is the revision for If-Match."""
    status = offered(call.controller.rollout(call.route))
    return json_response(status, headers={"ETag": f'"{status.revision}"'})


async def why(call: Call) -> web.Response:
    """The entry that explains where the traffic is, or was at a time."""
    return json_response(await call.controller.why(call.route, call.query.get("at")))


async def verdict(call: Call) -> web.Response:
    """The verdict in one word, as Argo Rollouts asks it."""
    return json_response(verdict_of(call.controller.rollout(call.route)))


async def confirm(call: Call) -> web.Response:
    """200 for go, as Flagger asks it; 409 with the sentence for not yet."""
    said = verdict_of(call.controller.rollout(call.route))
    _, goes = CONFIRMS[call.request.path.rpartition("/")[2]]
    if not goes(said):
        raise HttpProblem(409, f"{said.verdict}: {said.sentence}", code="not_confirmed")
    return json_response(said)


async def shadow(call: Call) -> web.Response:
    """How the versions' answers to the same requests compare."""
    return json_response(call.controller.shadow(call.route))


async def journal(call: Call) -> web.Response:
    """Entries, newest first."""
    query = call.query
    entries = await call.controller.journal(
        query.get("route"), since=query.get("since"), limit=query.get("limit", 100)
    )
    return json_response(JournalView(entries=entries))


async def whois(call: Call) -> web.Response:
    """Where a sticky key goes."""
    told = call.controller.whois(call.query["route"], call.query["key"])
    return json_response(told)


async def session(call: Call) -> web.Response:
    """Who the asker is, so that a page shows only what it may do."""
    who = call.identity
    return json_response(SessionView(name=who.name, role=who.role, open=call.access.open))


# --- changing -------------------------------------------------------------------------------


async def command(call: Call) -> web.Response:
    """Carry out one order; the answer comes when it is durable and in force in every worker."""
    verb = call.request.path.rpartition("/")[2]
    kind = COMMANDS[verb]
    status = call.controller.rollout(call.route)
    try:
        check_fields(call.body, body_schema(kind))
        order = Order(
            call.identity.name, call.body.get("reason", ""), call.controller.now(),
            call.body, status,
        )  # fmt: skip
        event = kind.event(order)
    except ValueError as error:
        raise HttpProblem(422, str(error)) from None
    asked = msgspec.json.encode([call.identity.name, call.route, verb, call.body], order="sorted")
    name = _command_id(call.request)
    result = await call.controller.command(
        call.route, event, if_revision=_if_match(call.request),
        key=OrderKey(name, hashlib.sha256(asked).hexdigest()[:16]) if name else None,
        dry_run=call.body.get("dry_run", False),
    )  # fmt: skip
    return json_response(result, headers={"ETag": f'"{result.revision}"'})


def _if_match(request: web.Request) -> int | None:
    """The revision the caller saw; None without the header or with ``*`` (RFC 9110, 13.1.1)."""
    text = request.headers.get("If-Match", "*").strip()
    if text == "*":
        return None
    digits = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 18:
        raise HttpProblem(400, 'If-Match: a revision such as "17", or *')
    return int(digits)


def _command_id(request: web.Request) -> str | None:
    text = request.headers.get("Idempotency-Key")
    if text is None:
        return None
    if not 1 <= len(text) <= COMMAND_ID_CHARS_MAX or not (text.isascii() and text.isprintable()):
        raise HttpProblem(400, f"Idempotency-Key: 1 to {COMMAND_ID_CHARS_MAX} printable characters")
    return text


async def acknowledge(call: Call) -> web.Response:
    """A way back was seen."""
    done = await call.controller.acknowledge(
        call.body["route"], actor=call.identity.name, reason=call.body.get("reason", "")
    )
    return json_response(AcknowledgedView(acknowledged=done))


async def accept(call: Call) -> web.Response:
    """Data are as they are now."""
    done = call.controller.accept(
        call.body["route"], actor=call.identity.name, reason=call.body.get("reason", "")
    )
    return json_response(AcceptedView(accepted=done))


async def freeze(call: Call) -> web.Response:
    """Stop every advance, or allow it again; rollbacks go on."""
    body = call.body
    lasting_s: float | None = None
    if (lasting := body.get("for")) is not None:
        if not body["frozen"]:
            raise HttpProblem(422, "for: only a freeze lasts; leave it out to end one")
        try:
            lasting_s = parse_duration(lasting)
        except ValueError as error:
            raise HttpProblem(422, f"for: {error}") from None
    await call.controller.freeze(
        body["frozen"], actor=call.identity.name, reason=body.get("reason", ""),
        route=body.get("route", ""), lasting_s=lasting_s,
    )  # fmt: skip
    return json_response(FrozenView(frozen=body["frozen"]))


async def feedback(call: Call) -> web.Response:
    """Take what is said of predictions; what is wrong is told with its place, the others count."""
    try:
        given = statements(call.shaped)
    except ValueError as error:
        raise HttpProblem(422, str(error)) from None
    return json_response(await call.controller.feedback(given))


async def truth(call: Call) -> web.Response:
    """Take what people answered where they are the version that serves."""
    try:
        given = answers(call.shaped)
    except ValueError as error:
        raise HttpProblem(422, str(error)) from None
    return json_response(await call.controller.feedback(given))


async def prediction_log(call: Call) -> web.Response:
    """How the log stands; no payload."""
    return json_response(call.controller.prediction_log())


async def predictions(call: Call) -> web.Response:
    """Rows of the log, read in a thread, one reading at a time."""
    asked, place = call.query, call.controller.prediction_log().file
    call.controller.route(asked["route"])
    if not place:
        raise HttpProblem(404, "no route has a log: add log: {} to it")
    chosen = ExportScope(asked["route"], float(asked.get("since", 0)))
    if READING.locked():
        raise HttpProblem(503, "the log is being read already", headers={"Retry-After": "1"})
    async with READING:
        try:
            rows = await asyncio.to_thread(
                latest, place, chosen, asked.get("limit", 100),
                request_id=asked.get("request_id", ""), bodies=bool(asked.get("bodies")),
            )  # fmt: skip
        except BookError as error:
            raise HttpProblem(503, f"the log cannot be read: {error}") from None
    return json_response(PredictionsView(route=asked["route"], rows=rows))


async def reload(call: Call) -> web.Response:
    """Read the policy file now."""
    force = call.body.get("force", False)
    told = await call.controller.reload(force=force, actor=call.identity.name)
    return json_response(told)


# --- events ---------------------------------------------------------------------------------


async def events(call: Call) -> web.StreamResponse:
    """A snapshot (or what was missed since Last-Event-ID), then what happens, as it happens."""
    hub, wanted, brief = call.hub, call.query.get("route", ""), bool(call.query.get("brief"))
    if wanted:
        call.controller.route(wanted)
    if hub.listeners >= LISTENERS_MAX:
        raise HttpProblem(503, f"{LISTENERS_MAX} listeners already", headers={"Retry-After": "5"})
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-cache, no-store",
            "X-Accel-Buffering": "no",
        }
    )
    await response.prepare(call.request)
    # Who goes away or stops reading is owed nothing.
    with hub.listening(wanted, brief=brief), suppress(TimeoutError, ConnectionError):
        await _feed(call.request, response, hub, wanted, brief)
    return response


async def _feed(
    request: web.Request, response: web.StreamResponse, hub: Hub, route: str, brief: bool
) -> None:
    position = hub.position(request.headers.get("Last-Event-ID", ""))
    admission, silent_s = hub.admissions, 0.0
    while hub.admissions == admission and request.transport is not None:
        frames = None if position is None else hub.after(position, route, brief=brief)
        position = hub.newest  # what comes while a snapshot is made is told behind it
        if frames is None:
            frames = [await hub.snapshot(route, brief=brief)]
        if frames or silent_s >= COMMENT_S:
            silent_s = 0.0
            await asyncio.wait_for(response.write(b"".join(frames) or COMMENT), WRITE_S)
        elif not await hub.wait(LOOK_S):
            silent_s += LOOK_S


# --- pages ----------------------------------------------------------------------------------


async def page(call: Call) -> web.Response:
    """The dashboard. It holds no data: the page fetches that with the reader's token."""
    return page_file(call.request, "index.html")


async def static(call: Call) -> web.Response:
    """A file of the dashboard, from a fixed list."""
    return page_file(call.request, call.request.match_info["file"])


def page_file(request: web.Request, name: str) -> web.Response:
    """One file of the dashboard. Raises HttpProblem."""
    found = dashboard.FILES.get(name)
    if found is None:
        raise HttpProblem(404, "there is no such file")
    headers = {"Content-Type": found.content_type, "ETag": found.etag, "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == found.etag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=found.body, headers=headers)
