"""The HTTP application of one version: protocols, health, metrics and the admin call for faults."""

import asyncio
import contextlib
import math
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from pydantic import ValidationError

from prediction_services import MODEL_NAME, wire
from prediction_services.faults import HANG_MAX_S, LEAK_MAX_MIB, WRONG, FaultDice, Faults, Roll
from prediction_services.flights import BadFieldError, UnknownFlightError
from prediction_services.pool import (
    WAITING_MAX_DEFAULT,
    WORKERS_DEFAULT,
    BoundedPool,
    PoolFullError,
)
from prediction_services.predictor import Predictor

BODY_MAX = 1024 * 1024
"""Bytes of a request body; more is answered with 413."""

RETRY_AFTER_S = 1
"""What a full pool tells the client to wait."""

EXIT_BY_FAULT = 70
"""Exit status of a process that `die_after` ended (EX_SOFTWARE of sysexits.h)."""

_Decode = Callable[[bytes], wire.InferRequest]
_Encode = Callable[[wire.InferRequest, Sequence[float | None], str], bytes]


class PredictionService:
    """One version of the model behind HTTP.

    Args:
        version: the name it answers with as `model_version`.
        workers: threads that predict.
        waiting_max: predictions that may wait for a thread before 429.
        faults: faults switched on from the start.
        die: ends the process; replaced in tests.
    """

    def __init__(
        self,
        version: str,
        *,
        workers: int = WORKERS_DEFAULT,
        waiting_max: int = WAITING_MAX_DEFAULT,
        faults: Faults | None = None,
        die: Callable[[], None] = lambda: os._exit(EXIT_BY_FAULT),
    ) -> None:
        self.version = version
        self.stopping = asyncio.Event()
        self._predictor: Predictor | None = None
        self._pool = BoundedPool(workers, waiting_max)
        self._dice = FaultDice(faults or Faults(), time.monotonic())
        self._die = die
        self._before: list[float] = []
        """Scores of the request before."""
        self._leaked: list[bytes] = []
        self._metrics = _Metrics(self)

    @property
    def ready(self) -> bool:
        """Whether predictions are answered: the model is loaded and nobody has said stop."""
        return self._predictor is not None and not self.stopping.is_set()

    @property
    def busy(self) -> int:
        """Predictions running or waiting in the pool."""
        return self._pool.busy

    @property
    def waiting(self) -> int:
        """Those of them that wait; a fault may say more."""
        return self._pool.waiting + self._dice.faults.queue

    @property
    def injected(self) -> Mapping[str, int]:
        """How often each fault has been met since the last switch."""
        return self._dice.injected

    def use(self, predictor: Predictor) -> None:
        """Start answering with this predictor."""
        self._predictor = predictor

    def application(self) -> web.Application:
        """The aiohttp application with every endpoint."""
        application = web.Application(client_max_size=BODY_MAX, middlewares=[self._answer_errors])
        model = "/v2/models/{model}"
        for prefix in (model, model + "/versions/{version}"):
            application.router.add_get(prefix, self._model_metadata)
            application.router.add_get(prefix + "/ready", self._model_ready)
            application.router.add_post(prefix + "/infer", self._infer_v2)
        application.router.add_get("/v2", self._server_metadata)
        application.router.add_get("/v2/health/live", self._live)
        application.router.add_get("/v2/health/ready", self._ready)
        application.router.add_get("/v1/models", self._list_v1)
        application.router.add_post("/v1/models/{model}:predict", self._predict_v1)
        application.router.add_get("/v1/models/{model}", self._model_v1)
        application.router.add_get("/metrics", self._render_metrics)
        application.router.add_get("/admin/faults", self._get_faults)
        application.router.add_put("/admin/faults", self._put_faults)
        application.router.add_delete("/admin/faults", self._delete_faults)
        application.on_cleanup.append(self._close)
        return application

    # ------------------------------------------------------------------------- predictions

    async def _infer_v2(self, request: web.Request) -> web.StreamResponse:
        return await self._predict(request, wire.decode_v2, wire.encode_v2)

    async def _predict_v1(self, request: web.Request) -> web.StreamResponse:
        return await self._predict(request, wire.decode_v1, wire.encode_v1)

    async def _predict(
        self, request: web.Request, decode: _Decode, encode: _Encode
    ) -> web.StreamResponse:
        """One prediction from body to answer, with the faults it meets on the way."""
        self._check_model(request)
        if not self.ready:
            return _error(503, f"{MODEL_NAME} is not ready")
        asked = decode(await request.read())
        roll = self._dice.roll(time.monotonic())
        if self._dice.spares(asked.flights[0].carrier):
            kind = None if roll.kind in WRONG else roll.kind
            roll = replace(roll, kind=kind, latency_s=0.0)
        if roll.dies:
            self._die()
        if roll.kind == "reset":
            return _reset(request)
        if roll.kind == "hang":
            return await self._hang(request)
        if roll.latency_s:
            await asyncio.sleep(roll.latency_s)
        if roll.kind == "error":
            return _error(self._dice.faults.error_status, "injected fault")
        return await self._reply(
            request, encode(asked, await self._scores(asked, roll), self.version), roll
        )

    async def _scores(self, asked: wire.InferRequest, roll: Roll) -> Sequence[float | None]:
        predictor = self._predictor
        assert predictor is not None, "checked by the caller"  # noqa: S101 - narrows the type
        begun = time.perf_counter()
        if predictor.instant:
            scores = predictor.scores(asked.flights)
        else:
            scores = await self._pool.run(lambda: predictor.scores(asked.flights))
        self._metrics.seconds.observe(time.perf_counter() - begun)
        if roll.kind == "nan":
            return [math.nan] * len(scores)
        if roll.kind == "null":
            return [None] * len(scores)
        wrong = self._dice.faults.wrong_carrier
        if wrong:
            scores = [1 - score if flight.carrier == wrong else score
                      for score, flight in zip(scores, asked.flights, strict=True)]  # fmt: skip
        before, self._before = self._before or scores, scores
        if roll.kind == "previous":
            scores = [before[place % len(before)] for place in range(len(scores))]
        return [score if self._dice.spares(flight.carrier) else self._dice.shifted(score)
                for score, flight in zip(scores, asked.flights, strict=True)]  # fmt: skip

    async def _reply(self, request: web.Request, body: bytes, roll: Roll) -> web.StreamResponse:
        if roll.kind == "schema":
            body = body.replace(b'"outputs"', b'"result"').replace(b'"predictions"', b'"result"')
        if roll.kind == "unknown":
            body = wire.with_label(body, -1)
        if roll.kind == "swapped":
            body = wire.with_label(body, None)
        if roll.kind == "truncate":
            return await _truncate(request, body)
        if (tokens := self._dice.faults.tokens) is not None:
            body = wire.with_usage(body, tokens)
        self._leak(self._dice.faults.leak_kib)
        return web.Response(body=body, content_type="application/json", headers=self._load(request))

    def _leak(self, kib: int) -> None:
        """Written to, or it would not be resident."""
        if kib and len(self._leaked) * kib < LEAK_MAX_MIB * 1024:
            self._leaked.append(b"x" * (kib * 1024))

    def _load(self, request: web.Request) -> dict[str, str]:
        """The load header (ORCA) of those who ask for it, as Triton and vLLM answer them."""
        if request.headers.get("endpoint-load-metrics-format", "").upper() != "TEXT":
            return {}
        share = self.busy / self._pool.workers
        said = f"TEXT application_utilization={share:g}, named_metrics.queue={self.waiting}"
        return {"endpoint-load-metrics": said}

    async def _hang(self, request: web.Request) -> web.StreamResponse:
        """Keep the connection open without a byte; cancelled when the client leaves."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HANG_MAX_S):
                await self.stopping.wait()
        return _reset(request)

    def _check_model(self, request: web.Request) -> None:
        model, version = request.match_info["model"], request.match_info.get("version")
        if model != MODEL_NAME:
            raise web.HTTPNotFound(text=f"no model {model}; this is {MODEL_NAME}")
        if version not in (None, self.version):
            raise web.HTTPNotFound(text=f"no version {version}; this is {self.version}")

    # ------------------------------------------------------------------- health and metadata

    async def _live(self, _request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def _ready(self, _request: web.Request) -> web.Response:
        return web.json_response({"ready": self.ready}, status=200 if self.ready else 503)

    async def _model_ready(self, request: web.Request) -> web.Response:
        self._check_model(request)
        status = 200 if self.ready else 503
        return web.json_response({"name": MODEL_NAME, "ready": self.ready}, status=status)

    async def _server_metadata(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {"name": "prediction-services", "version": self.version, "extensions": []}
        )

    async def _model_metadata(self, request: web.Request) -> web.Response:
        self._check_model(request)
        return web.json_response(wire.model_metadata(self.version))

    async def _list_v1(self, _request: web.Request) -> web.Response:
        return web.json_response({"models": [MODEL_NAME]})

    async def _model_v1(self, request: web.Request) -> web.Response:
        self._check_model(request)
        return web.json_response({"name": MODEL_NAME, "ready": self.ready})

    async def _render_metrics(self, _request: web.Request) -> web.Response:
        text = generate_latest(self._metrics.registry)
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4"})

    # -------------------------------------------------------------------------------- faults

    async def _get_faults(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {"faults": self._dice.faults.model_dump(), "injected": dict(self.injected)}
        )

    async def _put_faults(self, request: web.Request) -> web.Response:
        try:
            faults = Faults.model_validate_json(await request.read())
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "body"
            return _error(400, f"{field}: {first['msg']}", field)
        self._dice = FaultDice(faults, time.monotonic())
        self._leaked.clear()
        return await self._get_faults(request)

    async def _delete_faults(self, request: web.Request) -> web.Response:
        self._dice = FaultDice(Faults(), time.monotonic())
        return await self._get_faults(request)

    # -------------------------------------------------------------------------------- errors

    @web.middleware
    async def _answer_errors(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Every refusal as `{"error": …}` as the protocol asks, and every answer counted."""
        response: web.StreamResponse
        try:
            response = await handler(request)
        except BadFieldError as error:
            status = 422 if isinstance(error, UnknownFlightError) else 400
            response = _error(status, str(error), error.field)
        except PoolFullError:
            response = _error(429, "all workers are busy")
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
        except web.HTTPException as error:
            response = _error(error.status, error.text or error.reason)
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
        if request.method == "POST":
            self._metrics.requests.labels(str(response.status)).inc()
        return response

    async def _close(self, _application: web.Application) -> None:
        self._pool.close()


class _Metrics:
    """What `/metrics` shows; a registry of its own, so that services in one process stay apart."""

    def __init__(self, service: PredictionService) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "prediction_requests", "Predict requests by status.", ["code"], registry=self.registry
        )
        self.seconds = Histogram(
            "prediction_seconds",
            "Time of a prediction, waiting for a worker included.",
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
            registry=self.registry,
        )
        busy = Gauge("prediction_busy", "Predictions running or waiting.", registry=self.registry)
        busy.set_function(lambda: service.busy)
        waiting = Gauge("prediction_waiting", "Predictions that wait.", registry=self.registry)
        waiting.set_function(lambda: service.waiting)
        ProcessCollector(registry=self.registry)
        ready = Gauge(
            "prediction_ready", "1 when predictions are answered.", registry=self.registry
        )
        ready.set_function(lambda: float(service.ready))


def _error(status: int, text: str, field: str | None = None) -> web.Response:
    document: dict[str, Any] = {"error": text}
    if field is not None:
        document["field"] = field
    return web.json_response(document, status=status)


def _reset(request: web.Request) -> web.Response:
    """Close the connection with RST: SO_LINGER of zero seconds, then abort."""
    transport = request.transport
    if transport is not None:
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)  # written to a closed transport: nobody sees it


async def _truncate(request: web.Request, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    response.force_close()
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
