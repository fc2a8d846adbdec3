"""Spans of workers on their way to a collector: OTLP over HTTP, in the background, bounded.

OTLP: https://opentelemetry.io/docs/specs/otlp/#otlphttp . The packages of the extra `otel` write
the bytes; without them, or with a collector that does not take them, spans are dropped and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import aiohttp

from router.control.outside.outside import NO_ANSWER, no_answer, outside_session
from router.core.policy.server import TracesPolicy
from router.core.urls import checked_url
from router.core.wire.spans import ROUTER, Span

WAITING_MAX: Final = 4_096
"""Spans that wait; the oldest is dropped beyond."""
BATCH_MAX: Final = 512
"""Spans of one call."""
EVERY_S: Final = 1.0
TIMEOUT_S: Final = 10.0

MISSING: Final = "traces.endpoint needs the extra otel: pip install 'rampway[otel]'"


class Traces:
    """See the module. ``count(result, number)`` with exported, failed or dropped."""

    def __init__(self, count: Callable[[str, int], None]) -> None:
        self._count = count
        self._policy: TracesPolicy | None = None
        self._waiting: deque[Span] = deque()
        self._session: aiohttp.ClientSession | None = None
        self.trouble = ""
        """Why the last batch was not taken; empty while they are."""

    def __repr__(self) -> str:
        return f"<Traces {len(self._waiting)} spans wait>"

    def settle(self, policy: TracesPolicy | None) -> None:
        """Where they go from now on; None, or no endpoint: nowhere."""
        self._policy = policy if policy is not None and policy.endpoint is not None else None
        if self._policy is None:
            self._waiting.clear()
            self.trouble = ""

    def put(self, spans: Iterable[Span], dropped: int = 0) -> None:
        """Take what a worker tells."""
        if dropped:
            self._count("dropped", dropped)
        if self._policy is None:
            return
        self._waiting.extend(spans)
        if (over := len(self._waiting) - WAITING_MAX) > 0:
            self._count("dropped", over)
            for _ in range(over):
                self._waiting.popleft()

    async def turn(self) -> None:
        """Wait a little, then send a batch."""
        if len(self._waiting) < BATCH_MAX:
            await asyncio.sleep(EVERY_S)
        policy = self._policy
        if policy is None or policy.endpoint is None or not self._waiting:
            return
        batch = [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]
        try:
            self.trouble = await self._send(policy.endpoint, policy, batch)
        except NO_ANSWER as error:
            self.trouble = no_answer(error, TIMEOUT_S)
        except ImportError:
            self.trouble = MISSING
        self._count("failed" if self.trouble else "exported", len(batch))

    async def _send(self, url: str, policy: TracesPolicy, batch: list[Span]) -> str:
        """Why it was not taken. Raises ImportError, or one of :data:`NO_ANSWER`."""
        body = await asyncio.to_thread(encoded, batch, policy.service)
        session = self._session = self._session or outside_session()
        headers = {name: value.get_secret_value() for name, value in policy.headers.items()}
        headers["Content-Type"] = "application/x-protobuf"
        async with asyncio.timeout(TIMEOUT_S), session.post(
            checked_url(url), data=body, headers=headers, allow_redirects=False
        ) as answer:  # fmt: skip
            return "" if 200 <= answer.status < 300 else f"answered {answer.status}"

    def troubles(self) -> list[str]:
        """What is wrong, as sentences; no URL."""
        return [f"traces: {self.trouble}"] if self.trouble else []

    async def close(self) -> None:
        """Let go of the collector."""
        if self._session is not None:
            await self._session.close()


def encoded(spans: Iterable[Span], service: str) -> bytes:
    """An ExportTraceServiceRequest. Imports for a tenth of a second the first time: in a thread.

    Raises ImportError without the extra.
    """
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import (  # noqa: PLC0415 - an extra
        encode_spans,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415 - as above
    from opentelemetry.trace import (  # noqa: PLC0415 - as above
        SpanContext,
        SpanKind,
        Status,
        StatusCode,
        TraceFlags,
    )

    resource = Resource({"service.name": service})

    def context(span: Span, of: str) -> SpanContext:
        sampled = TraceFlags(TraceFlags.SAMPLED)
        return SpanContext(int(span.trace, 16), int(of, 16), span.kind == ROUTER, sampled)

    made = [
        ReadableSpan(
            f"{one.method} {one.route}" if one.kind == ROUTER else f"{one.kind} {one.version}",
            context=context(one, one.id),
            parent=context(one, one.parent) if one.parent else None,
            resource=resource,
            attributes=_attributes(one),
            kind=SpanKind.SERVER if one.kind == ROUTER else SpanKind.CLIENT,
            status=Status(StatusCode.ERROR if one.bad else StatusCode.UNSET),
            start_time=int(one.at * 1e9),
            end_time=int((one.at + one.seconds) * 1e9),
        )
        for one in spans
    ]
    body: bytes = encode_spans(made).SerializeToString()
    return body


def _attributes(one: Span) -> dict[str, str | int | bool]:
    """By the conventions of OpenTelemetry for HTTP, and ours under ``rampway.``."""
    told: dict[str, str | int | bool] = {
        "http.request.method": one.method,
        "url.path": one.path,
        "client.address": one.client,
        "server.address": one.endpoint,
        "http.response.status_code": one.status,
        "rampway.span": one.kind,
        "rampway.route": one.route,
        "rampway.version": one.version,
        "rampway.role": one.role,
        "rampway.outcome": one.outcome,
    }
    return {name: value for name, value in told.items() if value not in ("", 0)}
