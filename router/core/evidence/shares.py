"""Shares of rows, candidate against stable: the same bet for 1 row and for 32, once a request.

Rows of one request have one cause, so a request is one bet, on the share ``X`` (0..1) of its rows
that are of a kind: null, of a class, above a score. With the coin's ``w`` at the draw, ``A`` = 1
for the candidate, and any ``mu`` fixed before the request

    H0:  E[X of the candidate] <= E[X of stable] + margin
    Z = (X - mu) (A / w - (1 - A) / (1 - w)) - margin;      e = 1 + lam Z,  lam >= 0 and e > 0

has mean at most 1, since the bracket has mean 0 for whatever ``mu``. It is the family of
:mod:`router.core.evidence.bettors` without a relative tolerance: ``lam = l1 + l0`` and
``mu = l0 / (l1 + l0)`` there. The mean share of both arms so far leaves the least variance.

Which rows are of the kind may be chosen anew for each request, from earlier ones: the classes that
the candidate has said too often so far, the score at which it lies furthest off. So one evidence
asks of all kinds at once, and "no kind whatever" is what is bounded: for classes, the share of
predictions that would have to be others (total variation).
"""

from __future__ import annotations

import math
from typing import Final

from router.core.evidence.pot import Pot
from router.core.evidence.restart import START_SHARE
from router.core.snapshots import Lasting
from router.core.words import FULL_BP

SIZES: Final = (0.03, 0.08, 0.2, 0.45, 0.95)
"""Bets as shares of the largest one."""

LOSS_MAX: Final = 0.95
"""No bet may lose more than this share of its capital on one request."""


class ShareEvidence(Lasting, bare="pot"):
    """Evidence that the candidate's share exceeds stable's by more than ``margin``, 0 <= it < 1.

    ``size``: requests that may have one cause; the stake is divided by it (see bettors.together).
    ``reserve``: half of the capital waits for what begins later (see restart).
    """

    __slots__ = ("margin", "pot", "size", "sizes")

    pot: Pot

    def __init__(
        self, margin: float, *, size: int = 1, sizes: tuple[float, ...] = SIZES,
        reserve: bool = True,
    ) -> None:  # fmt: skip
        """Start at evidence 1 : 1."""
        if not 0.0 <= margin < 1.0:
            raise ValueError(f"a margin lies in [0, 1), got {margin}")
        self.margin = margin
        self.size = max(size, 1)
        self.sizes = sizes
        self.pot = Pot(len(sizes), start=START_SHARE if reserve else 1.0)

    @property
    def capital(self) -> float:
        """The evidence against the candidate, ``capital : 1``."""
        return self.pot.capital

    def bet(self, weight_bp: int, *, candidate: bool, share: float, mean: float) -> None:
        """One request of a coin of ``weight_bp``; ``mean``: its ``mu``, 0..1, from before it.

        A weight of 0 or 10 000 is no coin: such a request is ignored.
        """
        if not 0 < weight_bp < FULL_BP:
            return
        w = weight_bp / FULL_BP
        z = (share - mean) / (w if candidate else w - 1.0) - self.margin
        worst = max(mean / w, (1.0 - mean) / (1.0 - w)) + self.margin
        stake = LOSS_MAX / worst / self.size
        self.pot.multiply([math.log1p(size * stake * z) for size in self.sizes])
        self.pot.release(1)

    def pair(self, candidate: float, stable: float) -> None:
        """One request that both answered: the mean of its two bets at an even coin.

        Half of ``1 + lam (2 (X - mu) - margin)`` and half of ``1 - lam (2 (X' - mu) + margin)`` is
        ``1 + lam (X - X' - margin)``: the coin is gone, and ``mu`` with it.
        """
        z = candidate - stable - self.margin
        stake = LOSS_MAX / (1.0 + self.margin) / self.size
        self.pot.multiply([math.log1p(size * stake * z) for size in self.sizes])
        self.pot.release(1)

    def __repr__(self) -> str:
        """Evidence in one line."""
        return f"ShareEvidence(margin {self.margin:g}, {self.capital:.3g} : 1)"


class Means(Lasting, listed="candidates stables candidate stable"):
    """Mean shares of several kinds in both arms, of the requests so far."""

    __slots__ = ("candidate", "candidates", "stable", "stables")

    candidates: int
    stables: int
    candidate: list[float]
    stable: list[float]

    def __init__(self, kinds: int) -> None:
        """Nothing was seen."""
        self.candidate, self.stable = [0.0] * kinds, [0.0] * kinds
        self.candidates = self.stables = 0

    def add(self, candidate: bool, shares: list[float]) -> None:
        """One request's shares."""
        sums = self.candidate if candidate else self.stable
        for place, share in enumerate(shares):
            if share:
                sums[place] += share
        if candidate:
            self.candidates += 1
        else:
            self.stables += 1

    def grow(self, kinds: int) -> None:
        """There are more kinds now."""
        more = [0.0] * (kinds - len(self.candidate))
        self.candidate += more
        self.stable += more

    def of(self, place: int) -> tuple[float, float]:
        """Mean shares of one kind, candidate's and stable's; 0.0 of an arm without requests."""
        return (
            self.candidate[place] / self.candidates if self.candidates else 0.0,
            self.stable[place] / self.stables if self.stables else 0.0,
        )
