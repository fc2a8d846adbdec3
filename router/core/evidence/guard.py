"""One rate against a fixed limit: the absolute guardrail, and agreement in shadow mode.

Bettors hypothesise rates beyond the limit and multiply by the likelihood ratio of each outcome. For
every true rate within the limit the factor's mean is at most 1, so the bound of Ville holds.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from router.core.evidence.bettors import GEOMETRIC_BETTORS, TOP_RATE, spaced
from router.core.evidence.pot import Pot

Side = Literal["above", "below"]
"""On which side of the limit the alarm lies."""

_BELOW = (0.8, 0.6, 0.4, 0.25, 0.15, 0.1, 0.05, 0.02)
"""Hypothesised fractions of the limit for alarms below it."""


def guard_hypotheses(limit: float, side: Side) -> tuple[float, ...]:
    """Eight rates beyond ``limit``: log-spaced from 1.3 limit to 0.97, or fractions of it."""
    if side == "below":
        return tuple(limit * fraction for fraction in _BELOW)
    return spaced(min(1.3 * limit, (limit + TOP_RATE) / 2), TOP_RATE, GEOMETRIC_BETTORS)


class GuardEvidence:
    """Evidence that a rate lies above (or below) ``limit``, 0 < limit < 0.97."""

    __slots__ = ("_logs", "bad", "limit", "ok", "pot", "side")

    def __init__(self, limit: float, *, side: Side = "above", horizon: int | None = None) -> None:
        """Start at evidence 1 : 1. Raises ValueError for a limit that nothing could exceed."""
        if not 0.0 < limit < TOP_RATE:
            raise ValueError(f"a guard needs a limit between 0 and 0.97, got {limit}")
        self.limit, self.side = limit, side
        self._logs = tuple(
            (math.log(rate / limit), math.log((1.0 - rate) / (1.0 - limit)))
            for rate in guard_hypotheses(limit, side)
        )
        self.pot = Pot(len(self._logs), horizon)
        self.bad = self.ok = 0

    @property
    def capital(self) -> float:
        """The evidence that the limit is broken, ``capital : 1``."""
        return self.pot.capital

    def observe(self, bad: int, ok: int) -> None:
        """Counts of outcomes; any order, any arm weight."""
        if not (bad or ok):
            return
        self.bad += bad
        self.ok += ok
        self.pot.multiply([bad * on_bad + ok * on_ok for on_bad, on_ok in self._logs])
        self.pot.release(bad if self.side == "above" else ok)

    def snapshot(self) -> dict[str, Any]:
        """JSON-able state, exact."""
        return {"pot": self.pot.snapshot(), "counts": [self.bad, self.ok]}

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot. Raises ValueError, KeyError."""
        self.pot.restore(data["pot"])
        self.bad, self.ok = map(int, data["counts"])

    def __repr__(self) -> str:
        """Counts and evidence in one line."""
        return f"GuardEvidence({self.bad} bad, {self.ok} ok, {self.capital:.3g} : 1)"
