"""A world in which every request is followed, and counted as a worker counts it: in its own slices.

It is drawn where requests differ in more than their versions' failures and latency: failures that
come sooner than answers, several with one cause, clients that leave, answers that refuse or are
empty, requests that a pin or a rule sends to the candidate, users whose answers take their time.
What becomes of a request goes through :mod:`router.telemetry.slices`, as it does in a worker, so
what is wrong there shows here.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from router.core.evidence.users import bets_of
from router.core.wire.outcomes import Batch, Outcome, Pairs
from router.core.wire.table import MatchEntry, RouteEntry, StickyEntry, StickyKind
from router.core.words import FULL_BP
from router.simulation.popularity import Popularity
from router.simulation.scenario import LatencyModel, edges
from router.simulation.world import burst_rates, mirrored, seconds_of
from router.telemetry.slices import Arm, LiveCell
from router.telemetry.users import Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.core.judge import Judge
    from router.core.rollout.traffic import Split
    from router.simulation.scenario import Scenario

TICK_S: Final = 0.25
"""A worker reports so often, and at once when the candidate failed."""
QUIET_TICK_S: Final = 1.0
SLICE_S: Final = 0.1

_STICKY: Final = StickyEntry(StickyKind.HEADER, "user")


class _Asked(NamedTuple):
    """One request before a version was chosen. Times in seconds, draws in 0..1."""

    at: float
    coin: float
    place: float
    """Whose it is, where users are drawn."""
    pin: float


@dataclass(slots=True)
class _Open:
    """One request under way at a version."""

    arm: Arm
    at: float
    unit: int
    nth: int
    outcome: Outcome
    refused: bool
    ends: float
    passed: int = 0


@dataclass(slots=True)
class _Group:
    """Requests of one arm that share a fate: served together, with one cause where they fail."""

    left: int = 0
    bad: bool = False
    waiting: tuple[_Open, ...] = ()


class FollowedWorld:
    """See the module. It is its own recorder (:class:`router.telemetry.slices.Telling`)."""

    source = 1

    def __init__(self, scenario: Scenario, judge: Judge, draw: np.random.Generator) -> None:
        """``judge``: whose thresholds, waits and rounds are in force, as a table has them."""
        self.scenario, self.judge, self.draw = scenario, judge, draw
        self.latency = scenario.latency or LatencyModel()
        self.rates = burst_rates(scenario, draw)
        self.exposed = self.round = 0
        self.users = Popularity(scenario.users, draw) if scenario.users else None
        self._seen: Seen | None = None
        self._now = 0.0
        self._cells: dict[tuple[object, ...], LiveCell] = {}
        self._asked: deque[_Asked] = deque()
        self._drawn_s = 0.0
        self._cut_s = 0.0
        self._due: list[tuple[float, int, _Open]] = []
        self._order = count()
        self._groups = {True: _Group(), False: _Group()}
        self._numbers = count(1)
        self._told = False
        self._pairs: Pairs | None = None
        self.soon: Callable[[], None] = lambda: None  # with the next report
        self.wake: Callable[[], None] = self._wake

    # --- what a recorder is to a cell ---------------------------------------------------------

    def next_slice(self) -> int:
        """A number for a slice."""
        return next(self._numbers)

    def _wake(self) -> None:
        self._told = True

    def clock(self) -> float:
        """Virtual seconds."""
        return self._now

    # --- time passes ----------------------------------------------------------------------------

    def advance(self, now: float, split: Split, until: float, *, quiet: bool) -> float:
        """Up to the next report."""
        tick_s = QUIET_TICK_S if quiet else TICK_S
        end = min(now + tick_s, until, edges(self.rates, now))
        if now < self.scenario.change_at_s:
            end = min(end, self.scenario.change_at_s)
        self._ask(end)
        self._told = False
        at = now
        while not self._told and (at := self._next()) <= end:
            self._now = at
            self._step(at, split)
        self._now = end = min(at, end) if self._told else end
        failing = 1.0 if self._hangs(now) else self._rates(now)[0]
        self._pairs = mirrored(self.scenario, self.draw, end - now, split.mirror_bp, failing)
        return end

    def _next(self) -> float:
        asked = self._asked[0].at if self._asked else np.inf
        return min(asked, self._due[0][0] if self._due else np.inf)

    def _step(self, at: float, split: Split) -> None:
        if at - self._cut_s >= SLICE_S:
            self._cut_s = at
            for cell in self._cells.values():
                cell.cut()
        if self._due and self._due[0][0] <= at:
            self._settle(heapq.heappop(self._due)[2], at)
        else:
            self._arrive(self._asked.popleft(), split)

    def _ask(self, end: float) -> None:
        """Everybody who asks up to ``end``."""
        since, self._drawn_s = self._drawn_s, max(end, self._drawn_s)
        n = int(self.draw.poisson(self.scenario.requests_per_s * (self._drawn_s - since)))
        if not n:
            return
        draws = self.draw.random((4, n))
        times = np.sort(since + draws[0] * (self._drawn_s - since))
        self._asked.extend(
            _Asked(*one) for one in zip(times.tolist(), *draws[1:].tolist(), strict=True)
        )

    def _rates(self, now: float) -> tuple[float, float]:
        """Bad rates of (candidate, stable) at ``now``."""
        s = self.scenario
        stable = next(rate for at, rate in reversed(self.rates) if at <= now)
        if now < s.change_at_s:
            return stable, stable
        return min(max(stable + s.candidate_rate - s.stable_rate, 0.0), 1.0), stable

    def _hangs(self, now: float) -> bool:
        return self.latency.hang and now >= self.scenario.change_at_s

    # --- the life of a request --------------------------------------------------------------------

    def _arrive(self, asked: _Asked, split: Split) -> None:
        forced = asked.pin < self.scenario.pinned
        weight_bp = FULL_BP if forced else split.candidate_bp
        if not weight_bp:
            return
        user = self.users.who(asked.place) if self.users is not None else None
        mine = forced or (asked.coin * FULL_BP < weight_bp)
        unit = 0
        if user is not None and self.users is not None:
            mine, unit = forced or self.users.first(user, weight_bp), self.users.unit(user)
        self.exposed += mine
        cell = self._cell(weight_bp, forced=forced)
        arm = cell.candidate if mine else cell.stable
        nth = arm.arrive(unit)
        self._begin(_Open(arm, asked.at, unit, nth, Outcome.OK, False, 0.0), mine=mine)

    def _cell(self, weight_bp: int, *, forced: bool) -> LiveCell:
        """As :meth:`router.telemetry.recorder.Recorder.cell` finds it."""
        judge = self.judge
        key = (forced, weight_bp, self.round, judge.thresholds_s, judge.tolerance)
        cell = self._cells.get(key)
        if cell is None:
            sticky = self.users is not None
            entry = RouteEntry(
                "simulated", MatchEntry(), (), 0, thresholds_s=judge.thresholds_s,
                slow_tolerance=judge.tolerance, round=self.round,
                together=judge.baseline.together, sticky=_STICKY if sticky else None,
            )  # fmt: skip
            seen = self._seen_now() if sticky and not forced else None
            cell = LiveCell(self, entry, weight_bp, seen, forced=forced, clock=self.clock)
            self._cells[key] = cell
        return cell

    def _seen_now(self) -> Seen:
        about = ("simulated", 0, self.round)
        if self._seen is None or self._seen.about != about:
            self._seen = Seen(about, bets_of(self.judge.baseline.bad_rate))
        return self._seen

    def _begin(self, one: _Open, *, mine: bool) -> None:
        """What will become of it, alone or with those that are served together with it."""
        group = self._groups[mine]
        if not group.left:
            size = self.scenario.together
            group.left = int(self.draw.geometric(1.0 / size)) if size > 1 else 1
            group.bad = bool(self.draw.random() < self._rates(one.at)[0 if mine else 1])
        group.left -= 1
        if self._alone(one, mine=mine):
            return
        group.waiting = (*group.waiting, one)
        if group.left:
            return
        seconds = self._seconds(one.at, mine=mine, bad=group.bad)
        for each in group.waiting:
            self._end(each, one.at + seconds, bad=group.bad, mine=mine)
        group.waiting = ()

    def _alone(self, one: _Open, *, mine: bool) -> bool:
        """It never gets an answer, so it waits with nobody."""
        if not (mine and self._hangs(one.at)):
            return False
        self._end(one, one.at + self.latency.timeout_s, bad=True, mine=True)
        return True

    def _seconds(self, now: float, *, mine: bool, bad: bool) -> float:
        s = self.scenario
        if bad and s.failures_s is not None:
            return s.failures_s
        changed = now >= s.change_at_s
        found = seconds_of(self.latency, self.draw, np.array([mine]), changed=changed)
        return float(min(found[0], self.latency.timeout_s))

    def _end(self, one: _Open, at: float, *, bad: bool, mine: bool) -> None:
        """When it ends and how: an answer, a time-out, or its client has left."""
        s, patience_s = self.scenario, self.scenario.patience_s
        timed_out = at - one.at >= self.latency.timeout_s
        one.outcome = Outcome.TIMEOUT if timed_out else Outcome.SERVER_ERROR if bad else Outcome.OK
        if patience_s is not None and at - one.at > patience_s:
            at = one.at + patience_s
            late = patience_s >= self.judge.waits.slow_abort_s
            one.outcome = Outcome.GIVEN_UP if late else Outcome.CLIENT_ABORT
        refuses = s.refuses if mine and one.at >= s.change_at_s else 0.0
        one.refused = one.outcome is Outcome.OK and bool(self.draw.random() < refuses)
        one.ends = at
        for limit in one.arm.limits_s:
            if limit < at - one.at:
                heapq.heappush(self._due, (one.at + limit + 1e-9, next(self._order), one))
        heapq.heappush(self._due, (at, next(self._order), one))

    def _settle(self, one: _Open, at: float) -> None:
        age_s = at - one.at
        if at < one.ends:
            one.passed = one.arm.pass_limits(age_s, one.passed, one.unit, one.nth)
            return
        one.arm.end(int(one.outcome), age_s, one.passed, one.unit, one.nth)
        if one.refused:
            one.arm.refuse(one.unit, one.nth)

    def take(self) -> Batch:
        """What a worker would report now."""
        cells = tuple(news for cell in self._cells.values() for news in cell.news())
        for key in [k for k, cell in self._cells.items() if not cell.open and k[2] != self.round]:
            del self._cells[key]
        return Batch("simulated", 1, cells, pairs=self._pairs)
