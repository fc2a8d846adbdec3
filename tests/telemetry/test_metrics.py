from __future__ import annotations

import asyncio
import gc
import time

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from router.core.wire.counts import MirrorCounts, VersionCounts
from router.core.wire.histogram import EXPOSED_S, bucket_of
from router.core.wire.spans import Span
from router.telemetry.metrics import FAMILIES, Metrics, labels


def counts(route="r", version="v2", role="candidate", **more):
    base = {"outcomes": (90, 7, 0, 3, 0, 0, 0, 0, 0, 0), "classes": (0, 90, 0, 0, 7)}
    return VersionCounts(route, version, role, **(base | more))


async def parsed(metrics, gauges=()):
    text = await metrics.render(gauges)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_reports_add_up_and_read_back():
    metrics = Metrics()
    latency = ((bucket_of(0.004), 60), (bucket_of(0.3), 40))
    for _ in range(3):
        metrics.add_versions(
            [counts(latency=latency, latency_sum_s=12.5, rescued=2, retries=1, bytes_in=10)]
        )
    seen = await parsed(metrics)
    who = (("role", "candidate"), ("route", "r"), ("version", "v2"))
    assert seen[("rampway_requests_total", ("code_class", "2xx"), *who)] == 270
    assert seen[("rampway_outcomes_total", ("outcome", "timeout"), *who)] == 9
    assert seen[("rampway_request_seconds_count", *who)] == 300
    assert seen[("rampway_request_seconds_sum", *who)] == 37.5
    assert seen[("rampway_request_seconds_bucket", ("le", "0.005"), *who)] == 180
    assert seen[("rampway_request_seconds_bucket", ("le", "0.2"), *who)] == 180
    assert seen[("rampway_request_seconds_bucket", ("le", "0.5"), *who)] == 300
    assert seen[("rampway_request_seconds_bucket", ("le", "+Inf"), *who)] == 300
    assert seen[("rampway_rescues_total", *who)] == 6


async def test_every_bucket_bound_is_exposed_and_cumulative():
    metrics = Metrics()
    metrics.add_versions([counts(latency=tuple((i, 1) for i in range(0, 116, 5)))])
    seen = await parsed(metrics)
    bounds = [v for k, v in seen.items() if k[0] == "rampway_request_seconds_bucket"]
    assert len(bounds) == len(EXPOSED_S) + 1
    assert bounds == sorted(bounds)


async def test_mirrors_causes_and_gauges():
    metrics = Metrics()
    metrics.add_mirrors([MirrorCounts("r", "v2", 5, 1, {"queue": 2, "deadline": 1})])
    metrics.add_rejected({"no_route": 4})
    seen = await parsed(
        metrics, [[("weight_ratio", labels(route="r", version="v2"), 0.25)], [("workers", (), 2)]]
    )
    assert (
        seen[("rampway_mirror_total", ("result", "dropped"), ("route", "r"), ("version", "v2"))]
        == 3
    )
    assert (
        seen[
            ("rampway_mirror_dropped_total", ("cause", "queue"), ("route", "r"), ("version", "v2"))
        ]
        == 2
    )
    assert seen[("rampway_rejected_total", ("cause", "no_route"))] == 4
    assert seen[("rampway_weight_ratio", ("route", "r"), ("version", "v2"))] == 0.25
    assert seen[("rampway_workers",)] == 2


async def test_odd_names_are_escaped():
    metrics = Metrics()
    metrics.add_versions([counts(route='a"b\\c\nd')])
    seen = await parsed(metrics)
    assert any(("route", 'a"b\\c\nd') in key for key in seen)


async def test_causes_are_bounded_whatever_arrives():
    metrics = Metrics()
    metrics.add_rejected({f"cause-{i}": 1 for i in range(1_000)})
    seen = await parsed(metrics)
    assert len(seen) <= 65
    assert seen[("rampway_rejected_total", ("cause", "other"))] == 1_000 - 64


async def test_versions_that_left_are_forgotten():
    metrics = Metrics()
    metrics.add_versions([counts(latency=((1, 1),)), counts(version="v1", role="stable")])
    for part in metrics.keeping_only({("r", "v1")}):
        part()
    assert "v2" not in await metrics.render()
    assert "v1" in await metrics.render()


def test_a_name_that_is_not_declared_is_a_slip():
    with pytest.raises(KeyError):
        Metrics().count("surprise_total", ())
    assert all(kind in ("counter", "gauge", "histogram") for kind, _ in FAMILIES.values())


async def test_a_thousand_routes_do_not_hold_the_loop():
    metrics = Metrics()
    metrics.add_versions(
        counts(f"route-{i}", version, role, latency=((3, 1),), first_byte=((3, 1),))
        for i in range(1_000)
        for version, role in (("v1", "stable"), ("v2", "candidate"))
    )
    longest, running = 0.0, True
    gc.collect()
    gc.freeze()  # as the router does once it serves

    async def watch():
        nonlocal longest
        last = time.thread_time()
        while running:
            await asyncio.sleep(0)
            # Processor time of this thread, so that a busy machine does not fail the test.
            now = time.thread_time()
            longest, last = max(longest, now - last), now

    watching = asyncio.create_task(watch())
    text = await metrics.render()
    running = False
    await watching
    gc.unfreeze()
    assert text.count("\n") > 70_000
    assert longest < 0.005


async def test_openmetrics_is_read_by_its_own_parser_with_the_trace_of_a_bucket():
    """https://github.com/prometheus/OpenMetrics: counters without _total in their family."""
    metrics = Metrics()
    latency = ((bucket_of(0.004), 1), (bucket_of(40.0), 1))
    metrics.add_versions([counts(latency=latency, latency_sum_s=40.004)])
    slow, fast = "a" * 32, "b" * 32
    metrics.traced(
        Span(kind, trace, "1" * 16, "", 1_000.0, took_s, "r", "v2", "candidate", "", "GET", "/",
             "", 200, "ok", bad=False)
        for kind, trace, took_s in (
            ("attempt", fast, 0.0041), ("rescue", slow, 99.0), ("router", "c" * 32, 0.0041),
        )
    )  # fmt: skip
    text = await metrics.render([iter([("workers", (), 2.0)])], openmetrics=True) + "# EOF\n"
    families = {one.name: one for one in openmetrics_families(text)}
    assert families["rampway_requests"].type == "counter"
    seen = {
        sample.labels["le"]: sample.exemplar
        for sample in families["rampway_request_seconds"].samples
        if sample.exemplar is not None
    }
    assert {le: one.labels["trace_id"] for le, one in seen.items()} == {
        "0.005": fast, "+Inf": slow,
    }  # fmt: skip
    assert seen["0.005"].value == 0.0041
    assert "trace_id" not in await metrics.render()


@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram"])
def test_every_name_is_one_that_openmetrics_allows(kind):
    for name, (its, text) in FAMILIES.items():
        if its == kind:
            assert name.endswith("_total") == (kind == "counter"), name
            assert "\n" not in text
