"""The dashboard for Grafana 10 and newer, deploy/grafana/rampway.json: drawn by `make docs`.

Every query stands in `ROWS`, and `tests/deploy/test_grafana.py` runs each against a real Prometheus
that scrapes a real router.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

OF = '{route=~"$route",version=~"$version"}'
ROUTE = '{route=~"$route"}'
FAULTS = 'outcome!~"ok|client_abort|rejected|shed"'
COUNTED = 'outcome!~"client_abort|rejected|shed"'
COLUMNS = 24


@dataclass(frozen=True)
class Panel:
    """One plot: what it shows, its unit in Grafana's words, its queries with their legends."""

    title: str
    says: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    width: int = 8
    logarithmic: bool = False


def rate(metric: str, by: str, of: str = OF) -> str:
    """A counter as a rate."""
    return f"sum by ({by}) (rate(rampway_{metric}{of}[$__rate_interval]))"


def share_of_failures(by: str) -> str:
    """Failures over all that counts; what the client or the router did itself is left out."""
    bad, all_ = (
        f'sum by ({by}) (rate(rampway_outcomes_total{{route=~"$route",version=~"$version",{which}}}'
        f"[$__rate_interval]))"
        for which in (FAULTS, COUNTED)
    )
    return f"({bad} or {all_} * 0) / {all_}"  # no failure yet is 0, not nothing


def quantile(share: float, metric: str = "request_seconds") -> str:
    """A quantile of a histogram, by version."""
    buckets = rate(f"{metric}_bucket", "le, route, version")
    return f"histogram_quantile({share}, {buckets})"


VERSION = "{{route}} {{version}}"
SHARE = (
    f"{rate('requests_total', 'route, version')} / ignoring(version) group_left "
    f"{rate('requests_total', 'route', ROUTE)}"
)
PHASE = f"max by (route, phase) (rampway_rollout_phase{ROUTE}) == 1"
LIMIT = 'max by (route) (rampway_evidence_limit{gate="all",route=~"$route"})'
TOOK = rate("rollback_seconds_bucket", "le", ROUTE)
DECISIONS = f"rampway_decisions_total{ROUTE}"
ROLLBACKS = 'rampway_decisions_total{action="rollback",route=~"$route"}'

ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    ("Rollout", (
        Panel("Share commanded", "The weight in force of each version", "percentunit",
              ((f"rampway_weight_ratio{OF}", VERSION),)),
        Panel("Share measured", "Of the requests that versions answered", "percentunit",
              ((SHARE, VERSION),)),
        Panel("Phase", "Of the rollout of each route", "none",
              ((PHASE, "{{route}} {{phase}}"),)),
        Panel("Evidence against the candidate", "x : 1, by gate; at its limit it goes", "none",
              ((f"max by (route, gate) (rampway_evidence{ROUTE})", "{{route}} {{gate}}"),
               (LIMIT, "{{route}} limit")), logarithmic=True),
        Panel("Decisions", "So far, by action and by who decided", "short",
              ((f"sum by (route, action, by) ({DECISIONS})", "{{route}} {{action}} by {{by}}"),)),
        Panel("Rollbacks: until every worker has the table", "Median and slowest 1 %", "s",
              ((f"histogram_quantile(0.5, {TOOK})", "median"),
               (f"histogram_quantile(0.99, {TOOK})", "slowest 1 %"))),
    )),
    ("Traffic", (
        Panel("Requests", "Answered, by version", "reqps",
              ((rate("requests_total", "route, version"), VERSION),)),
        Panel("Failures", "Of what versions answered, by version", "percentunit",
              ((share_of_failures("route, version"), VERSION),)),
        Panel("How exchanges ended", "All but good ones", "reqps",
              ((rate("outcomes_total", "version, outcome",
                     '{route=~"$route",version=~"$version",outcome!="ok"}'),
                "{{version}} {{outcome}}"),)),
        Panel("Median", "Of a whole exchange", "s", ((quantile(0.5), VERSION),)),
        Panel("Slowest 1 %", "Of a whole exchange", "s", ((quantile(0.99), VERSION),)),
        Panel("First byte, slowest 1 %", "Of the answer's body", "s",
              ((quantile(0.99, "time_to_first_byte_seconds"), VERSION),)),
        Panel("Status classes", "Of answers", "reqps",
              ((rate("requests_total", "version, code_class"), "{{version}} {{code_class}}"),)),
        Panel("Rescued and retried", "Failures that clients did not see", "reqps",
              ((rate("rescues_total", "version"), "{{version}} rescued"),
               (rate("retries_total", "version"), "{{version}} retried"))),
        Panel("Under way", "Requests, and WebSockets", "short",
              ((f"sum by (version) (rampway_in_flight{OF})", "{{version}}"),
               (f"sum by (version) (rampway_tunnels{OF})", "{{version}} WebSockets"))),
    )),
    ("Shadow and predictions", (
        Panel("Agreement", "Of compared pairs of the candidate", "percentunit",
              ((f"rampway_shadow_agreement_ratio{OF}", VERSION),)),
        Panel("Pairs and samples", "By what reading them came to", "reqps",
              ((rate("pairs_total", "version, result"), "{{version}} pairs {{result}}"),
               (rate("samples_total", "version, result"), "{{version}} samples {{result}}"))),
        Panel("Copies that did not arrive", "By cause", "reqps",
              ((rate("mirror_dropped_total", "version, cause"), "{{version}} {{cause}}"),)),
        Panel("Distance from the reference", "PSI, or a share of rows, by signal", "none",
              ((f"max by (route, signal, check) (rampway_monitor_size{ROUTE})",
                "{{route}} {{signal}} {{check}}"),)),
        Panel("Changes of data that last", "By cause", "short",
              ((f"sum by (route, cause) (rampway_monitor_alarms{ROUTE})", "{{route}} {{cause}}"),)),
        Panel("Late truth", "Labels and rewards, by result", "reqps",
              ((rate("feedback_total", "version, result"), "{{version}} {{result}}"),)),
        Panel("What versions use", "As they say it themselves", "none",
              ((f"rampway_version_usage{OF}", "{{version}} {{signal}}"),), width=12),
        Panel("Tokens of an answer", "And what they cost", "none",
              ((f"rampway_tokens_per_answer{OF}", "{{version}} tokens"),
               (f"rampway_token_cost_per_answer{OF}", "{{version}} cost")), width=12),
    )),
    ("Backends and router", (
        Panel("Endpoints that get requests", "1: by every worker", "none",
              ((f"rampway_endpoint_up{OF}", "{{version}} {{endpoint}}"),)),
        Panel("Refused by the router", "By cause", "reqps",
              (("sum by (cause) (rate(rampway_rejected_total[$__rate_interval]))", "{{cause}}"),
               (rate("quota_refused_total", "route", ROUTE), "{{route}} quota"))),
        Panel("Loop lag", "Largest delay between two reports, by process", "s",
              (("max by (instance, process) (rampway_event_loop_lag_seconds)", "{{process}}"),)),
        Panel("Store, policy, freeze", "1: it writes, it was taken, all stands", "none",
              (("rampway_store_up", "store"),
               ("rampway_config_last_reload_successful", "policy"), ("rampway_frozen", "frozen"))),
        Panel("CPU", "Of each process", "percentunit",
              (("sum by (process) (rate(process_cpu_seconds_total[$__rate_interval]))",
                "{{process}}"),)),
        Panel("Memory", "Of each process", "bytes",
              (("sum by (process) (process_resident_memory_bytes)", "{{process}}"),)),
    )),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The whole of it, as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS:
        panels.append({"type": "row", "title": title, "id": len(panels) + 1, "panels": [],
                       "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1}})  # fmt: skip
        top += 1
        left = 0
        for panel in row:
            if left + panel.width > COLUMNS:
                left, top = 0, top + 8
            place = {"x": left, "y": top, "w": panel.width, "h": 8}
            panels.append(_panel(panel, len(panels) + 1, place))
            left += panel.width
        top += 8
    return {
        "title": "Rampway", "uid": "rampway", "tags": ["rampway"], "schemaVersion": 38,
        "timezone": "browser", "refresh": "10s", "time": {"from": "now-1h", "to": "now"},
        "__inputs": [{"name": "DS_PROMETHEUS", "label": "Prometheus", "type": "datasource",
                      "pluginId": "prometheus"}],
        "templating": {"list": [
            _variable("route", "label_values(rampway_weight_ratio, route)"),
            _variable("version", 'label_values(rampway_weight_ratio{route=~"$route"}, version)'),
        ]},
        "annotations": {"list": [{
            "name": "rollbacks", "enable": True, "iconColor": "red", "datasource": _SOURCE,
            # A counter is born with the first one, and `increase` does not see a birth.
            "expr": f"sum by (route) (increase({ROLLBACKS}[1m]) or "
                    f"({ROLLBACKS} unless {ROLLBACKS} offset 1m)) > 0",
            "titleFormat": "{{route}} rolled back",
        }]},
        "panels": panels,
    }  # fmt: skip


_SOURCE = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}


def _variable(name: str, query: str) -> dict[str, Any]:
    return {"name": name, "type": "query", "query": query, "datasource": _SOURCE, "multi": True,
            "includeAll": True, "allValue": ".*", "refresh": 2, "sort": 1,
            "current": {"text": "All", "value": "$__all"}}  # fmt: skip


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    scale = {"type": "log", "log": 10} if panel.logarithmic else {"type": "linear"}
    return {
        "id": number, "type": panel.kind, "title": panel.title, "description": panel.says,
        "datasource": _SOURCE, "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit,
                                     "custom": {"scaleDistribution": scale}}, "overrides": []},
        "targets": [{"refId": chr(65 + place), "expr": query, "legendFormat": legend,
                     "datasource": _SOURCE}
                    for place, (query, legend) in enumerate(panel.queries)],
    }  # fmt: skip


def grafana() -> str:
    """The file."""
    return json.dumps(dashboard(), indent=1) + "\n"
