"""Envoy's filter that tells of sampled requests as they pass, and the routes on which it is on.

It waits for nothing and nobody: a reader that is slow, gone or full costs samples, never requests.

A route is sampled by a route of its own before it, which takes a share of the requests. Envoy draws
that share with the same number as it draws the version for who has no sticky key, so only a whole
percentage is independent of the version (weights are ten-thousandths of that number); the agent
lets fewer pass where the policy says less (:mod:`router.agent.samples`).
"""

from __future__ import annotations

from typing import Final

from router.agent.naming import SAMPLES, SPACE, TYPE, EnvoyJson
from router.agent.passing import CONNECTION
from router.core.wire.table import RouteEntry
from router.core.words import FULL_BP

FILTER: Final = "envoy.filters.http.ext_proc"
_EXT_PROC: Final = "envoy.extensions.filters.http.ext_proc.v3."
STREAMS_MAX: Final = 256
"""Sampled requests under way in one Envoy; further ones are not told of."""
CLOSED_S: Final = "0.5s"
"""After a request has ended, what was told of it is given up unless it was read."""
_STEP_BP: Final = FULL_BP // 100


def told_bp(entry: RouteEntry) -> int:
    """The share that Envoy tells of: whole per cent, at least what is sampled; 0: none."""
    sampling = entry.sampling
    if sampling is None or not sampling.judged or not entry.evidence:
        return 0
    if not entry.weights_bp[entry.stable]:
        return 0  # nothing is drawn any more
    return -(-sampling.share_bp // _STEP_BP) * _STEP_BP


def telling() -> EnvoyJson:
    """The filter, which is off where a route does not say otherwise."""
    return {"name": FILTER, "disabled": True, "typed_config": {
        "@type": f"{TYPE}{_EXT_PROC}ExternalProcessor",
        "grpc_service": {"envoy_grpc": {"cluster_name": SAMPLES}, "timeout": "0s"},
        "observability_mode": True, "failure_mode_allow": True,
        "deferred_close_timeout": CLOSED_S, "request_attributes": [CONNECTION],
        "processing_mode": {
            "request_header_mode": "SEND", "response_header_mode": "SEND",
            "request_body_mode": "STREAMED", "response_body_mode": "STREAMED",
            "request_trailer_mode": "SKIP", "response_trailer_mode": "SEND",
        },
    }}  # fmt: skip


def told(route: EnvoyJson, match: EnvoyJson, mine: EnvoyJson, share_bp: int) -> EnvoyJson:
    """The same route for a share of its requests, with the filter on; ``mine``: our metadata."""
    per_million = share_bp * 1_000_000 // FULL_BP
    share = {"default_value": {"numerator": per_million, "denominator": "MILLION"}}
    return {
        **route,
        "match": match if share_bp >= FULL_BP else {**match, "runtime_fraction": share},
        "metadata": {"filter_metadata": {SPACE: {**mine, "sampled": 1}}},
        "typed_per_filter_config": {FILTER: {
            "@type": f"{TYPE}{_EXT_PROC}ExtProcPerRoute", "overrides": {},
        }},
    }  # fmt: skip
