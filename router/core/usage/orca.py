"""What a version says of its load in a header of its answers: ORCA, Open Request Cost Aggregation.

``endpoint-load-metrics`` with a format in front (the ORCA design, as Triton and vLLM write it and
Envoy reads it: envoyproxy/envoy, source/common/orca/orca_parser.cc):

    TEXT cpu_utilization=0.3, mem_utilization=0.8, named_metrics.num_requests_waiting=4
    JSON {"cpu_utilization": 0.3, "named_metrics": {"num_requests_waiting": 4}}
    cpu_utilization:0.3,named_metrics.kv_cache_usage_perc:0.4        Envoy's native form

Fields are those of ``xds.data.orca.v3.OrcaLoadReport``. The binary form (``BIN``) is not read: it
is protobuf, which no HTTP server that was looked at sends unasked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from router.core.foreign import Bounds, Unreadable, read
from router.core.usage.signals import plausible

HEADER: Final = b"endpoint-load-metrics"
ASKS: Final = b"endpoint-load-metrics-format: TEXT\r\n"
"""What asks a version for it, in a request: Triton and vLLM say nothing unasked."""
TEXT_MAX: Final = 1_000
"""Bytes of a header's value; what is longer is not read."""
FIELDS_MAX: Final = 64

_BOUNDS: Final = Bounds(TEXT_MAX, 4 * FIELDS_MAX, 4)

FIELDS: Final[Mapping[str, str]] = {
    "application_utilization": "cpu",
    "cpu_utilization": "cpu",
    "named_metrics.num_requests_waiting": "queue",
    "named_metrics.queue": "queue",
    "named_metrics.kv_cache_usage_perc": "gpu_memory",
    "named_metrics.kv_cache_utilization": "gpu_memory",
    "named_metrics.memory": "memory",
    "named_metrics.gpu": "gpu",
    "utilization.gpu": "gpu",
    "named_metrics.gpu_utilization": "gpu",
}
"""Signals by field. ``mem_utilization`` is a share, and no bytes, hence no signal of ours."""


def reported(text: str) -> dict[str, float]:
    """The signals of a header's value. Raises Unreadable."""
    if len(text) > TEXT_MAX:
        raise Unreadable(f"expected at most {TEXT_MAX} bytes of load metrics")
    kind, _, rest = text.strip().partition(" ")
    if kind == "JSON":
        told = dict(_flat(read(rest.encode(), _BOUNDS)))
    elif kind == "BIN":
        raise Unreadable("load metrics in protobuf (BIN) are not read; ask for TEXT or JSON")
    else:
        told = dict(_listed(rest if kind == "TEXT" else text))
    found: dict[str, float] = {}
    for name, value in told.items():
        if (signal := FIELDS.get(name)) is not None and plausible(value):
            found[signal] = max(found.get(signal, 0.0), value)
    return found


def _flat(document: Any) -> Iterator[tuple[str, float]]:
    if not isinstance(document, dict):
        raise Unreadable("expected an object of load metrics")
    for name, value in document.items():
        inner = value.items() if isinstance(value, dict) else ()
        for key, number in [(name, value), *((f"{name}.{key}", v) for key, v in inner)]:
            if isinstance(number, int | float) and not isinstance(number, bool):
                yield key, float(number)


def _listed(text: str) -> Iterator[tuple[str, float]]:
    for part in text.split(",")[:FIELDS_MAX]:
        name, sign, value = part.partition("=" if "=" in part else ":")
        if not sign:
            continue
        try:
            yield name.strip(), float(value)
        except ValueError:
            raise Unreadable(f"expected a number for {name.strip()[:40]!r}") from None
