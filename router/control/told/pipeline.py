"""What people see of routes that feed each other: who feeds whom, and who moved first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from router.control.told.view import View
from router.core.gates.needs import Need

if TYPE_CHECKING:
    from router.control.predictions.cascades import ArmTally
    from router.control.rollouts.run import Run
    from router.control.told.parts import Parts
    from router.core.gates.verdict import GateReport
    from router.core.policy.feeds import Feed

RECENT_S: Final = 86_400.0
"""A rollout that ended longer ago has moved nobody."""


class PipelineRoute(View, frozen=True, kw_only=True):
    """A route that feeds others, or is fed."""

    route: str
    stable: str
    candidate: str | None
    """Of its newest rollout; null: it had none."""
    phase: str | None
    weight_bp: int
    """The candidate's share now."""
    moved_at: float | None
    """When it began to move: its newest rollout, or what its monitors see; seconds since 1970.
    Null: nothing moves, and nothing has for a day."""
    moved: str
    """What that was, in a sentence; empty."""


class PipelineArm(View, frozen=True, kw_only=True):
    """What became of one version's answers in a route that is fed, since the process began."""

    version: str
    """Of the route that feeds."""
    requests: int
    errors: int
    faulty: int
    """Rows that are null, NaN, of an unknown label, out of range."""
    rows: int
    score: float | None
    """The mean of its scores."""
    labels: int
    wrong: int


class PipelineFeed(View, frozen=True, kw_only=True):
    """One route that feeds another."""

    feeder: str
    fed: str
    by: str
    """How it is known who made an input: baggage, or a key such as ``json user.id``."""
    within_s: float | None
    """How long what was made is used, where it is joined by a key."""
    joined: int
    """Requests of the fed route that were read and whose maker is known."""
    unjoined: int
    verdict: str
    """Of the feeder's gate: pass | pending | inconclusive | error | fail; empty without one."""
    sentence: str
    arms: list[PipelineArm]


class FirstMove(View, frozen=True, kw_only=True):
    """The route that moved before all others that are connected with it."""

    route: str
    at: float
    sentence: str


class PipelineView(View, frozen=True, kw_only=True):
    """Routes that feed each other; others are not in it."""

    routes: list[PipelineRoute]
    feeds: list[PipelineFeed]
    moved_first: FirstMove | None
    """Null: nothing moves."""


def pipeline(parts: Parts) -> PipelineView:
    """As it is now; asking changes nothing."""
    runs = parts.reconciler.runs
    named = {name for run in runs.values() for name in run.route.fed_by}
    routes = [_route(run, parts) for name, run in runs.items() if name in named or run.route.fed_by]
    feeds = [
        _feed(run, feed, parts) for run in runs.values() for feed in run.route.feeds
    ]  # fmt: skip
    moved = [(one.moved_at, one) for one in routes if one.moved_at is not None]
    first = min(moved, key=lambda one: one[0], default=None)
    return PipelineView(
        routes=routes, feeds=feeds,
        moved_first=None if first is None else FirstMove(
            route=first[1].route, at=first[0],
            sentence=f"{first[1].route} moved first: {first[1].moved}",
        ),
    )  # fmt: skip


def _route(run: Run, parts: Parts) -> PipelineRoute:
    rollout, live = run.rollout, run.live
    at, what = min(_moves(run, parts), default=(None, ""))
    return PipelineRoute(
        route=run.route.name,
        stable=run.record.stable,
        candidate=rollout.candidate if rollout else None,
        phase=rollout.phase.value if rollout else None,
        weight_bp=live.split.candidate_bp if live is not None else 0,
        moved_at=at,
        moved=what,
    )


def _moves(run: Run, parts: Parts) -> Iterator[tuple[float, str]]:
    """When something began to move it, seconds since 1970, and what."""
    rollout, clock = run.rollout, parts.clock
    ahead_s = clock.wall() - clock.now()
    ended = rollout.ended if rollout is not None else None
    if rollout is not None and (ended is None or clock.now() - ended < RECENT_S):
        line = f"; {rollout.line or rollout.reason}" if ended is not None else ""
        what = f"{rollout.candidate} began to take over from {rollout.stable}{line}"
        yield round(rollout.started + ahead_s, 3), what
    watch = parts.watching.watches.get(run.route.name)
    for alarm in watch.monitors.lasting() if watch is not None else ():
        yield round(alarm.since, 3), alarm.sentence()


def _feed(run: Run, feed: Feed, parts: Parts) -> PipelineFeed:
    told = parts.cascades.tally(run.route.name, feed.route)
    report = _judged(run)
    return PipelineFeed(
        feeder=run.route.name,
        fed=feed.route,
        by=feed.told_by,
        within_s=feed.within if feed.by is not None else None,
        joined=told.joined,
        unjoined=told.unjoined,
        verdict=report.verdict.word if report is not None else "",
        sentence=report.sentence if report is not None else "",
        arms=[_arm(version, arm) for version, arm in told.arms.items()],
    )


def _arm(version: str, arm: ArmTally) -> PipelineArm:
    return PipelineArm(
        version=version, requests=arm.requests, errors=arm.errors, faulty=arm.faulty,
        rows=arm.rows, score=round(arm.score_sum / arm.scores, 6) if arm.scores else None,
        labels=arm.labels, wrong=arm.wrong,
    )  # fmt: skip


def _judged(run: Run) -> GateReport | None:
    """What its gate says of the routes that it feeds, or said last; None: it has none."""
    if run.trial is None:
        return None
    judge = run.trial.judge
    titles = {title for title, gate in judge.gates.items() if Need.FED in gate.needs}
    return next((one for one in judge.reports() if one.gate in titles), None) if titles else None
