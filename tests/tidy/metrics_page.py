"""docs/metrics.md: every metric of the router."""

from router.telemetry.metrics import FAMILIES

HEAD = """# Metrics

Drawn from the program by `make docs`. They are at `GET /metrics` of the admin listener, in
Prometheus' text format. `deploy/prometheus` has a scrape configuration, rules and alerts.

| metric | type | meaning |
| --- | --- | --- |
"""
TAIL = """
| `process_*` | | CPU, memory, start and open files of each process, by `process`: control, reader,
worker-0 and so on |
""".replace(",\n", ", ")


def metrics_page() -> str:
    """The page."""
    rows = (f"| `rampway_{name}` | {kind} | {text} |" for name, (kind, text) in FAMILIES.items())
    return HEAD + "\n".join(rows) + TAIL
