"""What people see of a route and its rollout (:mod:`.views`); and the same as gauges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import msgspec
from msgspec import structs

from router import __version__
from router.control.rollouts.observe import Observatory
from router.control.rollouts.reconciler import Reconciler
from router.control.rollouts.run import Run
from router.control.rollouts.trial import Trial
from router.control.state.record import Carried
from router.control.told.compared import ShadowBrief
from router.control.told.foreseen import Foreseen
from router.control.told.judgement import report_view
from router.control.told.paired import shadow_brief
from router.control.told.views import (
    ApprovalView,
    AttentionView,
    BanditView,
    EvidenceView,
    FeedbackView,
    GateView,
    MonitorsView,
    OverrideView,
    PlanView,
    RewardView,
    RolloutView,
    RouteSummary,
    RouteView,
    StepView,
)
from router.core.gates.verdict import GateReport
from router.core.proof import holding
from router.core.quantities import format_size
from router.core.rollout.plan import Plan, Step
from router.core.rollout.rollout import Phase, Rollout, remaining_s
from router.core.spoken import headline
from router.core.words import FULL_BP, count
from router.telemetry.metrics import Gauge, labels


@dataclass(frozen=True, slots=True)
class Beside:
    """What is told of a route besides its run."""

    frozen: str = ""
    """By whom, as a sentence."""
    unseen: bool = False
    """Its candidate was taken back, and nobody has said that he saw it."""
    rate: tuple[float, float] = (0.0, 0.0)
    """Requests a second and share of failures."""
    wall_less_clock: float = 0.0
    """Wall time of the rollout clock's zero."""


def summary(run: Run, beside: Beside = Beside()) -> RouteSummary:
    """One line of the list of routes; ``candidate`` and what follows is None without a rollout."""
    rollout, pinned, frozen = run.rollout, run.record.pinned, beside.frozen
    return RouteSummary(
        name=run.route.name,
        match=run.route.match.model_dump(mode="json", exclude_defaults=True),
        stable=run.record.stable,
        candidate=rollout.candidate if rollout else None,
        strategy=pinned.plan.strategy if pinned and rollout else None,
        phase=rollout.phase.value if rollout else None,
        health=rollout.phase.health if rollout else "Healthy",
        weight_bp=_weight_bp(run),
        shares_bp=_shares(run),
        revision=run.record.revision,
        frozen=frozen,
        reason=rollout.reason if rollout else "",
        line=(rollout.line or headline(rollout.reason)) if rollout else "",
        decided_at=run.record.decided_at or None,
        notes=list(run.notes),
        step=rollout.step + 1 if rollout else 0,
        steps=len(pinned.plan.steps) if pinned and rollout else 0,
        since=_since(rollout, beside.wall_less_clock),
        requests_per_s=round(beside.rate[0], 3),
        error_ratio=round(beside.rate[1], 6),
        attention=attention(run, beside),
    )


def _since(rollout: Rollout | None, wall_less_clock: float) -> float | None:
    if rollout is None:
        return None
    moved = rollout.ended if rollout.ended is not None else rollout.step_since
    return round(wall_less_clock + moved, 3)


def attention(run: Run, beside: Beside) -> AttentionView | None:
    """Why somebody should look at it; the most urgent reason."""
    rollout, live = run.rollout, run.live
    line = (rollout.line or headline(rollout.reason)) if rollout else ""
    if beside.unseen:
        return AttentionView(kind="taken_back", line=line)
    if rollout and rollout.phase is Phase.AWAITING_APPROVAL:
        return AttentionView(kind="approval", line=run.waiting.reason or "waits for an approval")
    if live is not None and live.trial.judge.failed:
        title, sentence = next(iter(live.trial.judge.failed.items()))
        return AttentionView(kind="gate", line=f"{title}: {sentence}")
    if live is not None and (held := next(iter(holding(live.trial.judge)), "")):
        return AttentionView(kind="held", line=held)
    if live is not None and (live.rollout.standing or beside.frozen) and run.waiting.reason:
        return AttentionView(kind="held", line=run.waiting.reason)
    if rollout and rollout.phase in (Phase.ABORTED, Phase.ROLLED_BACK):
        return None  # somebody has seen it, and the notes say no more
    if told := [*run.notes, *_alarms(run)]:
        return AttentionView(kind="note", line=told[0])
    return None


def route_view(
    run: Run, observatory: Observatory, generation: int, now: float, beside: Beside = Beside(),
    *, foreseen: Foreseen | None = None, monitors: MonitorsView | None = None,
) -> RouteView:  # fmt: skip
    """Everything about one route."""
    carried = run.record.carried
    rollout = (
        rollout_view(run, carried, observatory, generation, now, foreseen=foreseen)
        if carried else None
    )  # fmt: skip
    return RouteView(
        **msgspec.structs.asdict(summary(run, beside)),
        versions={name: observatory.view(run.route.name, name, now) for name in run.route.versions},
        feedback=_feedback(run),
        rollout=rollout,
        monitors=monitors,
    )


def rollout_view(
    run: Run, carried: Carried, observatory: Observatory, generation: int, now: float,
    *, foreseen: Foreseen | None = None,
) -> RolloutView:  # fmt: skip
    """The complete status of a rollout."""
    rollout, plan, split = carried.rollout, carried.plan, carried.split
    step = plan.steps[rollout.step]
    name = run.route.name
    others = (other for other, _ in step.others)
    arms = [v for v in (rollout.stable, rollout.candidate, *others) if v in run.route.versions]
    action, sentence, reports, evidence = _judged(run, rollout)
    lacks = run.trial.lacks(rollout, plan) if run.live and run.trial else {}
    return RolloutView(
        id=rollout.id,
        route=name,
        stable=rollout.stable,
        candidate=rollout.candidate,
        serving_stable=run.record.stable,
        strategy=plan.strategy,
        phase=rollout.phase.value,
        paused_from=rollout.paused_from.value if rollout.paused_from else None,
        health=rollout.phase.health,
        step=rollout.step + 1,
        steps=len(plan.steps),
        plan=plan_view(plan),
        weight_bp=split.candidate_bp or run.back_bp,
        measured_bp=observatory.measured_bp(
            name, rollout.stable, rollout.candidate, now, [other for other, _ in split.others]
        ),
        shares_bp=_shares(run),
        bandit=_bandit(run, step),
        mirror_bp=split.mirror_bp, batch_bp=_batch_bp(run),
        remaining_s=round(remaining_s(rollout, plan, now), 3),
        samples=run.trial.samples(rollout, plan) if run.trial else 0,
        until_samples=step.until_samples,
        revision=run.record.revision,
        attempt=rollout.attempt,
        reason=rollout.reason,
        line=rollout.line or headline(rollout.reason),
        decided_at=run.record.decided_at or None,
        actor=rollout.actor,
        age_s=round((rollout.ended if rollout.ended is not None else now) - rollout.started, 3),
        override=_override(rollout, now),
        approval=_approval(rollout, plan, now),
        action=action,
        sentence=sentence,
        gates=[_gate(report, lacks) for report in reports],
        evidence=evidence,
        versions={arm: observatory.view(name, arm, now) for arm in arms},
        in_flight={arm: observatory.in_flight(name, arm) for arm in arms},
        draining=draining(run, observatory),
        feedback=_feedback(run),
        generation=generation,
        writing=run.pending is not None,
        unsaved=bool(run.unsaved),
        waits_for=_waits_for(run, rollout, plan) if run.live else "",
        next_advance_at=run.waiting.next_at if run.live else None,
        through_at=foreseen.through_at if foreseen else None,
        risks=list(foreseen.risks) if foreseen else [],
        shadow=_shadow(run),
        notes=[*run.notes, *_alarms(run), *_coins(run, observatory, now)],
    )  # fmt: skip


def _waits_for(run: Run, rollout: Rollout, plan: Plan) -> str:
    """What keeps it besides its own time: something outside, gates that hold, what is unproven."""
    told = [run.waiting.reason]
    if run.trial is not None:
        told += holding(run.trial.judge)
        told += [] if rollout.standing else [run.trial.unproven(rollout, plan)]
    return "; ".join(filter(None, told))


def _feedback(run: Run) -> dict[str, FeedbackView]:
    """What labels said about each version, of any time since the process began."""
    return {
        name: FeedbackView(
            right=one.right,
            wrong=one.wrong,
            rewards=one.rewards,
            mean_reward=round(one.reward_sum / one.rewards, 6) if one.rewards else None,
        )
        for name, one in run.labelled.items()
    }


def _alarms(run: Run) -> Iterator[str]:
    """What is wrong with the measuring itself, and what monitors say."""
    yield from run.drift
    if run.trial is not None:
        yield from filter(None, (run.trial.shadow.alarm, run.trial.judge.router_bug))


def _coins(run: Run, observatory: Observatory, now: float) -> Iterator[str]:
    """That users of a sticky route may change their version."""
    if unread := observatory.unread_keys(run.route.name, now):
        yield (
            f"the sticky key of {count(unread, 'request')} in the last minute could not be read "
            f"(a body above buffer: {format_size(run.route.buffer)}, or none of JSON): "
            "a coin chose the version"
        )


def _shadow(run: Run) -> ShadowBrief | None:
    """The shadow in one line; None where nothing was ever copied."""
    brief = shadow_brief(run.trial.shadow) if run.trial else None
    mirrors = any(mirror.of < 0 for mirror in run.entry.mirrors)
    return brief if brief and (mirrors or brief.pairs or brief.alarm) else None


def draining(run: Run, observatory: Observatory) -> dict[str, int]:
    """Requests under way at versions that get no new ones, by version; nothing for drained ones.

    A request finishes where it began, so this is what a switch or a rollback leaves behind.
    """
    entry = run.entry
    mirrored = {mirror.version for mirror in entry.mirrors}
    counts = {
        version.name: observatory.in_flight(run.route.name, version.name)
        for index, version in enumerate(entry.versions)
        if entry.weights_bp[index] == 0 and index not in mirrored
    }
    return {name: count for name, count in counts.items() if count}


def plan_view(plan: Plan) -> PlanView:
    """The plan as people see it."""
    return PlanView(
        strategy=plan.strategy,
        ending=plan.ending.value,
        bake_s=plan.bake_s,
        max_duration_s=plan.max_duration_s,
        steps=[_step(step) for step in plan.steps],
    )


def _step(step: Step) -> StepView:
    return StepView.of({**asdict(step), "others": dict(step.others)})


def _judged(
    run: Run, rollout: Rollout
) -> tuple[str | None, str, tuple[GateReport, ...], EvidenceView | None]:
    """Action, sentence, gates and evidence: the last judgement of the attempt, if it had one."""
    if run.trial is None:
        return None, rollout.reason, (), None
    said = run.trial.judgement()
    evidence = EvidenceView(capital=said.capital, limit=said.limit)
    if run.live is None:  # why it ended is in the journal
        return None, rollout.reason, said.reports, evidence
    return said.action.value, said.sentence, said.reports, evidence


def _gate(report: GateReport, lacks: dict[str, str]) -> GateView:
    lack = lacks.get(report.gate, "")
    return GateView(name=report.gate, **structs.asdict(report_view(report)), lacks=lack)


def _shares(run: Run) -> dict[str, int]:
    """Commanded share of every version that has one."""
    shares = zip(run.entry.versions, run.entry.weights_bp, strict=True)
    return {version.name: share_bp for version, share_bp in shares if share_bp}


def _batch_bp(run: Run) -> int | None:
    """What of batch traffic goes ahead of the coin, and what of the rest is drawn."""
    if (batch := run.entry.batch) is None:
        return None
    weight_bp = _weight_bp(run)
    return round(batch.ahead_bp + (FULL_BP - batch.ahead_bp) * weight_bp / FULL_BP)


def _bandit(run: Run, step: Step) -> BanditView | None:
    """What moves the shares, with its warning; None where nothing does."""
    if step.bandit is None or run.trial is None:
        return None
    return BanditView(
        every_s=step.bandit.every_s,
        floor_bp=step.bandit.floor_bp,
        rewards={
            name: RewardView(
                count=one.count, mean=round(one.total / one.count, 6) if one.count else None
            )
            for name, one in run.trial.rewards.items()
        },
        warning="shares follow rewards, so the means are of unequal samples: no fair comparison",
    )


def _weight_bp(run: Run) -> int:
    carried = run.record.carried
    commanded = carried.split.candidate_bp if carried else 0
    return commanded or run.back_bp


def _override(rollout: Rollout, now: float) -> OverrideView | None:
    override = rollout.override
    if override is None:
        return None
    left = round(override.until - now, 3)
    return OverrideView(weight_bp=override.weight_bp, remaining_s=left)


def _approval(rollout: Rollout, plan: Plan, now: float) -> ApprovalView | None:
    approval = plan.steps[rollout.step].approval
    if approval is None or (rollout.phase, rollout.paused_from) != (Phase.AWAITING_APPROVAL, None):
        return None
    deadline = approval.deadline_s
    left = None if deadline is None else round(rollout.step_since + deadline - now, 3)
    return ApprovalView(remaining_s=left, then=approval.then.value)


def route_gauges(run: Run, observatory: Observatory) -> Iterator[Gauge]:
    """Everything about one route that is not a counter."""
    route, rollout, entry = run.route.name, run.rollout, run.entry
    for version, weight_bp in zip(entry.versions, entry.weights_bp, strict=True):
        name = version.name
        yield "weight_ratio", labels(route=route, version=name), weight_bp / FULL_BP
        in_flight = observatory.in_flight(route, name)
        yield "in_flight", labels(route=route, version=name), in_flight
        yield from _endpoints(observatory, route, name)
        tunnels = observatory.tunnels(route, name)
        if tunnels is not None:
            yield "tunnels", labels(route=route, version=name), tunnels
    if rollout is None:
        return
    yield "rollout_step", labels(route=route), rollout.step + 1
    yield "rollout_revision", labels(route=route), run.record.revision
    for phase in Phase:
        held = 1 if phase is rollout.phase else 0
        yield "rollout_phase", labels(route=route, phase=phase.value), held
    if live := run.live:
        yield from _evidence(live.trial, route)


def gauges(reconciler: Reconciler) -> Iterator[Gauge]:
    """What is true of the router as a whole."""
    yield "table_generation", (), reconciler.generation
    yield "store_up", (), 0 if reconciler.store_error else 1
    yield "frozen", (), 1 if reconciler.restraint.freezes else 0
    yield "build_info", labels(version=__version__), 1


def _endpoints(observatory: Observatory, route: str, version: str) -> Iterator[Gauge]:
    for one in observatory.readiness.view(route, version):
        series = labels(route=route, version=version, endpoint=one.endpoint)
        yield "endpoint_up", series, int(one.healthy and not one.ejected)
        yield "endpoint_in_flight", series, one.in_flight


def _evidence(trial: Trial, route: str) -> Iterator[Gauge]:
    judge = trial.judge
    for title, state in judge.states.items():
        series = labels(route=route, gate=title)
        yield "evidence", series, state.capital
        yield "evidence_limit", series, state.context.limit
    shadow = trial.shadow
    series = labels(route=route, version=shadow.terms.candidate)
    if shadow.candidate.agreement is not None:
        yield "shadow_agreement_ratio", series, shadow.candidate.agreement
    if (distance := shadow.candidate.distances.mean) is not None:
        yield "shadow_score_distance", series, distance
    if shadow.lost_share is not None:
        yield "shadow_undelivered_ratio", series, shadow.lost_share
    yield "router_bug_evidence", labels(route=route), judge.sample_ratio.best
    yield "evidence", labels(route=route, gate="all"), judge.capital
    yield "evidence_limit", labels(route=route, gate="all"), judge.limit
