"""``rampway plan``: the steps that a policy stands for."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import click

from router.cli.exits import Exit, VerbFailed
from router.cli.options import Format, Output
from router.cli.parse import Argument
from router.cli.show import columns, emit
from router.config.check import load
from router.config.problems import PolicyError
from router.core.policy import Policy, Route
from router.core.rollout.plan import Default, Plan, Step
from router.core.wire.outcomes import FULL_BP
from router.core.words import count, duration, percent

HEADINGS = ("STEP", "WEIGHT", "MIRROR", "AT LEAST", "LEFT WHEN")


def run(
    policy: Annotated[Path, Argument("Policy file.")],
    route: Annotated[str, Argument("Only this route.")] = "",
    output: Format = Output.TABLE,
) -> None:
    """What each rollout of a policy would do, step by step, and how long at least it takes."""
    plans = _plans(policy, route)
    if output is Output.JSON:
        emit({"routes": {name: asdict(plan) for name, (_, plan) in plans.items()}})
        return
    click.echo("\n\n".join("\n".join(_lines(name, *found)) for name, found in plans.items()))


def _plans(path: Path, route: str) -> dict[str, tuple[str, Plan]]:
    try:
        policy: Policy = load(path).policy
    except PolicyError as error:
        raise VerbFailed(Exit.USAGE, f"{path} cannot be used\n{error}") from None
    if route and route not in [known.name for known in policy.routes]:
        raise VerbFailed(Exit.USAGE, f"{path} has no route {route}")
    found = {
        made.name: (f"{made.stable} -> {made.rollout.candidate}{_each(made)}", made.rollout.plan())
        for made in policy.routes
        if made.rollout is not None and route in ("", made.name)
    }
    if not found:
        raise VerbFailed(Exit.USAGE, f"there is no rollout in {route or path}")
    return found


def _lines(name: str, versions: str, plan: Plan) -> list[str]:
    rows = [_row(number, step) for number, step in enumerate(plan.steps, 1)]
    if plan.bake_s:
        rows.append(("bake", percent(FULL_BP), "-", duration(plan.bake_s), "no gate holds"))
    least_s = sum(step.hold_s for step in plan.steps) + plan.bake_s
    ends = {"promote": "the candidate becomes stable", "keep": "stable stays stable"}
    tail = [f"then {ends[plan.ending]}; at least {duration(least_s)} in all"]
    if plan.max_duration_s is not None:
        tail.append(f"after {duration(plan.max_duration_s)}: {plan.on_inconclusive}")
    table = columns(HEADINGS, rows).splitlines()
    return [f"{name}: {versions}, {plan.strategy}", *table, *tail]


def _each(route: Route) -> str:
    """For whom the plan is carried out, where that is not everybody."""
    each = route.rollout.for_each if route.rollout else None
    if each is None:
        return ""
    rest = " and for the rest" if each.rest == "rollout" else ""
    return f" (for each {each.key} of {', '.join(each.values)}{rest})"


def _row(number: int, step: Step) -> tuple[str, ...]:
    label = f" {step.label}" if step.label else ""
    weight = f"up to {percent(step.weight_bp)}" if step.auto else percent(step.weight_bp)
    weight = ", ".join([weight, *(f"{name} {percent(bp)}" for name, bp in step.others)])
    mirror = percent(step.mirror_bp) if step.mirror_bp else "-"
    held = duration(step.hold_s) if step.hold_s else "-"
    return (f"{number}{label}", weight, mirror, held, " and ".join(_conditions(step)))


def _conditions(step: Step) -> list[str]:
    made: list[Any] = ["no gate holds"]
    if step.until_samples:
        made.append(count(step.until_samples, "sample"))
    if step.auto:
        made.append("the ramp has reached it")
    if step.bandit is not None:
        made.append(f"shares follow rewards every {duration(step.bandit.every_s)}")
    if step.proof:
        made.append("proven not worse")
    if step.approval is not None:
        limit = step.approval.deadline_s
        default = "" if limit is None else f" (after {duration(limit)}: {step.approval.then})"
        quiet = limit is None or step.approval.then is Default.HOLD
        made.append("approved" if quiet else f"approved{default}")
    return made
