"""Which failing candidates may pass a whole rollout unseen at a stated traffic.

A bettor's log capital is a random walk over the steps of the plan, and its mean and variance at
every step are known (:mod:`router.core.gates.sample`). A candidate is taken back in at least 19 of
20 rollouts where at the end of some step

    sum of means - z * sqrt(sum of variances) >= nats            z = 1.645, the 95 % point

for some bettor of some gate, each step as long as it lasts for a good candidate. A brake or a hold
makes it longer, so in truth a few more are seen.

Worked example: 10 % for 10m, 50 % for 1h, at 2 requests a second beside a stable version that fails
1 %: a candidate that fails 4.4 % or more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from router.core.evidence.bettors import log_table
from router.core.evidence.guard import guard_hypotheses
from router.core.gates.error_rate import REFUSALS, ErrorRate
from router.core.gates.guard import Guard
from router.core.gates.sample import START_SHARE
from router.core.policy.forecast import stages
from router.core.policy.power import ExpectedTraffic, nats_needed
from router.core.policy.rollout import RolloutPolicy
from router.core.rollout.plan import Ending, Step
from router.core.words import FULL_BP, rate

Z_95: Final = 1.645
"""95 % point of the standard normal distribution."""

HALVINGS: Final = 12
"""Of the way between stable's failures and all: to 0.03 points."""

Stay = tuple[Step, float]
"""A step, and the requests of both versions that come while it lasts."""


class Leg(NamedTuple):
    """What the requests of one step add to a bettor's log capital, by the candidate's bad rate p.

    Mean and mean square of one request are linear in p: ``mean + mean_p * p``.
    """

    requests: float
    mean: float
    mean_p: float
    square: float
    square_p: float


class Walk(NamedTuple):
    """One bettor over the steps, and the log capital with which it takes the candidate back."""

    nats: float
    legs: tuple[Leg, ...]

    def reaches(self, p: float) -> bool:
        """Whether it does so at the end of some step, 19 times of 20."""
        mean = variance = 0.0
        for requests, at, slope, square, square_slope in self.legs:
            one = at + slope * p
            mean += requests * one
            variance += requests * (square + square_slope * p - one * one)
            if mean - Z_95 * math.sqrt(max(variance, 0.0)) >= self.nats:
                return True
        return False


def passing(policy: RolloutPolicy, traffic: ExpectedTraffic) -> Iterator[str]:
    """What the failures of a candidate may be that is promoted all the same, in words."""
    if policy.plan().ending is not Ending.PROMOTE:
        return
    found = sure_rate(policy, traffic)
    p0 = rate(traffic.stable_bad_rate)
    if found >= 1.0:
        yield f"where stable fails {p0}: any candidate may pass at this traffic"
        return
    yield (
        f"where stable fails {p0}: at this traffic a candidate that fails less than {rate(found)} "
        "may pass; more is taken back in 19 of 20 rollouts"
    )


def sure_rate(policy: RolloutPolicy, traffic: ExpectedTraffic) -> float:
    """The smallest share of failures that is taken back in 19 of 20 rollouts; 1.0: none is."""
    stays = list(_stays(policy, traffic))
    low, high = traffic.stable_bad_rate, 1.0
    walks = [*_walks(policy, stays, traffic.stable_bad_rate)]
    if not any(walk.reaches(high) for walk in walks):
        return 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        seen = any(walk.reaches(middle) for walk in walks)
        low, high = (low, middle) if seen else (middle, high)
    return high


def _stays(policy: RolloutPolicy, traffic: ExpectedTraffic) -> Iterator[Stay]:
    lasting = stages(policy, traffic.requests_per_s, traffic.stable_bad_rate)
    for step, one in zip(policy.plan().steps, lasting, strict=False):
        if math.isfinite(one.lasts_s):
            yield step, one.lasts_s * traffic.requests_per_s


def _walks(policy: RolloutPolicy, stays: Sequence[Stay], p0: float) -> Iterator[Walk]:
    """Every bettor of every gate that can take the candidate back."""
    for gate in policy.gates:
        if gate.dry_run or not gate.convicts:
            continue
        nats = nats_needed(policy, gate) - math.log(START_SHARE)
        if isinstance(gate, ErrorRate):
            found = _compared(gate, stays, p0)
            nats -= math.log(1.0 - REFUSALS)
        elif isinstance(gate, Guard):
            found = _limited(gate, stays)
        else:
            continue
        for legs in found:
            yield Walk(nats + math.log(len(found)), legs)


def _leg(requests: float, *outcomes: tuple[float, float, float]) -> Leg:
    """``outcomes``: probability at p = 0, what p adds to it, and the value."""
    return Leg(
        requests,
        math.fsum(at * x for at, _, x in outcomes),
        math.fsum(slope * x for _, slope, x in outcomes),
        math.fsum(at * x * x for at, _, x in outcomes),
        math.fsum(slope * x * x for _, slope, x in outcomes),
    )


def _compared(gate: ErrorRate, stays: Sequence[Stay], p0: float) -> list[tuple[Leg, ...]]:
    """Legs of every bettor that compares the arms, over the steps with a coin."""
    rho, delta = gate.tolerance.rho, gate.tolerance.delta
    coins = [(step.weight_bp, n) for step, n in stays if 0 < step.weight_bp < FULL_BP]
    tables = [(n, bp / FULL_BP, log_table(bp, p0, rho, delta, True)) for bp, n in coins]
    bettors = min((len(table) for _, _, table in tables), default=0)
    return [
        tuple(
            _leg(
                n,
                (0.0, w, table[k].candidate_bad), (w, -w, table[k].candidate_ok),
                ((1 - w) * p0, 0.0, table[k].stable_bad),
                ((1 - w) * (1 - p0), 0.0, table[k].stable_ok),
            )
            for n, w, table in tables
        )
        for k in range(bettors)
    ]  # fmt: skip


def _limited(gate: Guard, stays: Sequence[Stay]) -> list[tuple[Leg, ...]]:
    """Legs of every rate beyond the limit, over the steps with copies alone.

    Where the candidate answers clients the guard needs a witness, so there it adds little.
    """
    limit = gate.error_rate / FULL_BP
    copied = [(step.mirror_bp / FULL_BP, n) for step, n in stays if not step.weight_bp]
    return [
        tuple(
            _leg(
                n * share,
                (0.0, 1.0, math.log(q / limit)), (1.0, -1.0, math.log((1 - q) / (1 - limit))),
            )
            for share, n in copied
        )
        for q in guard_hypotheses(limit, "above")
    ]  # fmt: skip
