"""Answers that take their time, through the product's own judge: draws, slices, reports, decisions.

A run draws requests with a real coin, lets each end after its own delay, and tells the judge what a
worker would: every slice of a tenth of a second, whole, four times a second, and at once when the
candidate failed or when a slice before such a failure has ended. The machine is not in it: a cap on
the share is not followed, so the weight is constant and what is counted is the judge alone.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from router.core.gates import GATES
from router.core.judge import Judge, JudgeSettings
from router.core.wire.baseline import Baseline
from router.core.wire.outcomes import ArmCounts, Batch, Cell, UserCounts
from router.core.words import FULL_BP
from router.telemetry.users import BUCKETS, Seen

SLICE_S = 0.1
REPORT_S = 0.25

Delay = Callable[[np.random.Generator, int], np.ndarray]


def about(seconds: float, sigma: float = 0.2) -> Delay:
    """Log-normal delays around a median."""
    return lambda draw, n: seconds * np.exp(sigma * draw.standard_normal(n))


@dataclass(frozen=True)
class World:
    """Rates 0..1 and delays; ``good`` and ``bad`` are (candidate, stable)."""

    name: str
    rate: float
    weight_bp: int
    failing: tuple[float, float]
    good: tuple[Delay, Delay]
    bad: tuple[Delay, Delay]
    length_s: float = 40.0
    workers: int = 1
    stable_past: float | None = None
    users: int = 0
    """Sticky, with Zipf activity."""


@dataclass(frozen=True)
class Ended:
    """How one run went."""

    convicted_s: float | None
    bad: int
    """Bad answers that the candidate gave to what was drawn up to then."""
    sentence: str


def run(world: World, seed: int, gates: tuple[str, ...] = ("error_rate", "guard")) -> Ended:
    """One run."""
    draw = np.random.default_rng([97, seed])
    n = int(draw.poisson(world.rate * world.length_s))
    at = np.sort(draw.random(n) * world.length_s)
    unit, mine = _drawn(world, draw, n)
    bad = _failing(world, draw, mine)
    seconds = np.empty(n)
    for arm, here in enumerate((mine, ~mine)):
        for delays, which in ((world.bad, here & bad), (world.good, here & ~bad)):
            seconds[which] = np.minimum(delays[arm](draw, int(which.sum())), 30.0)
    worker = draw.integers(0, world.workers, n)
    p0 = world.failing[1] if world.stable_past is None else world.stable_past
    past = Baseline(10_000, round(10_000 * p0), (), world.rate)
    settings = JudgeSettings(sticky=bool(world.users))
    judge = Judge([GATES[name]() for name in gates], settings, past, 0.0)
    telling = [_Worker(k, judge, world) for k in range(world.workers)]
    for when, kind, i in _events(at, seconds, world.length_s):
        who = telling[worker[i]] if kind else None
        if who is None:
            for one in telling:
                one.report(when)
        elif kind == 1:
            who.drawn(int(i), bool(mine[i]), when, int(unit[i]))
        else:
            who.ended(int(i), bad=bool(bad[i]), when=when)
        if judge.conviction:
            given = int((mine & bad & (at <= when)).sum())
            return Ended(when, given, judge.conviction)
    return Ended(None, int((mine & bad).sum()), "")


def _drawn(world: World, draw: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    if not world.users:
        return np.zeros(n, dtype=np.int64), draw.random(n) * FULL_BP < world.weight_bp
    shares = 1.0 / np.arange(1, world.users + 1)
    who = draw.choice(world.users, n, p=shares / shares.sum())
    coins = draw.random(world.users) * FULL_BP < world.weight_bp
    return draw.integers(1, 2**62, world.users)[who], coins[who]


def _failing(world: World, draw: np.random.Generator, mine: np.ndarray) -> np.ndarray:
    """Who fails."""
    return draw.random(len(mine)) < np.where(mine, *world.failing)


def _events(at: np.ndarray, seconds: np.ndarray, length_s: float) -> list[tuple[float, int, int]]:
    """(time, what, which): 0 a regular report, 1 a draw, 2 an end; in order."""
    ends = at + seconds
    reports = np.arange(REPORT_S, length_s + 31.0, REPORT_S)
    events = [(float(t), 0, 0) for t in reports]
    events += [(float(t), 1, i) for i, t in enumerate(at)]
    events += [(float(t), 2, i) for i, t in enumerate(ends)]
    return sorted(events)


def runs_of(world: World, runs: int, processes: int) -> list[Ended]:
    """Runs with the seeds 0, 1, 2, …"""
    if processes == 1:
        return [run(world, seed) for seed in range(runs)]
    step = -(-runs // processes)
    with ProcessPoolExecutor(processes, get_context("fork")) as pool:
        parts = pool.map(
            _some, [(world.name, a, min(a + step, runs)) for a in range(0, runs, step)]
        )
        return [one for part in parts for one in part]


def _some(part: tuple[str, int, int]) -> list[Ended]:
    name, first, last = part
    worlds = (*level_worlds(), *(world for world, _ in power_worlds()))
    (world,) = (world for world in worlds if world.name == name)
    return [run(world, seed) for seed in range(first, last)]


class _Worker:
    """What a worker keeps and tells: of each slice the candidate's ok, bad, drawn, and stable's."""

    def __init__(self, source: int, judge: Judge, world: World) -> None:
        self.source, self.judge, self.world = source, judge, world
        self.slices: dict[int, list[int]] = {}
        self.number = 1
        self.cut_s = 0.0
        self.where: dict[int, tuple[int, bool, int, int]] = {}
        self.news: set[int] = set()
        self.watch = 0
        self.seen = Seen(("", 0), 50)
        self.users: dict[int, tuple[_Users, _Users]] = {}

    def drawn(self, i: int, mine: bool, when: float, unit: int) -> None:
        if when - self.cut_s >= SLICE_S:
            self.cut(when)
        one = self.slices.setdefault(self.number, [0] * 6)
        one[2 if mine else 5] += 1
        nth = 0
        if self.world.users:
            pair = self.users.setdefault(self.number, (_Users(self.seen), _Users(self.seen)))
            nth = pair[not mine].drawn(unit)
        self.where[i] = self.number, mine, unit, nth
        self.news.add(self.number)

    def cut(self, when: float) -> None:
        self.cut_s = when
        if self.number in self.slices:
            self.number += 1

    def ended(self, i: int, *, bad: bool, when: float) -> None:
        number, mine, unit, nth = self.where.pop(i)
        one = self.slices[number]
        one[(0 if mine else 3) + bad] += 1
        if self.world.users:
            self.users[number][not mine].ended(unit, nth, bad=bad)
        self.news.add(number)
        if bad and mine:
            self.watch = self.number
            self.report(when)
        elif number <= self.watch and one[0] + one[1] + one[3] + one[4] == one[2] + one[5]:
            self.report(when)

    def report(self, when: float) -> None:
        self.cut(when)
        if not self.news:
            return
        cells = tuple(self.cell(number) for number in sorted(self.news))
        self.news.clear()
        self.judge.observe(Batch("r", 1, cells), when)

    def cell(self, number: int) -> Cell:
        co, cb, cd, so, sb, sd = self.slices[number]
        users = self.users.get(number)
        mine = ArmCounts(co, cb, arrived=cd, users=users[0].told() if users else None)
        others = ArmCounts(so, sb, arrived=sd, users=users[1].told() if users else None)
        if co + cb == cd and so + sb == sd:
            del self.slices[number]
            self.users.pop(number, None)
        return Cell(
            self.world.weight_bp, mine, others, sticky=bool(users), source=self.source,
            slice=number,
        )  # fmt: skip


class _Users:
    """Users of one arm of one slice; the product's counting is :mod:`router.telemetry.users`."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.first: dict[int, bool | None] = {}
        self.betting = self.good = 0
        self.fell: list[int] = []

    def drawn(self, unit: int) -> int:
        met = self.seen.counts[unit % BUCKETS]
        if met & 127 < 127:
            self.seen.counts[unit % BUCKETS] = met + 1
        if not met:
            self.first[unit] = None
        self.betting += met < self.seen.bets
        return met if met < self.seen.bets else 127

    def ended(self, unit: int, nth: int, *, bad: bool) -> None:
        if nth == 0:
            self.first[unit] = bad
        if nth == 127:
            return
        if bad and not self.seen.counts[unit % BUCKETS] & 128:
            self.seen.counts[unit % BUCKETS] |= 128
            self.fell.append(unit)
        else:
            self.good += 1

    def told(self) -> UserCounts:
        return UserCounts(
            tuple(self.first), tuple(u for u, b in self.first.items() if b is None),
            tuple(u for u, b in self.first.items() if b), (), self.betting, self.good,
            tuple(self.fell),
        )  # fmt: skip


FAST = about(0.03)


def level_worlds() -> tuple[World, ...]:
    """Two workers, each of which tells of its own draws; one worker is :mod:`worlds`' business."""
    both = (0.02, 0.02)
    return (
        World("all answers at 0.03 s", 100, 5_000, both, (FAST, FAST), (FAST, FAST), workers=2),
        World("good 2 s / 0.5 s", 100, 5_000, both, (about(2), about(0.5)), (FAST, FAST),
              workers=2),
        World("500 users, Zipf", 100, 2_500, both, (FAST, FAST), (FAST, FAST), workers=2,
              users=500),
    )  # fmt: skip


def power_worlds() -> tuple[tuple[World, float], ...]:
    """A failing candidate at 5 % weight, stable 1 %; the most bad answers allowed in the median."""
    found = []
    for rate in (50.0, 1_000.0):
        for failing, most in ((1.0, 3.0 if rate < 100 else 7.0), (0.2, 5.0 if rate < 100 else 7.0)):
            length_s = 30.0 / (rate * 0.05 * failing)
            for text, good in (("0.1 s", about(0.1)), ("2 s", about(2.0))):
                limit = most if text == "0.1 s" else np.inf
                name = f"{failing * 100:g} % fail, {rate:g}/s, good {text}"
                world = World(name, rate, 500, (failing, 0.01), (good, good), (FAST, FAST),
                              max(length_s, 8.0))  # fmt: skip
                found.append((world, limit))
    return tuple(found)
