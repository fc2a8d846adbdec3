"""Many runs, summarised: what a policy would do, how often, how soon, at what price."""

from __future__ import annotations

import math
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from router.simulation.run import SimulatedRun, run_once, world_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.simulation.run import Setup, Worlds
    from router.simulation.scenario import Scenario

OUTCOMES = ("promoted", "kept", "rolled back", "undecided")


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that a ``share`` of ``values`` does not exceed; NaN without values."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and 95th percentile."""

    median: float
    p95: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of any values; NaN without values."""
        return cls(percentile(values, 0.5), percentile(values, 0.95))


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """Runs of the scenario, and of the same world with an equal candidate."""

    setup: Setup
    scenario: Scenario
    runs: tuple[SimulatedRun, ...]
    equal: tuple[SimulatedRun, ...]
    """Every rollback among these is a false one."""

    def share(self, outcome: str) -> float:
        """Share of the scenario's runs that ended so, 0..1."""
        return sum(run.outcome == outcome for run in self.runs) / len(self.runs)

    @property
    def false_rollbacks(self) -> float:
        """Share of rollouts of an equal candidate that were rolled back, 0..1."""
        return sum(run.outcome == "rolled back" for run in self.equal) / len(self.equal)

    @property
    def proven(self) -> float:
        """Share of the scenario's runs in which the candidate was proven not worse, 0..1."""
        return sum(run.proven_at_s is not None for run in self.runs) / len(self.runs)

    def _of(self, outcome: str) -> list[SimulatedRun]:
        return [run for run in self.runs if run.outcome == outcome]

    @property
    def bad(self) -> Spread:
        """Bad candidate answers before the rollback, since the candidate regressed."""
        return Spread.of([run.bad_since for run in self._of("rolled back")])

    @property
    def seconds(self) -> Spread:
        """Seconds from the first exposure of the regressed candidate to the rollback."""
        return Spread.of([run.seconds_since for run in self._of("rolled back")])

    @property
    def promotion(self) -> Spread:
        """Seconds from the start to the promotion of an equal candidate."""
        return Spread.of([run.at_s for run in self.equal if run.outcome == "promoted"])

    @property
    def proof(self) -> Spread:
        """Seconds until an equal candidate is proven not worse."""
        return Spread.of([run.proven_at_s for run in self.equal if run.proven_at_s is not None])

    def to_json(self) -> dict[str, Any]:
        """Numbers and the first run's timeline; what is not a number is None."""
        first = self.runs[0]
        return {
            "scenario": {
                "stable_rate": self.scenario.stable_rate,
                "candidate_rate": self.scenario.candidate_rate,
                "requests_per_s": self.scenario.requests_per_s,
                "change_at_s": self.scenario.change_at_s,
                "duration_s": self.scenario.duration_s,
                "users": self.scenario.users,
            },
            "gates": [gate.title for gate in self.setup.gates],
            "runs": len(self.runs),
            "outcomes": {name: self.share(name) for name in OUTCOMES},
            "proven": self.proven,
            "false_rollbacks": self.false_rollbacks,
            "false_rollback_rate_promised": self.setup.settings.false_rollback_rate,
            "bad_answers": _numbers(self.bad),
            "seconds_to_rollback": _numbers(self.seconds),
            "seconds_to_promotion": _numbers(self.promotion),
            "seconds_to_proof": _numbers(self.proof),
            "timeline": [
                {"at_s": at, "weight_bp": bp, "reason": reason} for at, bp, reason in first.timeline
            ],
            "sentence": first.sentence,
        }


def _numbers(spread: Spread) -> dict[str, float | None]:
    pairs = {"median": spread.median, "p95": spread.p95}
    return {name: value if math.isfinite(value) else None for name, value in pairs.items()}


def simulate(
    setup: Setup, scenario: Scenario, *, runs: int = 200, seed: int = 1, processes: int = 1,
    seconds: float = math.inf,
) -> SimulationResult:  # fmt: skip
    """``runs`` rollouts of the scenario and as many with an equal candidate.

    Seeds are ``seed``, ``seed + 1``, ...; the first run of each keeps its curves. After ``seconds``
    no more are begun, so there may be fewer (the same number of both).
    """
    if runs < 1:
        raise ValueError(f"expected at least one run, got {runs}")
    ends, size = time.monotonic() + seconds, runs if seconds == math.inf else PORTION * processes
    found: list[SimulatedRun] = []
    fine: list[SimulatedRun] = []
    while len(found) < runs and (not found or time.monotonic() < ends):
        begin, end = len(found), min(len(found) + size, runs)
        found += many(setup, scenario, range(seed + begin, seed + end), processes)
        if scenario.regresses:
            seeds = range(seed + runs + begin, seed + runs + end)
            fine += many(setup, scenario.equal, seeds, processes)
    scenario_runs = tuple(found)
    return SimulationResult(setup, scenario, scenario_runs, tuple(fine) or scenario_runs)


PORTION = 1
"""Runs of a processor between two looks at the clock."""


def many(
    setup: Setup, scenario: Scenario, seeds: Sequence[int], processes: int = 1,
    worlds: Worlds = world_of,
) -> tuple[SimulatedRun, ...]:  # fmt: skip
    """A run a seed, in order; only the first keeps its curves."""
    traced = run_once(setup, scenario, seeds[0], trace=True, worlds=worlds)
    one = partial(run_once, setup, scenario, worlds=worlds)
    if processes <= 1 or len(seeds) < 8:
        return (traced, *map(one, seeds[1:]))
    with ProcessPoolExecutor(processes) as pool:
        return (traced, *pool.map(one, seeds[1:], chunksize=max(len(seeds) // processes // 8, 1)))
