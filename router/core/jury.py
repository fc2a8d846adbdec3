"""No single client is the jury: a verdict stands without any one of them, or it is not one.

Where at least :data:`MANY` clients (addresses) were seen, evidence convicts only if without any one
of them it would still be nine tenths of what is needed, as a logarithm: so one carries at most a
tenth. It asks for more than the evidence itself, so the bound holds as before; and of what one
client can do by itself it makes a conviction less likely than ``alpha ** 0.9``, whatever it knows
about its arm. With fewer clients it is decided, and said.

A budget of bad answers takes at most a tenth of itself from one client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from router.core.evidence.combine import average
from router.core.snapshots import Lasting
from router.core.words import count, odds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from router.core.judge import Judge
    from router.core.wire.outcomes import Batch, Cell

MANY: Final = 20
"""Clients that must have been seen for one of them to be left out."""

PART: Final = 0.1
"""What one may carry."""

ASKED: Final = 8
"""Clients with the most failures that are left out in turn: who carries much has many."""

KNOWN_MAX: Final = 1_024
"""Failing clients that are known; of more, one with the fewest failures is forgotten."""


def capital_without(judge: Judge, who: int) -> float:
    """Combined evidence without the failures of one client."""
    states, shares = judge.states, judge.shares
    return average([(shares[t], states[t].capital_without(who)) for t in shares if t in states])


class Jury(Lasting, listed="lanes failing _told replays"):
    """Who was seen, and whose requests failed with the candidate."""

    __slots__ = ("_told", "failing", "lanes", "missing", "replays")

    lanes: set[int]
    failing: dict[int, int]
    _told: dict[tuple[int, int], int]
    replays: tuple[int, int]

    def __init__(self) -> None:
        """Nobody was."""
        self.lanes: set[int] = set()
        """Places of clients that were seen: there are at least as many clients."""
        self.failing: dict[int, int] = {}
        self._told: dict[tuple[int, int], int] = {}
        self.replays = (0, 0)
        """Failures of the candidate that stable was asked again: it answered; it failed as well."""
        self.missing = ""
        """Why the evidence does not convict although there is enough; empty: it may."""

    @property
    def many(self) -> bool:
        """Whether one of them may be left out."""
        return len(self.lanes) >= MANY

    def observe(self, batch: Batch) -> None:
        """Who was seen, who failed."""
        self.lanes.update(batch.lanes)
        self.replays = self.replays[0] + batch.replays[0], self.replays[1] + batch.replays[1]
        for cell in batch.cells:
            self._count(cell)

    def _count(self, cell: Cell) -> None:
        arm, key = cell.candidate, (cell.source, cell.slice)
        known = self._told.pop(key, 0) if cell.slice else 0
        for who in arm.by[known:]:
            if who not in self.failing and len(self.failing) >= KNOWN_MAX:
                del self.failing[min(self.failing, key=self.failing.__getitem__)]
            self.failing[who] = self.failing.get(who, 0) + 1
        if cell.slice and arm.arrived > arm.answers + arm.left:
            self._told[key] = len(arm.by)

    def charged(self, bad: int, most: int) -> int:
        """Of ``bad`` answers those that count for a budget of ``most``."""
        if not self.many:
            return bad
        each = max(int(PART * most), 1)
        over = sum(max(n - each, 0) for n in self.failing.values())
        return max(bad - over, 0)

    def suspects(self) -> Iterable[int]:
        """Those with the most failures."""
        return sorted(self.failing, key=self.failing.__getitem__, reverse=True)[:ASKED]

    def hears(self, judge: Judge) -> bool:
        """Whether the evidence suffices without any one client."""
        self.missing = ""
        if not self.many:
            return True
        needed = judge.limit ** (1.0 - PART)
        for who in self.suspects():
            without = capital_without(judge, who)
            if without < needed:
                self.missing = (
                    f"one client of {len(self.lanes)} or more has {self.failing[who]:,} of the "
                    f"{sum(self.failing.values()):,} failures; without it {odds(without)}, "
                    f"needed {odds(needed)}"
                )
                return False
        return True

    def said(self) -> str:
        """That few clients are heard; empty where there are many, or nobody knows."""
        if self.many or not self.lanes:
            return ""
        return f"all evidence is from {count(len(self.lanes), 'client')}"
