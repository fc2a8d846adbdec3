"""What people see of the review queue."""

from __future__ import annotations

from typing import Any

from router.control.reviews.book import QueueStanding, ReviewCounts
from router.control.told.view import View
from router.core.policy.review import ReviewPolicy
from router.core.reviews.agreement import kappa
from router.core.words import FULL_BP


class RatedView(View, frozen=True, kw_only=True):
    """What became of the questions about a version, for one reason."""

    decided: int
    overruled: int
    """Of those: people said otherwise."""
    expired: int
    """Nobody has answered in time."""
    overrule_rate: float | None
    """0 to 1; null: none was decided."""


class RouteReviews(View, frozen=True, kw_only=True):
    """The queue of one route."""

    open: int
    claimed: int
    """Of those: somebody has them."""
    oldest: float | None
    """Since when the oldest one waits, seconds since 1970."""
    below: float
    """Confidence below which people are asked, 0 to 1."""
    audit: float
    """Share of the others about which they are asked, 0 to 1."""
    then: str
    """hold | provisional | refuse."""
    versions: dict[str, dict[str, RatedView]]
    """By version and reason: unsure, unreadable, audit, person, disagreement."""
    kappa: float | None
    """How far two people agree beyond chance, -1 to 1; null: nobody knows."""
    twice: int
    """Questions that two people answered."""


class ReviewsView(View, frozen=True, kw_only=True):
    """Questions for people, by route."""

    routes: dict[str, RouteReviews]


class QuestionView(View, frozen=True, kw_only=True):
    """A question as a person gets it."""

    id: str
    route: str
    request_id: str
    at: float
    """When it was asked, seconds since 1970."""
    due: float
    """When people's time is over."""
    lease: float
    """Until when it is the caller's."""
    reason: str
    target: str
    """What the request asked, path and query."""
    content_type: str
    request: Any
    """Its body; null where it is not kept."""
    version: str
    """Who answered; empty where that is not told."""
    confidence: float | None
    said: list[bool | float | str | None] | None
    """What it predicted, a row each; null where that is not told, since it would lead."""


class ClaimedView(View, frozen=True, kw_only=True):
    """Questions that are the caller's."""

    reviewer: str
    items: list[QuestionView]


class ReviewedView(View, frozen=True, kw_only=True):
    """How a question stands."""

    id: str
    state: str
    """open | decided."""


def route_reviews(policy: ReviewPolicy, standing: QueueStanding) -> RouteReviews:
    """The queue of a route with this policy."""
    return RouteReviews(
        open=standing.open, claimed=standing.claimed, oldest=standing.oldest,
        below=policy.below / FULL_BP, audit=policy.audit / FULL_BP, then=policy.then,
        kappa=kappa(standing.pairs), twice=sum(standing.pairs.values()),
        versions={
            version: {reason: _rated(counts) for reason, counts in reasons.items()}
            for version, reasons in standing.versions.items()
        },
    )  # fmt: skip


def _rated(counts: ReviewCounts) -> RatedView:
    decided, overruled, expired = counts
    return RatedView(
        decided=decided, overruled=overruled, expired=expired,
        overrule_rate=overruled / decided if decided else None,
    )  # fmt: skip
