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
from typing import Any

from router.core.evidence.distinct import DistinctUnits
from router.core.evidence.ledger import key_of, whole
from router.core.evidence.slices import Key
from router.core.snapshots import Lasting
from router.core.wire.outcomes import ArmCounts, Cell, UserCounts
from router.core.words import FULL_BP

BETS_MAX = 126
"""First requests of a user that bet, at most: a worker counts in seven bits."""

USED_UP = 0.2
"""Share of requests that may still bet below which the users of a round are used up."""

NEW = 0.8
"""Share from which on a round has only begun, so that a trial goes on with it."""

LOOKED_AT = 1_000.0
"""Newest requests that this share is of."""

ROUND_S = 86_400.0
"""Seconds after which users who are used up count anew; an alarm does so at once."""


def bets_of(bad_rate: float, workers: int = 1) -> int:
    """How many first requests of a user bet on the first failure, ``1 / (2 p0)`` in all workers."""
    return max(min(int(0.5 / bad_rate), BETS_MAX) // workers, 1) if bad_rate > 0.0 else BETS_MAX


class _Met:
    """Who was met, and who failed, in one round."""

    __slots__ = ("failed", "met")

    def __init__(self) -> None:
        self.met, self.failed = DistinctUnits(), DistinctUnits()


class _Arm(Lasting, listed="fresh considered failed judged by new", later="by new"):
    """Users of one arm of one slice that nobody had met, or seen fail, before."""

    __slots__ = ("by", "considered", "failed", "fresh", "judged", "new")

    fresh: set[int]
    new: set[int]
    considered: int
    failed: int
    by: list[int]
    judged: int

    def __init__(self) -> None:
        self.fresh: set[int] = set()
        self.new: set[int] = set()
        """Of the fresh ones: those who were met in no earlier round."""
        self.considered = 0
        self.failed = 0
        self.by: list[int] = []
        self.judged = 0

    def take_in(self, users: UserCounts, round_: _Met, before: DistinctUnits) -> None:
        fresh = round_.met.new(users.drawn[self.considered :])
        self.fresh.update(fresh)
        self.new.update(before.strangers(fresh))
        self.considered = len(users.drawn)
        known = dict(zip(users.first_bad, users.first_bad_by, strict=False))
        for unit in users.first_bad[self.judged :]:
            if round_.failed.add((unit,)):
                self.failed += 1
                self.by += [known[unit]] if unit in known else []
        self.judged = len(users.first_bad)

    @staticmethod
    def firsts(fresh: set[int], users: UserCounts) -> ArmCounts:
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

    def _formerly(self, data: Any) -> Any:
        return data if len(data) > 5 else [*data[:4], data[4] if len(data) > 4 else [], data[0]]


class Users(
    Lasting,
    met="_met",
    failed="_failed",
    arms="_told_arms",
    betting="_betting _requests _began_s _forced",
    later="_before _betting _requests _began_s _forced",
):
    """Who was met and who failed, in the present round and before it."""

    __slots__ = (
        "_arms", "_before", "_began_s", "_betting", "_forced", "_newest", "_present", "_requests",
        "round",
    )  # fmt: skip

    round: int
    _before: DistinctUnits
    _newest: dict[int, int]
    _betting: float
    _requests: float
    _began_s: float
    _forced: bool

    def __init__(self) -> None:
        """Nobody was met."""
        self.round = 0
        self._present = _Met()
        self._before = DistinctUnits()
        """Met in earlier rounds."""
        self._arms: dict[Key, tuple[_Met, _Arm, _Arm]] = {}
        self._newest: dict[int, int] = {}
        self._betting = self._requests = self._began_s = 0.0
        self._forced = False

    @property
    def used_up(self) -> bool:
        """Whether few requests can be evidence in this round: nearly all users had theirs."""
        return self._requests >= LOOKED_AT and self._betting < USED_UP * self._requests

    @property
    def comparing(self) -> bool:
        """Whether users have just begun to count anew, and a coin drew all who were met since."""
        return self.round > 0 and not self._forced and self._betting >= NEW * self._requests

    def stale(self, now: float) -> bool:
        """Whether it is time for a new round."""
        return self.used_up and now - self._began_s >= ROUND_S

    def begin(self, round_: int, now: float = 0.0) -> None:
        """A new round: everybody counts anew. What is open of the one before can still end."""
        self.round, self._began_s = round_, now
        self._before.join(self._present.met)
        self._present = _Met()
        self._betting = self._requests = 0.0
        self._forced = False

    def admit(self, cell: Cell) -> Cell:
        """The cell with its ``firsts``, ``newcomers`` and ``betting``.

        Without, if nothing of it counts: first told of after its round.
        """
        candidate, stable = cell.candidate.users, cell.stable.users
        arms = self._arms_of(cell)
        if candidate is None or stable is None or arms is None:
            return cell
        met, *two = arms
        if met is self._present:
            self._forced = self._forced or cell.weight_bp == FULL_BP
            self._look(cell, candidate.betting + stable.betting)
        both = tuple(zip(two, (candidate, stable), strict=True))
        for arm, users in both:
            arm.take_in(users, met, self._before)
        firsts = tuple(arm.firsts(arm.fresh, users) for arm, users in both)
        betting = tuple(arm.betting(users) for arm, users in both)
        new = firsts
        if met is not self._present:
            self._before.add((*candidate.drawn, *stable.drawn))
        if cell.round:
            new = tuple(arm.firsts(arm.new, users) for arm, users in both)
        return replace(cell, firsts=(firsts[0], firsts[1]), newcomers=(new[0], new[1]),
                       betting=(betting[0], betting[1]))  # fmt: skip

    def _look(self, cell: Cell, betting: int) -> None:
        """How many of the newest requests could be evidence."""
        requests = cell.candidate.arrived + cell.stable.arrived
        kept = LOOKED_AT / max(LOOKED_AT, self._requests)
        self._betting, self._requests = self._betting * kept, self._requests * kept
        self._betting, self._requests = self._betting + betting, self._requests + requests

    def _arms_of(self, cell: Cell) -> tuple[_Met, _Arm, _Arm] | None:
        present = self._present, _Arm(), _Arm()
        key = key_of(cell)
        if key is None:
            return present if cell.round == self.round else None
        arms = self._arms.get(key)
        if arms is None:
            if cell.round != self.round or key[1] <= self._newest.get(key[0], 0):
                return None
            self._newest[key[0]] = key[1]
            arms = present
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

    @property
    def _met(self) -> DistinctUnits:
        return self._present.met

    @property
    def _failed(self) -> DistinctUnits:
        return self._present.failed

    @property
    def _told_arms(self) -> list[Any]:
        """(Key, candidate's, stable's, whether they are of the present round), each slice."""
        return [
            [*key, mine.snapshot(), others.snapshot(), met is self._present]
            for key, (met, mine, others) in self._arms.items()
        ]

    @_told_arms.setter
    def _told_arms(self, data: list[Any]) -> None:
        ended = _Met()
        self._arms = {}
        for source, number, mine, others, *present in data:
            cell = (ended if False in present else self._present, _Arm(), _Arm())
            cell[1].restore(mine)
            cell[2].restore(others)
            self._arms[int(source), int(number)] = cell
