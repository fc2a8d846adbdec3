"""Do the two versions *answer* alike? The distribution of output classes, in split mode.

With a tolerance ``tol``, for each class k and direction a few bets play on

    z = +-(A 1{k} / w - (1 - A) 1{k} / (1 - w)) - tol    (mean <= 0 while |q_c(k) - q_s(k)| <= tol)

Without, the plug-in density ratio: ``e = rho_k^A / (1 - w + w rho_k)``, ``rho_k`` the ratio of the
*past* class frequencies shrunk towards 1; its mean is exactly 1 while both versions answer alike.
Continuous scores use the ten deciles of stable's past scores as classes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from router.core.wire.outcomes import FULL_BP

if TYPE_CHECKING:
    from collections.abc import Sequence

CLASSES_MAX = 64
"""Output classes of one drift test; what does not fit is counted as one class "other"."""

LAMBDAS = (0.02, 0.06, 0.2, 0.5, 0.9)
"""Bet sizes of the tolerant test."""

PRIOR_COUNT = 0.5
SHRINK = 20.0
"""Candidate answers after which the plug-in ratio is trusted half."""

_LOG_MAX = 500.0


class DriftEvidence:
    """Evidence that output class frequencies differ by more than ``tolerance`` (None: at all)."""

    __slots__ = ("candidate", "classes", "logs", "stable", "tolerance")

    def __init__(self, classes: int, tolerance: float | None = 0.05) -> None:
        """``classes`` in 2..64; ``tolerance`` per class in (0, 1), or None for equality."""
        if not 2 <= classes <= CLASSES_MAX or not (tolerance is None or 0.0 < tolerance < 1.0):
            raise ValueError(f"no drift test: {classes=}, {tolerance=}")
        self.classes, self.tolerance = classes, tolerance
        self.candidate = [0] * classes
        self.stable = [0] * classes
        self.logs = [0.0] * (1 if tolerance is None else 2 * classes * len(LAMBDAS))

    @property
    def capital(self) -> float:
        """The evidence of drift, ``capital : 1``."""
        return math.fsum(math.exp(min(x, _LOG_MAX)) for x in self.logs) / len(self.logs)

    def observe(self, weight_bp: int, candidate: Sequence[int], stable: Sequence[int]) -> None:
        """Answers per class of requests routed at ``weight_bp``; 0 and 10 000 are ignored.

        Raises ValueError for another number of classes than the test was made for.
        """
        if not len(candidate) == len(stable) == self.classes:
            raise ValueError(f"expected {self.classes} classes, got {len(candidate)}")
        if not 0 < weight_bp < FULL_BP:
            return
        w = weight_bp / FULL_BP
        if self.tolerance is None:
            self.logs = [self.logs[0] + self._equality(w, candidate, stable)]
        else:
            gains = self._tolerant(w, self.tolerance, candidate, stable)
            self.logs = [log + gain for log, gain in zip(self.logs, gains, strict=True)]
        self.candidate = [a + b for a, b in zip(self.candidate, candidate, strict=True)]
        self.stable = [a + b for a, b in zip(self.stable, stable, strict=True)]

    def _equality(self, w: float, candidate: Sequence[int], stable: Sequence[int]) -> float:
        """Log factor of a batch, with ratios from before it."""
        prior = PRIOR_COUNT * self.classes
        n_c, n_s = sum(self.candidate) + prior, sum(self.stable) + prior
        trust = n_c / (n_c + SHRINK)
        total = 0.0
        for k in range(self.classes):
            c, s = self.candidate[k] + PRIOR_COUNT, self.stable[k] + PRIOR_COUNT
            ratio = 1.0 + trust * ((c / n_c) / (s / n_s) - 1.0)
            both = candidate[k] + stable[k]
            total += candidate[k] * math.log(ratio) - both * math.log(1.0 - w + w * ratio)
        return total

    def _tolerant(
        self, w: float, tol: float, candidate: Sequence[int], stable: Sequence[int]
    ) -> list[float]:
        """Log factors of a batch: class by class, upward bets then downward ones."""
        v = 1.0 - w
        n = sum(candidate) + sum(stable)
        up_max, down_max = v / (1.0 + tol * v), w / (1.0 + tol * w)
        gains: list[float] = []
        for k in range(self.classes):
            c, s = candidate[k], stable[k]
            for sign, largest in ((1.0, up_max), (-1.0, down_max)):
                for lam in LAMBDAS:
                    bet = lam * largest
                    gains.append(
                        c * math.log1p(bet * (sign / w - tol))
                        + s * math.log1p(bet * (-sign / v - tol))
                        + (n - c - s) * math.log1p(-bet * tol)
                    )
        return gains

    def furthest(self) -> int:
        """Index of the class whose frequencies differ most; 0 before any answer."""
        n_c, n_s = max(sum(self.candidate), 1), max(sum(self.stable), 1)
        gaps = [abs(c / n_c - s / n_s) for c, s in zip(self.candidate, self.stable, strict=True)]
        return gaps.index(max(gaps))

    def snapshot(self) -> dict[str, Any]:
        """JSON-able state, exact."""
        return {"logs": list(self.logs), "candidate": self.candidate, "stable": self.stable}

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot. Raises ValueError if it does not fit this test."""
        logs = [float(x) for x in data["logs"]]
        candidate, stable = list(map(int, data["candidate"])), list(map(int, data["stable"]))
        if len(logs) != len(self.logs) or not len(candidate) == self.classes == len(stable):
            raise ValueError("expected a snapshot of the same drift test")
        if not all(map(math.isfinite, logs)):
            raise ValueError("expected finite log capitals")
        self.logs, self.candidate, self.stable = logs, candidate, stable
