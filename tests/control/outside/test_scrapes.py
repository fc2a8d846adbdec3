"""Versions asked what they use, over real sockets: what they may answer, and what is told of it."""

import asyncio
from itertools import chain
from types import SimpleNamespace

import pytest
from aiohttp import web

from router.control.outside.scrapes import ANSWER_BYTES_MAX, Scrapes
from router.control.predictions.usage import Usages
from router.core.policy.metrics import MetricsPolicy
from router.core.policy.version import Version
from router.core.wire.counts import EndpointState
from tests.waiting import for_ever


class Site:
    """An endpoint whose answer is ``mode``."""

    def __init__(self):
        self.mode, self.cpu, self.asked = "good", 10.0, []

    async def answer(self, request):
        self.asked.append(request.headers.get("Accept", ""))
        match self.mode:
            case "good":
                said = f"process_resident_memory_bytes 1e6\nprocess_cpu_seconds_total {self.cpu}\n"
                return web.Response(text=said)
            case "hang":
                await for_ever()
            case "redirect":
                raise web.HTTPFound("/other")
            case "large":
                return web.Response(body=b"x" * (ANSWER_BYTES_MAX + 1))
            case "binary":
                return web.Response(body=bytes(range(256)) * 100)
        return web.Response(status=503)


@pytest.fixture
async def lab():
    site = Site()
    app = web.Application()
    app.add_routes([web.get("/metrics", site.answer)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.port = runner.addresses[0][1]
    version = Version.model_validate({"endpoints": [f"http://127.0.0.1:{site.port}"]})
    entry = SimpleNamespace(
        versions=(SimpleNamespace(name="v1"),), weights_bp=(10_000,), mirrors=()
    )
    policy = MetricsPolicy.model_validate({"path": "/metrics", "timeout": "200ms"})
    site.run = SimpleNamespace(
        route=SimpleNamespace(name="r", metrics=policy, versions={"v1": version}, tokens_bp=0),
        entry=entry, live=None, rollout=None,
    )  # fmt: skip
    site.clock = SimpleNamespace(at=100.0, now=lambda: site.clock.at)
    reconciler = SimpleNamespace(runs={"r": site.run})
    site.counted = []
    site.usages = Usages(reconciler, site.clock)
    site.scrapes = Scrapes(
        reconciler, site.usages, site.clock, lambda *told: site.counted.append(told)
    )
    yield site
    await site.scrapes.close()
    await runner.cleanup()


async def asked(site, seconds=20.0):
    """One more question, answered."""
    site.clock.at += seconds
    before = len(site.counted)
    async with asyncio.timeout(20):
        while len(site.counted) == before:
            await site.scrapes.turn()
    return site.counted[-1][2], site.usages.view("r", "v1")


async def test_memory_is_read_and_cpu_is_the_growth_of_its_counter(lab):
    result, seen = await asked(lab)
    assert (result, seen.signals) == ("read", {"memory": 1e6})
    lab.cpu += 5.0
    _, seen = await asked(lab, 10.0)
    assert seen.signals == {"memory": 1e6, "cpu": 0.5}
    lab.cpu = 1.0  # a new process counts from zero
    _, seen = await asked(lab)
    assert seen.signals == {"memory": 1e6}
    assert lab.asked[0].startswith("text/plain")
    assert list(chain.from_iterable(lab.usages.gauges())) == [
        ("version_usage", (("route", "r"), ("version", "v1"), ("signal", "memory")), 1e6)
    ]


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("hang", "no answer within 200ms"), ("redirect", "/metrics answered 302"),
        ("large", "longer than 1,048,576 bytes"), ("binary", "nothing of use in /metrics"),
        ("error", "/metrics answered 503"),
    ],
)  # fmt: skip
async def test_anything_else_is_counted_and_told(lab, mode, why):
    await asked(lab)
    lab.mode = mode
    result, seen = await asked(lab)
    assert result == "failed"
    assert why in seen.trouble
    assert seen.signals == {"memory": 1e6}  # the last one, for a while
    lab.clock.at += 60.0
    assert lab.usages.view("r", "v1").signals == {}


async def test_it_asks_once_an_interval_and_nobody_without_traffic(lab):
    await asked(lab)
    for _ in range(3):
        await lab.scrapes.turn()
    assert len(lab.asked) == 1
    lab.run.entry.weights_bp = (0,)
    lab.clock.at += 60.0
    for _ in range(3):
        await lab.scrapes.turn()
    assert len(lab.asked) == 1


async def test_a_forbidden_address_is_never_connected_to(lab):
    lab.run.route.versions["v1"] = Version.model_construct(
        endpoints=(SimpleNamespace(host="169.254.169.254", port=80, tls=False),),
        tls=lab.run.route.versions["v1"].tls,
    )
    result, seen = await asked(lab)
    assert result == "failed"
    assert "must not be called" in seen.trouble or "no connection" in seen.trouble


def state(load):
    return EndpointState("r", "v1", "http://127.0.0.1:1", True, False, 0, 0, load=load)


async def test_load_headers_are_told_with_what_scrapes_say(lab):
    lab.usages.told([state("TEXT named_metrics.queue=4"), state("")])
    assert lab.usages.view("r", "v1").signals == {"queue": 4.0}
    lab.usages.told([state("TEXT named_metrics.queue=")])
    seen = lab.usages.view("r", "v1")
    assert (seen.signals, "expected a number" in seen.trouble) == ({}, True)


async def test_what_left_the_policy_is_forgotten(lab):
    await asked(lab)
    del lab.run.route.versions["v1"]
    lab.usages.keep_only()
    assert list(chain.from_iterable(lab.usages.gauges())) == []
