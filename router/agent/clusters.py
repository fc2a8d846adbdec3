"""The versions of a table as Envoy's clusters: who is spoken to, how, and within which bounds.

A cluster that changes loses its connections, so nothing here depends on a weight: clusters follow
the policy, routes follow the rollout.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from router.agent.naming import (
    COMPARER,
    GRPC,
    OPTIONS,
    PLAIN,
    SPACE,
    TYPE,
    EnvoyJson,
    duration,
    live,
    rescued,
)
from router.agent.naming import shadow as shadow_name
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.table import RouteEntry, VersionEntry

_AGGREGATE: Final = "envoy.extensions.clusters.aggregate.v3.ClusterConfig"
RETRIES_MAX: Final = 1_024
"""Second tries of one version at a time, where no rescue bounds them."""


def clusters(entry: RouteEntry) -> Iterator[EnvoyJson]:
    """Everything that routes of this entry may name, now and in a later step."""
    for index, version in enumerate(entry.versions):
        for speech in (PLAIN, GRPC):
            name = live(entry.name, version.name, speech)
            yield _cluster(entry, version, name, speech, retried=_retried(entry, index))
        yield _cluster(entry, version, shadow_name(entry.name, version.name), GRPC, role="shadow")
    if entry.rescue is not None and entry.candidate >= 0:
        yield from (_rescued(entry, speech) for speech in (PLAIN, GRPC))


def comparer(port: int) -> EnvoyJson:
    """Where copies go that are asked of both versions."""
    return {
        "name": COMPARER, "type": "STATIC", "connect_timeout": "1s",
        "load_assignment": {"cluster_name": COMPARER, "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": address(EndpointEntry("127.0.0.1", port))}},
        ]}]},
    }  # fmt: skip


def _retried(entry: RouteEntry, index: int) -> bool:
    """Whether an attempt at it may be made again there.

    With a rescue the second try is stable's, and what stable itself fails is not asked again.
    """
    return entry.rescue is None or index not in (entry.candidate, entry.stable)


def _cluster(
    entry: RouteEntry, version: VersionEntry, name: str, speech: str, *,
    role: str = "live", retried: bool = False,
) -> EnvoyJson:  # fmt: skip
    mine = {"route": entry.name, "version": version.name, "role": role}
    named = any(not _is_address(one.host) for one in version.endpoints)
    made: EnvoyJson = {
        "name": name,
        "type": "STRICT_DNS" if named else "STATIC",
        "connect_timeout": duration(entry.timeouts.connect_s),
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": address(one)}, "metadata": {"filter_metadata": {SPACE: mine}}}
            for one in version.endpoints
        ]}]},
        "circuit_breakers": {"thresholds": [{
            "max_connections": version.connections, "max_requests": version.in_flight,
            "max_pending_requests": version.queue, "max_retries": RETRIES_MAX if retried else 0,
        }]},
        "typed_extension_protocol_options": {OPTIONS: _speaks(version, speech)},
    }  # fmt: skip
    if named:
        made["dns_refresh_rate"] = duration(version.lookup_s)
    if len(version.endpoints) > 1 and version.outlier.consecutive:
        made["outlier_detection"] = _outliers(version)
    return made


def _speaks(version: VersionEntry, speech: str) -> EnvoyJson:
    options = "http2_protocol_options" if speech == GRPC else "http_protocol_options"
    bounds: EnvoyJson = {"idle_timeout": duration(version.keep_alive_s)} if speech == PLAIN else {}
    if version.connection_age_s:
        bounds["max_connection_duration"] = duration(version.connection_age_s)
    return {
        "@type": TYPE + OPTIONS,
        "common_http_protocol_options": bounds,
        "explicit_http_config": {options: {}},
    }


def _outliers(version: VersionEntry) -> EnvoyJson:
    """An instance that fails in a row gets nothing for a while: no word of control is needed."""
    outlier = version.outlier
    return {
        "consecutive_5xx": outlier.consecutive, "enforcing_consecutive_5xx": 100,
        "consecutive_gateway_failure": outlier.consecutive,
        "enforcing_consecutive_gateway_failure": 0, "enforcing_success_rate": 0,
        "interval": "0.5s", "base_ejection_time": duration(outlier.ejection_s),
        "max_ejection_percent": outlier.max_ejected_bp // 100,
    }  # fmt: skip


def _rescued(entry: RouteEntry, speech: str) -> EnvoyJson:
    """Candidate first, then stable; Envoy's own bound of three retries at a time is no budget."""
    rescue = entry.rescue
    assert rescue is not None  # noqa: S101 - the caller has looked
    both = (entry.versions[entry.candidate].name, entry.versions[entry.stable].name)
    return {
        "name": rescued(entry, speech),
        "connect_timeout": duration(entry.timeouts.connect_s),
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {"name": "envoy.clusters.aggregate", "typed_config": {
            "@type": TYPE + _AGGREGATE,
            "clusters": [live(entry.name, name, speech) for name in both],
        }},
        "circuit_breakers": {"thresholds": [{"retry_budget": {
            "budget_percent": {"value": rescue.budget_bp / 100},
            "min_retry_concurrency": rescue.budget_min,
        }}]},
    }  # fmt: skip


def address(endpoint: EndpointEntry) -> EnvoyJson:
    """An address as Envoy has it."""
    return {"socket_address": {"address": endpoint.host, "port_value": endpoint.port}}


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
