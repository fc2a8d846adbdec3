"""Prometheus' text format, as versions write it and as nobody should."""

import random

import pytest

from router.core.usage.exposition import SERIES_MAX, sampled

VLLM = b"""\
# HELP process_resident_memory_bytes Resident memory size in bytes.
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 1.5e+08
process_cpu_seconds_total{pid="1 } \\" 3"} 4.5 1700000000
vllm:num_requests_waiting{model_name="a"} 3
vllm:num_requests_waiting{model_name="b"} 2.0 # {trace="x"} 1.0
vllm:num_requests_waiting_total{model_name="a"} 900
vllm:kv_cache_usage_perc{engine="0"} 0.25
vllm:kv_cache_usage_perc{engine="1"} 0.75
"""


def test_the_signals_of_a_server_are_found():
    assert sampled(VLLM, {}) == {"memory": 1.5e8, "cpu": 4.5, "gpu_memory": 0.5, "queue": 5.0}


@pytest.mark.parametrize(
    ("line", "series", "found"),
    [
        (b'DCGM_FI_DEV_GPU_UTIL{gpu="0"} 50\nDCGM_FI_DEV_GPU_UTIL{gpu="1"} 100', {}, {"gpu": 0.75}),
        (b"nv_gpu_utilization 0.4\r\n", {}, {"gpu": 0.4}),
        (b"my_queue 7", {"queue": "my_queue"}, {"queue": 7.0}),
        (b"tgi_queue_size 7", {"queue": "my_queue"}, {}),
        (b"tgi_queue_size NaN", {}, {}),
        (b"tgi_queue_size +Inf", {}, {}),
        (b"tgi_queue_size -3", {}, {}),
        (b"tgi_queue_size", {}, {}),
        (b"tgi_queue_size 1.2.3", {}, {}),
        (b'tgi_queue_size{a="never ends 3', {}, {}),
        (b"tgi_queue_size{} 3", {}, {"queue": 3.0}),
        (b"# tgi_queue_size 3", {}, {}),
        (b"<html>tgi_queue_size 3</html>", {}, {}),
        (b"", {}, {}),
    ],
)
def test_what_is_no_number_of_a_known_name_is_nothing(line, series, found):
    assert sampled(line, series) == found


def test_series_are_bounded_and_any_bytes_are_taken():
    assert sampled(b"tgi_queue_size 1\n" * 2 * SERIES_MAX, {}) == {"queue": float(SERIES_MAX)}
    draw = random.Random(4)
    for _ in range(300):
        broken = bytearray(VLLM)
        for _ in range(20):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        assert all(value >= 0 for value in sampled(bytes(broken), {}).values())
