"""Who moved: each arm's answers beside what the same arm answered before, at the same times.

What a candidate answers from its beginning is a matter of the output gates, which compare it with
stable. Here it is compared with itself: the answers of its first ``rows`` requests, and those of
each further block of as many, while stable's of the same two times stand beside them (a difference
of differences). If both moved, the world did.

The more blocks are looked at, the less each may convict: the k-th gets ``6 / (pi k)^2`` of the
level, which sums to one.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from router.core.monitors.checks import Counted, Deviation, checked
from router.core.monitors.profile import Profile
from router.core.monitors.settings import Tolerances
from router.core.snapshots import Lasting

LEVEL: Final = 0.001
"""How often a candidate that never changes may be blamed, over all blocks of an attempt."""
STILL: Final = 0.5
"""Stable has not moved when it is off by less than this share of the limit."""


class Block(Lasting, listed="requests counts"):
    """Counts of one arm in one stretch of time."""

    requests: int
    counts: list[float]

    def __init__(self, width: int) -> None:
        self._width = width
        self.counts = [0.0] * width
        self.requests = 0

    def add(self, profile: Profile, values: list[object]) -> None:
        """The rows of one request."""
        self.requests += 1
        for value in values:
            cell, outside = profile.place(value)
            self.counts[cell] += 1
            self.counts[-1] += outside

    @property
    def side(self) -> Counted:
        """As a side of a comparison."""
        rows = math.fsum(self.counts[:-1])
        return Counted(self.counts, min(self.requests / rows, 1.0) if rows else 1.0)

    def _restored(self) -> None:
        if len(self.counts) != self._width:
            raise ValueError(f"expected {self._width} counts, got {len(self.counts)}")


class Arms(Lasting, blocks="_blocks"):
    """One output of both arms, since a candidate began. ``profile`` has the cells (stable's)."""

    profile: Profile
    rows: int
    looks: int

    def __init__(self, profile: Profile, rows: int) -> None:
        self.profile = profile
        self.rows = rows
        self.looks = 0
        self._first = {True: self._block(), False: self._block()}
        self._now = {True: self._block(), False: self._block()}

    def _block(self) -> Block:
        return Block(len(self.profile.counts))

    def add(self, values: list[object], *, candidate: bool) -> None:
        """The rows of one request."""
        whole = self._first[True].requests >= self.rows
        (self._now if whole else self._first)[candidate].add(self.profile, values)

    def look(self, terms: Tolerances) -> Deviation | None:
        """The candidate's change, if it is its alone; asked often, it looks when a block is full.

        A block in which stable answered too little is left out: nothing stands beside it.
        """
        own, other = self._now[True], self._now[False]
        if own.requests < self.rows:
            return None
        self._now = {True: self._block(), False: self._block()}
        if min(other.requests, self._first[False].requests) < self.rows / 4:
            return None
        self.looks += 1
        level = LEVEL * 6.0 / (math.pi * self.looks) ** 2
        mine, theirs = self._moved(True, own, terms), self._moved(False, other, terms)
        for name, one in mine.items():
            if one.large and one.chance <= level and theirs[name].size < STILL * one.limit:
                return replace(one, text=f"{one.text}, stable {theirs[name].size:.3f}")
        return None

    def _moved(self, candidate: bool, block: Block, terms: Tolerances) -> dict[str, Deviation]:
        before = self._first[candidate].side
        return checked(self.profile, before, block.side, terms)

    @property
    def _blocks(self) -> list[Block]:
        """Of the candidate and of stable, at first and now."""
        return [one[arm] for one in (self._first, self._now) for arm in (True, False)]
