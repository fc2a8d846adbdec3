"""When a rollout will be through, if its candidate is as good as stable and the traffic stays.

A step lasts as long as its hold, its samples, and the sample with which its gates would have
convicted a candidate failing `detect` (:mod:`router.core.proof`); the slowest of them counts. What
one step has shown need not be shown again. Windows, freezes, hooks and people are not foreseen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from router.core.gates.needs import Need
from router.core.gates.sample import NEVER
from router.core.judge import Judge, JudgeSettings
from router.core.policy.rollout import RolloutPolicy
from router.core.position import Position
from router.core.proof import missing
from router.core.rollout.plan import Ending, Step
from router.core.wire.baseline import Baseline
from router.core.wire.histogram import BUCKETS
from router.core.words import FULL_BP, count, percent

PAST: Final = 100_000
"""Answers of stable that are supposed to be known: enough for every threshold."""

DAY_S: Final = 86_400.0

ANSWERS_PER_MARGIN: Final = 3.0
"""Candidate answers that a proof of being not worse needs, over its margin."""


@dataclass(frozen=True, slots=True)
class StepForecast:
    """One step, or the bake at the end."""

    name: str
    lasts_s: float
    """Infinity: it is never left like this."""
    because: str = ""
    """What it waits for longest, beyond its hold; empty: for its hold."""
    asks: bool = False
    """A person is asked besides, for as long as that takes."""


def stages(
    policy: RolloutPolicy, requests_per_s: float, bad_rate: float = 0.01,
    *, step: int = 0, answers: int = 0, pairs: int = 0, sampled: float = 1.0,
) -> Iterator[StepForecast]:  # fmt: skip
    """What is still to come from ``step`` on, with so many candidate answers and pairs judged.

    Requests a second > 0, stable's bad rate and the share of requests that are read (``sampled``)
    0..1.
    """
    plan, judge = policy.plan(), supposed(policy, requests_per_s, bad_rate)
    seen = [float(answers), float(pairs), sampled]
    for index in range(step, len(plan.steps)):
        one = plan.steps[index]
        keeps = plan.ending is Ending.KEEP and index + 1 == len(plan.steps)
        made = _stage(policy, judge, one, seen, requests_per_s, asks=not (one.blind or keeps))
        yield StepForecast(f"step {index + 1}", *made, one.approval is not None)
        _count(one, seen, made[0], requests_per_s)
    if plan.bake_s and plan.ending is Ending.PROMOTE:
        bake = Step(weight_bp=FULL_BP, hold_s=plan.bake_s)
        made = _stage(policy, judge, bake, seen, requests_per_s, asks=True)
        yield StepForecast("bake", *made)


def seconds_left(found: Iterator[StepForecast]) -> float:
    """Until the end of the last stage."""
    return math.fsum(one.lasts_s for one in found)


def supposed(policy: RolloutPolicy, requests_per_s: float, bad_rate: float) -> Judge:
    """The judge as it would begin beside a stable version with an ordinary past."""
    spread = range(BUCKETS // 3, 2 * BUCKETS // 3)
    buckets = tuple(PAST // len(spread) if i in spread else 0 for i in range(BUCKETS))
    past = Baseline(PAST, round(bad_rate * PAST), buckets, requests_per_s)
    return Judge(policy.gates, JudgeSettings.of(policy, sticky=False), past, 0.0)


def _stage(
    policy: RolloutPolicy, judge: Judge, step: Step, seen: list[float], requests_per_s: float,
    *, asks: bool,
) -> tuple[float, str]:  # fmt: skip
    waits = dict(_waits(policy, judge, step, seen, requests_per_s, asks=asks))
    longest = max(waits, key=lambda one: waits[one], default="")
    if not longest or waits[longest] <= step.hold_s:
        return step.hold_s, ""
    return waits[longest], longest


def _waits(
    policy: RolloutPolicy, judge: Judge, step: Step, seen: list[float], requests_per_s: float,
    *, asks: bool,
) -> Iterator[tuple[str, float]]:  # fmt: skip
    """What a step waits for, with the seconds that it takes."""
    share = step.weight_bp or step.mirror_bp
    per_s = requests_per_s * share / FULL_BP
    if step.until_samples:
        yield count(step.until_samples, "sample"), _over(step.until_samples, per_s)
    if step.proof:
        wanted = ANSWERS_PER_MARGIN / (policy.proof.margin / FULL_BP)
        yield f"proof ({count(round(wanted), 'answer')})", _over(wanted - seen[0], per_s)
    if not asks:
        return
    reverse = policy.compare.reverse
    place = Position(step.weight_bp, step.mirror_bp, bool(reverse), seen=1, judged=1)
    copied = step.mirror_bp or step.weight_bp * reverse // FULL_BP
    for one in missing(judge, place, policy.detect.sought):
        gate = judge.gates[one.gate]
        kind, rate = (1, requests_per_s * copied / FULL_BP) if gate.paired else (0, per_s)
        had = max(seen[:2]) if not gate.paired and not step.weight_bp else seen[kind]
        read = seen[2] if Need.PREDICTIONS in gate.needs else gate.read_share
        rate, had = rate * read, had * read
        left = math.inf if one.wanted >= NEVER else one.wanted - had
        where = f" at {percent(share)}"
        lasts = max(_over(left, rate), _days(left, gate.per_day))
        yield f"{one.gate} ({count(one.wanted, one.what)}{where})", lasts


def _days(left: float, a_day: int | None) -> float:
    """Seconds of whole days that pass before the last of so many a day can be had."""
    if a_day is None or not 0.0 < left < math.inf:
        return 0.0
    return (math.ceil(left / a_day) - 1) * DAY_S


def _over(wanted: float, per_s: float) -> float:
    if wanted <= 0:
        return 0.0
    return wanted / per_s if per_s > 0 else math.inf


def _count(step: Step, seen: list[float], seconds: float, requests_per_s: float) -> None:
    if not math.isfinite(seconds):
        return
    seen[0] += seconds * requests_per_s * step.weight_bp / FULL_BP
    seen[1] += seconds * requests_per_s * step.mirror_bp / FULL_BP
