"""How often stable is wrong, as late labels say, beside how often it was.

While inputs are as before, a change of it is one of what is right: concept drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from router.core.monitors.checks import Deviation, Tolerances
from router.core.monitors.distances import chi_square
from router.core.monitors.memory import SLOTS, Memory

WRONG, RIGHT = 0, 1
POINTS: Final = 0.05
"""Share of wrong predictions more, or less, that matters."""


class Correctness:
    """Counts of labels. ``terms.rows`` labels make a window, and the reference."""

    def __init__(self, terms: Tolerances) -> None:
        self.terms = terms
        self.memory = Memory(2)
        self.before: tuple[int, int] | None = None
        """Wrong and right while it was learnt; None: not learnt yet."""

    def advance(self, slot: int) -> None:
        """Time has come to ``slot``."""
        self.memory.advance(slot)

    def add(self, *, correct: bool) -> None:
        """One label."""
        self.memory.add(RIGHT if correct else WRONG)

    def settle(self, now: float, began: float | None, learn_s: float) -> None:
        """What it was so far is the reference, after its time and with enough labels."""
        wrong, right = self.memory.season
        long = began is not None and now - began >= learn_s
        if self.before is None and long and wrong + right >= self.terms.rows:
            self.before = (wrong, right)

    def look(self) -> Deviation | None:
        """The last window beside the reference; None: too few labels."""
        if self.before is None:
            return None
        slots = self.terms.window
        wrong, right = self.memory.window(slots)
        while wrong + right < self.terms.rows and slots < SLOTS // 2:
            slots += self.terms.window
            wrong, right = self.memory.window(slots)
        if wrong + right < self.terms.rows:
            return None
        now, before = wrong / (wrong + right), self.before[0] / sum(self.before)
        chance = chi_square(self.before, (wrong, right), (1.0, 1.0))
        text = f"{now:.1%} of {wrong + right:,} labelled predictions wrong, {before:.1%} before"
        return Deviation("wrong", abs(now - before), POINTS, chance, text)

    def snapshot(self) -> dict[str, Any]:
        """JSON-able, exact."""
        return {"memory": self.memory.snapshot(), "before": self.before}

    def restore(self, data: Mapping[str, Any]) -> None:
        """The inverse. Raises KeyError, TypeError, ValueError."""
        self.memory = Memory.restored(data["memory"])
        before = data["before"]
        self.before = None if before is None else (int(before[0]), int(before[1]))
