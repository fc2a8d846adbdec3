"""A way from HTTP/1.1 to versions that speak gRPC: Envoy's bridge, on a listener of ours.

Copies are asked by the built-in plane, which speaks HTTP/1.1 (:mod:`router.agent.shadows`). Here it
asks Envoy, which makes a call of it and hands the call's status over in HTTP's words, so that all
that is known of copies over HTTP holds of copied calls: limits, codings, statuses, pairs.

The listener is on loopback; whoever asks there names a version's cluster, and reaches none of ours.
"""

from __future__ import annotations

import socket
from typing import Final

from router.agent.clusters import address
from router.agent.naming import BRIDGE, MANAGER, PLAIN, ROUTER, TYPE, EnvoyJson, live, shadow
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.grpc_status import HTTP_OF

LOOPBACK: Final = "127.0.0.1"
CALLED: Final = "x-rampway-called"
"""Names the cluster of a version for calls; OTHERS for what else its route has."""
OTHERS: Final = "x-rampway-others"
_BRIDGE: Final = "envoy.extensions.filters.http.grpc_http1_bridge.v3.Config"
_LUA: Final = "envoy.extensions.filters.http.lua.v3.Lua"

_STATUS: Final = f"""
local http = {{{", ".join(f"[{code}] = {status}" for code, status in enumerate(HTTP_OF))}}}
function envoy_on_response(handle)
  local said = handle:headers():get("grpc-status")
  if said then handle:headers():replace(":status", tostring(http[tonumber(said)] or 500)) end
end
"""
"""A call's status in HTTP's words; the bridge itself knows 200 and 503, and those by trailers."""


def reserved() -> socket.socket:
    """A port for the listener: nobody else is given it while this is open. Raises OSError."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((LOOPBACK, 0))
    return made


def asking(route: str, version: str) -> tuple[tuple[str, str], ...]:
    """The header fields by which a version is asked for."""
    return (CALLED, shadow(route, version)), (OTHERS, live(route, version, PLAIN))


def bridge(port: int) -> EnvoyJson:
    """The listener."""
    manager: EnvoyJson = {
        "@type": TYPE + MANAGER, "stat_prefix": BRIDGE, "codec_type": "HTTP1",
        "stream_idle_timeout": "0s",
        "route_config": {"name": BRIDGE, "virtual_hosts": [
            {"name": "*", "domains": ["*"], "routes": [_calls(), _others()]},
        ]},
        "http_filters": [
            {"name": "envoy.filters.http.lua", "typed_config": {
                "@type": TYPE + _LUA, "default_source_code": {"inline_string": _STATUS},
            }},
            {"name": "envoy.filters.http.grpc_http1_bridge", "typed_config": {
                "@type": TYPE + _BRIDGE,
            }},
            {"name": "envoy.filters.http.router", "typed_config": {
                "@type": TYPE + ROUTER, "suppress_envoy_headers": True,
            }},
        ],
    }  # fmt: skip
    return {
        "@type": f"{TYPE}envoy.config.listener.v3.Listener",
        "name": BRIDGE, "address": address(EndpointEntry(LOOPBACK, port)),
        "filter_chains": [{"filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager},
        ]}],
    }  # fmt: skip


def _calls() -> EnvoyJson:
    """A version that compresses only for who wants it answers what can be read."""
    te: EnvoyJson = {"key": "te", "value": "trailers"}
    return {
        **_asked(CALLED, "shadow", {"prefix": "/", "grpc": {}}),
        "request_headers_to_add": [{"header": te, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
        "request_headers_to_remove": ["grpc-accept-encoding", CALLED, OTHERS],
    }


def _others() -> EnvoyJson:
    return {
        **_asked(OTHERS, PLAIN, {"prefix": "/"}),
        "request_headers_to_remove": [CALLED, OTHERS],
    }


def _asked(header: str, kind: str, match: EnvoyJson) -> EnvoyJson:
    ours: EnvoyJson = {"safe_regex": {"regex": f".+/.+/{kind}"}}
    return {
        "match": {**match, "headers": [{"name": header, "string_match": ours}]},
        # How long the answer may take, the plane that asks knows.
        "route": {"cluster_header": header, "timeout": "0s"},
    }
