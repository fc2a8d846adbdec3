"""Users who were drawn, each of them once, however many workers they meet.

On a sticky route the coin is thrown once for each user. Two things about a user are evidence:

    the first request    good or bad; an independent draw, so everything holds as for requests
    the first failure    if it is among the user's first 1 / (2 p0) requests; here good requests
                         only pay for the absolute tolerance, since users differ in how many they
                         make

A worker knows whom *it* has met; here those that another one has met before are left out. See
docs/statistics.md for why the second one ends after a few requests: later the better version would
be the one with fresh users left to fail.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from router.core.evidence.distinct import DistinctUnits
from router.core.evidence.ledger import key_of, whole
from router.core.wire.outcomes import ArmCounts, Cell, UserCounts

if TYPE_CHECKING:
    from router.core.evidence.slices import Key


BETS_MAX = 126
"""First requests of a user that bet, at most: a worker counts in seven bits."""


def bets_of(bad_rate: float, workers: int = 1) -> int:
    """How many first requests of a user bet on the first failure, ``1 / (2 p0)`` in all workers."""
    return max(min(int(0.5 / bad_rate), BETS_MAX) // workers, 1) if bad_rate > 0.0 else BETS_MAX


class _Arm:
    """Users of one arm of one slice that nobody had met, or seen fail, before."""

    __slots__ = ("by", "considered", "failed", "fresh", "judged")

    def __init__(self) -> None:
        self.fresh: set[int] = set()
        self.considered = 0
        self.failed = 0
        self.by: list[int] = []
        self.judged = 0

    def take_in(self, users: UserCounts, met: DistinctUnits, failed: DistinctUnits) -> None:
        for unit in users.drawn[self.considered :]:
            if met.add((unit,)):
                self.fresh.add(unit)
        self.considered = len(users.drawn)
        known = dict(zip(users.first_bad, users.first_bad_by, strict=False))
        for unit in users.first_bad[self.judged :]:
            if failed.add((unit,)):
                self.failed += 1
                self.by += [known[unit]] if unit in known else []
        self.judged = len(users.first_bad)

    def firsts(self, users: UserCounts) -> ArmCounts:
        fresh = self.fresh
        under_way, bad = fresh.intersection(users.open), len(fresh.intersection(users.bad))
        slow = [fresh.intersection(units) for units in users.slow]
        return ArmCounts(
            ok=len(fresh) - len(under_way) - bad, bad=bad, arrived=len(fresh),
            slow=tuple(map(len, slow)), refused=len(fresh.intersection(users.refused)),
            fast=tuple(len(fresh) - len(units | under_way) for units in slow),
            by=tuple(b for u, b in zip(users.bad, users.bad_by, strict=False) if u in fresh),
        )  # fmt: skip

    def betting(self, users: UserCounts) -> ArmCounts:
        again = self.judged - self.failed  # a second worker's: the user had failed before
        return ArmCounts(ok=users.betting_good + again, bad=self.failed, arrived=users.betting,
                         by=tuple(self.by))  # fmt: skip

    def to_json(self) -> list[Any]:
        return [sorted(self.fresh), self.considered, self.failed, self.judged, self.by]

    @classmethod
    def of(cls, data: list[Any]) -> _Arm:
        arm = cls()
        arm.fresh = set(map(int, data[0]))
        arm.considered, arm.failed, arm.judged = map(int, data[1:4])
        arm.by = list(data[4]) if len(data) > 4 else []
        return arm


class Users:
    """Who was met and who failed in the present round."""

    __slots__ = ("_arms", "_failed", "_met", "_newest", "round")

    def __init__(self) -> None:
        """Nobody was met."""
        self.round = 0
        self._met = DistinctUnits()
        self._failed = DistinctUnits()
        self._arms: dict[Key, tuple[_Arm, _Arm]] = {}
        self._newest: dict[int, int] = {}

    def begin(self, round_: int) -> None:
        """A new round: everybody counts anew. What was drawn before it is known no more."""
        self.round = round_
        self._met, self._failed = DistinctUnits(), DistinctUnits()
        self._arms.clear()

    def admit(self, cell: Cell) -> Cell:
        """The cell with its ``firsts`` and ``betting``; without, if it is of another round."""
        candidate, stable = cell.candidate.users, cell.stable.users
        arms = self._arms_of(cell)
        if candidate is None or stable is None or arms is None:
            return cell
        both = ((arms[0], candidate), (arms[1], stable))
        for arm, users in both:
            arm.take_in(users, self._met, self._failed)
        firsts = tuple(arm.firsts(users) for arm, users in both)
        betting = tuple(arm.betting(users) for arm, users in both)
        return replace(cell, firsts=(firsts[0], firsts[1]), betting=(betting[0], betting[1]))

    def _arms_of(self, cell: Cell) -> tuple[_Arm, _Arm] | None:
        if cell.round != self.round:
            return None
        key = key_of(cell)
        if key is None:
            return _Arm(), _Arm()
        arms = self._arms.get(key)
        if arms is None:
            if key[1] <= self._newest.get(key[0], 0):
                return None
            self._newest[key[0]] = key[1]
            arms = _Arm(), _Arm()
        if whole(cell).open:
            self._arms[key] = arms
        else:
            self._arms.pop(key, None)
        return arms

    def abandon(self, source: int | None) -> None:
        """A worker is gone (None: all of them)."""
        for key in [k for k in self._arms if source is None or k[0] == source]:
            del self._arms[key]
        if source is None:
            self._newest.clear()

    def snapshot(self) -> dict[str, Any]:
        """JSON-able state, exact."""
        return {
            "round": self.round,
            "met": self._met.snapshot(),
            "failed": self._failed.snapshot(),
            "arms": [[*k, c.to_json(), s.to_json()] for k, (c, s) in self._arms.items()],
            "newest": [list(pair) for pair in self._newest.items()],
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot. Raises ValueError, KeyError or TypeError if it is damaged."""
        self.round = int(data["round"])
        self._met.restore(data["met"])
        self._failed.restore(data["failed"])
        self._arms = {
            (int(source), int(number)): (_Arm.of(c), _Arm.of(s))
            for source, number, c, s in data["arms"]
        }
        self._newest = {int(source): int(number) for source, number in data["newest"]}
