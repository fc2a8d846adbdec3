"""Answers that are read for how sure their version is of them: `review:` of a route.

An answer is held until it is whole. What its version is sure of goes out; about the rest people are
asked, and about a random share of the sure ones beside their going out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from router.core.payloads import Beyond, Unreadable, unpacked
from router.core.predictions.rows import Declared, answer_rows, number_of
from router.core.reviews.confidence import Reason, confidence, least
from router.proxy.coin import coin
from router.proxy.pairing import coding_of
from router.proxy.reading import AnswerReading
from router.proxy.streams import event_stream

if TYPE_CHECKING:
    from router.core.wire.review import ReviewEntry
    from router.http1 import RequestHead, ResponseHead
    from router.proxy.serving import ServedRoute, ServedVersion

TEXT_CHARS_MAX: Final = 500
"""Of a label that people see."""
_ASKING: Final = frozenset((b"POST", b"PUT", b"PATCH"))


def review_of(
    route: ServedRoute, review: ReviewEntry, version: ServedVersion, request: RequestHead,
    head: ResponseHead,
) -> AnswerReading | None:  # fmt: skip
    """What reads this answer for people; None: it is none that they are asked about."""
    person = version.index in review.people
    asked = person or ((review.below or review.audit_bp) and request.method in _ASKING)
    if head.status // 100 != 2 or not asked or (event_stream(head) and not person):
        return None
    return Weighing(route, review, head, route.payload_of(request.path), person=person)


class Weighing(AnswerReading):
    """Holds an answer until it is whole, and says whether people are asked about it."""

    __slots__ = ("confidence", "labels", "payload", "person", "plain", "reason", "review")

    def __init__(
        self, route: ServedRoute, review: ReviewEntry, head: ResponseHead, payload: str,
        *, person: bool,
    ) -> None:  # fmt: skip
        super().__init__(route, head, holds=True)
        self.review = review
        self.payload = payload
        self.person = person
        self.reason: Reason | None = None
        self.confidence = -1.0
        self.labels: tuple[Any, ...] = ()
        self.plain = b""

    def more(self, piece: bytes, complete: bool) -> bool:
        """A piece came; True: the answer is whole, or too large to be looked at."""
        self.body += piece
        if len(self.body) > self.review.bytes_max:
            self.unreadable = self.withheld = True
            return True
        if complete:
            self.reason = Reason.PERSON if self.person else self._weigh()
            if self.reason not in (None, Reason.AUDIT):
                self.said = self.head, bytes(self.body)
        return complete

    def due(self, now: float, since: float) -> float:  # noqa: ARG002 - bounded is each silence
        """When the version has to have said more; ``since``: the attempt's beginning."""
        return now + self.route.body_s

    def _weigh(self) -> Reason | None:
        """Why people are asked, if they are."""
        review = self.review
        declared = Declared(review.label, review.score)
        try:
            self.plain = unpacked(bytes(self.body), coding_of(self.head), review.bytes_max)
            rows = answer_rows(self.payload, self.plain, declared)
        except (Beyond, Unreadable):
            return Reason.UNREADABLE
        self.labels = tuple(_label(row.label if review.label else row.score) for row in rows)
        sure = least([
            confidence(number_of(row.score), probability=review.probability) for row in rows
        ])  # fmt: skip
        self.confidence = -1.0 if sure is None else sure
        if review.below and (sure is None or sure < review.below):
            return Reason.UNSURE
        return Reason.AUDIT if review.audit_bp and coin() < review.audit_bp else None


def _label(value: Any) -> bool | float | str | None:
    if isinstance(value, str):
        return value[:TEXT_CHARS_MAX]
    return value if isinstance(value, bool | int | float) else None
