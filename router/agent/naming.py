"""What the parts of one table are called in Envoy's configuration."""

from __future__ import annotations

from typing import Final

from router.core.wire.table import RouteEntry

EnvoyJson = dict[str, object]

TYPE: Final = "type.googleapis.com/"
SPACE: Final = "rampway"
"""The metadata namespace of everything that is ours."""
ROUTES: Final = "routes"
LISTENER: Final = "clients"
PLAIN, GRPC = "http", "grpc"
"""How a version is spoken to; a client that speaks gRPC meets a cluster of its own."""


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


COMPARER: Final = "rampway/comparer"
"""The cluster of copies that are asked of both versions."""
RECORDS: Final = "rampway/records"
DISCOVERY: Final = "rampway/discovery"


def duration(seconds: float) -> str:
    """A protobuf duration in JSON."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"
