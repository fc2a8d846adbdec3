"""Traces at a collector of the test's own, exemplars in a scrape, of a live router."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import pytest
from aiohttp import ClientSession, web
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.live.kit import Clients, Lab, route

pytestmark = pytest.mark.api

TRACE_ID, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CANARY = "{canary: {steps: [{weight: 50%, mirror: 50%, hold: 1h}]}}"
RESCUE = "rescue: {on: [5xx]}\nmax_bad_responses: 100000"
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


class Collector:
    """Takes OTLP over HTTP and keeps the spans, by their trace."""

    def __init__(self):
        self.spans = defaultdict(list)
        self.keys = set()
        self.status = 200

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/v1/traces"
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    async def _take(self, request):
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        self.keys.add(request.headers.get("X-Key"))
        made = ExportTraceServiceRequest.FromString(await request.read())
        for resource in made.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans[span.trace_id.hex()].append(span)
        return web.Response(status=self.status)

    def orphans(self):
        """Spans whose parent has not come yet."""
        outside = {b"", bytes.fromhex(PARENT)}
        return [
            one for spans in self.spans.values() for one in spans
            if one.parent_span_id not in outside | {other.span_id for other in spans}
        ]  # fmt: skip

    def kinds(self, *traces):
        """Which spans there are of these traces; none named: of any."""
        named = traces or tuple(self.spans)
        return {told(one)["rampway.span"] for trace in named for one in self.spans[trace]}


def told(span):
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


async def met(condition, seconds=40):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.1)


async def test_a_collector_gets_router_attempt_rescue_and_shadow(tmp_path):
    pytest.importorskip("opentelemetry.proto")
    (tmp_path / "key").write_text("s3cret-of-the-collector")
    async with Collector() as collector, Lab(tmp_path) as lab:
        traces = (
            f"traces: {{endpoint: '{collector.url}', sample: 100%, "
            f"headers: {{X-Key: '${{file:{tmp_path}/key}}'}}}}"
        )
        lab.write(route(CANARY, gates="[{guard: {error_rate: 90%}}]", more=RESCUE), traces)
        await lab.start()
        async with Clients(lab.port, per_s=100), ClientSession() as client:
            await lab.until(lambda said: said["versions"]["v2"]["requests"])
            lab.versions["v2"].bad = 0.3
            wanted = {"router", "attempt", "rescue", "shadow"}
            await met(lambda: collector.kinds() >= wanted)
            lab.versions["v2"].bad = 0.0
            headers = {"traceparent": f"00-{TRACE_ID}-{PARENT}-01"}
            async with client.post(f"http://127.0.0.1:{lab.port}/r", json={}, headers=headers):
                pass
            await met(lambda: collector.kinds(TRACE_ID) >= {"router", "attempt"})
            await met(lambda: exemplars_of(lab))
            collector.status = 503
            await met(lambda: "traces: answered 503" in str(health(lab)))
            collector.status = 200
            await met(lambda: "traces" not in str(health(lab)))
        await met(lambda: not collector.orphans())
    assert collector.keys == {"s3cret-of-the-collector"}
    ours = {told(span)["rampway.span"]: span for span in collector.spans[TRACE_ID]}
    assert ours["router"].parent_span_id.hex() == PARENT
    assert ours["attempt"].parent_span_id == ours["router"].span_id
    for spans in collector.spans.values():
        for span in spans:
            assert span.start_time_unix_nano <= span.end_time_unix_nano


def health(lab):
    from tests.reliability.whole import call

    return call(lab.lives[-1].admin + "/healthz")[1]["problems"]


def exemplars_of(lab):
    """Trace ids beside the buckets of a scrape, read by another's parser."""
    from tests.reliability.whole import call

    text = call(lab.lives[-1].admin + "/metrics", headers={"Accept": OPENMETRICS})[1]
    assert text.endswith("# EOF\n")
    return {
        sample.exemplar.labels["trace_id"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.exemplar is not None
    }
