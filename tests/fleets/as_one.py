"""Evidence of several replicas, and the same requests as one router's own: the counts are equal."""

from __future__ import annotations

from dataclasses import replace

from router.control.fleet.reporters import Reporters, batches_of
from router.core.judge import Judge, JudgeSettings
from router.core.policy import RolloutPolicy
from router.core.wire.baseline import Baseline


def as_one(fed, route):
    """What differs, as a sentence; empty where nothing does. ``fed``: (plane, who, batches)."""
    planes = {plane for plane, _, _ in fed}
    plane = next(iter(planes))
    policy = plane.reconciler.runs[route].route.rollout
    spread, single = _judge(policy), _judge(policy)
    reporters = Reporters(fed[0][0].process.replica, lambda _source: None)
    numbers = {}
    for _, who, batches in fed:
        mine = tuple(batch for batch in batches if batch.route == route)
        for batch in batches_of(reporters.source(who), mine):
            spread.observe(batch, 0.0)
        for batch in mine:
            single.observe(_renumbered(batch, who, numbers), 0.0)
    told = [
        [(one.gate, one.candidate, one.stable) for one in judge.reports()]
        for judge in (spread, single)
    ]
    return "" if told[0] == told[1] else f"{route}: {told[0]} of many, {told[1]} of one"


def _renumbered(batch, who, numbers):
    """As slices of one worker."""
    cells = tuple(
        replace(cell, source=0, slice=numbers.setdefault((who, cell.slice), len(numbers) + 1))
        for cell in batch.cells
    )  # fmt: skip
    return replace(batch, cells=cells)


def _judge(policy: RolloutPolicy):
    judge = Judge(policy.gates, JudgeSettings.of(policy, sticky=False), Baseline(), 0.0)
    judge.begin_round(0)
    return judge
