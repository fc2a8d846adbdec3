"""What a rollout can see at a stated traffic, and how soon: the arithmetic behind warnings.

A bettor's capital grows by ``E[ln factor]`` nats a request when the candidate is as bad as
supposed. Proof needs ``ln(1 / alpha)`` nats, plus what sharing costs: ln(1 / share) for gates, and
ln(bettors / 0.5) because up to nine bettors share the half of the capital that bets at first. So

    requests to a verdict = nats / max over bettors of E[ln factor]

Worked example: stable 1 %, weight 5 %, no tolerance, one gate: a candidate that always fails needs
about 50 requests, 2 or 3 of them bad. Simulated medians agree within a third; it is an estimate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from router.core.evidence.bettors import LogFactors, log_table
from router.core.gates import Gate
from router.core.gates.error_rate import ErrorRate
from router.core.gates.gate import parts
from router.core.policy.finding import Finding
from router.core.policy.rollout import RolloutPolicy
from router.core.quantities import format_duration
from router.core.rollout.plan import Step
from router.core.strategies import Canary
from router.core.words import FULL_BP, count, duration, percent, rate

START_SHARE = 0.5
"""Share of the capital that bets from the first request (the rest waits for later changes)."""


@dataclass(frozen=True, slots=True)
class ExpectedTraffic:
    """What is supposed about a route."""

    requests_per_s: float
    stable_bad_rate: float = 0.01
    """Stable's share of bad answers, 0 < rate < 0.5."""
    sticky: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    """What the error gate can see in one step, all times in seconds."""

    step: int
    """Index in the plan."""
    weight_bp: int
    lasts_s: float
    """How long the step lasts at least: its hold, or the time until its samples are there."""
    fastest_s: float
    """Time to a verdict on a candidate that always fails."""
    smallest_bad_rate: float
    """Candidate's bad rate that is found within the step in the middle of cases; 1 if none is."""


def requests_to_verdict(
    weight_bp: int, bad_rate: float, stable_bad_rate: float, gate: ErrorRate, nats: float,
    *, sticky: bool = False,
) -> float:  # fmt: skip
    """Requests (of both versions) until the gate convicts a candidate of this bad rate.

    Infinity when it never does: at weights of 0 and 100 %, and within the tolerance.
    """
    if not 0 < weight_bp < FULL_BP:
        return math.inf
    tolerance = gate.tolerance
    table = log_table(weight_bp, stable_bad_rate, tolerance.rho, tolerance.delta, not sticky)
    growth = max(_growth(row, weight_bp / FULL_BP, bad_rate, stable_bad_rate) for row in table)
    return (nats + math.log(len(table) / START_SHARE)) / growth if growth > 0 else math.inf


def _growth(row: LogFactors, w: float, p: float, p0: float) -> float:
    candidate = w * (p * row.candidate_bad + (1 - p) * row.candidate_ok)
    return candidate + (1 - w) * (p0 * row.stable_bad + (1 - p0) * row.stable_ok)


def smallest_regression(
    weight_bp: int, requests: float, stable_bad_rate: float, gate: ErrorRate, nats: float,
    *, sticky: bool = False,
) -> float:  # fmt: skip
    """The smallest bad rate that is convicted within so many requests; 1.0 if not even 100 % is."""

    def found(bad_rate: float) -> bool:
        needed = requests_to_verdict(
            weight_bp, bad_rate, stable_bad_rate, gate, nats, sticky=sticky
        )
        return needed <= requests

    low, high = stable_bad_rate, 1.0
    if not found(high):
        return 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def nats_needed(rollout: RolloutPolicy, gate: Gate) -> float:
    """Evidence that this gate alone must bring, in nats: ``ln(1 / (alpha * its share))``."""
    share = parts(rollout.gates).get(gate.title, 1.0)
    return math.log(1 / (rollout.alpha * max(share, 1e-9)))


def sights(rollout: RolloutPolicy, traffic: ExpectedTraffic) -> Iterator[Sight]:
    """What ``error_rate`` sees in every step with both versions; nothing without that gate."""
    gate = error_gate(rollout)
    if gate is None:
        return
    nats, p0 = nats_needed(rollout, gate), traffic.stable_bad_rate
    for index, step in enumerate(rollout.plan().steps):
        lasts_s = step_lasts_s(step, traffic)
        if not 0 < step.weight_bp < FULL_BP or (step.approval and not lasts_s):
            continue
        fastest = requests_to_verdict(step.weight_bp, 1.0, p0, gate, nats, sticky=traffic.sticky)
        smallest = smallest_regression(
            step.weight_bp, lasts_s * traffic.requests_per_s, p0, gate, nats, sticky=traffic.sticky
        )
        fastest_s = fastest / traffic.requests_per_s
        yield Sight(index, step.weight_bp, lasts_s, fastest_s, smallest)


def error_gate(rollout: RolloutPolicy) -> ErrorRate | None:
    """The gate that decides most rollouts, if the policy has one that may fail."""
    gates = (g for g in rollout.gates if isinstance(g, ErrorRate) and not g.dry_run)
    return next(gates, None)


def step_lasts_s(step: Step, traffic: ExpectedTraffic) -> float:
    """The least time in a step: its hold, or the wait for its samples."""
    share = (step.weight_bp or step.mirror_bp) / FULL_BP
    wanted = step.until_samples / (traffic.requests_per_s * share) if share else 0.0
    return max(step.hold_s, wanted)


def power_findings(rollout: RolloutPolicy, traffic: ExpectedTraffic) -> Iterator[Finding]:
    """Warnings about statistics, with paths below the rollout. Rates must be above 0."""
    yield from _short_steps(rollout, traffic)
    yield from _cap_of_healthy(rollout, traffic)
    yield from _proof_time(rollout, traffic)


def describe(sight: Sight, traffic: ExpectedTraffic) -> str:
    """One line for people: ``1 %, 2m: sees 1.0 % -> 8.1 %; fails always: seen after 2.1s``."""
    smallest = "nothing" if sight.smallest_bad_rate >= 1 else rate(sight.smallest_bad_rate)
    return (
        f"{percent(sight.weight_bp)} for {duration(sight.lasts_s)}: "
        f"sees {rate(traffic.stable_bad_rate)} -> {smallest}; "
        f"a candidate that always fails after {duration(sight.fastest_s)}"
    )


def _step_path(rollout: RolloutPolicy, index: int) -> tuple[str | int, ...]:
    for path, part in rollout.parts:
        if isinstance(part, Canary) and 0 <= index < len(part.steps):
            return (*path, "steps", index)
        index -= len(part.steps) if isinstance(part, Canary) else 1
    return ("strategy",)


def _short_steps(rollout: RolloutPolicy, traffic: ExpectedTraffic) -> Iterator[Finding]:
    steps = rollout.plan().steps
    for sight in sights(rollout, traffic):
        waits = steps[sight.step].approval is not None or steps[sight.step].proof
        if sight.lasts_s >= sight.fastest_s or waits:
            continue
        message = (
            f"step {sight.step + 1} lasts {duration(sight.lasts_s)}, but at "
            f"{traffic.requests_per_s:g} requests/s and {percent(sight.weight_bp)} even a "
            f"candidate that always fails is seen after {duration(sight.fastest_s)} only"
        )
        hint = f"hold it for {format_duration(_rounded_up(sight.fastest_s))} or longer"
        yield Finding(_step_path(rollout, sight.step), message, hint, error=False)


def _rounded_up(seconds: float) -> int:
    """To whole seconds, minutes or hours, as people write a hold."""
    unit = 1 if seconds <= 120 else 60 if seconds <= 7_200 else 3_600
    return math.ceil(seconds / unit) * unit


def _cap_of_healthy(rollout: RolloutPolicy, traffic: ExpectedTraffic) -> Iterator[Finding]:
    cap = rollout.max_bad_responses
    if cap is None:
        return
    plan = rollout.plan()
    seconds = [(step_lasts_s(s, traffic), s.weight_bp) for s in plan.steps]
    seconds.append((plan.bake_s, FULL_BP))
    answers = sum(s * bp / FULL_BP for s, bp in seconds) * traffic.requests_per_s
    bad = answers * traffic.stable_bad_rate
    # Two standard deviations of a Poisson count: beyond, healthy candidates are taken back often.
    if bad + 2 * math.sqrt(bad) >= cap:
        message = (
            f"a candidate as good as stable ({rate(traffic.stable_bad_rate)} bad) gives about "
            f"{count(round(bad), 'bad answer')} in this rollout, the cap is {cap}"
        )
        hint = "raise it, or leave it out: the gates bound false rollbacks, a cap does not"
        yield Finding(("max_bad_responses",), message, hint, error=False)


def _proof_time(rollout: RolloutPolicy, traffic: ExpectedTraffic) -> Iterator[Finding]:
    steps = [(i, s) for i, s in enumerate(rollout.plan().steps) if s.proof]
    if not steps or rollout.max_duration is None:
        return
    index, step = steps[-1]
    margin = rollout.proof.margin / FULL_BP
    needed_s = 3 / margin / (traffic.requests_per_s * step.weight_bp / FULL_BP)
    if needed_s > rollout.max_duration:
        message = (
            f"the proof needs about {count(round(3 / margin), 'candidate request')}, at "
            f"{traffic.requests_per_s:g} requests/s and {percent(step.weight_bp)} "
            f"{duration(needed_s)}; max_duration is {format_duration(rollout.max_duration)}"
        )
        hint = "a larger margin, more weight, or more time"
        yield Finding(_step_path(rollout, index), message, hint, error=False)
