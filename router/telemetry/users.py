"""Users who were drawn, counted once: what a sticky route's arm keeps beside its counts.

Where users are drawn the coin is thrown once for each of them, so it is a user's *first* request
that is evidence (all of it: good and bad), and beside it the first few requests up to the first bad
one. Who was met is kept in a table of one byte a bucket; two users of one bucket count as one, in
both arms alike, which costs a little power.
"""

from __future__ import annotations

from typing import Final

from router.core.wire.outcomes import UserCounts

BUCKETS: Final = 1 << 18
"""Buckets of users, one byte each: 256 KiB for a sticky route with a rollout."""

NTH_MAX: Final = 127
"""Requests of a user are counted up to here; the eighth bit says that one of them failed."""
_FAILED: Final = 0x80


class Seen:
    """Whom one worker has met in one round of one attempt of a rollout, and how often."""

    __slots__ = ("about", "bets", "counts")

    def __init__(self, about: tuple[str, int, int], bets: int) -> None:
        """``bets`` >= 1: how many first requests of a user bet until one of them fails."""
        self.about = about
        self.bets = min(max(bets, 1), NTH_MAX)
        self.counts = bytearray(BUCKETS)


class ArmUsers:
    """Users of one arm of one slice."""

    __slots__ = (
        "bad",
        "bad_by",
        "betting",
        "betting_good",
        "drawn",
        "first_bad",
        "first_bad_by",
        "open",
        "refused",
        "seen",
        "slow",
    )

    def __init__(self, seen: Seen, thresholds: int) -> None:
        self.seen = seen
        self.drawn: list[int] = []
        self.open: set[int] = set()
        self.bad: list[int] = []
        self.bad_by: list[int] = []
        self.refused: list[int] = []
        self.slow: list[list[int]] = [[] for _ in range(thresholds)]
        self.betting = self.betting_good = 0
        self.first_bad: list[int] = []
        self.first_bad_by: list[int] = []

    def arrive(self, unit: int) -> int:
        """A request of ``unit``; which one it is, from 0; ``NTH_MAX`` where it bets no more."""
        seen, place = self.seen, unit % BUCKETS
        met = seen.counts[place]
        nth = met & NTH_MAX
        if nth < NTH_MAX:
            seen.counts[place] = met + 1
        if nth == 0:
            self.drawn.append(unit)
            self.open.add(unit)
        if met >= seen.bets:  # past them, or failed before
            return NTH_MAX
        self.betting += 1
        return nth

    def end(self, unit: int, nth: int, *, bad: bool, who: int = 0) -> None:
        """That request ended; ``who``: a hash of its client's address."""
        if nth == 0:
            self.open.discard(unit)
            if bad:
                self.bad.append(unit)
                self.bad_by.append(who)
        if nth == NTH_MAX:
            return
        if bad and not self.seen.counts[unit % BUCKETS] & _FAILED:
            self.seen.counts[unit % BUCKETS] |= _FAILED
            self.first_bad.append(unit)
            self.first_bad_by.append(who)
        else:
            self.betting_good += 1

    def forget(self) -> None:
        """How their requests ended nobody knows."""
        self.open.clear()
        self.bad, self.bad_by, self.refused = [], [], []
        self.first_bad, self.first_bad_by = [], []
        self.slow = [[] for _ in self.slow]
        self.betting_good = self.betting

    def counts(self, order: list[int]) -> UserCounts:
        """Everything so far, thresholds in the table's order."""
        slow: list[tuple[int, ...]] = [()] * len(self.slow)
        for rank, index in enumerate(order):
            slow[index] = tuple(self.slow[rank])
        return UserCounts(
            tuple(self.drawn), tuple(sorted(self.open)), tuple(self.bad), tuple(slow),
            self.betting, self.betting_good, tuple(self.first_bad), tuple(self.refused),
            tuple(self.bad_by), tuple(self.first_bad_by),
        )  # fmt: skip
