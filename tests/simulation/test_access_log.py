"""Traffic from access logs of two kinds."""

from router.core.wire.histogram import bucket_of
from router.simulation.access_log import read_access_log

COMBINED = (
    '127.0.0.1 - - [10/Oct/2025:13:55:{s:02d} +0000] "POST /v2/models/m/infer HTTP/1.1" '
    '{status} 2326 "-" "curl/8"'
)


def test_combined_lines():
    lines = [COMBINED.format(s=s, status=503 if s % 10 == 0 else 200) for s in range(51)]
    traffic, skipped = read_access_log([*lines, "", "nonsense"])
    assert (traffic.requests, traffic.bad, traffic.duration_s, skipped) == (51, 6, 50.0, 2)
    assert sum(traffic.latency_buckets) == 0
    assert traffic.scenario().requests_per_s == 51 / 50


def test_json_lines():
    lines = [
        '{"time": "2025-10-10T13:55:00+00:00", "status": 200, "seconds": 0.1}',
        '{"ts": 1760104510.5, "status": "500"}',
        '{"status": 200}',
        '{"time": 1, "status": "ok"}',
        "{broken",
    ]
    traffic, skipped = read_access_log(lines)
    assert (traffic.requests, traffic.bad, skipped) == (2, 1, 3)
    assert traffic.duration_s == 10.5
    assert traffic.latency_buckets[bucket_of(0.1)] == 1


def test_an_empty_log():
    traffic, skipped = read_access_log([])
    assert (traffic.requests, traffic.duration_s, skipped) == (0, 0.0, 0)
