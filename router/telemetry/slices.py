"""The coin of a route and the slices of its draws, while their requests are under way."""

from __future__ import annotations

from bisect import bisect_left
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from router.core.wire.baseline import TOGETHER_S
from router.core.wire.outcomes import BAD_OUTCOMES, ArmCounts, Cell, Outcome
from router.telemetry.users import ArmUsers, Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.core.wire.table import RouteEntry

SLICES_MAX: Final = 600
"""Slices of one cell with something open: a minute of them. Beyond, none is cut, and what is drawn
from then on is settled together."""

BY_MAX: Final = 256
"""Failures of one arm of one slice whose clients are told."""

_OK: Final = int(Outcome.OK)
_BAD: Final = tuple(outcome in BAD_OUTCOMES for outcome in Outcome)


class Telling(Protocol):
    """Who reports what is counted here (a recorder)."""

    source: int
    soon: Callable[[], None]
    """Tell of it within a moment, together with others."""
    wake: Callable[[], None]
    """Tell of it at once."""

    def next_slice(self) -> int:
        """A number that no other slice of this process has."""


class Counting(Protocol):
    """A version of a route, as far as a cell knows it."""

    arm: Arm | None
    forced: Arm | None


class SharedCause:
    """Failures of one arm that end within :data:`TOGETHER_S` of the first of them."""

    __slots__ = ("count", "since")

    def __init__(self) -> None:
        self.since, self.count = float("-inf"), 0

    def again(self, now: float, size: int) -> bool:
        """Whether one that ends now has the cause of another; a cause has ``size`` at most."""
        if now - self.since > TOGETHER_S:
            self.since, self.count = now, 0
        self.count += 1
        return (self.count - 1) % size > 0


class Arm:
    """One arm of one slice, and its requests still open.

    ``limits_s`` are this arm's latency thresholds in ascending order (the candidate's already
    stretched by the tolerance); an exchange remembers as one integer how many of them its age has
    passed. ``done[n]`` counts requests that had passed exactly ``n`` when they ended.
    """

    __slots__ = ("arrived", "bad", "by", "candidate", "done", "left", "limits_s", "more", "ok",
                 "recorder", "refused", "sampled", "slice", "slow", "users", "watched")  # fmt: skip

    def __init__(self, slice_: LiveSlice, limits_s: tuple[float, ...], *, candidate: bool) -> None:
        self.slice = slice_
        self.recorder = slice_.cell.recorder
        self.candidate = candidate
        self.limits_s = limits_s
        seen = slice_.cell.seen
        self.users = ArmUsers(seen, len(limits_s)) if seen is not None else None
        self.watched = False
        """A failure of the candidate is worth more once nothing is open here: tell at once."""
        self.arrived = self.ok = self.bad = self.more = self.left = self.refused = 0
        self.by: list[int] = []
        """Whose requests failed, the first :data:`BY_MAX` of them."""
        self.sampled = 0
        """Requests (users' first ones) whose prediction will be told."""
        self.slow = [0] * len(limits_s)
        self.done = [0] * (len(limits_s) + 1)

    @property
    def open(self) -> int:
        """Requests drawn here that have not ended."""
        return self.arrived - self.ok - self.bad - self.left

    def arrive(self, unit: int = 0) -> int:
        """A request was drawn to this arm; which one of its user's it is, counted from 0."""
        self.arrived += 1
        return self.users.arrive(unit) if self.users is not None else 0

    def pass_limits(self, age_s: float, passed: int, unit: int, nth: int = 0) -> int:
        """Count the thresholds a request of this age has passed; it had passed ``passed`` before.

        Returns how many it has passed now. Called while the request is in flight and when it ends.
        """
        now = bisect_left(self.limits_s, age_s, passed)
        for index in range(passed, now):
            self.slow[index] += 1
            if self.users is not None and nth == 0:
                self.users.slow[index].append(unit)
        if now > passed and self.candidate:
            self.recorder.soon()
        return now

    def end(
        self, outcome: int, age_s: float, passed: int, unit: int, nth: int = 0, *, who: int = 0
    ) -> None:
        """The one end of a request drawn to this arm; ``age_s`` counts from its arrival.

        ``who``: a hash of its client's address, 0 where nobody knows.
        """
        limits_s = self.limits_s
        if passed < len(limits_s) and limits_s[passed] < age_s:
            passed = self.pass_limits(age_s, passed, unit, nth)
        self.done[passed] += 1
        bad = False
        if outcome == _OK:
            self.ok += 1
        elif _BAD[outcome]:
            self.bad += 1
            bad = True
            if who and len(self.by) < BY_MAX:
                self.by.append(who)
            cell = self.slice.cell
            if (size := cell.size) > 1:
                self.more += cell.causes[self.candidate].again(cell.clock(), size)
        else:
            self.left += 1
        if (users := self.users) is not None:
            users.end(unit, nth, bad=bad, who=who)
        if bad and self.candidate:
            self.slice.cell.watch()
            self.recorder.wake()
        elif self.watched and not self.slice.open:
            self.recorder.wake()

    def refuse(self, unit: int, nth: int) -> None:
        """The answer that ends it now refuses the request, or has nothing in it."""
        self.refused += 1
        if self.users is not None and nth == 0:
            self.users.refused.append(unit)
        if self.candidate:
            self.recorder.soon()

    def forget(self) -> None:
        """What ended here, and how, nobody knows: it counts like requests whose clients left."""
        limits = len(self.limits_s)
        self.left, self.ok, self.bad, self.more, self.refused = self.arrived, 0, 0, 0, 0
        self.by, self.slow, self.done = [], [0] * limits, [0] * (limits + 1)
        if self.users is not None:
            self.users.forget()

    def counts(self, order: list[int]) -> ArmCounts:
        """Everything so far; ``order`` are the table's thresholds by size."""
        slow, fast = [0] * len(self.limits_s), [0] * len(self.limits_s)
        below = 0
        for rank, index in enumerate(order):
            below += self.done[rank]
            fast[index], slow[index] = below, self.slow[rank]
        return ArmCounts(
            ok=self.ok, bad=self.bad, fast=tuple(fast), slow=tuple(slow), arrived=self.arrived,
            left=self.left, refused=self.refused, more=self.more, sampled=self.sampled,
            by=tuple(self.by),
            users=self.users.counts(order) if self.users is not None else None,
        )  # fmt: skip


class LiveSlice:
    """Both arms of what was drawn at one coin in a stretch of time."""

    __slots__ = ("candidate", "cell", "number", "stable", "told")

    def __init__(self, cell: LiveCell, number: int) -> None:
        self.cell = cell
        self.number = number
        self.told: Cell | None = None
        self.stable = Arm(self, cell.limits_s, candidate=False)
        stretched = tuple(limit * (1.0 + cell.tolerance) for limit in cell.limits_s)
        self.candidate = Arm(self, stretched, candidate=True)

    @property
    def open(self) -> int:
        """Requests drawn here that have not ended."""
        return self.stable.open + self.candidate.open

    @property
    def drawn(self) -> int:
        """Requests drawn here."""
        return self.stable.arrived + self.candidate.arrived

    def news(self) -> Cell | None:
        """All of it, if something changed since it was told last."""
        cell = self.cell
        now = Cell(
            cell.weight_bp, self.candidate.counts(cell.order), self.stable.counts(cell.order),
            cell.thresholds_s, cell.tolerance, cell.sticky, cell.recorder.source, self.number,
            cell.round, cell.forced,
        )  # fmt: skip
        if now == self.told:
            return None
        self.told = now
        return now


class LiveCell:
    """The coin of one weight under one set of thresholds, and the slices of its draws.

    ``versions`` are who counts in it; each knows the arm of the slice that is being drawn now.
    """

    __slots__ = ("causes", "clock", "forced", "limits_s", "order", "recorder", "replays",
                 "revision", "round", "seen", "size", "slices", "sticky", "thresholds_s",
                 "tolerance", "versions", "weight_bp")  # fmt: skip

    def __init__(
        self, recorder: Telling, entry: RouteEntry, weight_bp: int, seen: Seen | None,
        *, forced: bool = False, clock: Callable[[], float] | None = None,
    ) -> None:  # fmt: skip
        """``clock``: seconds, in whose stretches failures may have one cause."""
        self.recorder = recorder
        self.clock = clock or monotonic
        self.forced = forced
        self.revision = entry.revision
        self.round = entry.round
        self.size = entry.together
        self.replays = [0, 0]
        """Failures of the candidate that stable was asked again and answered; failed as well."""
        self.causes = SharedCause(), SharedCause()
        self.weight_bp = weight_bp
        self.thresholds_s = entry.thresholds_s
        self.tolerance = entry.slow_tolerance
        self.order = sorted(range(len(self.thresholds_s)), key=self.thresholds_s.__getitem__)
        self.limits_s = tuple(self.thresholds_s[index] for index in self.order)
        self.sticky = entry.sticky is not None and not forced
        self.seen = seen
        self.versions: tuple[Counting, Counting] | None = None
        self.slices = [LiveSlice(self, recorder.next_slice())]

    @property
    def candidate(self) -> Arm:
        """Where draws of the candidate are counted now."""
        return self.slices[-1].candidate

    @property
    def stable(self) -> Arm:
        """Where draws of stable are counted now."""
        return self.slices[-1].stable

    @property
    def open(self) -> int:
        """Requests routed here that have not ended."""
        return sum(one.open for one in self.slices)

    def count_for(self, candidate: Counting, stable: Counting) -> None:
        """From now on draws of these two count here."""
        self.versions = candidate, stable
        self._point(candidate, stable)

    def _point(self, candidate: Counting, stable: Counting) -> None:
        if self.forced:
            candidate.forced = self.candidate
        else:
            candidate.arm, stable.arm = self.candidate, self.stable

    def cut(self) -> None:
        """What is drawn from now on is another slice, if anything was drawn in this one."""
        if self.slices[-1].drawn and len(self.slices) < SLICES_MAX:
            self.slices.append(LiveSlice(self, self.recorder.next_slice()))
            if self.versions is not None:
                self._point(*self.versions)

    def forget(self) -> None:
        """Of what is still told, in both arms alike, nobody knows what became of it."""
        for one in self.slices:
            one.candidate.forget()
            one.stable.forget()

    def watch(self) -> None:
        """The candidate failed: what was drawn up to now is worth knowing at once when it ends."""
        for one in self.slices:
            one.candidate.watched = one.stable.watched = True

    def news(self) -> list[Cell]:
        """Slices that changed since the last report. Those that have ended are told a last time."""
        self.cut()
        told = [news for one in self.slices if (news := one.news()) is not None]
        self.slices = [one for one in self.slices[:-1] if one.open] + self.slices[-1:]
        return [news for news in told if news.candidate.arrived or news.stable.arrived]
