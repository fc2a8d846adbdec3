from __future__ import annotations

import pytest

from router.control.rollouts.observe import BASELINE_S, Observatory
from router.core.wire.counts import EndpointState
from router.core.wire.histogram import bucket_of


def test_the_last_minute_is_what_people_see(counts):
    seen = Observatory()
    for second in range(120):
        bad = 1 if second < 30 else 0
        seen.add(0, [counts("r", "v1", "stable", 9, bad, ((bucket_of(0.02), 10),))], float(second))
    view = seen.view("r", "v1", 119.0).to_json()
    assert view["requests_per_s"] == pytest.approx(9.1, abs=0.5)
    assert view["errors"] == 0
    assert view["p99_s"] == 0.02
    assert seen.view("r", "v1", 1_000.0).to_json()["requests"] == 0
    assert seen.view("r", "v9", 0.0).to_json()["requests_per_s"] == 0.0


def test_the_measured_share_is_of_drawn_requests(counts):
    seen = Observatory()
    assert seen.measured_bp("r", "v1", "v2", 0.0) is None
    seen.add(0, [counts("r", "v1", "stable", 90), counts("r", "v2", "candidate", 10)], 1.0)
    seen.add(1, [counts("r", "v2", "other", 500), counts("r", "v2", "shadow", 500)], 1.0)
    assert seen.measured_bp("r", "v1", "v2", 1.0) == 1_000
    assert seen.view("r", "v2", 1.0).to_json()["shadow"]["requests"] == 500


def test_the_baseline_is_stables_past_and_forgets(counts):
    seen = Observatory()
    assert seen.baseline("r", "v1", 0.0).requests == 0
    for second in range(0, 900, 10):
        seen.add(0, [counts("r", "v1", "stable", 99, 1, ((5, 100),))], float(second))
        seen.add(0, [counts("r", "v1", "candidate", 0, 100)], float(second))
    base = seen.baseline("r", "v1", 899.0)
    assert base.bad / base.requests == 0.01
    assert base.requests <= (BASELINE_S / 10) * 100
    assert base.requests_per_s == pytest.approx(10, rel=0.1)
    assert base.latency_buckets[5] == base.requests


def test_gauges_follow_their_worker(counts):
    seen = Observatory()
    for worker in (0, 1):
        busy = counts("r", "v1", "stable", 1)
        seen.add(
            worker,
            [busy.__class__(**{s: getattr(busy, s) for s in busy.__slots__} | {"in_flight": 3})],
            1.0,
        )
        seen.readiness.told(
            worker,
            [EndpointState("r", "v1", "http://a:1", worker == 0, False, 3, 2, "refused")],
            1.0,
        )
    assert seen.in_flight("r", "v1") == 6
    (endpoint,) = seen.view("r", "v1", 1.0).to_json()["endpoints"]
    assert (endpoint["healthy"], endpoint["in_flight"]) == (False, 6)
    seen.forget_worker(1)
    assert seen.in_flight("r", "v1") == 3
    assert seen.view("r", "v1", 1.0).to_json()["endpoints"][0]["healthy"] is True
    seen.keep_only({("r", "v2")})
    assert seen.in_flight("r", "v1") == 0
    assert seen.view("r", "v1", 1.0).to_json()["endpoints"] == []
