"""Answers of two versions that differ, on their way to people: the client has had one already.

Pairs come as they were compared (:mod:`router.control.fleet.compare`). A share of those that differ
waits here, bounded; what was asked and answered is read with the disk's thread, for it is foreign.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from router.control.reviews.said import labels_of
from router.core.payloads import Beyond, Unreadable, unpacked
from router.core.reviews.confidence import Reason
from router.core.wire.review import ReviewItem
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from router.control.rollouts.run import Run
    from router.core.policy.review import ReviewPolicy
    from router.core.policy.route import Route
    from router.core.wire.counts import PairSample

WAITING_MAX: Final = 1_000
"""Pairs that wait for the next look at the queue, with both bodies; further ones are not asked."""

_Waiting = tuple["Route", "ReviewPolicy", "PairSample", str, float]


class Differing:
    """See the module."""

    def __init__(self, runs: Mapping[str, Run], wall: Callable[[], float]) -> None:
        """``wall``: seconds since 1970."""
        self._runs = runs
        self._wall = wall
        self._waiting: list[_Waiting] = []

    def __repr__(self) -> str:
        return f"<Differing {len(self._waiting)} pairs wait>"

    def take(self, sample: PairSample) -> None:
        """A pair of the candidate whose answers differ; a coin says whether people are asked."""
        run = self._runs.get(sample.route)
        review = run.route.review if run is not None else None
        if run is None or review is None or len(self._waiting) >= WAITING_MAX:
            return
        if random.random() * FULL_BP < review.disagreement:  # noqa: S311 - no secret
            version = sample.primary or run.record.stable
            self._waiting.append((run.route, review, sample, version, self._wall()))

    def taken(self) -> list[_Waiting]:
        """Those that wait, no more."""
        waiting, self._waiting = self._waiting, []
        return waiting


def question_of(one: _Waiting) -> ReviewItem:
    """What people are asked about a pair: as an audit, it went out and they do not see it."""
    route, review, pair, version, at = one
    request, most = b"", review.limit
    with suppress(Beyond, Unreadable):
        if len(plain := unpacked(pair.request, pair.request_coding, most)) <= most:
            request = plain
    labels = labels_of(route, pair.payload, pair.primary_body, pair.primary_coding)
    return ReviewItem(
        id=secrets.token_hex(16), route=route.name, version=version, revision=pair.revision,
        request_id=pair.request_id, reason=Reason.DISAGREEMENT, confidence=-1.0, at=at,
        labels=labels or (), request=request, content_type="application/json",
    )  # fmt: skip
