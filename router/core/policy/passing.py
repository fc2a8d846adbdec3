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
from itertools import accumulate
from typing import Final

from router.core.evidence.bettors import log_table
from router.core.evidence.guard import guard_hypotheses
from router.core.gates.error_rate import REFUSALS, ErrorRate
from router.core.gates.guard import Guard
from router.core.gates.sample import START_SHARE, moments
from router.core.policy.forecast import stages
from router.core.policy.power import ExpectedTraffic, nats_needed
from router.core.policy.rollout import RolloutPolicy
from router.core.rollout.plan import Ending, Step
from router.core.wire.outcomes import FULL_BP
from router.core.words import rate

Z_95: Final = 1.645
"""95 % point of the standard normal distribution."""

HALVINGS: Final = 12
"""Of the way between stable's failures and all: to 0.03 points."""

Stay = tuple[Step, float]
"""A step, and the requests of both versions that come while it lasts."""

Moments = tuple[float, float]
"""Mean and variance of what one request adds to a log capital."""


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
    if not _seen(policy, stays, high, traffic.stable_bad_rate):
        return 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        seen = _seen(policy, stays, middle, traffic.stable_bad_rate)
        low, high = (low, middle) if seen else (middle, high)
    return high


def _stays(policy: RolloutPolicy, traffic: ExpectedTraffic) -> Iterator[Stay]:
    lasting = stages(policy, traffic.requests_per_s, traffic.stable_bad_rate)
    for step, one in zip(policy.plan().steps, lasting, strict=False):
        if math.isfinite(one.lasts_s):
            yield step, one.lasts_s * traffic.requests_per_s


def _seen(policy: RolloutPolicy, stays: Sequence[Stay], bad_rate: float, p0: float) -> bool:
    """Whether some gate takes back a candidate of this rate by the end of some step."""
    for gate in policy.gates:
        if gate.dry_run or not gate.convicts:
            continue
        nats = nats_needed(policy, gate) - math.log(START_SHARE)
        if isinstance(gate, ErrorRate):
            walks = _compared(gate, stays, bad_rate, p0)
            nats -= math.log(1.0 - REFUSALS)
        elif isinstance(gate, Guard):
            walks = _limited(gate, stays, bad_rate)
        else:
            continue
        if any(_reached(walk, nats + math.log(len(walks))) for walk in walks):
            return True
    return False


def _reached(walk: Sequence[tuple[float, Moments]], nats: float) -> bool:
    """``walk``: requests of each step, and what each of them adds."""
    means = accumulate(n * mean for n, (mean, _) in walk)
    variances = accumulate(n * variance for n, (_, variance) in walk)
    return any(m - Z_95 * math.sqrt(v) >= nats for m, v in zip(means, variances, strict=True))


def _compared(
    gate: ErrorRate, stays: Sequence[Stay], p: float, p0: float
) -> list[list[tuple[float, Moments]]]:
    """A walk for every bettor that compares the arms, over the steps with a coin."""
    rho, delta = gate.tolerance.rho, gate.tolerance.delta
    coins = [(step.weight_bp, n) for step, n in stays if 0 < step.weight_bp < FULL_BP]
    tables = [(n, bp / FULL_BP, log_table(bp, p0, rho, delta, True)) for bp, n in coins]
    bettors = min((len(table) for _, _, table in tables), default=0)
    return [
        [
            (n, moments((
                (w * p, table[k].candidate_bad), (w * (1 - p), table[k].candidate_ok),
                ((1 - w) * p0, table[k].stable_bad), ((1 - w) * (1 - p0), table[k].stable_ok),
            )))
            for n, w, table in tables
        ]
        for k in range(bettors)
    ]  # fmt: skip


def _limited(gate: Guard, stays: Sequence[Stay], p: float) -> list[list[tuple[float, Moments]]]:
    """A walk for every rate beyond the limit, over the steps with copies alone.

    Where the candidate answers clients the guard needs a witness, so there it adds little.
    """
    limit = gate.error_rate / FULL_BP
    copied = [(step.mirror_bp / FULL_BP, n) for step, n in stays if not step.weight_bp]
    return [
        [
            (n * share, moments((
                (p, math.log(q / limit)), (1 - p, math.log((1 - q) / (1 - limit))),
            )))
            for share, n in copied
        ]
        for q in guard_hypotheses(limit, "above")
    ]  # fmt: skip
