"""What a version's ``/metrics`` says of it, from Prometheus' text format.

Only lines of known names are looked at, and they are found by the C code of ``bytes``: a megabyte
takes some 10 ms. Format 0.0.4 and OpenMetrics:
https://prometheus.io/docs/instrumenting/exposition_formats/

The names are those of the Python, Go, Java and Rust clients (``process_*``), vLLM
(https://docs.vllm.ai, "Production Metrics"), SGLang, Text Generation Inference, Triton
(https://docs.nvidia.com, "Triton metrics") and NVIDIA's DCGM exporter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from router.core.usage.signals import plausible

SERIES_MAX: Final = 1_000
"""Of one name."""

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "memory": ("process_resident_memory_bytes",),
    "cpu": ("process_cpu_seconds_total",),
    "gpu": ("nv_gpu_utilization", "DCGM_FI_DEV_GPU_UTIL"),
    "gpu_memory": ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "sglang:token_usage"),
    "queue": (
        "vllm:num_requests_waiting", "sglang:num_queue_reqs", "tgi_queue_size",
        "nv_inference_pending_request_count", "prediction_waiting",
    ),
}  # fmt: skip
"""Where a signal is looked for, in this order, unless the policy names a series."""

ADDED: Final = frozenset({"memory", "cpu", "queue"})
"""Signals whose series (of several processes, models, replicas) are added; of others the mean is
taken."""
PERCENT: Final = frozenset({"DCGM_FI_DEV_GPU_UTIL"})
"""Names whose values are 0 to 100."""

_LINE: Final = re.compile(
    rb'(?:\{(?:[^"}\n]|"(?:[^"\\\n]|\\.)*")*\})?[ \t]+([-+.0-9eE]{1,40}|[+-]?Inf|NaN)(?:[ \t\r]|$)'
)


def sampled(body: bytes, series: Mapping[str, str]) -> dict[str, float]:
    """Signals and their values; ``cpu`` is the counter, in seconds.

    ``series``: names of the policy, by signal. What is not there, or is no number, is left out.
    """
    text = b"\n" + body
    found: dict[str, float] = {}
    for signal, known in NAMES.items():
        for name in (series[signal],) if signal in series else known:
            values = _values(text, name.encode())
            if values:
                total = sum(values) if signal in ADDED else sum(values) / len(values)
                found[signal] = total / 100.0 if name in PERCENT else total
                break
    return found


def _values(text: bytes, name: bytes) -> Sequence[float]:
    """Of every series of this name."""
    values: list[float] = []
    wanted, at = b"\n" + name, 0
    while (at := text.find(wanted, at)) >= 0 and len(values) < SERIES_MAX:
        at += len(wanted)
        end = text.find(b"\n", at)
        matched = _LINE.match(text, at, len(text) if end < 0 else end)
        if matched is not None and plausible(value := _number(matched[1])):
            values.append(value)
    return values


def _number(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
