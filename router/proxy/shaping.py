"""Answers that say less than the version did: `answers: {round: 2, drop: [...]}`.

An answer is held until it is whole, read, and written anew: without a coding, with a length of its
own, and without the fields that speak of the bytes it had (ETag, digests). What is no JSON, is
larger than the limit, or cannot be read is not let out where the policy is strict: or asking for a
stream, for parts or for another coding would be the way around it. The version is asked for none.
Errors of the version (`errors`) and answers other than 2xx that are no JSON pass as they are.

Versions are compared by what they said themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from router.core.foreign import ANSWER
from router.core.payloads import Beyond, Unreadable, unpacked
from router.core.payloads.shaping import shaped
from router.http1.messages import LENGTH
from router.proxy.pairing import coding_of
from router.proxy.reading import AnswerReading

if TYPE_CHECKING:
    from router.core.wire.protection import AnswersEntry
    from router.http1 import RequestHead, ResponseHead
    from router.proxy.serving import ServedRoute

UNASKED: Final = frozenset((b"accept-encoding", b"if-range", b"range", b"te"))
"""Request fields that would bring an answer in a form that is not read."""
OF_BYTES: Final = frozenset((
    b"accept-ranges", b"content-digest", b"content-encoding", b"content-md5", b"digest", b"etag",
    b"repr-digest",
))  # fmt: skip
"""Answer fields that are true of the very bytes only."""
BODILESS: Final = frozenset((204, 205, 304))


def asking(head: RequestHead) -> RequestHead:
    """The request as a version gets it whose answer is to be read."""
    return head.without(UNASKED) if head.has_any(UNASKED) else head


def shaping_of(
    route: ServedRoute, answers: AnswersEntry, method: bytes, head: ResponseHead
) -> AnswerReading | None:
    """What shapes this answer; None: it goes out as it is."""
    if method == b"HEAD" or head.status in BODILESS:
        return None
    media = (head.get(b"content-type") or b"").partition(b";")[0].strip().lower()
    json = media == b"application/json" or media.endswith(b"+json")
    if json and head.status != 206:
        return Shaping(route, answers, head)
    if head.status // 100 != 2:
        return None
    _count(route, well=False)
    return Withheld(route, head, holds=True) if answers.strict else None


class Shaping(AnswerReading):
    """Holds a JSON answer until it is whole, and then says less."""

    __slots__ = ("answers",)

    def __init__(self, route: ServedRoute, answers: AnswersEntry, head: ResponseHead) -> None:
        super().__init__(route, head, holds=True)
        self.answers = answers

    def more(self, piece: bytes, complete: bool) -> bool:
        """A piece came; True: the answer is whole, or too large."""
        self.body += piece
        if len(self.body) > self.answers.bytes_max:
            self._give_up()
            return True
        if complete:
            self._shape(bytes(self.body))
        return complete

    def due(self, now: float, since: float) -> float:  # noqa: ARG002 - bounded is each silence
        """When the version has to have said more; ``since``: the attempt's beginning."""
        return now + self.route.body_s

    def _shape(self, body: bytes) -> None:
        answers, head = self.answers, self.head
        digits = answers.digits if answers.digits >= 0 else None
        try:
            plain = unpacked(body, coding_of(head), answers.bytes_max)
            less = shaped(plain, digits, frozenset(answers.drop), ANSWER)
        except (Beyond, Unreadable):
            self._give_up()
            return
        _count(self.route, well=True)
        self.said = head, body
        self.head = head.but([field for field in head.fields if field.low not in OF_BYTES])
        self.head.framing, self.head.length = LENGTH, len(less)
        self.body = bytearray(less)

    def _give_up(self) -> None:
        _count(self.route, well=False)
        self.unreadable = self.withheld = self.answers.strict


class Withheld(AnswerReading):
    """An answer that does not leave, whatever is in it."""

    __slots__ = ()

    def more(self, piece: bytes, complete: bool) -> bool:  # noqa: ARG002 - nobody reads it
        """True: it is over at once."""
        self.unreadable = self.withheld = True
        return True

    def due(self, now: float, since: float) -> float:  # noqa: ARG002 - it is over
        """Now."""
        return now


def _count(route: ServedRoute, *, well: bool) -> None:
    counts = route.counts
    counts.dirty = True
    if well:
        counts.answers_shaped += 1
    else:
        counts.answers_unshaped += 1
