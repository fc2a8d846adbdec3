"""The pot: several bettors' capital, the cash not yet released, and exact JSON in and out.

Every sequential test of this package that restarts is a pot with its own factors. State is the
bettors' capital (a float each) and the number of bad events; cash follows from that number.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from router.core.evidence.restart import START_SHARE, released
from router.core.snapshots import Lasting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CAPITAL_MAX = 1e250
"""Capital is kept below this, so that no batch overflows; lowering capital is always valid."""

_EXPONENT_MAX = 500.0


class Pot(Lasting, later="alarms"):
    """Capital of ``bettors`` bettors, started at 1 in total."""

    __slots__ = (
        "_capital", "_out", "_parts", "_start", "alarms", "events", "horizon", "shares",
    )  # fmt: skip

    shares: list[float]
    events: int
    horizon: int | None
    alarms: int | None

    def __init__(
        self, bettors: int, horizon: int | None = None, *,
        parts: Sequence[float] = (), start: float = START_SHARE, alarmed: bool = False,
    ) -> None:  # fmt: skip
        """``horizon``: bad events expected in all (see restart), None for the log rule.

        ``parts``: what of the capital each bettor has, in sum 1; without them all have the same.
        ``start``: share of it that bets from the first outcome.
        ``alarmed``: part of the reserve is for alarms (:meth:`renew`).
        """
        self.horizon = horizon
        self.events = 0
        self.alarms: int | None = 0 if alarmed else None
        self._parts = tuple(parts) or (1.0 / bettors,) * bettors
        self._start = start
        self._out = released(0, horizon, start, self.alarms)
        self._capital: float | None = None  # of the present shares; asked for ten times a look
        self.shares = [self._out * part for part in self._parts]

    @property
    def cash(self) -> float:
        """Capital not yet in play, 0 … 0.5."""
        return 1.0 - self._out

    @property
    def capital(self) -> float:
        """Bettors and cash together: the evidence, ``capital : 1``. Starts at 1, finite, >= 0."""
        if self._capital is None:
            self._capital = math.fsum(self.shares) + self.cash
        return self._capital

    def multiply(self, log_factors: Iterable[float]) -> None:
        """Multiply each bettor's capital by ``exp`` of its log factor."""
        logs = list(log_factors)
        if max(logs) > _EXPONENT_MAX:
            logs = [min(log, _EXPONENT_MAX) for log in logs]
        exp = math.exp
        self.shares = [share * exp(log) for share, log in zip(self.shares, logs, strict=True)]
        if max(self.shares) > CAPITAL_MAX:
            self.shares = [min(share, CAPITAL_MAX) for share in self.shares]
        self._capital = None

    def best(
        self, stretches: Iterable[Iterable[float]], *, less: Sequence[float] | None = None
    ) -> float:
        """The largest capital over the prefixes of stretches that are not settled yet.

        Each stretch gives a log factor a bettor, every open request in it in doubt for the accused;
        none at all is a prefix too. Cash that would be released on the way is left out.
        ``less``: a log a bettor that is taken away from all of it.
        """
        best, logs, exp = self.capital, [0.0] * len(self.shares), math.exp
        if less is not None:
            logs = [-one for one in less]
            pairs = zip(self.shares, logs, strict=True)
            best = self.cash + math.fsum(share * exp(log) for share, log in pairs)
        for stretch in stretches:
            logs = [log + more for log, more in zip(logs, stretch, strict=True)]
            pairs = zip(self.shares, logs, strict=True)
            grown = [share * exp(min(log, _EXPONENT_MAX)) for share, log in pairs]
            best = max(best, math.fsum(grown))
        return min(best, CAPITAL_MAX)

    def release(self, events: int) -> None:
        """``events`` more bad events have been processed: put their shares of cash in play.

        Called after the events were multiplied in, never before: a share must not bet on the
        past. Within one batch all releases come last, which is a few looks later and so valid.
        """
        if events <= 0:
            return
        self.events += events
        self._give_out()

    def renew(self) -> None:
        """An alarm: what it puts in play bets on what is multiplied in from now on."""
        self.alarms = (self.alarms or 0) + 1
        self._give_out()

    def _give_out(self) -> None:
        before = self._out
        self._out = released(self.events, self.horizon, self._start, self.alarms)
        more = self._out - before
        self.shares = [s + more * part for s, part in zip(self.shares, self._parts, strict=True)]
        self._capital = None

    def _restored(self) -> None:
        if len(self.shares) != len(self._parts):
            raise ValueError(f"expected {len(self._parts)} bettors, got {len(self.shares)}")
        if not all(0.0 <= share <= CAPITAL_MAX for share in self.shares):
            raise ValueError("capital must be a number from 0 to 1e250")
        self._out = released(self.events, self.horizon, self._start, self.alarms)
        self._capital = None
