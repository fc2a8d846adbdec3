"""Which draw of another route made a request's input: what ties a cascade together.

A route that feeds others marks what goes out: the requests that it forwards, in `baggage` (W3C
Baggage, https://www.w3.org/TR/baggage/), and its answers, in `X-Rampway-Baggage`, so that whoever
asks the next route can send it on. The mark is sealed as receipts are
(:mod:`router.core.wire.receipt`), so nobody can choose his own. Where nobody sends it on, the
prediction log finds the same by a key that both requests have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from router.core.words import FULL_BP

ORIGINS_MAX: Final = 4
"""Origins of one request; further ones are not looked at."""
BAGGAGE_BYTES_MAX: Final = 8_192
"""Of a request's baggage that is looked at (W3C Baggage section 3.3.2)."""
MEMBER: Final = "rampway."
"""A member's key begins with it; the name of the route that made the mark follows."""

_CANDIDATE, _STABLE = "c", "s"
"""Letters of :class:`router.core.wire.receipt.Chosen`, which not everybody needs who needs this."""


@dataclass(frozen=True, slots=True)
class FeedsEntry:
    """What a worker must know of a route's part in cascades."""

    secret: str
    """Key of the marks, one for the installation."""
    marks: bool = False
    """It feeds other routes by baggage: what goes out of it is marked."""
    fed: bool = False
    """Other routes feed it: marks of sampled requests are told."""


class Origin(NamedTuple):
    """One draw of a route that feeds others."""

    route: str
    version: str
    """Who made the input."""
    revision: int
    """Of the table's entry that routed it."""
    weight_bp: int
    """Of the coin; 0 without one."""
    arm: str
    """How the version was chosen: a letter of :class:`router.core.wire.receipt.Chosen`."""
    unit: int
    """Of the user on sticky routes; 0 elsewhere."""
    draw: int
    """What tells this draw from all others: 64 bits of the request's id."""
    at: float
    """When it was made, seconds since 1970."""

    @property
    def drawn(self) -> bool:
        """Whether a coin decided, so that it is evidence."""
        return self.arm in {_CANDIDATE, _STABLE} and 0 < self.weight_bp < FULL_BP

    @property
    def candidate(self) -> bool:
        """Whether the coin chose the candidate."""
        return self.arm == _CANDIDATE
