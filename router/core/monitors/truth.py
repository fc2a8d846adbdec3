"""How often stable is wrong, as late labels say, beside how often it was.

While inputs are as before, a change of it is one of what is right: concept drift.
"""

from __future__ import annotations

from typing import Any, Final

from router.core.monitors.checks import Deviation
from router.core.monitors.distances import chi_square
from router.core.monitors.memory import Memory
from router.core.monitors.settings import SLOTS, Tolerances
from router.core.snapshots import Lasting

WRONG, RIGHT, REQUESTS = 0, 1, 2
POINTS: Final = 0.05
"""Share of wrong predictions more, or less, that matters."""


class Correctness(Lasting):
    """Counts of labels. Those of ``terms.rows`` requests make a window, and the reference.

    Labels of the rows of one request depend on each other: where significance is computed they
    count as one.
    """

    memory: Memory
    before: tuple[int, int, int] | None
    """Wrong, right and requests while it was learnt; None: not learnt yet."""

    def __init__(self, terms: Tolerances) -> None:
        self.terms = terms
        self.memory = Memory(3)
        self.before = None

    def advance(self, slot: int) -> None:
        """Time has come to ``slot``."""
        self.memory.advance(slot)

    def add(self, right: int, wrong: int) -> None:
        """The labels of one request."""
        self.memory.add(RIGHT, right)
        self.memory.add(WRONG, wrong)
        self.memory.add(REQUESTS)

    def settle(self, now: float, began: float | None, learn_s: float) -> None:
        """What it was so far is the reference, after its time and with enough labels."""
        wrong, right, requests = self.memory.season
        long = began is not None and now - began >= learn_s
        if self.before is None and long and requests >= self.terms.rows:
            self.before = (wrong, right, requests)

    def look(self) -> Deviation | None:
        """The last window beside the reference; None: too few labels."""
        if self.before is None:
            return None
        slots = self.terms.window
        wrong, right, requests = self.memory.window(slots)
        while requests < self.terms.rows and slots < SLOTS // 2:
            slots += self.terms.window
            wrong, right, requests = self.memory.window(slots)
        if requests < self.terms.rows:
            return None
        *then, asked = self.before
        now, before = wrong / (wrong + right), then[WRONG] / sum(then)
        weights = min(asked / sum(then), 1.0), min(requests / (wrong + right), 1.0)
        chance = chi_square(then, (wrong, right), weights)
        text = f"{now:.1%} of {wrong + right:,} labelled predictions wrong, {before:.1%} before"
        return Deviation("wrong", abs(now - before), POINTS, chance, text)

    def _formerly(self, data: Any) -> Any:
        """An earlier router counted no requests: what is right is learnt anew."""
        return data if data["memory"]["width"] == self.memory.width else self.snapshot()
