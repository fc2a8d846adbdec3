"""The pot: several bettors' capital, the cash not yet released, and exact JSON in and out.

Every sequential test of this package that restarts is a pot with its own factors. State is the
bettors' capital (a float each) and the number of bad events; cash follows from that number.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from router.core.evidence.restart import released

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CAPITAL_MAX = 1e250
"""Capital is kept below this, so that no batch overflows; lowering capital is always valid."""

_EXPONENT_MAX = 500.0


class Pot:
    """Capital of ``bettors`` equal bettors, started at 1 in total."""

    __slots__ = ("events", "horizon", "shares")

    def __init__(self, bettors: int, horizon: int | None = None) -> None:
        """``horizon``: bad events expected in all (see restart), None for the log rule."""
        self.horizon = horizon
        self.events = 0
        self.shares = [released(0, horizon) / bettors] * bettors

    @property
    def cash(self) -> float:
        """Capital not yet in play, 0 … 0.5."""
        return 1.0 - released(self.events, self.horizon)

    @property
    def capital(self) -> float:
        """Bettors and cash together: the evidence, ``capital : 1``. Starts at 1, finite, >= 0."""
        return math.fsum(self.shares) + self.cash

    def multiply(self, log_factors: Iterable[float]) -> None:
        """Multiply each bettor's capital by ``exp`` of its log factor."""
        logs = list(log_factors)
        if max(logs) > _EXPONENT_MAX:
            logs = [min(log, _EXPONENT_MAX) for log in logs]
        exp = math.exp
        self.shares = [share * exp(log) for share, log in zip(self.shares, logs, strict=True)]
        if max(self.shares) > CAPITAL_MAX:
            self.shares = [min(share, CAPITAL_MAX) for share in self.shares]

    def release(self, events: int) -> None:
        """``events`` more bad events have been processed: put their shares of cash in play.

        Called after the events were multiplied in, never before: a share must not bet on the
        past. Within one batch all releases come last, which is a few looks later and so valid.
        """
        if events <= 0:
            return
        before = released(self.events, self.horizon)
        self.events += events
        share = (released(self.events, self.horizon) - before) / len(self.shares)
        self.shares = [s + share for s in self.shares]

    def snapshot(self) -> dict[str, Any]:
        """JSON-able state; floats survive JSON exactly (shortest round-trip representation)."""
        return {"shares": list(self.shares), "events": self.events, "horizon": self.horizon}

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot. Raises ValueError if it does not fit this test or is damaged."""
        shares: Sequence[float] = data["shares"]
        if len(shares) != len(self.shares):
            raise ValueError(f"expected {len(self.shares)} bettors, got {len(shares)}")
        if not all(isinstance(s, int | float) and 0.0 <= s <= CAPITAL_MAX for s in shares):
            raise ValueError("capital must be a number from 0 to 1e250")
        self.shares = [float(s) for s in shares]
        self.events = int(data["events"])
        self.horizon = data["horizon"]
