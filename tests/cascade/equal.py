"""Stable against itself in a cascade: how often is it taken back for what the next model does?

``python -m tests.cascade.equal [RUNS] [REQUESTS] [FIRST]``: seeded rollouts of `squared` beside
`squared` (or, half of the runs, beside `again`, another training of it), flights of March 2013 in a
random order, the product's judge with `error_rate` and `cascade`, every question asked, an even
coin. Truths of the second model come fifty flights later.
"""

from __future__ import annotations

import sys
from collections import deque

import numpy as np

from prediction_services.dataset import LATE_MIN, load_table
from prediction_services.forecasts import FLAGGED_ABOVE, load_forecasts, served_rows
from router.core.gates import GATES
from router.core.judge import Judge, JudgeSettings
from router.core.wire.baseline import Baseline
from router.core.wire.fed import FedRequest
from router.core.wire.outcomes import ArmCounts, Batch, Cell
from router.core.wire.ripe import Ripe
from router.core.wire.sampled import Facts, PredictedRow
from tests.models_cache import models_cache

EVEN = 5_000
LATER = 50


class Flights:
    """What both models say of a flight, and what came."""

    def __init__(self):
        self.forecasts, table = load_forecasts(models_cache()), load_table(models_cache())
        self.rows = served_rows(table)
        self.late = table.arr_delay > LATE_MIN

    def told(self, row, model, candidate, unit):
        """The request of the second model, and its truth."""
        p = self.forecasts.late_at(float(self.forecasts.minutes[model][row]))
        late, said = bool(self.late[row]), p > FLAGGED_ABOVE
        about = "late", EVEN, candidate, unit
        facts = Facts((PredictedRow(str(said), p),))
        ripe = Ripe(EVEN, candidate, said == late, None, p, late)
        return FedRequest(*about, bad=False, missing=0.0, facts=facts), FedRequest(
            *about, ripe=ripe
        )


def taken_back(flights, candidate, seed, requests):
    """Whether that happens, and after how many requests."""
    draw = np.random.default_rng(seed)
    judge = Judge([GATES["error_rate"](), GATES["cascade"]()], JudgeSettings(), Baseline(), 0.0)
    waiting = deque()
    for n, row in enumerate(draw.choice(flights.rows, requests)):
        mine = bool(draw.random() < 0.5)
        fed, ripe = flights.told(
            row, candidate if mine else "squared", mine, int(draw.integers(2**63))
        )
        waiting.append(ripe)
        told = (fed, waiting.popleft()) if len(waiting) > LATER else (fed,)
        arms = (ArmCounts(ok=int(arm), arrived=int(arm)) for arm in (mine, not mine))
        judge.observe(Batch("forecast", 1, (Cell(EVEN, *arms),), fed=told), float(n))
        if judge.conviction:
            return n + 1
    return None


def main(runs=400, requests=400, first=0):
    flights, found = Flights(), {"squared": [0, 0], "again": [0, 0]}
    for seed in range(first, first + runs):
        candidate = ("squared", "again")[seed % 2]
        took = taken_back(flights, candidate, seed, requests)
        found[candidate][0] += took is not None
        found[candidate][1] += 1
        if took is not None:
            print(f"seed {seed}: {candidate} after {took}", flush=True)
    return found


if __name__ == "__main__":
    for name, (bad, count) in main(*map(int, sys.argv[1:])).items():
        print(f"{name}: {bad} of {count} taken back")
