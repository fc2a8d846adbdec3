"""Where Envoy listens, what it tells of every attempt, and what it has to be started with."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from router.agent.filtering import STREAMS_MAX, telling
from router.agent.naming import (
    DISCOVERY,
    LISTENER,
    MANAGER,
    OPTIONS,
    RECORDS,
    ROUTER,
    ROUTES,
    SAMPLES,
    SPACE,
    TYPE,
    EnvoyJson,
    duration,
)
from router.core.wire.table import RoutingTable, StickyKind

_FLUENTD: Final = "envoy.extensions.access_loggers.fluentd.v3.FluentdAccessLogConfig"
RECORDS_BYTES: Final = 8_388_608
"""Records that Envoy keeps while nobody reads them, each thread; beyond, they are lost (and
counted). The timer empties it, so that its size delays nothing."""
FLUSH_S: Final = 0.001
HEAD_KIB_MAX: Final = 8_192
"""Of a request's head: no Envoy takes more."""
LOST: Final = "entries_lost"
_STATS: Final = "records"

FIELDS: Final[dict[str, str]] = {
    "type": "%ACCESS_LOG_TYPE%",
    "stream": "%UPSTREAM_CONNECTION_ID%.%START_TIME(%s%9f)%",
    "request": "%REQ(x-request-id)%",
    "attempt": "%REQ(x-envoy-attempt-count)%",
    "route": f"%METADATA(ROUTE:{SPACE}:route)%",
    "mark": f"%METADATA(ROUTE:{SPACE}:mark)%",
    "weight": f"%METADATA(ROUTE:{SPACE}:weight)%",
    "forced": f"%METADATA(ROUTE:{SPACE}:forced)%",
    "sampled": f"%METADATA(ROUTE:{SPACE}:sampled)%",
    "connection": "%CONNECTION_ID%",
    "version": f"%UPSTREAM_METADATA({SPACE}:version)%",
    "role": f"%UPSTREAM_METADATA({SPACE}:role)%",
    "of": f"%UPSTREAM_METADATA({SPACE}:route)%",
    "cluster": "%UPSTREAM_CLUSTER%",
    "host": "%UPSTREAM_HOST%",
    "status": "%RESPONSE_CODE%",
    "call": "%GRPC_STATUS_NUMBER%",
    "flags": "%RESPONSE_FLAGS%",
    "whole_us": "%COMMON_DURATION(US_TX_BEG:US_RX_END:us)%",
    "first_us": "%COMMON_DURATION(US_TX_BEG:US_RX_BEG:us)%",
    "ms": "%DURATION%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "sent": "%BYTES_RECEIVED%",
    "received": "%BYTES_SENT%",
}
"""Of each record, with the fields of sticky keys beside them."""


def key_field(header: str) -> str:
    """The field of a record with a sticky header's value."""
    return f"key-{header}"


def sticky_headers(table: RoutingTable) -> list[str]:
    """Of all routes."""
    return sorted({
        route.sticky.name for route in table.routes
        if route.sticky is not None and route.sticky.kind is StickyKind.HEADER
    })  # fmt: skip


def listener(table: RoutingTable, host: str, port: int) -> EnvoyJson:
    """The listener of clients, by the table's limits and with the keys its routes go by."""
    limits = table.limits
    fields = {**FIELDS, **{key_field(name): f"%REQ({name})%" for name in sticky_headers(table)}}
    records = {"name": "records", "typed_config": {
        "@type": TYPE + _FLUENTD, "cluster": RECORDS, "tag": SPACE, "stat_prefix": _STATS,
        "buffer_flush_interval": duration(FLUSH_S), "buffer_size_bytes": RECORDS_BYTES,
        "record": fields,
    }}  # fmt: skip
    manager: EnvoyJson = {
        "@type": TYPE + MANAGER,
        "stat_prefix": LISTENER, "codec_type": "AUTO", "use_remote_address": True,
        "always_set_request_id_in_response": True,
        "max_request_headers_kb": min(max(limits.head_bytes // 1024, 1), HEAD_KIB_MAX),
        "common_http_protocol_options": {
            "idle_timeout": duration(limits.keep_alive_s), "max_headers_count": limits.fields,
        },
        "request_headers_timeout": duration(limits.header_timeout_s),
        "stream_idle_timeout": "0s",
        "rds": {"route_config_name": ROUTES, "config_source": _source()},
        "http_filters": [telling(), {"name": "envoy.filters.http.router", "typed_config": {
            "@type": TYPE + ROUTER, "upstream_log": [records],
            "upstream_log_options": {"flush_upstream_log_on_upstream_stream": True},
            "suppress_envoy_headers": True,
        }}],
    }  # fmt: skip
    return {
        "@type": f"{TYPE}envoy.config.listener.v3.Listener",
        "name": LISTENER,
        "address": {"socket_address": {"address": host, "port_value": port}},
        "filter_chains": [{"filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
        ]}],
    }  # fmt: skip


def bootstrap(folder: Path, admin: Path) -> EnvoyJson:
    """What Envoy is started with; all else comes by discovery.

    Every socket of ours lies in ``folder``, which nobody else may open: the admin interface shows
    the salt.
    """
    return {
        "node": {"id": SPACE, "cluster": SPACE},
        "admin": {"address": {"pipe": {"path": str(admin), "mode": 0o600}}},
        "dynamic_resources": {"lds_config": _source(), "cds_config": _source()},
        "static_resources": {"clusters": [
            _pipe(DISCOVERY, folder / "discovery"), _pipe(RECORDS, folder / "records"),
            {**_pipe(SAMPLES, folder / "samples"), **_calls()},
        ]},
    }  # fmt: skip


def _pipe(name: str, path: Path) -> EnvoyJson:
    place = {"endpoint": {"address": {"pipe": {"path": str(path)}}}}
    return {
        "name": name, "type": "STATIC", "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [place]}]},
    }  # fmt: skip


def _calls() -> EnvoyJson:
    """Of the cluster of samples: it speaks gRPC, and so many requests are told of at once."""
    return {
        "circuit_breakers": {"thresholds": [{
            "max_requests": STREAMS_MAX, "max_pending_requests": STREAMS_MAX,
        }]},
        "typed_extension_protocol_options": {OPTIONS: {
            "@type": TYPE + OPTIONS, "explicit_http_config": {"http2_protocol_options": {}},
        }},
    }  # fmt: skip


def _source() -> EnvoyJson:
    return {"resource_api_version": "V3", "api_config_source": {
        "api_type": "REST", "transport_api_version": "V3", "cluster_names": [DISCOVERY],
        "refresh_delay": "0.001s", "request_timeout": "30s",
    }}  # fmt: skip
