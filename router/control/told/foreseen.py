"""What is still to come of a live rollout: when it is through, and what passes its gates unseen."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from router.control.rollouts.observe import Observatory
from router.control.rollouts.run import Live, Run
from router.core.policy.forecast import seconds_left, stages
from router.core.policy.passing import passing
from router.core.policy.power import ExpectedTraffic
from router.core.policy.risk import unjudged, unseen
from router.core.rollout.rollout import Phase, step_age_s

FRESH_S: Final = 10.0
"""How long a forecast is told again without being made anew: traffic is a minute's average."""

USUAL_RATE: Final = 0.01
"""Bad answers of a stable version of which nothing is known yet."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """As of a moment of the rollout clock."""

    made: float
    revision: int
    through_at: float | None = None
    """Wall time at which a candidate as good as stable is through; None: not known, or never."""
    risks: tuple[str, ...] = ()


@dataclass(slots=True)
class Foresight:
    """Forecasts of the live rollouts, each for a while."""

    _known: dict[str, Foreseen] = field(default_factory=dict)

    def of(self, run: Run, observatory: Observatory, now: float, wall: float) -> Foreseen | None:
        """What is to come; None where nothing is live. ``now``: rollout clock."""
        name, live = run.route.name, run.live
        if live is None:
            self._known.pop(name, None)
            return None
        known = self._known.get(name)
        if known and known.revision == live.rollout.revision and now - known.made < FRESH_S:
            return known
        past = observatory.baseline(name, live.rollout.stable, now)
        views = (observatory.view(name, version, now) for version in run.route.versions)
        per_s = math.fsum(view.requests_per_s for view in views)
        bad_rate, policy = past.bad_rate if past.bad else None, live.policy
        left_s = _left_s(run, live, per_s, bad_rate, now) if per_s > 0.0 else math.inf
        at = round(wall + left_s, 3) if math.isfinite(left_s) else None
        risks = [*unjudged(policy), *unseen(policy, bad_rate)]
        if per_s > 0.0:
            risks += passing(policy, ExpectedTraffic(per_s, bad_rate or USUAL_RATE))
        made = self._known[name] = Foreseen(now, live.rollout.revision, at, tuple(risks))
        return made


def _left_s(
    run: Run, live: Live, requests_per_s: float, bad_rate: float | None, now: float
) -> float:
    """Seconds; infinity where a step is never left at this traffic."""
    rollout, judge, steps = live.rollout, live.trial.judge, live.plan.steps
    baking = Phase.BAKING in (rollout.phase, rollout.paused_from)
    found = stages(
        live.policy, requests_per_s, bad_rate or USUAL_RATE,
        step=len(steps) if baking else rollout.step,
        answers=judge.answers, pairs=judge.pairs, sampled=run.route.sampled,
    )  # fmt: skip
    held_s = live.plan.bake_s if baking else steps[rollout.step].hold_s
    return max(seconds_left(found) - min(step_age_s(rollout, now), held_s), 0.0)
