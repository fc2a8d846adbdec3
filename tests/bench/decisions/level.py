"""How often a candidate that is *equal* to stable is rolled back: thousands of days at once.

All gates of one rollout are fed by the same requests: errors, latency at three quantiles, a latency
promise, and the absolute guard beside the relative evidence. Looks are dense at first and then at
every fifty bad answers or so; looking less often can only lower the count a little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from router.core.evidence.restart import horizon_of
from router.core.gates import GATES as GATE
from router.core.gates.gate import parts
from router.core.gates.guard import BROKEN, WITNESS
from router.simulation.scenario import DAY_S
from tests.bench.decisions.vector import VectorCompare, VectorGuard

if TYPE_CHECKING:
    from router.simulation.scenario import Scenario

QUANTILES = (0.5, 0.95, 0.99)
GAMMA = 0.10
SIGMA = 0.5
BURST_SLOWDOWN = 2.0
"""Requests of both versions take this much longer during a shared outage."""

LOOK_BAD_MAX = 50.0
"""Bad answers between two looks at most, expected outside of outages."""

GATES = ("error_rate", "latency", "slo", "guard", "all together")
FIELDS = {"slo": {"slower_than": "1s"}}
SHARES = parts([GATE[name].model_validate(FIELDS.get(name, {})) for name in GATES[:-1]])
"""Of the combined evidence."""


def _normal_tail(z: float) -> float:
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def _normal_quantile(q: float) -> float:
    low, high = -10.0, 10.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if 1.0 - _normal_tail(middle) < q else (low, middle)
    return low


_Z = tuple(_normal_quantile(q) for q in QUANTILES)


def _classes(slowdown: float) -> tuple[np.ndarray, np.ndarray]:
    """Shares of requests per latency class, candidate's and stable's, for one slow-down of both.

    The candidate's borders: 1.1 p50, 1.1 p95, p99 (the promise), 1.1 p99; stable's: p50, p95, p99.
    """
    shift, slower = math.log(slowdown) / SIGMA, math.log(1.0 + GAMMA) / SIGMA
    z50, z95, z99 = (z - shift for z in _Z)
    candidate = [_normal_tail(z) for z in (z50 + slower, z95 + slower, z99, z99 + slower)]
    stable = [_normal_tail(z) for z in (z50, z95, z99)]
    return _between(candidate), _between(stable)


def _between(tails: list[float]) -> np.ndarray:
    """Shares between the borders, from the shares above each."""
    return np.array([a - b for a, b in zip([1.0, *tails], [*tails, 0.0], strict=True)])


class _Outages:
    """Which runs are in a shared outage, moment by moment."""

    def __init__(self, scenario: Scenario, runs: int, draw: np.random.Generator) -> None:
        self.draw, self.bursts = draw, scenario.bursts
        self.on = np.zeros(runs, dtype=bool)
        quiet_s = DAY_S / scenario.bursts.per_day if scenario.bursts else math.inf
        self.means = (quiet_s, scenario.bursts.mean_s if scenario.bursts else 1.0)
        self.edge = draw.exponential(1.0, runs) * quiet_s

    def at(self, now: float) -> np.ndarray:
        """The runs that are in one."""
        due = self.edge <= now
        if due.any():
            self.on = self.on ^ due
            mean = np.where(self.on, self.means[1], self.means[0])
            self.edge = np.where(due, now + self.draw.exponential(1.0, len(due)) * mean, self.edge)
        return self.on


@dataclass(frozen=True, slots=True)
class Level:
    """False rollbacks of one scenario."""

    runs: int
    shares: dict[str, float]
    """Share of runs, by gate alone and all together."""


class _Gates:
    """The evidence of every gate, and which runs each has rolled back."""

    def __init__(self, scenario: Scenario, runs: int, horizon_s: float | None) -> None:
        p0, rps = scenario.stable_rate, scenario.requests_per_s
        tails = [1.0 - q for q in QUANTILES]
        self.errors = VectorCompare(runs, p0, horizon=horizon_of(p0, rps, horizon_s))
        self.latency = [
            VectorCompare(runs, p, 0.0, 0.0, horizon_of(p, rps, horizon_s)) for p in tails
        ]
        self.slo = VectorCompare(runs, tails[-1], horizon=horizon_of(tails[-1], rps, horizon_s))
        self.guard, self.stables = VectorGuard(runs, 0.05), VectorGuard(runs, 0.05)
        self.hit = {name: np.zeros(runs, dtype=bool) for name in GATES}

    def observe(self, weight_bp: int, counts: dict[str, np.ndarray]) -> None:
        """One look."""
        self.errors.observe(weight_bp, counts["errors"])
        for pot, name in zip(self.latency, ("p50", "p95", "p99"), strict=True):
            pot.observe(weight_bp, counts[name])
        self.slo.observe(weight_bp, counts["slo"])
        self.guard.observe(counts["errors"][:, [0, 2]])
        self.stables.observe(counts["errors"][:, [1, 3]])

    def look(self, limit: float) -> None:
        """Remember who reached its limit."""
        errors, slo, guard = self.errors.capital, self.slo.capital, self.guard.capital
        latency = sum(pot.capital for pot in self.latency) / len(self.latency)
        needed = np.where(self.stables.capital >= BROKEN, limit / SHARES["guard"], WITNESS)
        guard = np.where(errors >= needed, guard, np.minimum(guard, 1.0))
        alone = {"error_rate": errors, "latency": latency, "slo": slo, "guard": guard}
        together = sum(share * alone[name] for name, share in SHARES.items())
        for name, capital in zip(GATES, (errors, latency, slo, guard, together), strict=True):
            self.hit[name] |= capital >= limit


def false_rollbacks(
    scenario: Scenario, *, runs: int, seed: int, weight_bp: int = 500, alpha: float = 0.01,
    max_duration_s: float | None = None,
) -> Level:  # fmt: skip
    """Share of ``runs`` in which a gate ever reaches ``1 / alpha`` within the scenario's time."""
    draw = np.random.default_rng(seed)
    gates = _Gates(scenario, runs, max_duration_s)
    outages = _Outages(scenario, runs, draw)
    bad_per_s = scenario.requests_per_s * scenario.stable_rate
    now = 0.0
    while now < scenario.duration_s:
        step = min(max(0.5 / bad_per_s, now / 1_000.0), LOOK_BAD_MAX / bad_per_s)
        step = min(step, scenario.duration_s - now)
        gates.observe(weight_bp, _counts(scenario, weight_bp, step, outages.at(now), draw))
        gates.look(1.0 / alpha)
        now += step
    return Level(runs, {name: float(hit.mean()) for name, hit in gates.hit.items()})


def _counts(
    scenario: Scenario, weight_bp: int, step_s: float, outage: np.ndarray, draw: np.random.Generator
) -> dict[str, np.ndarray]:
    """Counts (runs, 4) for every question, of one piece of time."""
    n = scenario.requests_per_s * step_s
    w = weight_bp / 10_000
    rate = scenario.bursts.rate if scenario.bursts else 0.0
    p_bad = np.where(outage, rate, scenario.stable_rate)
    calm, slow = _CALM, _SLOW
    c = draw.poisson(n * w * np.where(outage[:, None], slow[0], calm[0])).astype(float)
    s = draw.poisson(n * (1.0 - w) * np.where(outage[:, None], slow[1], calm[1])).astype(float)
    n_c, n_s = c.sum(axis=1), s.sum(axis=1)
    bad_c, bad_s = draw.binomial(n_c.astype(int), p_bad), draw.binomial(n_s.astype(int), p_bad)
    above_c = np.cumsum(c[:, ::-1], axis=1)[:, ::-1]  # column k: slower than the k-th border
    above_s = np.cumsum(s[:, ::-1], axis=1)[:, ::-1]

    def question(x_c: np.ndarray, x_s: np.ndarray) -> np.ndarray:
        return np.column_stack([x_c, x_s, n_c - x_c, n_s - x_s])

    return {
        "errors": question(bad_c, bad_s),
        "p50": question(above_c[:, 1], above_s[:, 1]),
        "p95": question(above_c[:, 2], above_s[:, 2]),
        "slo": question(above_c[:, 3], above_s[:, 3]),
        "p99": question(above_c[:, 4], above_s[:, 3]),
    }


_CALM, _SLOW = _classes(1.0), _classes(BURST_SLOWDOWN)
