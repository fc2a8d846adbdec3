"""Draws what happens between two moments, as the data plane would have counted it.

:class:`CountingWorld` skips from bad answer to bad answer, since nothing is decided in between: the
gaps are exponential, the good answers in a gap are Poisson, exactly as in a world that is drawn
request by request. In quiet times (nothing suspicious, nothing about to change) it takes longer
gaps with several bad answers; a batch of any size is valid evidence, so this is only coarser.
A candidate that is worse than stable is always drawn answer by answer.
:class:`TimedWorld` follows every request through its latency, a tenth of a second at a time, or ten
seconds at a time while two equal versions look equal.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

from router.core.evidence.users import bets_of
from router.core.gates.needs import Need
from router.core.wire.histogram import BOUNDS_S
from router.core.wire.outcomes import ArmCounts, Batch, Cell, Pairs, UserCounts
from router.core.words import FULL_BP
from router.simulation.popularity import Popularity
from router.simulation.scenario import DAY_S, edges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.core.rollout.traffic import Split
    from router.simulation.scenario import LatencyModel, Scenario

QUIET_GAP_S = 60.0
"""Longest gap drawn at once in quiet times, seconds; at low traffic one bad answer ends it."""

QUIET_BAD = 100.0
"""Bad answers expected in one quiet gap at most."""

EARLY_BAD = 400
"""Bad answers that are always drawn one by one: at first, capital is released with each of them."""

TICK_S = 0.1
LONG_TICK_S = 1.0
LONG_TICKS_AFTER_S = 900.0
"""After so many seconds without a change the timed world looks once a second."""

CALM_TICK_S = 10.0
CALM_AFTER_S = 60.0
"""After so many seconds the timed world looks at equal versions every ten seconds in quiet times.
What shows within such a tick is reported at its end: fewer looks, and valid."""


_HIGH_S = np.array([*BOUNDS_S, 2 * BOUNDS_S[-1]])
_LOW_S = np.array([BOUNDS_S[0] ** 2 / BOUNDS_S[1], *BOUNDS_S])
"""Ends of the latency buckets; the unbounded one is drawn from one to two minutes."""

MADE: Final = frozenset(
    {
        Need.ROWS, Need.COIN, Need.PAIRS, Need.OUTSIDE, Need.PREDICTIONS, Need.LABEL, Need.SCORE,
        Need.USAGE, Need.PRICES, Need.FED, Need.PIECES,
    }
)  # fmt: skip
"""What a simulated world makes of what gates live on; a gate that needs more is idle in it."""


class World(Protocol):
    """What the run needs from a world."""

    exposed: int
    """Requests sent to the candidate so far, answered or not."""
    round: int
    """Of the evidence in which the next draws count."""

    def advance(self, now: float, split: Split, until: float, *, quiet: bool) -> float:
        """Draw the next piece of time, at most up to ``until``; the new time. Fills the counts."""

    def take(self) -> Batch:
        """What was counted since the last call."""


def burst_rates(scenario: Scenario, draw: np.random.Generator) -> list[tuple[float, float]]:
    """(from, stable's bad rate) in order, the first at 0."""
    rates = [(0.0, scenario.stable_rate)]
    bursts, at = scenario.bursts, 0.0
    while bursts is not None:
        at += float(draw.exponential(DAY_S / bursts.per_day))
        if at >= scenario.duration_s:
            break
        end = at + float(draw.exponential(bursts.mean_s))
        rates += [(at, bursts.rate), (end, scenario.stable_rate)]
        at = end
    return rates


def mirrored(
    scenario: Scenario, draw: np.random.Generator, gap_s: float, mirror_bp: int, failing: float
) -> Pairs | None:
    """Compared copies of one gap; None where nothing is copied. ``failing``: the candidate's."""
    copies = scenario.requests_per_s * gap_s * mirror_bp / FULL_BP
    if copies == 0.0:
        return None
    answered = copies * (1.0 - failing)
    differing = scenario.disagree_rate
    failed, differ, same = draw.poisson(
        [copies - answered, answered * differing, answered * (1.0 - differing)]
    ).tolist()
    return Pairs(agreed=same, disagreed=differ, failed=failed)


def seconds_of(
    latency: LatencyModel, draw: np.random.Generator, mine: np.ndarray, *, changed: bool
) -> np.ndarray:
    """How long requests take; ``mine``: which are the candidate's, that may have ``changed``."""
    n = len(mine)
    if latency.past:
        seconds = _as_logged(latency, draw, n)
    else:
        seconds = latency.median_s * np.exp(latency.sigma * draw.standard_normal(n))
    if changed:
        slower = seconds * latency.factor
        slower = slower + latency.tail_s * (draw.random(n) < latency.tail_share)
        seconds = np.where(mine, np.inf if latency.hang else slower, seconds)
    return seconds


def _as_logged(latency: LatencyModel, draw: np.random.Generator, n: int) -> np.ndarray:
    """Bucket by its share, and a place within it on the log axis."""
    past = np.cumsum(latency.past) / max(sum(latency.past), 1)
    index = np.searchsorted(past, draw.random(n), side="right")
    index = np.minimum(index, len(_LOW_S) - 1)
    low, high = _LOW_S[index], _HIGH_S[index]
    seconds: np.ndarray = low * (high / low) ** draw.random(n)
    return seconds


class CountingWorld:
    """A world in which answers are at once; see the module."""

    def __init__(
        self, scenario: Scenario, draw: np.random.Generator, thresholds_s: Sequence[float] = (),
        tolerance: float = 0.0,
    ) -> None:  # fmt: skip
        """With users and a latency, first requests are slow or fast at the given limits too."""
        self.scenario = scenario
        self.draw = draw
        self.thresholds_s = tuple(thresholds_s) if scenario.users and scenario.latency else ()
        self.tolerance = tolerance
        self.rates = burst_rates(scenario, draw)
        self.bad_seen = 0
        self.round = 0
        self.exposed = 0
        bets = bets_of(scenario.stable_rate)
        self.users = SimulatedUsers(scenario.users, draw, bets) if scenario.users else None
        self._batch = Batch("simulated", 1)

    def _rates(self, now: float) -> tuple[float, float]:
        """Bad rates of (candidate, stable) at ``now``."""
        s = self.scenario
        stable = next(rate for at, rate in reversed(self.rates) if at <= now)
        if now < s.change_at_s:
            return stable, stable
        if s.latency is not None and s.latency.hang:
            return 1.0, stable  # its time-outs, at once
        return min(max(stable + s.candidate_rate - s.stable_rate, 0.0), 1.0), stable

    def advance(self, now: float, split: Split, until: float, *, quiet: bool) -> float:
        """One gap."""
        end = min(until, edges(self.rates, now))
        if now < self.scenario.change_at_s:
            end = min(end, self.scenario.change_at_s)
        weight_bp = split.candidate_bp
        share = weight_bp / FULL_BP
        if self.users is not None:
            share = self.users.share(weight_bp)
        p_c, p_s = self._rates(now)
        if weight_bp == 0:
            pairs = mirrored(self.scenario, self.draw, end - now, split.mirror_bp, p_c)
            self._batch = Batch("simulated", 1, pairs=pairs)
            return end
        rps = self.scenario.requests_per_s
        bad_c, bad_s = rps * share * p_c, rps * (1.0 - share) * p_s
        both = bad_c + bad_s
        good = rps * share * (1.0 - p_c), rps * (1.0 - share) * (1.0 - p_s)
        coarse = quiet and p_c <= p_s and self.bad_seen >= EARLY_BAD
        if coarse:
            gap = min(QUIET_GAP_S, QUIET_BAD / both, end - now)
            cb, sb, co, so = self._poisson(gap, bad_c, bad_s, *good)
            return self._count(now + gap, weight_bp, (cb, sb), (co, so))
        gap = float(self.draw.exponential(1.0 / both)) if both > 0.0 else math.inf
        if now + gap >= end:
            co, so = self._poisson(end - now, *good)
            return self._count(end, weight_bp, (0, 0), (co, so))
        mine = self.draw.random() * both < bad_c
        co, so = self._poisson(gap, *good)
        return self._count(now + gap, weight_bp, (int(mine), int(not mine)), (co, so))

    def _poisson(self, gap: float, *rates: float) -> list[int]:
        poisson = self.draw.poisson  # numbers one by one: an array of four costs five times as much
        return [poisson(gap * rate) for rate in rates]

    def _count(
        self, at: float, weight_bp: int, bad: tuple[int, int], good: tuple[int, int]
    ) -> float:
        (cb, sb), (co, so) = bad, good
        self.bad_seen += cb + sb
        self.exposed += cb + co
        mine, others = None, None
        if self.users is not None:
            self.users.begin(self.round)
            mine, others = self.users.draw(weight_bp, (co, cb), (so, sb))
            changed = at > self.scenario.change_at_s
            mine = replace(mine, slow=self._slow(mine.drawn, of_candidate=True, changed=changed))
            others = replace(others, slow=self._slow(others.drawn))
        nobody = (0,) * len(self.thresholds_s)
        candidate = ArmCounts(co, cb, nobody, nobody, arrived=co + cb, users=mine)
        stable = ArmCounts(so, sb, nobody, nobody, arrived=so + sb, users=others)
        cell = Cell(
            weight_bp, candidate, stable, self.thresholds_s, self.tolerance,
            sticky=self.users is not None, round=self.round,
        )  # fmt: skip
        self._batch = Batch("simulated", 1, (cell,))
        return at

    def _slow(
        self, drawn: tuple[int, ...], *, of_candidate: bool = False, changed: bool = False
    ) -> tuple[tuple[int, ...], ...]:  # fmt: skip
        """Of users who were just met: who waited longer than each limit."""
        latency = self.scenario.latency
        if latency is None or not self.thresholds_s:
            return ()
        mine = np.full(len(drawn), of_candidate)
        seconds = seconds_of(latency, self.draw, mine, changed=changed)
        scale = 1.0 + self.tolerance if of_candidate else 1.0
        return tuple(
            tuple(unit for unit, took in zip(drawn, seconds, strict=True) if took > limit * scale)
            for limit in self.thresholds_s
        )

    def take(self) -> Batch:
        """What the last gap gave."""
        batch, self._batch = self._batch, Batch("simulated", 1)
        return batch


class SimulatedUsers(Popularity):
    """What a worker would tell of users whose requests end at once."""

    def __init__(self, users: int, draw: np.random.Generator, bets: int) -> None:
        super().__init__(users, draw)
        self.bets = bets
        self.round = 0
        self.met = np.zeros(users, dtype=np.int64)
        self.failed = np.zeros(users, dtype=bool)
        self.random = draw

    def begin(self, round_: int) -> None:
        """In a new round of the evidence everybody counts anew, as at a worker."""
        if round_ != self.round:
            self.round = round_
            self.met[:] = 0
            self.failed[:] = False

    def draw(
        self, weight_bp: int, candidate: tuple[int, int], stable: tuple[int, int]
    ) -> tuple[UserCounts, UserCounts]:
        """Who made the (good, bad) requests of each arm."""
        border = self.share(weight_bp)
        return (
            self.arm(self.random.random(sum(candidate)) * border, candidate[0]),
            self.arm(border + self.random.random(sum(stable)) * (1.0 - border), stable[0]),
        )

    def arm(self, places: np.ndarray, good: int) -> UserCounts:
        """What a worker would tell of these requests, the good ones made first."""
        who = np.minimum(np.searchsorted(self.cumulative, places), len(self.hashes) - 1)
        users, first, times = np.unique(who, return_index=True, return_counts=True)
        new = self.met[users] == 0
        bets = np.where(self.failed[users], 0, np.clip(self.bets - self.met[users], 0, times))
        order = np.argsort(who, kind="stable")
        rank = np.empty(len(who), dtype=np.int64)
        rank[order] = np.arange(len(who)) - np.repeat(np.cumsum(times) - times, times)
        betting = rank < np.repeat(bets, times)[np.argsort(order, kind="stable")]
        fell = np.unique(who[good:][betting[good:]])
        self.met[users] += times
        self.failed[fell] = True
        return UserCounts(
            drawn=self.units(users[new]), bad=self.units(users[new & (first >= good)]),
            betting=int(betting.sum()), betting_good=int(betting.sum()) - len(fell),
            first_bad=self.units(fell),
        )  # fmt: skip


class TimedWorld:
    """A world in which answers take their time; see the module."""

    def __init__(
        self, scenario: Scenario, draw: np.random.Generator, thresholds_s: Sequence[float],
        tolerance: float,
    ) -> None:  # fmt: skip
        if scenario.latency is None:
            raise ValueError("a timed world needs a latency")
        self.scenario, self.latency = scenario, scenario.latency
        self.draw = draw
        self.rates = burst_rates(scenario, draw)
        self.thresholds_s = tuple(thresholds_s)
        self.tolerance = tolerance
        self.exposed = 0
        self.round = 0
        self._pending: dict[int, list[tuple[int, int]]] = {}
        self._slices: dict[int, _Slice] = {}
        self._news: set[int] = set()
        self._drawn = 0
        self._pairs: Pairs | None = None
        self._now = 0.0
        self._equal = not scenario.regresses
        self._limits_s = np.array(self.thresholds_s)[:, None]

    def advance(self, now: float, split: Split, until: float, *, quiet: bool) -> float:
        """Arrivals of one tick; their outcomes are booked into the ticks in which they show."""
        change = self.scenario.change_at_s
        equal = now < change or self._equal
        tick_s = TICK_S
        if quiet and equal and now > CALM_AFTER_S:
            tick_s = CALM_TICK_S
        elif quiet and now - change > LONG_TICKS_AFTER_S:
            tick_s = LONG_TICK_S
        end = min(now + tick_s, until, edges(self.rates, now))
        if now < change:
            end = min(end, change)
        self._now = end
        failing = self._rates(now)
        if split.candidate_bp:
            self._arrive(now, end, split.candidate_bp, failing)
        self._pairs = mirrored(self.scenario, self.draw, end - now, split.mirror_bp, failing[0])
        return end

    def _rates(self, now: float) -> tuple[float, float]:
        """Bad rates of (candidate, stable) at ``now``, time-outs aside."""
        stable = next(rate for start, rate in reversed(self.rates) if start <= now)
        if now < self.scenario.change_at_s:
            return stable, stable
        return max(self.scenario.candidate_rate, stable), stable

    def _arrive(self, now: float, end: float, weight_bp: int, failing: tuple[float, float]) -> None:
        n = int(self.draw.poisson(self.scenario.requests_per_s * (end - now)))
        if n == 0:
            return
        at = now + self.draw.random(n) * (end - now)
        mine = self.draw.random(n) < weight_bp / FULL_BP
        self.exposed += int(mine.sum())
        changed = now >= self.scenario.change_at_s
        bad = self.draw.random(n) < np.where(mine, *failing)
        seconds = seconds_of(self.latency, self.draw, mine, changed=changed)
        bad |= seconds >= self.latency.timeout_s
        seconds = np.minimum(seconds, self.latency.timeout_s)
        column = np.where(mine, 0, 2 + 2 * len(self.thresholds_s))
        limits = self._limits_s * np.where(mine, 1.0 + self.tolerance, 1.0)
        slow = seconds > limits
        rows = 2 + 2 * np.arange(len(limits))[:, None]
        self._book(
            weight_bp,
            (int(mine.sum()), int(n - mine.sum())),
            np.concatenate([(at + seconds)[None], at + np.where(slow, limits, seconds)]),
            np.concatenate([(column + bad)[None], column + rows + slow]),
        )

    def _book(
        self, weight_bp: int, drawn: tuple[int, int], seen: np.ndarray, column: np.ndarray
    ) -> None:
        """What was drawn in this tick is a slice; what becomes of it shows in later ticks."""
        self._drawn += 1
        width = 2 * (2 + 2 * len(self.thresholds_s))
        self._slices[self._drawn] = _Slice(weight_bp, self.round, drawn, [0] * width)
        self._news.add(self._drawn)
        seen = np.maximum(seen, self._now - TICK_S / 2)  # nobody looks before the tick's end
        ticks: list[int] = (seen / TICK_S).astype(int).ravel().tolist()
        for tick, index in zip(ticks, column.ravel().tolist(), strict=True):
            self._pending.setdefault(tick, []).append((self._drawn, index))

    def take(self) -> Batch:
        """What has shown up by now: every slice of which something is new, whole."""
        for tick in [t for t in self._pending if (t + 1) * TICK_S <= self._now + 1e-9]:
            for number, index in self._pending.pop(tick):
                self._slices[number].values[index] += 1
                self._news.add(number)
        found = tuple(self._cell(number) for number in sorted(self._news))
        self._news.clear()
        return Batch("simulated", 1, found, pairs=self._pairs)

    def _cell(self, number: int) -> Cell:
        one = self._slices[number]
        half = len(one.values) // 2
        mine, others = _arm(one.values[:half], one.drawn[0]), _arm(one.values[half:], one.drawn[1])
        if mine.answers + others.answers == sum(one.drawn):
            del self._slices[number]
        return Cell(
            one.weight_bp, mine, others, self.thresholds_s, self.tolerance,
            slice=number, round=one.round,
        )  # fmt: skip


class _Slice(NamedTuple):
    weight_bp: int
    round: int
    drawn: tuple[int, int]
    values: list[int]


def _arm(values: list[int], drawn: int) -> ArmCounts:
    """ok, bad, then fast and slow of each threshold."""
    return ArmCounts(values[0], values[1], tuple(values[2::2]), tuple(values[3::2]), drawn)
