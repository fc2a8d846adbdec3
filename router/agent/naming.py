"""What the parts of one table are called in Envoy's configuration."""

from __future__ import annotations

from typing import Final

from router.core.payloads import CALLS
from router.core.wire.table import RouteEntry

EnvoyJson = dict[str, object]

TYPE: Final = "type.googleapis.com/"
SPACE: Final = "rampway"
"""The metadata namespace of everything that is ours."""
ROUTES: Final = "routes"
LISTENER: Final = "clients"
BRIDGE: Final = "calls"
"""The listener of copied calls, which are asked of versions over HTTP/1.1."""
PLAIN, GRPC = "http", "grpc"
"""How a version is spoken to; a client that speaks gRPC meets a cluster of its own."""


ROUTER: Final = "envoy.extensions.filters.http.router.v3.Router"
OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
MANAGER: Final = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def live(route: str, version: str, speech: str) -> str:
    """The cluster of live requests to a version."""
    return f"{route}/{version}/{speech}"


def shadow(route: str, version: str) -> str:
    """The cluster of copies of gRPC calls to a version."""
    return f"{route}/{version}/shadow"


def rescued(entry: RouteEntry, speech: str) -> str:
    """The cluster of a candidate whose failures stable answers."""
    candidate, stable = entry.versions[entry.candidate], entry.versions[entry.stable]
    return f"{entry.name}/{candidate.name}/{speech}/else/{stable.name}"


def compared(entry: RouteEntry) -> bool:
    """Whether the answers to copied calls of this route are read, and so compared."""
    return not CALLS.isdisjoint((entry.payload, *(name for _, name in entry.payload_paths)))


COMPARER: Final = "rampway/comparer"
"""The cluster of copies that are asked of both versions."""
RECORDS: Final = "rampway/records"
SAMPLES: Final = "rampway/samples"
DISCOVERY: Final = "rampway/discovery"


def duration(seconds: float) -> str:
    """A protobuf duration in JSON."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"
