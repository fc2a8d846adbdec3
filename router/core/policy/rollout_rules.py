"""Rules that span several fields of one rollout; see `rules`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from router.core.policy.finding import Finding, KeyPath
from router.core.policy.rollout import RolloutPolicy
from router.core.position import Position
from router.core.quantities import format_duration, format_share
from router.core.rollout.plan import Default, Ending
from router.core.strategies import ApprovalPolicy, BlueGreen, Canary, Shadow
from router.core.words import FULL_BP


def weights_grow(rollout: RolloutPolicy) -> Iterator[Finding]:
    """A ramp that goes down takes users back out of the candidate."""
    for path, part in rollout.parts:
        steps = part.steps if isinstance(part, Canary) else ()
        written = [(index, s.weight) for index, s in enumerate(steps) if s.weight is not None]
        for (_, before), (index, weight) in pairwise(written):
            if weight < before:
                message = f"the weight falls from {format_share(before)} to {format_share(weight)}"
                hint = "users who had the candidate lose it again"
                yield Finding((*path, "steps", index, "weight"), message, hint, error=False)


def steps_last(rollout: RolloutPolicy) -> Iterator[Finding]:
    """A plateau that nothing keeps up is passed within a second, before anything is seen."""
    if rollout.hooks_at("confirm_traffic_increase"):
        return
    for path, part in rollout.parts:
        if not isinstance(part, Canary):
            continue
        steps = part.plan().steps
        mixed = [index for index, step in enumerate(steps) if 0 < step.weight_bp < FULL_BP]
        proved = mixed[-1:] if rollout.promotion else []
        told: set[KeyPath] = set()
        for index in mixed:
            step = steps[index]
            written = index < len(part.steps)
            here: KeyPath = (*path, "steps", index) if written else (*path, "ramp")
            kept = step.hold_s or step.until_samples or step.approval or step.proof
            if kept or index in proved or here in told:
                continue
            told.add(here)
            message = (
                f"a step at {format_share(step.weight_bp)} without hold, until or approval "
                "ends at once"
            )
            yield Finding(here, message, "add hold: 10m or until: {samples: 1000}", error=False)


def approvals_end(rollout: RolloutPolicy) -> Iterator[Finding]:
    """An action at the deadline needs a deadline."""
    for path, approval in _approvals(rollout):
        acts = approval.then.value != "hold"
        if acts and approval.deadline is None:
            message = f"expected a deadline after which it will {approval.then.value}, got none"
            yield Finding(path, message, f"add deadline: 4h, or remove then: {approval.then.value}")


def _approvals(rollout: RolloutPolicy) -> Iterator[tuple[KeyPath, ApprovalPolicy]]:
    for path, part in rollout.parts:
        if isinstance(part, Canary):
            for index, step in enumerate(part.steps):
                if step.approval is not None:
                    yield (*path, "steps", index, "approval"), step.approval
        elif isinstance(part, BlueGreen | Shadow) and part.approval is not None:
            yield (*path, "approval"), part.approval


def gates_useful(rollout: RolloutPolicy) -> Iterator[Finding]:
    """Gates exist, have names of their own, and pairs to compare where they need pairs."""
    if not rollout.gates and rollout.max_bad_responses is None:
        message = "no gates and no max_bad_responses: nothing can take the candidate back"
        yield Finding(("gates",), message, "remove gates to have error_rate and guard", error=False)
    titles: set[str] = set()
    for index, gate in enumerate(rollout.gates):
        if gate.title in titles:
            message = f"expected a name of its own for a second gate of a kind, got {gate.title!r}"
            yield Finding(("gates", index), message, f"write name: {gate.title}-2 into it")
        titles.add(gate.title)
    shares = sum(gate.share or 0 for gate in rollout.gates)
    if shares > FULL_BP:
        message = (
            f"expected shares of the gates of at most 100% together, got {format_share(shares)}"
        )
        yield Finding(("gates",), message)


def shares_bet(rollout: RolloutPolicy) -> Iterator[Finding]:
    """A share of the evidence belongs to gates that hold evidence."""
    for index, gate in enumerate(rollout.gates):
        if gate.share is not None and not (gate.convicts and gate.bets):
            why = "rolls nobody back" if gate.bets else "holds no evidence"
            message = f"expected no share for {gate.title}, which {why}"
            yield Finding(("gates", index, gate.kind, "share"), message, "remove it")


def something_judges(rollout: RolloutPolicy) -> Iterator[Finding]:
    """All traffic is reached by what something judged, or by a person's word: never by the clock.

    A switch after a preview without copies, with no gate that asks outside, would wait for ever.
    """
    plan = rollout.plan()
    acting = [gate for gate in rollout.gates if gate.convicts and not gate.paired]
    if plan.ending is Ending.KEEP or not acting or any(not gate.bets for gate in acting):
        return
    for index, step in enumerate(plan.steps):
        following = plan.steps[index + 1] if index + 1 < len(plan.steps) else None
        place = Position(step.weight_bp, step.mirror_bp, bool(rollout.compare.reverse))
        if any(place.teaches(gate) for gate in acting) or step.blind:
            return
        asked = step.approval is not None and step.approval.then is not Default.PROMOTE
        if asked:
            return
        if following is None or following.weight_bp == FULL_BP:
            message = (
                f"{rollout.candidate} would get all traffic by the clock alone: nothing judges it "
                f"in {step.label or f'step {index + 1}'}"
            )
            hint = "add mirror: 100% there, or approval: {}, or until: {samples: 0} to mean it"
            yield Finding(("strategy",), message, hint)
            return


def whole_traffic_watched(rollout: RolloutPolicy) -> Iterator[Finding]:
    """At 100 % there is nothing to compare with: some gate must look at the candidate alone."""
    plan = rollout.plan()
    whole_s = sum(step.hold_s for step in plan.steps if step.weight_bp == FULL_BP)
    if plan.ending is Ending.PROMOTE:
        whole_s += plan.bake_s
    acting = [gate for gate in rollout.gates if gate.convicts]
    if not whole_s or not acting or rollout.max_bad_responses is not None:
        return
    if all(gate.coin or gate.paired for gate in acting):
        known = ", ".join(gate.title for gate in acting)
        message = (
            f"no gate can be decided at 100%, where the candidate is for {format_duration(whole_s)}"
            f": {known} compare it with stable's answers of the same time"
        )
        yield Finding(("gates",), message, "add guard: {error_rate: 5%}", error=False)


def copies_useful(rollout: RolloutPolicy) -> Iterator[Finding]:
    """Second calls to stable, and copies of the candidate's requests, need requests to copy."""
    steps = rollout.plan().steps
    if rollout.compare.noise and not any(step.mirror_bp for step in steps):
        message = "noise is never learnt: no step mirrors"
        yield Finding(("compare", "noise"), message, "add mirror to a step", error=False)
    if rollout.compare.reverse and not any(step.weight_bp for step in steps):
        message = "reverse copies nothing: the candidate never answers a client"
        hint = "remove it, or add then: {canary: ...}"
        yield Finding(("compare", "reverse"), message, hint, error=False)


def proof_possible(rollout: RolloutPolicy) -> Iterator[Finding]:
    """A proof needs a step in which both versions answer."""
    mixed = any(0 < step.weight_bp < FULL_BP for step in rollout.plan().steps)
    if rollout.promotion is not None and not mixed:
        message = (
            "expected a step with a weight between 0% and 100%, which the proof needs, got none"
        )
        yield Finding(("promotion",), message, "both versions must answer at the same time")


def duration_suffices(rollout: RolloutPolicy) -> Iterator[Finding]:
    """A maximum below the sum of the holds ends every rollout without a decision."""
    plan = rollout.plan()
    holds_s = sum(step.hold_s for step in plan.steps) + plan.bake_s
    if rollout.max_duration is not None and rollout.max_duration < holds_s:
        message = (
            f"expected at least the holds and the bake together ({format_duration(holds_s)}), got "
        )
        message += format_duration(rollout.max_duration)
        yield Finding(("max_duration",), message)


def rescue_useful(rollout: RolloutPolicy) -> Iterator[Finding]:
    """A shadow answers nobody, so nobody needs rescue from it."""
    alone = isinstance(rollout.strategy, Shadow) and rollout.strategy.then is None
    if alone and rollout.rescue is not None:
        message = "rescue has nothing to do in a shadow, which answers no client"
        yield Finding(("rescue",), message, "remove it", error=False)


def hooks_useful(rollout: RolloutPolicy) -> Iterator[Finding]:
    """Hooks have names of their own, and are asked at points that come."""
    titles: set[str] = set()
    for index, hook in enumerate(rollout.hooks):
        path: KeyPath = ("hooks", index, hook.point)
        if hook.title in titles:
            message = f"expected a name of its own for a second hook, got {hook.title!r} again"
            yield Finding(path, message, f"write name: {hook.title}-2 into it")
        titles.add(hook.title)
        if hook.point == "confirm_promotion" and rollout.plan().ending is Ending.KEEP:
            message = "confirm_promotion is never asked: this strategy keeps stable"
            yield Finding(path, message, "remove it", error=False)


ROLLOUT_RULES: tuple[Callable[[RolloutPolicy], Iterator[Finding]], ...] = (
    weights_grow,
    steps_last,
    approvals_end,
    gates_useful,
    something_judges,
    shares_bet,
    whole_traffic_watched,
    copies_useful,
    proof_possible,
    duration_suffices,
    rescue_useful,
    hooks_useful,
)
