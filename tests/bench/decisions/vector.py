"""The same evidence for thousands of runs at once: arrays with one row a run.

Two thousand simulated days would take the product's own judge hours. These classes use its factor
tables and its release schedule, and differ in nothing but the shape of their state; a test feeds
both the same counts and asks for the same capital.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from router.core.evidence.bettors import log_table
from router.core.evidence.guard import guard_hypotheses
from router.core.evidence.restart import ALARM_SHARE, LOG_SHARE_OF_MIXED, START_SHARE

CAPITAL_MAX = 1e250
_EXPONENT_MAX = 500.0


def released(
    events: np.ndarray, horizon: int | None, alarms: np.ndarray | None = None
) -> np.ndarray:
    """:func:`router.core.evidence.restart.released` for an array of counts."""
    mixed = 1.0 - 1.0 / np.log2(events + 2.0)
    if horizon is not None:
        evenly = np.minimum(events / horizon, 1.0)
        mixed = LOG_SHARE_OF_MIXED * mixed + (1.0 - LOG_SHARE_OF_MIXED) * evenly
    if alarms is not None:
        by_alarms = 1.0 - 1.0 / np.log2(alarms + 2.0)
        mixed = (1.0 - ALARM_SHARE) * mixed + ALARM_SHARE * by_alarms
    return START_SHARE + (1.0 - START_SHARE) * mixed


class VectorPot:
    """Capital of many runs' bettors."""

    def __init__(
        self, runs: int, bettors: int, horizon: int | None = None, *, alarmed: bool = False
    ) -> None:
        self.horizon = horizon
        self.events = np.zeros(runs)
        self.alarms = np.zeros(runs) if alarmed else None
        self.out = released(self.events, horizon, self.alarms)
        self.shares = np.full((runs, bettors), START_SHARE / bettors)

    @property
    def capital(self) -> np.ndarray:
        """Evidence of each run."""
        total: np.ndarray = self.shares.sum(axis=1) + (1.0 - self.out)
        return total

    def bet(self, counts: np.ndarray, logs: np.ndarray, events: np.ndarray) -> None:
        """``counts`` (runs, outcomes) times ``logs`` (outcomes, bettors), then the release."""
        with np.errstate(over="ignore"):  # infinity is cut to the most that capital may be
            growth = np.exp(np.minimum(counts @ logs, _EXPONENT_MAX))
            self.shares = np.minimum(self.shares * growth, CAPITAL_MAX)
        self.give_out(np.arange(len(self.shares)), events)

    def give_out(self, rows: np.ndarray, events: np.ndarray) -> None:
        """The release after ``events`` more bad ones in the runs ``rows``."""
        self.events[rows] += events
        self._give_out(rows)

    def renew(self, rows: np.ndarray) -> None:
        """An alarm in the runs ``rows``."""
        assert self.alarms is not None
        self.alarms[rows] += 1
        self._give_out(rows)

    def _give_out(self, rows: np.ndarray) -> None:
        alarms = None if self.alarms is None else self.alarms[rows]
        out = released(self.events[rows], self.horizon, alarms)
        self.shares[rows] += ((out - self.out[rows]) / self.shares.shape[1])[:, None]
        self.out[rows] = out


class VectorCompare(VectorPot):
    """:class:`router.core.evidence.CompareEvidence` of many runs; users are never the unit."""

    def __init__(
        self, runs: int, p0: float, relative: float = 0.1, absolute: float = 0.001,
        horizon: int | None = None,
    ) -> None:  # fmt: skip
        self.rates = (p0, relative, absolute)
        super().__init__(runs, len(log_table(500, *self.rates, True)), horizon, alarmed=True)

    def observe(self, weight_bp: int, counts: np.ndarray) -> None:
        """``counts``: (runs, 4) of candidate bad, stable bad, candidate ok, stable ok."""
        logs = np.array(log_table(weight_bp, *self.rates, True)).T
        self.bet(counts, logs, counts[:, 0] + counts[:, 1])


class VectorGuard(VectorPot):
    """:class:`router.core.evidence.GuardEvidence` of many runs."""

    def __init__(self, runs: int, limit: float, horizon: int | None = None) -> None:
        rates = guard_hypotheses(limit, "above")
        self.logs = np.array(
            [[math.log(r / limit), math.log((1.0 - r) / (1.0 - limit))] for r in rates]
        ).T
        super().__init__(runs, len(rates), horizon)

    def observe(self, counts: np.ndarray) -> None:
        """``counts``: (runs, 2) of bad and ok."""
        self.bet(counts, self.logs, counts[:, 0])


class Detection(NamedTuple):
    """What each run needed until the evidence sufficed; NaN where it never did."""

    bad: np.ndarray
    """Bad candidate answers."""
    requests: np.ndarray
    """Requests to both versions: seconds at one request a second."""


def detection(
    runs: int, *, weight_bp: int, stable: float, candidate: float, tolerance: tuple[float, float],
    seed: int, limit: float = 100.0, events_max: int = 20_000,
) -> Detection:  # fmt: skip
    """Runs with a candidate that is bad from the first request on, event by event.

    How many bad answers it takes does not depend on the request rate: only their order matters.
    """
    draw = np.random.default_rng(seed)
    w = weight_bp / 10_000
    bad_c, bad_s = w * candidate, (1.0 - w) * stable
    good = np.array([w * (1.0 - candidate), (1.0 - w) * (1.0 - stable)])
    pot = VectorCompare(runs, stable, tolerance[0], tolerance[1])
    seen, at = np.zeros(runs), np.zeros(runs)
    found = Detection(np.full(runs, np.nan), np.full(runs, np.nan))
    for _ in range(events_max):
        gap = draw.exponential(1.0 / (bad_c + bad_s), runs)
        at += gap
        ok = draw.poisson(gap[:, None] * good)
        mine = draw.random(runs) * (bad_c + bad_s) < bad_c
        seen += mine
        pot.observe(weight_bp, np.column_stack([mine, ~mine, ok]).astype(float))
        reached = np.isnan(found.bad) & (pot.capital >= limit) & (seen >= 2)
        found.bad[reached], found.requests[reached] = seen[reached], at[reached]
        if not np.isnan(found.bad).any():
            break
    return found
