"""Sticky users of very different activity: popularity falls like 1/rank, places are random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from router.core.words import FULL_BP

if TYPE_CHECKING:
    from numpy.random import Generator


class Popularity:
    """Who makes a request; the candidate has the first users, as many as its weight says."""

    def __init__(self, users: int, draw: Generator) -> None:
        popularity = draw.permutation(1.0 / np.arange(1, users + 1))
        self.cumulative = np.cumsum(popularity / popularity.sum())
        self.hashes = draw.integers(0, 2**63, users, dtype=np.uint64)

    def who(self, place: float) -> int:
        """The user at a place in 0..1 of all requests."""
        return min(int(np.searchsorted(self.cumulative, place)), len(self.hashes) - 1)

    def count(self, weight_bp: int) -> int:
        """How many users a weight gives to the candidate."""
        return round(len(self.cumulative) * weight_bp / FULL_BP)

    def first(self, user: int, weight_bp: int) -> bool:
        """Whether the candidate has this user; who once is there stays while the weight grows."""
        return user < self.count(weight_bp)

    def share(self, weight_bp: int) -> float:
        """Share of all requests that the candidate's users make."""
        first = self.count(weight_bp)
        return min(float(self.cumulative[first - 1]), 1.0) if first else 0.0

    def unit(self, user: int) -> int:
        """The user's hash."""
        return int(self.hashes[user])

    def units(self, users: np.ndarray) -> tuple[int, ...]:
        """Hashes of several."""
        return tuple(int(one) for one in self.hashes[users])
