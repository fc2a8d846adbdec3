"""docs/metrics.md: every metric of the router."""

from router.telemetry.metrics import FAMILIES


def metrics_page() -> str:
    """The page."""
    return "\n".join(
        [
            "# Metrics",
            "",
            "Drawn from the program by `make docs`. They are at `GET /metrics` of the admin listener,",
            "in Prometheus' text format. `deploy/prometheus` has a scrape configuration and alerts.",
            "",
            "| metric | type | meaning |",
            "| --- | --- | --- |",
            *(f"| `rampway_{name}` | {kind} | {text} |" for name, (kind, text) in FAMILIES.items()),
            "| `process_*` | | CPU, memory, start, open files; `process`: control, reader, worker-0 |",
            "",
        ]
    )
