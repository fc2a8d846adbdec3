"""What a rollout risks, in words: ways to all traffic that nothing judges, what passes unseen."""

from __future__ import annotations

from collections.abc import Iterator

from router.core.evidence.bettors import tolerated_rate
from router.core.gates import Gate
from router.core.gates.guard import Guard
from router.core.gates.latency import Latency
from router.core.policy.power import error_gate
from router.core.policy.rollout import RolloutPolicy
from router.core.policy.route import Route
from router.core.rollout.plan import Default, Ending, OnInconclusive
from router.core.words import count, duration, percent, rate

USUAL_RATES = (0.001, 0.01)
"""Stable's bad rates that are told where none was measured."""


def unjudged(policy: RolloutPolicy) -> Iterator[str]:
    """Every way to all traffic on which no gate must have judged the candidate."""
    plan = policy.plan()
    if plan.ending is Ending.KEEP:
        return
    acting = [gate for gate in policy.gates if not gate.dry_run]
    if not acting:
        yield "no gate acts, so the clock alone gives it all traffic"
    for number, step in enumerate(plan.steps, 1):
        approval = step.approval
        if step.blind and acting:
            yield f"step {number} may be left without a judged answer (until: {{samples: 0}})"
        if approval is not None and approval.then is Default.PROMOTE:
            after = duration(approval.deadline_s or 0.0)
            yield f"step {number} is approved by the clock after {after} (then: promote)"
    if plan.max_duration_s is not None and plan.on_inconclusive is OnInconclusive.PROMOTE:
        yield f"after {duration(plan.max_duration_s)} it is promoted undecided (on_inconclusive)"


def unseen(policy: RolloutPolicy, bad_rate: float | None = None) -> Iterator[str]:
    """Which regressions pass. ``bad_rate``: stable's, 0..1; None: told for :data:`USUAL_RATES`."""
    acting = [gate for gate in policy.gates if not gate.dry_run]
    yield from _failures(policy, (bad_rate,) if bad_rate is not None else USUAL_RATES)
    if not _has(acting, "latency", "slo", "shadow_slo"):
        yield "a slower candidate passes: no gate looks at time"
    for gate in acting:
        if isinstance(gate, Latency):
            yield f"answers up to {percent(gate.tolerance)} slower pass at any traffic"
    if _has(acting, "agreement"):
        return
    if _has(acting, "judge"):
        yield "wrong answers pass that the judge takes for good ones"
        return
    if not _has(acting, "classes", "scores"):
        yield "wrong answers with a good status pass: no gate compares them"
    else:
        yield "wrong answers pass that look like stable's in the mean: no gate compares pairs"


def exposed(route: Route, policy: RolloutPolicy) -> Iterator[str]:
    """Who meets the candidate, and for how long at least."""
    plan, who = policy.plan(), "users" if route.sticky is not None else "requests"
    parts = [
        f"{'up to ' if step.auto else ''}{percent(step.weight_bp)} for {duration(step.hold_s)}"
        for step in plan.steps
        if step.weight_bp
    ]
    if plan.bake_s and plan.ending is Ending.PROMOTE:
        parts.append(f"all for {duration(plan.bake_s)}")
    if parts:
        seen = "; stable answers what it fails" if policy.rescue is not None else ""
        yield f"{who} that get it, at least: {', '.join(parts)}{seen}"


def watched(route: Route) -> Iterator[str]:
    """What monitors of data may keep it from."""
    monitors, predictions = route.monitors, route.predictions
    if monitors is None or predictions is None:
        return
    file, features = monitors.reference.file, count(len(predictions.features), "feature")
    if file and predictions.features and monitors.on_drift == "hold":
        wanted = count(monitors.requests, "sampled request")
        yield f"it begins once traffic was compared with {file} ({wanted})"
    holds = "holds it" if monitors.on_drift == "hold" else "is told"
    yield f"{features} watched: data drift {holds}, nobody is taken back for it"


def _failures(policy: RolloutPolicy, rates: tuple[float, ...]) -> Iterator[str]:
    gate, sought = error_gate(policy), policy.detect.sought
    if gate is None:
        limit = next(
            (one for one in policy.gates if isinstance(one, Guard) and not one.dry_run), None
        )
        below = f", below guard's {percent(limit.error_rate)}" if limit is not None else ""
        yield f"a candidate that fails more often than stable passes{below}: no gate error_rate"
        return
    for p0 in rates:
        tolerated = tolerated_rate(p0, gate.tolerance.rho, gate.tolerance.delta)
        found = sought.rate(p0, tolerated)
        doubling = f"a doubling of {rate(p0)} passes at any traffic; "
        doubling = doubling if 2 * p0 <= tolerated else ""
        yield (
            f"where stable fails {rate(p0)}: {doubling}up to {rate(tolerated)} is tolerated, "
            f"{rate(found)} is found in 9 of 10 cases, what lies between only with traffic and time"
        )


def _has(gates: list[Gate], *kinds: str) -> bool:
    return any(gate.kind in kinds for gate in gates)
