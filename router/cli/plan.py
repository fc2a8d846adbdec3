"""``rampway plan``: the steps that a policy stands for."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypedDict

from router.cli.check import expected
from router.cli.exits import Exit, VerbFailed
from router.cli.output import Format, Output
from router.cli.parse import Argument, Option
from router.cli.say import echo
from router.cli.show import columns, emit
from router.config.check import load
from router.config.problems import PolicyError
from router.core.policy import Policy, RolloutPolicy, Route
from router.core.policy.cost import costs
from router.core.policy.forecast import seconds_left, stages
from router.core.policy.passing import passing
from router.core.policy.power import ExpectedTraffic
from router.core.policy.risk import exposed, unjudged, unseen, watched
from router.core.rollout.plan import Default, Plan, Step
from router.core.words import FULL_BP, count, duration, percent

HEADINGS = ("STEP", "WEIGHT", "MIRROR", "AT LEAST", "LEFT WHEN")


def run(
    policy: Annotated[Path, Argument("Policy file.")],
    route: Annotated[str, Argument("Only this route.")] = "",
    requests: Annotated[
        str, Option("Requests of each route, such as 1/m: says when it will be through.", "--rate")
    ] = "",
    stable: Annotated[str, Option("Bad answers of stable, with --rate.")] = "1%",
    output: Format = Output.TABLE,
) -> None:
    """What each rollout of a policy would do: its steps, its risks, and when it is through."""
    plans, traffic = _plans(policy, route), expected(requests, stable)
    if output is Output.JSON:
        told = {n: {**asdict(p), **_foreseen(r, traffic)} for n, (r, _, p) in plans.items()}
        emit({"routes": told})
        return
    texts = [[*_lines(n, v, p), *_risks(r, traffic)] for n, (r, v, p) in plans.items()]
    echo("\n\n".join("\n".join(lines) for lines in texts))


def _plans(path: Path, route: str) -> dict[str, tuple[Route, str, Plan]]:
    try:
        policy: Policy = load(path).policy
    except PolicyError as error:
        raise VerbFailed(Exit.USAGE, f"{path} cannot be used\n{error}") from None
    if route and route not in [known.name for known in policy.routes]:
        raise VerbFailed(Exit.USAGE, f"{path} has no route {route}")
    found = {
        made.name: (
            made,
            f"{made.stable} -> {made.rollout.candidate}{_each(made)}",
            made.rollout.plan(),
        )
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
    mirror += " of users" if step.mirror_users and step.mirror_bp else ""
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


# --- what it risks, and when it is through --------------------------------------------------------


class ForeseenPlan(TypedDict, total=False):
    """Without a rollout nothing; the last two only where the traffic is known."""

    unjudged: list[str]
    unseen: list[str]
    exposed: list[str]
    through_s: float | None
    costs: list[str]


def _foreseen(route: Route, traffic: ExpectedTraffic | None) -> ForeseenPlan:
    """The same as :func:`_risks` says, for machines; ``through_s`` from now, None where never."""
    policy = route.rollout
    if policy is None:
        return {}
    told: ForeseenPlan = {
        "unjudged": list(unjudged(policy)),
        "unseen": list(unseen(policy, traffic.stable_bad_rate if traffic else None)),
        "exposed": [*exposed(route, policy), *watched(route)],
    }
    if traffic is not None:
        found = stages(
            policy, traffic.requests_per_s, traffic.stable_bad_rate, sampled=route.sampled
        )
        forecast = list(found)
        left = seconds_left(iter(forecast))
        told["unseen"] = [*told["unseen"], *passing(policy, traffic)]
        told["through_s"] = left if math.isfinite(left) else None
        told["costs"] = list(costs(route, policy.plan(), forecast, traffic.requests_per_s))
    return told


def _risks(route: Route, traffic: ExpectedTraffic | None) -> Iterator[str]:
    told, policy = _foreseen(route, traffic), route.rollout
    if policy is None:
        return
    ways = told["unjudged"] or ["none; only a person's `promote` goes on without proof"]
    yield "ways to all traffic that nothing judges:"
    yield from (f"  {one}" for one in ways)
    yield "what passes unseen:"
    yield from (f"  {one}" for one in told["unseen"])
    yield from told["exposed"]
    if traffic is None:
        yield "when it will be through: say how many requests there are, such as --rate 1/m"
        return
    yield from foretold(policy, traffic, time.time(), route.sampled)
    yield from told["costs"]


def foretold(
    policy: RolloutPolicy, traffic: ExpectedTraffic, now: float, sampled: float = 1.0
) -> Iterator[str]:
    """When a candidate as good as stable is through, as a date, and what takes longest."""
    found = list(stages(policy, traffic.requests_per_s, traffic.stable_bad_rate, sampled=sampled))
    left = seconds_left(iter(found))
    at = f"at {rate_text(traffic.requests_per_s)}"
    stuck = next((one for one in found if not math.isfinite(one.lasts_s)), None)
    if stuck is not None:
        yield f"{at} this is never through: {stuck.name} waits for {stuck.because}"
        return
    asks = " (and a person is asked)" if any(one.asks for one in found) else ""
    yield f"{at} this takes until {date(now, left)}{asks}"
    longest = max(found, key=lambda one: one.lasts_s)
    if longest.because:
        yield f"  longest: {longest.name}, {duration(longest.lasts_s)}, for {longest.because}"


def rate_text(per_s: float) -> str:
    """``1 request a minute``, ``50 requests a second``."""
    number, unit = next(
        (per_s * s, u) for s, u in ((1, "second"), (60, "minute"), (3_600, "hour"), (86_400, "day"))
        if per_s * s >= 1 - 1e-9 or u == "day"
    )  # fmt: skip
    return f"{number:.3g} request{'' if round(number, 2) == 1 else 's'} a {unit}"


def date(now: float, seconds: float) -> str:
    """``Tuesday 14:00``, with the day of the month where a weekday is not enough."""
    at = datetime.fromtimestamp(now + seconds).astimezone()
    return f"{at:%A %H:%M}" if seconds < WEEK_S else f"{at:%A %-d %B %Y %H:%M}"


WEEK_S = 6 * 86_400
