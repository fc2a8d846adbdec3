"""Users who count anew: equal versions for hours, with users unlike each other.

Everybody makes requests as often as a Zipf law says, and fails as a log-normal one does; who
failed in one round is therefore likely to fail in the next. The product's own judge and machine.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from router.core.evidence.users import bets_of
from router.simulation.result import many
from router.simulation.scenario import Scenario
from router.simulation.world import CountingWorld, SimulatedUsers
from tests.bench.decisions.rollouts import sticky_setup
from tests.bench.decisions.tables import Size, Table

if TYPE_CHECKING:
    from router.core.judge import Judge
    from router.core.rollout.traffic import Split
    from router.core.wire.outcomes import UserCounts


class UnlikeUsers(SimulatedUsers):
    """Users of whom some fail far more often than others."""

    def __init__(self, users: int, draw: np.random.Generator, bets: int, sigma: float) -> None:
        super().__init__(users, draw, bets)
        asked = np.diff(self.cumulative, prepend=0.0)
        failing = asked * np.exp(sigma * draw.standard_normal(users))
        self.middle = self.cumulative - asked / 2.0
        self.failing = np.cumsum(failing / failing.sum())

    def failing_share(self, weight_bp: int) -> float:
        """Share of all failures that the candidate's users have, where versions are equal."""
        first = self.count(weight_bp)
        return min(float(self.failing[first - 1]), 1.0) if first else 0.0

    def draw(
        self, weight_bp: int, candidate: tuple[int, int], stable: tuple[int, int]
    ) -> tuple[UserCounts, UserCounts]:
        """Who made the (good, bad) requests of each arm."""
        border, fails = self.share(weight_bp), self.failing_share(weight_bp)
        found = []
        for (good, bad), low, high, least, most in (
            (candidate, 0.0, border, 0.0, fails), (stable, border, 1.0, fails, 1.0),
        ):  # fmt: skip
            places = low + self.random.random(good) * (high - low)
            who = np.searchsorted(self.failing, least + self.random.random(bad) * (most - least))
            failed = self.middle[np.minimum(who, len(self.middle) - 1)]
            found.append(self.arm(np.concatenate([places, failed]), good))
        return found[0], found[1]


class UnlikeWorld(CountingWorld):
    """A world of them."""

    def __init__(
        self, scenario: Scenario, judge: Judge, draw: np.random.Generator, *, sigma: float
    ) -> None:
        super().__init__(scenario, draw, judge.thresholds_s, judge.tolerance)
        bets = bets_of(scenario.stable_rate)
        self.unlike = self.users = UnlikeUsers(scenario.users, draw, bets, sigma)
        self.weight_bp = 0

    def _rates(self, now: float) -> tuple[float, float]:
        mine, stable = super()._rates(now)
        share, fails = (
            ask(self.weight_bp) for ask in (self.unlike.share, self.unlike.failing_share)
        )
        if not 0.0 < share < 1.0:
            return mine, stable
        return min(mine * fails / share, 1.0), min(stable * (1.0 - fails) / (1.0 - share), 1.0)

    def advance(self, now: float, split: Split, until: float, *, quiet: bool) -> float:
        """One gap."""
        self.weight_bp = split.candidate_bp
        return super().advance(now, split, until, quiet=quiet)


UNLIKE = ((100, 0.0, 500), (200, 1.5, 500), (200, 1.5, 2_500), (200, 2.5, 2_500), (50, 2.5, 5_000))
"""Users, sigma of their failing, the candidate's share."""


def rounds(size: Size) -> Table:
    """Two hours at 10 requests a second; few users, so that they count anew at each alarm."""
    runs = size.part(0.5)
    table = Table(
        "Equal versions for two hours, users drawn and used up (10/s, stable 1 %, default gates)",
        ("users", "sigma of their failing", "weight", "runs", "taken back"),
    )
    for users, sigma, weight_bp in UNLIKE:
        scenario = Scenario(requests_per_s=10.0, users=users, duration_s=7_200.0)
        worlds = partial(UnlikeWorld, sigma=sigma)
        setup = sticky_setup(weight_bp)
        found = many(setup, scenario, range(900, 900 + runs), size.processes, worlds)
        hits = sum(run.outcome == "rolled back" for run in found)
        row = (f"{users}", f"{sigma:g}", f"{weight_bp / 100:g} %", f"{runs:,}", f"{hits}")
        table.rows.append(row)
        print(*row, sep=" | ", flush=True)
        table.goal(f"{users} users, {sigma:g}, of {runs:,}", hits, 0.007 * runs)
    return table
