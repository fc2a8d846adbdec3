"""What versions and people said, as labels and truths."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from router.core.logged.truth import TrueValue, Truth
from router.core.payloads import Beyond, Unreadable, unpacked
from router.core.policy.kept import likeness_of
from router.core.predictions.rows import answer_rows
from router.core.reviews.confidence import Reason

if TYPE_CHECKING:
    from router.control.reviews.book import StoredQuestion
    from router.core.policy.route import Route
    from router.core.wire.counts import PairSample


def differs(
    route: Route, labels_said: Sequence[TrueValue | None], said: TrueValue | list[TrueValue]
) -> bool | None:
    """Whether people overruled the version; None where it said nothing that can be compared."""
    if not labels_said:
        return None
    answers = said if isinstance(said, list) else [said]
    likeness = likeness_of(route)
    found = [likeness.right(one, answer) for one, answer in zip(labels_said, answers, strict=False)]
    known = [right for right in found if right is not None]
    return None if not known else not all(known)


def said_of(route: Route, one: PairSample) -> tuple[TrueValue | None, ...] | None:
    """What a copy predicted, a row each; None: it cannot be read."""
    return labels_of(route, one.payload, one.shadow_body, one.shadow_coding)


def labels_of(
    route: Route, payload: str, body: bytes, coding: str
) -> tuple[TrueValue | None, ...] | None:
    """What an answer predicted, a row each; None: it cannot be read.

    ``payload``: that of its path; empty: the route's.
    """
    declared = route.declared
    try:
        rows = answer_rows(payload or route.payload, unpacked(body, coding), declared)
    except (Beyond, Unreadable):
        return None
    found = [row.label if declared.label else row.score for row in rows]
    return tuple(one if isinstance(one, bool | int | float | str) else None for one in found)


def truths_of(kept: StoredQuestion) -> list[Truth]:
    """What the log is told of a decision, a row each.

    Where people serve it is their answer, which copies are held against. Of an audit it is both:
    the truth, and an answer beside the version's. What a version was unsure of, and what two
    versions said differently, is the truth alone, and as such no evidence: such requests were
    chosen by what had been said of them.
    """
    if kept.state != "decided":
        return []
    said = json.loads(kept.verdict)
    item = kept.item
    made = []
    for row, one in enumerate(said if isinstance(said, list) else [said]):
        if item.reason == Reason.PERSON:
            made.append(Truth(item.request_id, row, answer=one))
        elif item.reason == Reason.AUDIT:
            made.append(Truth(item.request_id, row, label=one, answer=one, source="human"))
        else:
            made.append(Truth(item.request_id, row, label=one, source="review"))
    return made
