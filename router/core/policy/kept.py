"""What of predictions is kept, as a whole policy says it."""

from __future__ import annotations

from router.core.gates.by import SegmentKeys
from router.core.gates.gate import Gate
from router.core.gates.needs import Need
from router.core.logged.terms import KeyedFeed, LogTerms, RouteLog
from router.core.pairs.compare import Compare
from router.core.pairs.comparison import Likeness
from router.core.policy.prediction_log import LogPolicy
from router.core.policy.route import Route
from router.core.policy.server import Policy
from router.core.words import FULL_BP


def sampled_bp(route: Route, gates: tuple[Gate, ...]) -> int:
    """Share of the requests that workers tell of: for gates, monitors and tokens, or the log."""
    for_gates = route.predictions.sample if route.predictions is not None else 0
    read = for_gates if _predictions_read(route, gates) else 0
    return max(read, route.log.sample if route.log is not None else 0, route.tokens_bp)


def judged(route: Route, gates: tuple[Gate, ...]) -> bool:
    """Whether gates, monitors or a price of tokens read predictions, not the log alone."""
    return _predictions_read(route, gates) or bool(route.tokens_bp)


def _predictions_read(route: Route, gates: tuple[Gate, ...]) -> bool:
    if route.monitors is not None or route.fed_by:
        return True
    return any(Need.PREDICTIONS in gate.needs for gate in gates)


def sampled_headers(route: Route, gates: tuple[Gate, ...]) -> tuple[str, ...]:
    """Request headers (lower case) whose values a sample tells.

    Those of gates, the log's, and last the one of monitors, again where gates have it, too: so its
    place (:func:`watched_segment`) is the same whatever gates are at work.
    """
    headers = SegmentKeys(gates).headers
    name = _segment(route)
    if name and name not in headers:
        headers = (*headers, name)
    watched = route.monitors.header.lower() if route.monitors is not None else ""
    return (*headers, watched) if watched else headers


def watched_segment(route: Route, values: tuple[str, ...]) -> str:
    """Of the values that a sample tells the one that monitors tell segments apart by."""
    by_header = route.monitors is not None and route.monitors.header
    return values[-1] if by_header and values else ""


def _segment(route: Route) -> str:
    segment = route.rollout.compare.segment if route.rollout is not None else None
    return segment.header.lower() if route.log is not None and segment is not None else ""


def likeness_of(route: Route) -> Likeness:
    """When a prediction is right, and when a number is a yes."""
    return Likeness.of(route.rollout.compare if route.rollout is not None else Compare())


def log_terms(policy: Policy) -> LogTerms:
    """What the reader is told of the log; without a route that has one there is no file."""
    kept = tuple(_of(route, route.log) for route in policy.routes if route.log is not None)
    if not kept:
        return LogTerms()
    where = policy.prediction_log
    feeds = tuple(
        KeyedFeed(route.name, feed.route, feed.by.json_path, feed.within)
        for route in policy.routes
        for feed in route.feeds
        if feed.by is not None
    )
    return LogTerms(where.file, where.age, where.size, where.early, kept, feeds)


def _person(route: Route, log: LogPolicy) -> str:
    """Whom its requests are about; by that key it is found what was made for somebody."""
    keys = (feed.by.json_path for feed in route.feeds if feed.by is not None)
    return log.person or next(keys, "")


def _of(route: Route, log: LogPolicy) -> RouteLog:
    rollout = route.rollout
    gates = rollout.gates if rollout is not None else ()
    most, name = sampled_bp(route, gates), _segment(route)
    segment = sampled_headers(route, gates).index(name) if name else -1
    return RouteLog(
        route.name, route.payload, likeness_of(route), log.bodies, log.redact, _person(route, log),
        segment, log.sample * FULL_BP // most,
        tuple(name for name in route.versions if route.person(name)), route.declared,
        max((gate.asked_again_s for gate in gates), default=0.0), log.mature,
    )  # fmt: skip
