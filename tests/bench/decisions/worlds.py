"""The level table's worlds: equal or better candidates, and what tempts a test to convict them.

Each is drawn request by request; :mod:`tests.bench.decisions.atonce` judges a thousand of a kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tests.bench.decisions.atonce import SLICE_S, SLICES_A_LOOK, Plan, Requests, past

if TYPE_CHECKING:
    from collections.abc import Callable

Draw = np.random.Generator
Delay = tuple[float, float]
"""Median seconds and the sigma of a log-normal law."""

FAST: Delay = (0.03, 0.2)


@dataclass(frozen=True)
class Field:
    """One row. Rates and shares are 0..1; pairs are (candidate, stable)."""

    name: str
    rate: float = 100.0
    weight_bp: int = 5_000
    failing: tuple[float, float] = (0.02, 0.02)
    good: tuple[Delay, Delay] = (FAST, FAST)
    bad: tuple[Delay, Delay] = (FAST, FAST)
    length_s: float = 40.0
    users: int = 0
    activity: float | None = None
    """Sigma of the users' log-normal activity; None: Zipf."""
    proneness: float = 0.0
    """Sigma of the users' log-normal share of failures."""
    shape: Callable[[Draw, Field, np.ndarray], np.ndarray] | None = None
    """Failing rates of both arms at these times, as a factor."""
    ramp: Callable[[float], int] | None = None
    learned: bool = False
    """How many failures have one cause is taken from a past of stable's, drawn anew."""
    more: Callable[[Draw, Field, Requests], Requests] | None = None
    """Something else that happens to the requests."""

    @property
    def plan(self) -> Plan:
        """For the judge."""
        size = 1
        if self.learned:
            size = past(self.make(np.random.default_rng(7))).together
        slow = max(law[0] for law in (*self.good, *self.bad)) > 1.5
        looks = 5 if slow else SLICES_A_LOOK
        return Plan(self.length_s, self.ramp or self.weight_bp, self.failing[1], size, looks)

    def make(self, draw: Draw) -> Requests:
        """One run."""
        n = int(draw.poisson(self.rate * self.length_s))
        at = np.sort(draw.random(n) * self.length_s)
        who, mine = self._arms(draw, at)
        chance = np.where(mine, *self.failing)
        if self.shape is not None:
            chance = np.minimum(chance * self.shape(draw, self, at), 1.0)
        if self.proneness and who is not None:
            each = np.exp(self.proneness * draw.standard_normal(self.users))
            chance = np.minimum(chance * (each / each.mean())[who], 1.0)
        bad = draw.random(n) < chance
        found = Requests(at, mine, bad, self.delays(draw, mine, bad), who)
        return self.more(draw, self, found) if self.more is not None else found

    def _arms(self, draw: Draw, at: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
        plan = Plan(self.length_s, self.ramp or self.weight_bp, 0.0)
        weights = plan.weights()[(at / SLICE_S).astype(np.int64)]
        if not self.users:
            return None, draw.random(len(at)) * 10_000 < weights
        shares = 1.0 / np.arange(1, self.users + 1)
        if self.activity is not None:
            shares = np.exp(self.activity * draw.standard_normal(self.users))
        who = draw.choice(self.users, len(at), p=shares / shares.sum())
        return who, draw.random(self.users)[who] * 10_000 < weights

    def delays(self, draw: Draw, mine: np.ndarray, bad: np.ndarray) -> np.ndarray:
        """Seconds of each request."""
        seconds = np.empty(len(mine))
        for arm, here in enumerate((mine, ~mine)):
            for law, which in ((self.bad, here & bad), (self.good, here & ~bad)):
                median, sigma = law[arm]
                count = int(which.sum())
                seconds[which] = median * np.exp(sigma * draw.standard_normal(count))
        return seconds


def outages(draw: Draw, world: Field, at: np.ndarray) -> np.ndarray:
    """Both versions fail ten times as often in two stretches of a tenth of the time each."""
    starts = draw.random(2) * world.length_s
    inside = ((at >= starts[:, None]) & (at < starts[:, None] + world.length_s / 10)).any(axis=0)
    return np.where(inside, 10.0, 1.0)


def days(_: Draw, world: Field, at: np.ndarray) -> np.ndarray:
    """Four cycles of a rate of failures between nothing and twice the mean."""
    cycle: np.ndarray = 1.0 + np.sin(8 * np.pi * at / world.length_s)
    return cycle


def retries(draw: Draw, world: Field, first: Requests) -> Requests:
    """Clients ask again 50 ms after a failure, up to three times; half of those fail again."""
    parts, turn = [first], first
    for _ in range(3):
        back = turn.bad & (turn.at + turn.seconds + 0.05 < world.length_s)
        at = (turn.at + turn.seconds + 0.05)[back]
        mine = draw.random(len(at)) * 10_000 < world.weight_bp
        bad = draw.random(len(at)) < 0.5
        turn = Requests(at, mine, bad, world.delays(draw, mine, bad))
        parts.append(turn)
    return _sorted(*parts)


def cold(_: Draw, __: Field, r: Requests) -> Requests:
    """The candidate answers nothing in its first ten seconds."""
    waits = np.where(r.mine & ~r.bad, np.maximum(10.0 - r.at, 0.0), 0.0)
    return Requests(r.at, r.mine, r.bad, r.seconds + waits)


def killed(draw: Draw, world: Field, r: Requests) -> Requests:
    """Four times all that is under way ends unseen, and so do the next two seconds' draws."""
    kept, bad, seconds = np.ones(len(r.at), dtype=bool), r.bad.copy(), r.seconds.copy()
    for when in np.sort(draw.random(4)) * world.length_s:
        under_way = (r.at < when) & (r.at + seconds > when)
        bad[under_way] = False
        seconds[under_way] = when - r.at[under_way]
        kept &= (r.at < when) | (r.at >= when + 2.0)
    return Requests(r.at[kept], r.mine[kept], bad[kept], seconds[kept])


def paused(draw: Draw, world: Field, r: Requests) -> Requests:
    """Two pauses in which nobody asks, however long (evidence knows draws, not hours).

    After the first both versions fail three times as often.
    """
    third = world.length_s / 3.0
    kept = (r.at % third) < 0.75 * third
    worse = (r.at > third) & (draw.random(len(r.at)) < 2.0 * np.where(r.mine, *world.failing))
    return Requests(r.at[kept], r.mine[kept], (r.bad | worse)[kept], r.seconds[kept])


IDLE_S = 5.0
IDLE_LOST = 13 / 2_400
"""Requests that met a connection in the moment of its closing, before idle closes were learnt."""


def idle(draw: Draw, _: Field, r: Requests) -> Requests:
    """Who asks a version that nobody has asked for five seconds may meet a closing connection."""
    bad = r.bad.copy()
    for arm in (r.mine, ~r.mine):
        here = np.flatnonzero(arm)
        quiet = np.diff(r.at[here], prepend=0.0) > IDLE_S
        bad[here[quiet & (draw.random(len(here)) < IDLE_LOST)]] = True
    return Requests(r.at, r.mine, bad, r.seconds)


def batches(mean: float) -> Callable[[Draw, Field, Requests], Requests]:
    """Each version answers and fails in batches: what it got within a time, ``mean`` in the mean.

    One failed batch fails all of its requests, at one moment.
    """

    def batched(draw: Draw, world: Field, r: Requests) -> Requests:
        bad, ends = r.bad.copy(), r.at + r.seconds
        for arm, here in enumerate((r.mine, ~r.mine)):
            share = world.weight_bp / 10_000
            rate = world.rate * (share if arm == 0 else 1.0 - share)
            number = (r.at[here] * rate / mean).astype(np.int64)
            failed = draw.random(number.max(initial=0) + 1) < world.failing[arm]
            bad[here] = failed[number]
            ends[here] = (number + 1) * mean / rate + np.where(bad[here], 0.03, r.seconds[here])
        return Requests(r.at, r.mine, bad, ends - r.at)

    return batched


def _sorted(*parts: Requests) -> Requests:
    at = np.concatenate([p.at for p in parts])
    order = np.argsort(at, kind="stable")
    mine, bad, seconds = (
        np.concatenate([getattr(p, name) for p in parts])[order]
        for name in ("mine", "bad", "seconds")
    )
    return Requests(at[order], mine, bad, seconds)


def steps(at_s: float) -> int:
    """5, 50, 5 and 50 % of ten seconds each."""
    return (500, 5_000)[int(at_s / 10) % 2]


def earning(at_s: float) -> int:
    """A bandit's shares of an arm that earns more: 30, 50, 70 and 90 %."""
    return (3_000, 5_000, 7_000, 9_000)[min(int(at_s / 10), 3)]


def late_worlds() -> tuple[Field, ...]:
    """The order of ending tells arms apart."""
    slow, slower, quick = (2.0, 0.2), (10.0, 0.2), (0.5, 0.2)
    timeout = (40.0, 0.0)
    return (
        Field("all at 0.03 s"),
        Field("good 2 s in both, failures at once", good=(slow, slow)),
        Field("good 2 s / 0.5 s, at 25 %", weight_bp=2_500, good=(slow, quick)),
        Field("good 2 s / 0.5 s", good=(slow, quick)),
        Field("good 0.5 s / 2 s", good=(quick, slow)),
        Field("good 10 s / 5 s", 20, 2_500, good=(slower, (5.0, 0.2))),
        Field("good 28 s / 2 s", 20, 3_000, good=((28.0, 0.02), slow)),
        Field("good 8 s / 0.1 s, 5 % fail", 20, 2_500, (0.05, 0.05), good=((8.0, 0.2), (0.1, 0.2))),
        Field("good up to 30 s (sigma 0.8) / 0.5 s", 50, good=((2.0, 0.8), (0.5, 0.8))),
        Field("failures at once / 5 s", 50, 2_500, bad=(FAST, (5.0, 0.2))),
        Field("failures at once / time-outs of 30 s", 50, 2_500, bad=(FAST, timeout)),
        Field("failures 5 s / at once", 50, 2_500, bad=((5.0, 0.2), FAST)),
        Field("time-outs of 30 s / failures at once", 50, 2_500, bad=(timeout, FAST)),
        Field("both fail after 2 s, good 0.1 s", 50, 2_500, bad=(slow, slow)),
        Field("good 2 s / 0.5 s, 5 and 50 % in turn", ramp=steps, good=(slow, quick)),
        Field("half the failures, good 2 s / 0.5 s", failing=(0.01, 0.02), good=(slow, quick)),
    )


def user_worlds() -> tuple[Field, ...]:
    """Users are drawn: 500 or 2,000 of them, tens of requests each."""
    some = {"rate": 250.0, "weight_bp": 2_500, "users": 500}
    many = {"rate": 500.0, "users": 2_000}
    return (
        Field("500 users, Zipf", **some),
        Field("500 users, log-normal activity (1.5)", activity=1.5, **some),
        Field("500 users, unlike each other (1.5)", activity=1.0, proneness=1.5, **some),
        Field("500 users, half the failures", failing=(0.01, 0.02), activity=0.0, **some),
        Field("2,000 users, half the failures", failing=(0.01, 0.02), activity=0.0, **many),
        Field("2,000 users, Zipf, unlike each other (1.5)", proneness=1.5, **many),
        Field("2,000 users, good 2 s / 0.5 s", good=((2.0, 0.2), (0.5, 0.2)), **many),
        Field("500 users, failures 5 s / at once", bad=((5.0, 0.2), FAST), **some),
        Field("2,000 users, a bandit's arm that earns more", ramp=earning, **many),
        Field(
            "2,000 users, a bandit's arm with half the failures",
            failing=(0.01, 0.02),
            ramp=earning,
            **many,
        ),
    )


def other_worlds() -> tuple[Field, ...]:
    """Everything else that both versions share."""
    return (
        *(
            Field(f"both fail {share:.0%}, {rate:g}/s", rate, 500, (share, share), length_s=length)
            for share in (0.1, 0.5)
            for rate, length in ((50.0, 400.0), (200.0, 200.0), (1_000.0, 40.0))
        ),
        Field("shared outages", weight_bp=500, length_s=200.0, shape=outages),
        Field("shared outages, half and half", shape=outages),
        Field("day cycles", weight_bp=500, length_s=200.0, shape=days),
        Field("clients that ask again", more=retries),
        Field("candidate cold for 10 s", weight_bp=2_500, more=cold),
        Field("kills and restarts, good 2 s / 0.5 s", good=((2.0, 0.2), (0.5, 0.2)), more=killed),
        Field("two pauses, worse behind them", weight_bp=2_500, length_s=60.0, more=paused),
        Field("connections close after 5 s idle", 20.0, 100, length_s=400.0, more=idle),
        Field("a bandit's arm that earns more", ramp=earning),
        Field("a bandit's arm with half the failures", failing=(0.01, 0.02), ramp=earning),
        Field("half the failures", failing=(0.01, 0.02)),
    )


def batch_worlds() -> tuple[Field, ...]:
    """Failures with one cause: micro-batches; with late answers, and above the guard's limit."""
    both = {"length_s": 400.0, "learned": True}
    slow = ((2.0, 0.2), (0.5, 0.2))
    return (
        *(
            Field(f"batches of {mean:g} in both, at {weight / 100:g} %", 50.0, weight, (0.01, 0.01),
                  more=batches(mean), **both)
            for mean in (2.0, 3.0, 5.0)
            for weight in (500, 5_000)
        ),
        Field("batches of 3, good 2 s / 0.5 s", 50.0, 5_000, (0.01, 0.01), good=slow,
              more=batches(3.0), **both),
        *(
            Field(f"batches of 3, both fail 10 %, at {weight / 100:g} %", 50.0, weight, (0.1, 0.1),
                  more=batches(3.0), **both)
            for weight in (500, 5_000)
        ),
    )  # fmt: skip
