"""Do the candidate's predictions fall into other kinds than stable's? All kinds asked at once.

The kinds may be labels, or bins of scores from low to high. Each kind k has a stake ``g(k)``, known
before the request; with ``G`` the mean of the stakes of its rows, ``A`` = 1 for the candidate and
the coin's ``w`` at the draw

    e = 1 + lam (G A / w - G (1 - A) / (1 - w) - margin (max g - min g)),     lam >= 0 and e > 0

    H0, kinds without order:  no set of kinds has a share that is larger by more than the margin
    H0, ``order``:            no set of the first (last) kinds has

Under H0 the candidate's mean of g exceeds stable's by at most ``margin (max g - min g)``, since g
is a mean of indicators of such sets, times its range (where there is an order, g falls, or rises,
with it). So e has mean at most 1 for whatever stakes earlier requests chose, whatever rows of one
request have to do with each other, and however often it is looked.

The stakes are those with which capital grows fastest. Without a margin that is the likelihood ratio
of the arm given the kind, which has this very form: ``e = c / (w c + (1 - w) s)`` for a candidate's
and ``s / (...)`` for stable's, ``g = w (1 - w) (r - 1) / (w r + 1 - w)`` with ``r = c / s``, the
ratio of both shares. An order makes the ratios monotone (pooled neighbours: the maximum likelihood
under stochastic order); a margin cuts the largest and the smallest off, as Huber's least favourable
pair has it (Robust version of the probability ratio test, 1965). Compare Grunwald, de Heide and
Koolen, Safe testing (JRSS B 2024). Shares are drawn to their common mean by :data:`PRIOR` requests.
"""

from __future__ import annotations

import math
from typing import Final, Literal, NamedTuple

from router.core.evidence.pot import Pot
from router.core.evidence.shares import LOSS_MAX, Means
from router.core.snapshots import Lasting
from router.core.words import FULL_BP

Extreme = Literal["first", "last"] | None
"""Of which kinds the candidate may say too many: any, the first ones, or the last ones."""

LEARN_MIN: Final = 4
"""Requests of each arm before anything is bet: until then nothing is known to bet on."""

PRIOR: Final = 4.0
"""Requests that say what both arms have in common."""

SIZES: Final = (0.1, 0.35, 1.0, 3.0)
"""Bets as multiples of the likelihood ratio's. Smaller ones lose less while little is known; larger
ones suit many rows, whose mean stake varies less than one row's."""

UNSEEN: Final = 1e-9
"""Share that both arms have of a kind that nobody has said: its ratio is 1, or its neighbours'."""

ANEW: Final = 16
"""Stakes are made anew with every request, later with every sixteenth part of those so far."""


class Stakes(NamedTuple):
    """What is bet at one weight until the ratios are made anew."""

    weight_bp: int
    stakes: list[float]
    """Of each kind."""
    paid: float
    """For the margin, whoever answers."""
    sizes: tuple[float, ...]
    """:data:`SIZES`, none so large that a request could lose more than :data:`LOSS_MAX`."""


def _stakes_of(ratios: list[float], weight_bp: int, margin: float) -> Stakes:
    w = weight_bp / FULL_BP
    stakes = [w * (1.0 - w) * (r - 1.0) / (w * r + 1.0 - w) for r in ratios]
    low, high = min(0.0, *stakes), max(0.0, *stakes)
    paid = margin * (high - low)
    largest = LOSS_MAX / (max(-low / w, high / (1.0 - w)) + paid)
    return Stakes(weight_bp, stakes, paid, tuple(min(size, largest) for size in SIZES))


class ShiftEvidence(Lasting, listed="pot means ratios _made_of"):
    """Evidence that more than ``margin`` of the candidate's predictions would have to be others."""

    __slots__ = ("_known", "_made_of", "margin", "means", "order", "pot", "ratios")

    pot: Pot
    means: Means
    ratios: list[float]
    _made_of: int

    def __init__(self, margin: float, kinds: int = 0, *, order: Extreme = None) -> None:
        """Start at evidence 1 : 1."""
        if not 0.0 <= margin < 1.0:
            raise ValueError(f"a margin lies in [0, 1), got {margin}")
        self.margin = margin
        self.order = order
        self.means = Means(kinds)
        self.ratios: list[float] = []
        """Of each kind: the candidate's share as a multiple of stable's, as it is bet on."""
        self._made_of = 0
        """Requests that the ratios are made of."""
        self._known: Stakes | None = None
        """Made of the ratios, at the weight that was asked for last."""
        self.pot = Pot(len(SIZES))

    @property
    def capital(self) -> float:
        """The evidence against the candidate, ``capital : 1``."""
        return self.pot.capital

    def observe(self, weight_bp: int, candidate: bool, shares: list[float]) -> None:
        """One request: the share of its rows of each kind. Without a coin it only teaches."""
        if len(shares) > len(self.means.candidate):
            self.means.grow(len(shares))
        if known := self._stakes(weight_bp):
            pairs = zip(
                shares, known.stakes, strict=False
            )  # of a kind that is new nothing was known
            self._bet(known, candidate, sum(share * stake for share, stake in pairs if share))
        self.means.add(candidate, shares)

    def learn(self, candidate: bool, shares: list[float]) -> None:
        """One request on which nothing is bet."""
        if len(shares) > len(self.means.candidate):
            self.means.grow(len(shares))
        self.means.add(candidate, shares)

    def forget(self) -> None:
        """Begin to learn anew, with the capital that there is: what are kinds is another thing."""
        self.means, self.ratios, self._made_of, self._known = Means(0), [], 0, None

    def doubt(self, weight_bp: int, candidate: bool) -> None:
        """One request of which nothing will be known: at its least for the evidence."""
        if known := self._stakes(weight_bp):
            worst = min(known.stakes) if candidate else max(known.stakes)
            self._bet(known, candidate, worst)

    def _stakes(self, weight_bp: int) -> Stakes | None:
        """Of each kind; None where nothing is bet."""
        if not 0 < weight_bp < FULL_BP:
            return None
        seen = self.means.candidates + self.means.stables
        if seen >= self._made_of + max(self._made_of // ANEW, 1):
            self.ratios, self._made_of, self._known = self._ratios(), seen, None
        if not self.ratios:
            return None
        if self._known is None or self._known.weight_bp != weight_bp:
            self._known = _stakes_of(self.ratios, weight_bp, self.margin)
        return self._known

    def _bet(self, known: Stakes, candidate: bool, stake: float) -> None:
        w = known.weight_bp / FULL_BP
        won = (stake / w if candidate else -stake / (1.0 - w)) - known.paid
        self.pot.multiply([math.log1p(size * won) for size in known.sizes])
        self.pot.release(1)

    # --- what is bet on ---------------------------------------------------------------------------

    def _ratios(self) -> list[float]:
        """Of each kind; none where no more than the margin lies apart."""
        means = self.means
        if min(means.candidates, means.stables) < LEARN_MIN:
            return []
        all_ = means.candidates + means.stables
        both = [(c + s) / all_ for c, s in zip(means.candidate, means.stable, strict=True)]
        mine = _drawn_in(means.candidate, means.candidates, both)
        others = _drawn_in(means.stable, means.stables, both)
        if self.order == "first":
            mine, others = _falling(mine, others)
        elif self.order == "last":
            mine, others = (part[::-1] for part in _falling(mine[::-1], others[::-1]))
        most, least = _cut(mine, others, self.margin), _cut(others, mine, self.margin)
        if most <= 1.0 or least <= 1.0:
            return []
        pairs = zip(mine, others, strict=True)
        return [min(max(c / s, 1.0 / least), most) for c, s in pairs]

    @property
    def furthest(self) -> int:
        """The kind that the candidate says most too often; -1 without kinds."""

        def excess(place: int) -> float:
            candidate, stable = self.means.of(place)
            return candidate - stable

        return max(range(len(self.means.candidate)), key=excess, default=-1)

    def _restored(self) -> None:
        self._known = None


def _drawn_in(sums: list[float], requests: int, both: list[float]) -> list[float]:
    """Mean shares of one arm, drawn to those of both."""
    parts = zip(sums, both, strict=True)
    return [UNSEEN + (own + PRIOR * common) / (requests + PRIOR) for own, common in parts]


def _falling(mine: list[float], others: list[float]) -> tuple[list[float], list[float]]:
    """Both, neighbours pooled until the ratio of the first to the second falls.

    Pool adjacent violators.
    """
    blocks: list[tuple[float, float, int]] = []
    for c, s in zip(mine, others, strict=True):
        block = (c, s, 1)
        while blocks and blocks[-1][0] * block[1] < block[0] * blocks[-1][1]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    pooled = [(c / n, s / n) for c, s, n in blocks for _ in range(n)]
    return [c for c, _ in pooled], [s for _, s in pooled]


def _cut(mine: list[float], others: list[float], margin: float) -> float:
    """The ratio beyond which a larger stake costs more than it brings; at most 1: none does.

    It is the R at which ``sum max(c - R s, 0) = margin 2 R / (1 + R)``: what a larger stake of the
    kinds beyond brings and costs, at an even coin. Between neighbouring ratios it is a quadratic.
    """
    known = sorted(zip(mine, others, strict=True), key=_ratio, reverse=True)
    beyond, beside = 0.0, 0.0
    for place, (c, s) in enumerate(known):
        beyond, beside = beyond + c, beside + s
        half = (beyond - beside - 2.0 * margin) / (2.0 * beside)
        found = half + math.sqrt(half * half + beyond / beside)
        if place + 1 == len(known) or found >= _ratio(known[place + 1]):
            return found
    return 1.0


def _ratio(shares: tuple[float, float]) -> float:
    return shares[0] / shares[1]
