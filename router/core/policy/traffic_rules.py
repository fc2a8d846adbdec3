"""Rules about whose requests are copied, go first, and are put to people; see `rules`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from router.core.policy.finding import Finding

if TYPE_CHECKING:
    from router.core.policy.route import Route


def traffic_told_apart(route: Route) -> Iterator[Finding]:
    """What is said of users, of batch traffic and of pairs has what it needs."""
    steps = route.rollout.plan().steps if route.rollout is not None else ()
    if route.sticky is None and any(step.mirror_users for step in steps):
        message = (
            "expected sticky beside mirror.unit: user, which says whose a request is, got none"
        )
        yield Finding(("rollout", "strategy"), message, "add sticky: {header: X-User-Id}")
    if route.priority is not None and route.rollout is None:
        message = "nobody goes first: without a rollout there is no candidate"
        hint = "what waits in a full queue makes room all the same"
        yield Finding(("priority",), message, hint, error=False)
    review = route.review
    if review is None or not review.disagreement:
        return
    if route.payload == "opaque":
        message = "expected a payload beside review.disagreement: nobody can tell what differs"
        yield Finding(("review", "disagreement"), message, "add payload: json, or another one")
    reverse = route.rollout is not None and route.rollout.compare.reverse
    if not reverse and not any(step.mirror_bp for step in steps):
        message = "no answers differ: nothing is copied on this route"
        hint = "add mirror to a step of the rollout"
        yield Finding(("review", "disagreement"), message, hint, error=False)
