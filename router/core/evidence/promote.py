"""Proof that the candidate is *not worse* by a margin: what promotion waits for.

H0': p_candidate >= p_stable + margin. With ``mu`` = stable's past rate (any fixed number is valid),

    e = 1 + lam (margin - (Y - mu) (A / w - (1 - A) / (1 - w)))

has mean at most 1 under H0'. Several bet sizes share the capital, most of it on the one that grows
fastest if the candidate is exactly as good as stable was; the others keep it from starving when
stable's rate is not what it was. Nothing is restarted, because a candidate is promoted once.
"Worse by the margin, yet promoted" happens with chance <= risk.
At least ``3 / margin`` candidate requests are needed.

The favoured claim is the opposite of a conviction's, so doubt goes the other way: only slices of
draws with nothing open count, in the order of drawing. On sticky routes the unit is the user, by
the first request.
"""

from __future__ import annotations

import math
from functools import lru_cache

from router.core.evidence.band import Band
from router.core.evidence.bettors import TABLES_MAX, LogFactors
from router.core.evidence.slices import Key, Slice, Slices
from router.core.snapshots import Lasting
from router.core.words import FULL_BP

BETS = ((0.04, 0.06), (0.1, 0.08), (0.25, 0.12), (0.5, 0.17), (1.0, 0.45), (1.6, 0.12))
"""(size relative to the fastest bet, share of the capital)."""

ANSWERS_PER_MARGIN = 3.0
"""Settled candidate requests without which nothing is proven, times the margin: stable's answers
alone are no proof of anybody else."""

LOSS_MAX = 0.95
"""No bet may lose more than this share of its capital on one request."""

_LOG_MAX = 500.0


@lru_cache(maxsize=TABLES_MAX)
def promote_table(weight_bp: int, mu: float, margin: float) -> tuple[LogFactors, ...]:
    """Log factors of every bet at one weight, 0 < ``weight_bp`` < 10 000."""
    w, v = weight_bp / FULL_BP, 1.0 - weight_bp / FULL_BP
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


class PromoteEvidence(Lasting, later="band"):
    """Evidence that the candidate's bad rate is below stable's plus ``margin``."""

    __slots__ = ("band", "best", "logs", "margin", "mu", "requests", "slices")

    logs: list[float]
    best: float
    requests: int
    mu: float
    slices: Slices
    band: Band

    def __init__(self, p0: float, margin: float = 0.01) -> None:
        """``p0``: stable's past bad rate; 0 < margin < 0.5. Starts at evidence 1 : 1."""
        if not (0.0 < p0 <= 0.5 and 0.0 < margin < 0.5):
            raise ValueError(f"no rate or margin: {p0=}, {margin=}")
        self.mu, self.margin = p0, margin
        self.slices = Slices()
        self.band = Band()
        self.logs = [0.0] * len(BETS)
        self.best = 1.0
        self.requests = 0
        """Settled requests of the candidate that count."""

    @property
    def capital(self) -> float:
        """The present evidence for the candidate, ``capital : 1``."""
        grown = zip(BETS, self.logs, strict=True)
        return math.fsum(share * math.exp(min(log, _LOG_MAX)) for (_, share), log in grown)

    def observe(
        self, weight_bp: int, candidate_bad: int, stable_bad: int, candidate_ok: int, stable_ok: int
    ) -> None:
        """Counts of requests routed by a coin of ``weight_bp``; 0 and 10 000 are ignored."""
        self.book(
            None, Slice.settled(weight_bp, candidate_bad, stable_bad, candidate_ok, stable_ok)
        )

    def book(self, key: Key | None, s: Slice) -> None:
        """What is known of a slice now; it counts when all of it is."""
        if 0 < s.weight_bp < FULL_BP:
            self.slices.put(key, s)
            self._close()

    def abandon(self, source: int | None) -> None:
        """A process that drew is gone, None: all of them; so are its open requests."""
        self.slices.abandon(source)
        self._close()

    def _close(self) -> None:
        for s in self.slices.take_settled():
            cb, sb, co, so = s.candidate_bad, s.stable_bad, s.candidate_good, s.stable_good
            self.requests += cb + co
            self.band.add(s)
            table = promote_table(s.weight_bp, self.mu, self.margin)
            self.logs = [
                log + cb * f[0] + sb * f[1] + co * f[2] + so * f[3]
                for log, f in zip(self.logs, table, strict=True)
            ]
            if self.requests >= ANSWERS_PER_MARGIN / self.margin:
                self.best = max(self.best, self.capital)

    def _restored(self) -> None:
        if len(self.logs) != len(BETS) or not all(map(math.isfinite, [*self.logs, self.best])):
            raise ValueError(f"expected {len(BETS)} finite log capitals")
