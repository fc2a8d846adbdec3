"""A world told in stretches of time: for whole rollouts of hours at hundreds of requests a second.

Of each stretch all counts are drawn at once, with the law of a world in which answers are at once:
Poisson numbers of good and bad answers, and of each how many were slow at which limit. A batch of
any size is valid evidence, so fewer looks can only delay a verdict: a table of who is promoted
although worse errs on the careful side.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from router.core.wire.outcomes import ArmCounts, Batch, Cell
from router.core.words import FULL_BP
from router.simulation.scenario import edges
from router.simulation.world import burst_rates, mirrored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.core.judge import Judge
    from router.core.rollout.traffic import Split
    from router.simulation.scenario import Bursts, LatencyModel, Scenario

STRETCH_S: Final = 2.0
"""Seconds between two looks; where bad answers are rarer, the mean time to the next one."""


class Stretches:
    """See the module; no users."""

    def __init__(self, scenario: Scenario, judge: Judge, draw: np.random.Generator) -> None:
        self.scenario, self.judge, self.draw = scenario, judge, draw
        self.rates = burst_rates(scenario, draw)
        self.exposed = self.round = 0
        self._batch = Batch("simulated", 1)
        self._slow: dict[tuple[tuple[float, ...], float], tuple[np.ndarray, np.ndarray]] = {}

    def advance(self, now: float, split: Split, until: float, *, quiet: bool) -> float:
        """One stretch."""
        s = self.scenario
        bad_s = next(rate for at, rate in reversed(self.rates) if at <= now)
        bad_c = min(max(bad_s + s.candidate_rate - s.stable_rate, 0.0), 1.0)
        share = split.candidate_bp / FULL_BP
        both = s.requests_per_s * (share * bad_c + (1.0 - share) * bad_s)
        gap = max(STRETCH_S, 1.0 / both) if both else math.inf
        end = min(now + gap, until, edges(self.rates, now))
        self._tell(end - now, split, (bad_c, bad_s))
        return end

    def _tell(self, seconds: float, split: Split, failing: tuple[float, float]) -> None:
        pairs = mirrored(self.scenario, self.draw, seconds, split.mirror_bp, failing[0])
        if not split.candidate_bp:
            self._batch = Batch("simulated", 1, pairs=pairs)
            return
        limits, tolerance = self.judge.thresholds_s, self.judge.tolerance
        share = split.candidate_bp / FULL_BP
        asked = self.scenario.requests_per_s * seconds
        laws = self._laws(limits, tolerance)
        candidate = self._arm(asked * share, failing[0], laws[0])
        stable = self._arm(asked * (1.0 - share), failing[1], laws[1])
        self.exposed += candidate.arrived
        cell = Cell(split.candidate_bp, candidate, stable, limits, tolerance, round=self.round)
        self._batch = Batch("simulated", 1, (cell,), pairs=pairs)

    def _arm(self, asked: float, failing: float, law: np.ndarray) -> ArmCounts:
        bad = int(self.draw.poisson(asked * failing))
        ok = int(self.draw.poisson(asked * (1.0 - failing)))
        if len(law) == 1:
            return ArmCounts(ok, bad, arrived=ok + bad)
        below = np.cumsum(self.draw.multinomial(ok + bad, law))[:-1].tolist()
        slow = tuple(ok + bad - fast for fast in below)
        return ArmCounts(ok, bad, tuple(below), slow, arrived=ok + bad)

    def _laws(self, limits: tuple[float, ...], tolerance: float) -> tuple[np.ndarray, np.ndarray]:
        """Chances of an answer of each arm to lie between two limits."""
        found = self._slow.get((limits, tolerance))
        if found is None:
            latency = self.scenario.latency
            mine = [limit * (1.0 + tolerance) for limit in limits]
            found = self._slow[limits, tolerance] = (
                between(latency, mine, latency.factor if latency is not None else 1.0),
                between(latency, limits, 1.0),
            )  # fmt: skip
        return found

    def take(self) -> Batch:
        """What the last stretch gave."""
        batch, self._batch = self._batch, Batch("simulated", 1)
        return batch


class Refusing(Stretches):
    """Answers that refuse the request (4xx) or are empty, in both versions."""

    def __init__(
        self, scenario: Scenario, judge: Judge, draw: np.random.Generator,
        *, shares: tuple[float, float], more: Bursts | None,
    ) -> None:  # fmt: skip
        """``shares``: of good answers, (candidate, stable); ``more``: when both refuse more."""
        super().__init__(scenario, judge, draw)
        self.shares = shares
        self.surges = burst_rates(replace(scenario, bursts=more, stable_rate=0.0), draw)

    def advance(self, now: float, split: Split, until: float, *, quiet: bool) -> float:
        """One stretch, with its refusals."""
        end = super().advance(now, split, min(until, edges(self.surges, now)), quiet=quiet)
        surge = next(rate for at, rate in reversed(self.surges) if at <= now)
        cells = tuple(
            replace(cell, candidate=self._refused(cell.candidate, max(self.shares[0], surge)),
                    stable=self._refused(cell.stable, max(self.shares[1], surge)))
            for cell in self._batch.cells
        )  # fmt: skip
        self._batch = replace(self._batch, cells=cells)
        return end

    def _refused(self, arm: ArmCounts, share: float) -> ArmCounts:
        return replace(arm, refused=int(self.draw.binomial(arm.ok, share)))


def between(latency: LatencyModel | None, limits: Sequence[float], factor: float) -> np.ndarray:
    """Chances of an answer so many times slower to lie below, between and above the limits."""
    if latency is None:
        return np.array([1.0])
    z = [(math.log(one / factor) - math.log(latency.median_s)) / latency.sigma for one in limits]
    below = [0.0, *(0.5 * math.erfc(-one / math.sqrt(2.0)) for one in z), 1.0]
    return np.diff(below)
