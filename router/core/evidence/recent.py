"""Which stretch of the candidate's answers carries the suspicion, for the sentence people read.

Evidence is about the recent past: a candidate that was fine for an hour and then failed five times
in six is taken back, and its rate since the start says nothing. This keeps both arms' counts in
stretches, each beginning with a failure, and finds the suffix that is hardest to explain by
stable's rate. It decides nothing.
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import NamedTuple

from router.core.snapshots import Lasting

STRETCHES_MAX = 64
"""Stretches that are kept; beyond, the oldest two are merged: what is recent stays apart."""

CLEARER = 1.5
"""How many times more telling than all answers a suffix must be to be told instead of them."""

LEAST_RATE = 0.01
"""Failures that are put up with in choosing, whatever stable has."""


class Stretch(NamedTuple):
    """Failed and all answers of both arms."""

    bad: int = 0
    total: int = 0
    stable_bad: int = 0
    stable_total: int = 0

    def plus(self, other: Stretch) -> Stretch:
        """Both as one."""
        return Stretch(*(a + b for a, b in zip(self, other, strict=True)))

    def surprise(self, rate: float) -> float:
        """Log likelihood ratio of its own failure rate against ``rate``; 0 where it is no worse."""
        own = self.bad / self.total if self.total else 0.0
        if own <= rate:
            return 0.0
        good = self.total - self.bad
        ok = good * math.log((1.0 - own) / (1.0 - rate)) if good else 0.0
        return self.bad * math.log(own / rate) + ok


class Recent(Lasting, bare="_stretches"):
    """Stretches in the order in which they were told."""

    __slots__ = ("_stretches",)

    _stretches: list[Stretch]

    def __init__(self) -> None:
        """Nothing was told."""
        self._stretches: list[Stretch] = []

    def add(self, new: Stretch) -> None:
        """What is new."""
        kept = self._stretches
        if new.bad > 0 or not kept:
            kept.append(new)
        else:
            kept[-1] = kept[-1].plus(new)
        if len(kept) > STRETCHES_MAX:
            kept[:2] = [kept[0].plus(kept[1])]

    @property
    def whole(self) -> Stretch:
        """Everything."""
        return sum_of(self._stretches)

    def telling(self) -> tuple[Stretch, bool]:
        """The stretch to tell people of, and whether it is only the last part."""
        whole = self.whole
        rate = (whole.stable_bad + 0.5) / (whole.stable_total + 1)
        rate = min(max(rate, LEAST_RATE), 0.5)
        suffixes = accumulate(reversed(self._stretches), Stretch.plus)
        best = max(suffixes, key=lambda one: one.surprise(rate), default=whole)
        recent = best.surprise(rate) > CLEARER * whole.surprise(rate) and best.total < whole.total
        return (best, True) if recent else (whole, False)


def sum_of(stretches: list[Stretch]) -> Stretch:
    """All of them as one."""
    return Stretch(*(sum(numbers) for numbers in zip(*stretches, strict=True)))
