"""What a rollout will cost: copies on top, live requests in place of stable's, endpoints beside.

Of prices that the policy tells (`versions.*.price`), at a rate of requests that stays. A stage that
never ends costs nothing that could be told.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from router.core.policy.forecast import StepForecast
from router.core.policy.route import Route
from router.core.policy.version import Price
from router.core.rollout.plan import Plan
from router.core.words import FULL_BP, count, duration


def costs(
    route: Route, plan: Plan, found: Iterable[StepForecast], requests_per_s: float
) -> Iterator[str]:
    """Sentences about copies, live requests and endpoints; none without prices."""
    rollout = route.rollout
    if rollout is None or rollout.candidate not in route.versions:
        return
    version, stable = route.versions[rollout.candidate], route.versions[route.stable]
    if version.price is None:
        return
    lasting = [one.lasts_s if math.isfinite(one.lasts_s) else 0.0 for one in found]
    # Behind the steps comes the bake, in which the candidate has everything.
    shares = [(step.mirror_bp, step.weight_bp) for step in plan.steps] + [(0, FULL_BP)]
    stages = list(zip(lasting, shares, strict=False))
    copies, live = (
        sum(seconds * requests_per_s * pair[i] / FULL_BP for seconds, pair in stages)
        for i in (0, 1)
    )
    own, other = version.price, stable.price or Price()
    if copies and own.per_request:
        yield f"copies cost {_money(copies * own.per_request)} on top: {_of(copies, 'copy')}"
    if live and (own.per_request or other.per_request):
        yield (
            f"live requests cost {_money(live * own.per_request)} in place of "
            f"{_money(live * other.per_request)}: {_of(live, 'request')}"
        )
    if own.tokens and (copies or live):
        yield (
            f"tokens are not foreseen: of {round(copies + live):,} copies and requests, each 1,000 "
            f"tokens cost {own.per_1k_input_tokens:g} in and {own.per_1k_output_tokens:g} out"
        )
    if own.per_hour and any(lasting):
        hours, number = sum(lasting) / 3_600.0, len(version.endpoints)
        yield (
            f"{count(number, 'endpoint')} beside stable's for {duration(sum(lasting))} cost "
            f"{_money(hours * number * own.per_hour)}"
        )


def _of(number: float, what: str) -> str:
    return f"{round(number):,} copies" if what == "copy" else count(round(number), what)


def _money(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 0.005 else f"{amount:.2g}"
