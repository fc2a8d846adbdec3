"""The listener: what every request passes before its handler, and the life of the server.

In this order: path and method (aiohttp's router), host, origin, token and role
(:mod:`router.admin.access`), query, content type, size and JSON of the body, the handler. Whatever
refuses, the answer is a problem document, and every answer carries the same protective headers.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from router.admin.access import Access
from router.admin.bodies import whole_body
from router.admin.commands import check_fields
from router.admin.connections import SWEEP_S, Connections
from router.admin.following import Following, leaf_digest
from router.admin.handlers import ANYBODY, Call
from router.admin.handshakes import AdminHandshakes
from router.admin.operation import Operation
from router.admin.problems import HttpProblem, of_control_error, of_http_exception
from router.admin.routes import ROUTES
from router.admin.schemas import Schema
from router.admin.stream import STATUS_S, Hub
from router.config.certificate import ServerCertificate
from router.control.state.errors import ControlError
from router.control.told.controller import Controller
from router.core.foreign import STRICT, read
from router.core.policy.server import Admin, split_address
from router.loops import background, forever
from router.telemetry.log import get_logger

NUMBER_CHARS_MAX = 40
"""Of a number in a query; a float has 24 at most."""
HEAD_BYTES_MAX = 16_384
"""Longest line of a request head; tokens and sticky keys are far shorter."""
BACKLOG = 1_024
"""Connections that the kernel keeps while this process is busy."""
CLOSE_S = 2.0
"""Time that answers under way may still take when the listener closes."""

PROTECTION: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""On every answer: no inline code, no framing, no reading by other sites."""

log = get_logger("router.admin")

RawHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AdminServer:
    """Serves ``controller`` as ``policy`` says. ``start`` binds, ``close`` ends all streams.

    Of several routers one decides and has a controller; who follows it has ``following``, which
    passes on what it cannot answer. :meth:`lead` and :meth:`follow` change between the two.

    Raises ValueError (see :class:`Access`) before anything is bound; ``start`` raises OSError when
    the address is taken or the certificate cannot be used.
    """

    def __init__(
        self, controller: Controller | None, policy: Admin, *, status_s: float = STATUS_S,
        following: Following | None = None,
    ) -> None:  # fmt: skip
        self._controller = controller
        self._following = following
        self._policy = policy
        self._access = Access(policy)
        self._tls: ServerCertificate | None = None
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server | AdminHandshakes] = []
        self._connections: Connections
        self._sweeper: asyncio.Task[None] | None = None
        self._runner: web.AppRunner | None = None
        self._hub: Hub | None = None
        self._status_s = status_s
        self.port = 0
        """The port that was bound; the kernel's choice where the policy says 0."""

    def __repr__(self) -> str:
        return f"<AdminServer {self._policy.listen} port {self.port} {self._hub}>"

    @property
    def url(self) -> str:
        """Where it answers, for people."""
        host, _ = split_address(self._policy.listen)
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self._tls else 'http'}://{shown}:{self.port}"

    async def bind(self) -> None:
        """Take the address; nobody is answered yet. Raises OSError for it or the certificate."""
        host, port = split_address(self._policy.listen)
        if self._policy.tls is not None:
            self._tls = ServerCertificate(self._policy.tls.certificate, self._policy.tls.key)
            self._show_certificate()
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, kind, protocol, _, address in dict.fromkeys(found):
            made = socket.socket(family, kind, protocol)
            self._sockets.append(made)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                made.bind((address[0], self.port or port, *address[2:]))
            except OSError as error:
                self._let_go()
                raise OSError(error.errno, _refused(self._policy.listen, error)) from None
            self.port = made.getsockname()[1]

    def _let_go(self) -> None:
        while self._sockets:
            self._sockets.pop().close()

    async def start(self) -> None:
        """Answer; on the address that was taken, or take it now. Once is enough."""
        if not self._sockets:
            await self.bind()
        if self._runner is not None:
            return
        if self._controller is not None:
            self.lead(self._controller)
        self._runner = web.AppRunner(
            self._application(), handle_signals=False, access_log=None,
            shutdown_timeout=CLOSE_S,
            # Who has gone waits for nothing: its place and its order's are free at once.
            handler_cancellation=True,
            max_line_size=HEAD_BYTES_MAX, max_field_size=HEAD_BYTES_MAX,
        )  # fmt: skip
        await self._runner.setup()
        assert self._runner.server is not None  # noqa: S101 - setup makes it
        self._connections = Connections(self._runner.server, _protect)
        try:
            for taken in self._sockets:
                self._servers.append(await self._listening(taken, self._connections.protocol))
        except OSError:
            await self.close()
            raise
        self._sweeper = background(
            "sweep", forever("sweep", partial(self._sweep, self._connections))
        )

    def lead(self, controller: Controller) -> None:
        """Answer for who decides here."""
        self._controller, self._hub = controller, Hub(controller, status_s=self._status_s)
        self._hub.start()

    async def follow(self) -> bool:
        """Nobody decides here any more. Whether this router may follow another one."""
        hub, self._hub = self._hub, None
        self._controller = None
        if hub is not None:
            await hub.close()
        return self._following is not None

    async def _listening(
        self, bound: socket.socket, protocol: Callable[[], asyncio.BaseProtocol]
    ) -> asyncio.Server | AdminHandshakes:
        tls = self._tls
        if tls is None:
            loop = asyncio.get_running_loop()
            return await loop.create_server(protocol, sock=bound, backlog=BACKLOG)
        made = AdminHandshakes(bound, lambda: tls.context, protocol)
        made.listen(BACKLOG)
        return made

    async def close(self) -> None:
        """End event streams, finish answers under way, let go of the port."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for server in self._servers:
            server.close()
        self._let_go()
        await self.follow()
        if self._following is not None:
            await self._following.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def update(self, policy: Admin) -> None:
        """Take tokens, names and certificate of a new policy; the address stays until a restart.

        Raises ValueError or OSError and changes nothing when the policy cannot be carried out.
        """
        policy = policy.model_copy(update={"listen": self._policy.listen})
        access = Access(policy)
        if self._tls is not None and policy.tls is not None:
            self._tls.replace(policy.tls.certificate, policy.tls.key)
            self._show_certificate()
        same = policy == self._policy
        self._access, self._policy = access, policy
        if self._hub is not None and not same:
            self._hub.end_streams()  # their tokens may be gone

    def _show_certificate(self) -> None:
        """Who leads shows the same one."""
        if self._following is not None and self._tls is not None:
            self._following.certificate = leaf_digest(self._tls.certificate)

    def _application(self) -> web.Application:
        app = web.Application(
            middlewares=[self._watched, _answered], client_max_size=STRICT.bytes_max
        )
        app.on_response_prepare.append(_protected)
        for route in ROUTES:
            for path in route.paths:
                app.router.add_route(route.method, path, self._admitted(route))
            if route.method == "GET" and route.answer != "text/event-stream":
                app.router.add_route("HEAD", route.path, self._admitted(route))
        return app

    async def _sweep(self, connections: Connections) -> None:
        """What is done now and then: connections that wait too long, a renewed certificate."""
        await asyncio.sleep(SWEEP_S)
        connections.sweep()
        for server in self._servers:
            if isinstance(server, AdminHandshakes):
                server.sweep()
        if self._tls is not None:
            try:
                # In this thread: between a certificate and its key no handshake may begin.
                if self._tls.refresh():
                    self._show_certificate()
                    log.info("certificate_loaded", file=self._tls.certificate)
            except OSError as error:
                log.error("certificate_rejected", file=self._tls.certificate, error=str(error))  # noqa: TRY400 - the text says it all

    @web.middleware
    async def _watched(self, request: web.Request, handler: RawHandler) -> web.StreamResponse:
        """A connection with a request under way is not idle."""
        self._connections.began(request)
        try:
            if self._connections.crowded and not _is_order(request):
                return HttpProblem(
                    503, "too many connections; only orders are taken now",
                    headers={"Retry-After": "1", "Connection": "close"},
                ).response()  # fmt: skip
            return await handler(request)
        finally:
            self._connections.ended(request)

    def _admitted(self, route: Operation) -> RawHandler:
        """``route``'s handler behind all checks."""

        async def handle(request: web.Request) -> web.StreamResponse:
            access = self._access
            identity = access.identify(request, route.role) or ANYBODY
            if route.role is not None:
                self._connections.admitted(request)
            controller, hub = self._controller, self._hub
            if controller is None or hub is None:
                if self._following is None:
                    raise HttpProblem(503, "this router is ending")
                return await self._following.answer(route, request, access, identity)
            query = _query(request, route.query) if route.role else {}
            shaped = None if route.shape is None else await _shaped(request, route.shape)
            body = {} if route.body is None or shaped else await _body(request, route)
            return await route.handler(
                Call(request, controller, hub, access, identity, body, query, shaped)
            )

        return handle


@web.middleware
async def _answered(request: web.Request, handler: RawHandler) -> web.StreamResponse:
    """Refusals become problem documents; a bug becomes a 500 that tells nothing but is logged."""
    try:
        response = await handler(request)
    except HttpProblem as problem:
        response = problem.response()
    except ControlError as error:
        response = of_control_error(error).response()
    except web.HTTPException as error:
        response = of_http_exception(error).response()
    except Exception:
        log.exception("admin request failed", method=request.method, path=request.path)
        response = HttpProblem(500, "this is a bug of the router; its log says more").response()
    return response


def _is_order(request: web.Request) -> bool:
    return request.method == "POST" and request.path.startswith("/api/v1/rollouts/")


async def _protected(_request: web.Request, response: web.StreamResponse) -> None:
    """Just before the head of any answer is sent."""
    _protect(response)


def _protect(response: web.StreamResponse) -> None:
    response.headers["Server"] = "rampway"  # not which library of which release
    for name, value in PROTECTION.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")


def _query(request: web.Request, known: Mapping[str, Schema]) -> dict[str, Any]:
    """Query parameters by their schemas; unknown, repeated and malformed ones are refused."""
    values: dict[str, Any] = {}
    for name, text in request.query.items():
        schema = known.get(name)
        if schema is None:
            raise HttpProblem(422, f"query parameters known here: {', '.join(known) or 'none'}")
        if name in values:
            raise HttpProblem(422, f"{name}: given more than once")
        values[name] = _parameter(name, text, schema)
    for name, schema in known.items():
        if schema.get("required") and name not in values:
            raise HttpProblem(422, f"{name}: missing")
    return values


def _parameter(name: str, text: str, schema: Schema) -> Any:
    if schema["type"] == "string":
        if len(text) > schema["maxLength"]:
            raise HttpProblem(422, f"{name}: at most {schema['maxLength']} characters")
        return text
    kind = int if schema["type"] == "integer" else float
    least, most = schema["minimum"], schema.get("maximum", 10**15)
    try:
        value = kind(text) if len(text) <= NUMBER_CHARS_MAX and "_" not in text else None
    except ValueError:
        value = None
    if value is None or not least <= value <= most:
        raise HttpProblem(422, f"{name}: expected a {schema['type']} from {least} to {most}")
    return value


async def _shaped(request: web.Request, shape: type[msgspec.Struct]) -> msgspec.Struct:
    """A large body, read within its bounds and checked as a whole."""
    if request.content_type != "application/json":
        raise HttpProblem(415, "send Content-Type: application/json")
    raw = await whole_body(request)
    try:
        return msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as error:
        raise HttpProblem(422, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HttpProblem(400, f"no JSON: {error}") from None


async def _body(request: web.Request, route: Operation) -> dict[str, Any]:
    """The JSON object of a POST. An empty body means no fields, but its type must say JSON.

    A page of another site can send forms and plain text without asking; it cannot send this type.
    """
    if request.content_type != "application/json":
        raise HttpProblem(415, "send Content-Type: application/json")
    raw = await whole_body(request, STRICT.bytes_max)
    try:
        body = read(raw, STRICT) if raw else {}
    except ValueError as error:
        raise HttpProblem(400, str(error)) from None
    if not isinstance(body, dict):
        raise HttpProblem(400, "the body is a JSON object")
    if not route.commands:
        try:
            check_fields(body, route.body or {})
        except ValueError as error:
            raise HttpProblem(422, str(error)) from None
    return body


def _refused(address: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        said = "is in use by another program; stop that one, or write another address"
    else:
        said = f"cannot be had: {error.strerror or error}"
    return f"admin.listen: {address} {said}"
