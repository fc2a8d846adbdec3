"""Proof that the candidate is *not worse* by a margin: what promotion waits for.

H0': p_candidate >= p_stable + margin. With ``mu`` = stable's past rate (any fixed number is valid),

    e = 1 + lam (margin - (Y - mu) (A / w - (1 - A) / (1 - w)))

has mean at most 1 under H0'. Several bet sizes share the capital, most of it on the one that grows
fastest if the candidate is exactly as good as stable was; the others keep it from starving when
stable's rate is not what it was. Nothing is restarted, because a candidate is promoted once.
"Worse by the margin, yet promoted" happens with chance <= risk.
Rule of thumb: at least ``3 / margin`` candidate requests are needed.

On sticky routes the user is the unit and good outcomes say nothing (see distinct). There the margin
is taken as a ratio, ``R = 1 + margin / mu``, and only users' first bad outcomes bet: if the
candidate were R times as bad, a bad user would be the candidate's with chance at least
``q = wR / (wR + 1 - w)``, so ``q_a / q`` on the candidate's and ``(1 - q_a) / (1 - q)`` on stable's
bad users (``q_a`` the same for a smaller ratio ``a``) has mean at most 1.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from router.core.evidence.bettors import TABLES_MAX, LogFactors
from router.core.evidence.distinct import DistinctUnits
from router.core.wire.outcomes import FULL_BP

if TYPE_CHECKING:
    from collections.abc import Iterable

BETS = ((0.04, 0.06), (0.1, 0.08), (0.25, 0.12), (0.5, 0.17), (1.0, 0.45), (1.6, 0.12))
"""(size relative to the fastest bet, share of the capital)."""

LOSS_MAX = 0.95
"""No bet may lose more than this share of its capital on one request."""

STICKY_POWERS = (0.25, 0.5, 0.75, 0.9, 1.0, 1.25)
"""Sticky bets hypothesise the ratios ``R ** (1 - power)``: from a little below R to below 1."""

_LOG_MAX = 500.0


@lru_cache(maxsize=TABLES_MAX)
def promote_table(weight_bp: int, mu: float, margin: float, sticky: bool) -> tuple[LogFactors, ...]:
    """Log factors of every bet at one weight, 0 < ``weight_bp`` < 10 000."""
    w, v = weight_bp / FULL_BP, 1.0 - weight_bp / FULL_BP
    if sticky:
        return tuple(_ratio_bet(w, 1.0 + margin / mu, power) for power in STICKY_POWERS)
    z = (margin - (1.0 - mu) / w, margin + (1.0 - mu) / v, margin + mu / w, margin - mu / v)
    equal = (w * mu, v * mu, w * (1.0 - mu), v * (1.0 - mu))
    largest = LOSS_MAX / -min(z)  # z[0] < 0 always: margin < 1 - mu
    best = _fastest(z, equal, largest)
    sizes = (min(size * best, largest) for size, _ in BETS)
    return tuple(LogFactors(*(math.log1p(lam * x) for x in z)) for lam in sizes)


def _fastest(z: tuple[float, ...], law: tuple[float, ...], largest: float) -> float:
    """The ``lam`` in (0, largest] with the most expected growth; growth is concave in it."""
    low, high = 0.0, largest
    for _ in range(50):
        lam = (low + high) / 2.0
        slope = math.fsum(p * x / (1.0 + lam * x) for p, x in zip(law, z, strict=True))
        low, high = (lam, high) if slope > 0.0 else (low, lam)
    return high


def _ratio_bet(w: float, ratio: float, power: float) -> LogFactors:
    a = ratio ** (1.0 - power)
    q, q_a = (w * r / (w * r + 1.0 - w) for r in (ratio, a))
    return LogFactors(math.log(q_a / q), math.log((1.0 - q_a) / (1.0 - q)), 0.0, 0.0)


class PromoteEvidence:
    """Evidence that the candidate's bad rate is below stable's plus ``margin``."""

    __slots__ = ("best", "logs", "margin", "mu", "requests", "sticky", "units")

    def __init__(self, p0: float, margin: float = 0.01, *, sticky: bool = False) -> None:
        """``p0``: stable's past bad rate; 0 < margin < 0.5. Starts at evidence 1 : 1."""
        if not (0.0 < p0 <= 0.5 and 0.0 < margin < 0.5):
            raise ValueError(f"no rate or margin: {p0=}, {margin=}")
        self.mu, self.margin, self.sticky = p0, margin, sticky
        self.units = DistinctUnits() if sticky else None
        self.logs = [0.0] * len(BETS)
        self.best = 1.0
        self.requests = 0

    @property
    def capital(self) -> float:
        """The present evidence for the candidate, ``capital : 1``."""
        grown = zip(BETS, self.logs, strict=True)
        return math.fsum(share * math.exp(min(log, _LOG_MAX)) for (_, share), log in grown)

    def observe(
        self, weight_bp: int, candidate_bad: int, stable_bad: int, candidate_ok: int, stable_ok: int
    ) -> None:
        """Counts of requests routed by a coin of ``weight_bp``; 0 and 10 000 are ignored."""
        if not 0 < weight_bp < FULL_BP:
            return
        self.requests += candidate_bad + candidate_ok
        if not self.sticky:
            self._bet(weight_bp, candidate_bad, stable_bad, candidate_ok, stable_ok)

    def observe_units(
        self, weight_bp: int, candidate_units: Iterable[int], stable_units: Iterable[int]
    ) -> None:
        """Users (64-bit hashes) of bad outcomes, one entry an outcome; only firsts are evidence."""
        if self.units is None:
            raise ValueError("users are the unit of sticky evidence only")
        if 0 < weight_bp < FULL_BP:
            bad = self.units.add(candidate_units), self.units.add(stable_units)
            self._bet(weight_bp, *bad, 0, 0)

    def _bet(self, weight_bp: int, cb: int, sb: int, co: int, so: int) -> None:
        table = promote_table(weight_bp, self.mu, self.margin, self.sticky)
        self.logs = [
            log + cb * f[0] + sb * f[1] + co * f[2] + so * f[3]
            for log, f in zip(self.logs, table, strict=True)
        ]
        self.best = max(self.best, self.capital)

    def snapshot(self) -> dict[str, Any]:
        """JSON-able state, exact."""
        return {
            "logs": list(self.logs),
            "best": self.best,
            "requests": self.requests,
            "mu": self.mu,
            "units": self.units.snapshot() if self.units else None,
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot. Raises ValueError if it is damaged, KeyError if it lacks a part."""
        logs = [float(x) for x in data["logs"]]
        best = float(data["best"])
        if len(logs) != len(BETS) or not all(map(math.isfinite, [*logs, best])):
            raise ValueError(f"expected {len(BETS)} finite log capitals")
        self.logs, self.best = logs, best
        self.requests, self.mu = int(data["requests"]), float(data["mu"])
        if self.units is not None:
            self.units.restore(data["units"])
