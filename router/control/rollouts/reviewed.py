"""Which answers of a route people are asked about, as the rollout stands now."""

from __future__ import annotations

from router.control.state.record import RouteRecord
from router.core.policy.review import ReviewPolicy
from router.core.policy.route import Route
from router.core.rollout.rollout import Phase
from router.core.strategies.automation import alone
from router.core.wire.review import ReviewEntry, ReviewTerms
from router.core.words import FULL_BP


def review_entry(route: Route, record: RouteRecord, review: ReviewPolicy) -> ReviewEntry:
    """Where a version answers without people, only what is routed to people is theirs."""
    carried, declared = record.carried, route.declared
    over = carried is not None and carried.rollout.phase is Phase.COMPLETED
    sole = carried is not None and (over or record.live is not None) and alone(
        carried.plan, carried.rollout.step, over=over
    )  # fmt: skip
    return ReviewEntry(
        0.0 if sole else review.below / FULL_BP, 0 if sole else review.audit,
        review.score == "probability", declared.label, declared.score, review.then,
        review.deadline, review.held, review.limit,
        tuple(index for index, name in enumerate(route.versions) if route.person(name)),
        review_terms(review),
    )  # fmt: skip


def review_terms(review: ReviewPolicy) -> ReviewTerms:
    """What becomes of a question of the route."""
    return ReviewTerms(
        review.within, review.second, review.open, stands=review.otherwise == "version"
    )
