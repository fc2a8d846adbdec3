"""Does the candidate lose more per prediction? Losses are numbers from 0 to 1, not only 0 or 1.

Two bets on one question, "the candidate's mean loss exceeds stable's by more than ``margin``":

*Pairs.* Both versions answered. ``D`` is the difference of their losses, in [-1, 1]; the factor
``1 + lam (D - margin) / (1 + margin)`` has mean at most 1 while ``E[D] <= margin``.

*Drawn by a coin.* Only one answered, the candidate with probability ``w``. With any ``b`` that was
fixed before (the mean loss so far)

    x = (loss - b) (1 - w)  for the candidate,   x = -(loss - b) w  for stable

has the mean ``w (1 - w) (difference of the means)`` whatever ``b`` is, since the coin is worth
nothing: ``E[(1 - w) 1c - w 1s] = 0``. So ``1 + lam (x - w (1 - w) margin) / B`` with
``B = max(w, 1 - w) + w (1 - w) margin >= |least x|`` has mean at most 1 as well (control variates;
Waudby-Smith & Ramdas, JRSS B 2024, for the bets). Worked example: w 0.5, losses 0.1 and 0.3 with
b 0.2: a candidate's answer of loss 1 gives x 0.4, one of stable's -0.4.

Ville: the chance that either ever exceeds 1/alpha is at most alpha; any mean of both whose weights
are settled before the first outcome is such a bet too. Where requests are mirrored nearly all of it
is on pairs, which say far more; where they are not, all of it is on the coin.
"""

from __future__ import annotations

import math
from typing import Final

from router.core.evidence.paired import LAMBDAS, paired_pot
from router.core.evidence.pot import Pot
from router.core.snapshots import Lasting

PRIOR: Final = 0.5
"""Where ``b`` begins, with the weight of one outcome."""


class LossEvidence(Lasting, sums="together candidate stable", later="pairs_share"):
    """See the module. ``margin``: 0 <= margin < 1."""

    __slots__ = ("candidate", "margin", "pairs", "pairs_share", "split", "stable", "together")

    pairs: Pot
    split: Pot
    pairs_share: float
    together: _Sums
    candidate: _Sums
    stable: _Sums

    def __init__(self, margin: float = 0.0, pairs_share: float = 0.5) -> None:
        """Start at evidence 1 : 1; ``pairs_share`` of it is bet on pairs, 0..1."""
        if not 0.0 <= margin < 1.0:
            raise ValueError(f"a margin lies in [0, 1), got {margin}")
        self.margin = margin
        self.pairs_share = pairs_share
        self.pairs = paired_pot()
        self.split = Pot(len(LAMBDAS))
        self.together = _Sums()
        """Pairs: sums of the candidate's and of stable's losses."""
        self.candidate = _Sums()
        self.stable = _Sums()

    @property
    def capital(self) -> float:
        """The evidence against the candidate, ``capital : 1``."""
        share = self.pairs_share
        return share * self.pairs.capital + (1.0 - share) * self.split.capital

    def pair(self, candidate: float, stable: float) -> None:
        """Both versions' losses for one request."""
        d = candidate - stable
        scaled = (d - self.margin) / (1.0 + self.margin)
        self.pairs.multiply([math.log1p(lam * scaled) for lam in LAMBDAS])
        self.pairs.release(int(d > 0.0))
        self.together.add(candidate, stable, bad=d > 0.0)

    def draw(self, w: float, loss: float, *, candidate: bool) -> None:
        """The loss of the version that a coin chose, the candidate with 0 < w < 1."""
        if not 0.0 < w < 1.0:
            return
        apart = loss - self._level
        x = apart * (1.0 - w) if candidate else -apart * w
        allowed = w * (1.0 - w) * self.margin
        scaled = (x - allowed) / (max(w, 1.0 - w) + allowed)
        self.split.multiply([math.log1p(lam * scaled) for lam in LAMBDAS])
        bad = candidate and apart > 0.0
        self.split.release(int(bad))
        (self.candidate if candidate else self.stable).add(loss, 0.0, bad=bad)

    @property
    def _level(self) -> float:
        total = self.candidate.first + self.stable.first + PRIOR
        return total / (self.candidate.count + self.stable.count + 1)


class _Sums(Lasting, listed="count first second bad"):
    """What was seen, for people and for the level."""

    __slots__ = ("bad", "count", "first", "second")

    count: int
    first: float
    second: float
    bad: int

    def __init__(
        self, count: int = 0, first: float = 0.0, second: float = 0.0, bad: int = 0
    ) -> None:
        self.count, self.first, self.second, self.bad = int(count), first, second, int(bad)

    def add(self, first: float, second: float, *, bad: bool) -> None:
        self.count += 1
        self.first += first
        self.second += second
        self.bad += bad

    def mean(self) -> float:
        return self.first / self.count if self.count else 0.0

    def means(self) -> tuple[float, float]:
        return (self.mean(), self.second / self.count) if self.count else (0.0, 0.0)
