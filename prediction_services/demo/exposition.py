"""The router's metrics as counts per version, and what happened between two scrapes."""

from collections import defaultdict
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from prediction_services.demo.recording import Attempts

OUTCOMES = "rampway_outcomes_total"
SECONDS_BUCKET = "rampway_request_seconds_bucket"

FAILURES = frozenset({"server_error", "refused", "timeout", "reset", "malformed", "truncated"})
"""Outcomes that are a version's fault."""

ATTEMPTS = FAILURES | {"ok"}
"""Outcomes of requests that a version was really asked to answer, and had the time to."""

Key = tuple[str, str]
"""Version and role."""


@dataclass(slots=True)
class Scrape:
    """Cumulative counts at one moment.

    Attributes:
        requests, bad: attempts by version and role, and those of them that failed.
        buckets: cumulative counts by upper bound in seconds.
    """

    requests: dict[Key, float] = field(default_factory=lambda: defaultdict(float))
    bad: dict[Key, float] = field(default_factory=lambda: defaultdict(float))
    buckets: dict[Key, dict[float, float]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(float))
    )


def read_scrape(text: str) -> Scrape:
    """Counts from Prometheus text."""
    scrape = Scrape()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = sample.labels
            if sample.name == OUTCOMES and labels["outcome"] in ATTEMPTS:
                key = (labels["version"], labels["role"])
                scrape.requests[key] += sample.value
                if labels["outcome"] in FAILURES:
                    scrape.bad[key] += sample.value
            elif sample.name == SECONDS_BUCKET:
                key = (labels["version"], labels["role"])
                scrape.buckets[key][float(labels["le"])] += sample.value
    return scrape


def difference(before: Scrape, after: Scrape, at_s: float) -> list[Attempts]:
    """What every version did between two scrapes; versions without requests are left out."""
    found = []
    for key, total in after.requests.items():
        requests = total - before.requests.get(key, 0.0)
        if requests <= 0:
            continue
        slower = _between(before.buckets.get(key, {}), after.buckets.get(key, {}))
        found.append(
            Attempts(
                at_s=at_s,
                version=key[0],
                role=key[1],
                requests=round(requests),
                bad=round(after.bad.get(key, 0.0) - before.bad.get(key, 0.0)),
                p50_ms=_quantile_ms(slower, 0.5),
                p95_ms=_quantile_ms(slower, 0.95),
            )
        )
    return found


def _between(before: dict[float, float], after: dict[float, float]) -> dict[float, float]:
    return {bound: count - before.get(bound, 0.0) for bound, count in sorted(after.items())}


def _quantile_ms(cumulative: dict[float, float], share: float) -> float | None:
    """The quantile by linear interpolation inside its bucket, as Prometheus does it."""
    total = max(cumulative.values(), default=0.0)
    if total <= 0:
        return None
    low = below = 0.0
    for bound, count in cumulative.items():
        if count >= share * total:
            inside = (share * total - below) / (count - below) if count > below else 1.0
            high = low if bound == float("inf") else bound
            return round((low + (high - low) * inside) * 1000, 3)
        low, below = bound, count
    return None
