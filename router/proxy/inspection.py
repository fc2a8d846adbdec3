"""Answers that are read before a client sees them: what `rescue: {on: [schema]}` asks for.

A status says that a version answered, not that it answered the question. Every answer to a POST on
such a route is read by the route's payload, of both versions, so that two equal ones stay equal in
the evidence. One whose failure could still be replayed is held until it is whole; a connection that
is lost, or silence, in the middle of it is then nothing that a client has seen. The others are read
beside their going out, and only counted.

Not read are answers larger than `answer_buffer`, also when unpacked, event streams (holding them
would be their end), parts (206), and bodies under a coding that is not known.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from router.config.payloads import payload
from router.core.payloads import Beyond, Unreadable, unpacked
from router.proxy.pairing import coding_of
from router.proxy.reading import AnswerReading
from router.proxy.shaping import shaping_of
from router.proxy.streams import FirstToken, event_stream
from router.proxy.weighing import review_of

if TYPE_CHECKING:
    from router.http1 import RequestHead, ResponseHead
    from router.proxy.serving import ServedRoute, ServedVersion

WITHOUT_ANSWER: Final = frozenset((204, 205, 206))
"""Of the 2xx, those whose body is none or a part (RFC 9110 section 15.3)."""


def reading_of(
    route: ServedRoute, request: RequestHead, head: ResponseHead, version: ServedVersion
) -> AnswerReading | None:
    """What reads this answer to that request; None: it goes out unread."""
    method = request.method
    if (review := route.entry.review) is not None:
        return review_of(route, review, version, request, head)
    if (answers := route.entry.answers) is not None:
        shaping = shaping_of(route, answers, method, head)
        if shaping is not None:
            return shaping
    if head.status // 100 != 2:
        return None
    if event_stream(head):
        return FirstToken(route, head, holds=True) if route.first_token_s else None
    unread = not route.checks or method != b"POST" or head.status in WITHOUT_ANSWER
    if unread or head.length > route.answer_bytes:
        return None
    return Inspection(route, head, route.payload_of(request.path))


class Inspection(AnswerReading):
    """Reads an answer by the route's payload."""

    __slots__ = ("payload",)

    def __init__(self, route: ServedRoute, head: ResponseHead, payload: str) -> None:
        super().__init__(route, head, holds=False)
        self.payload = payload

    def more(self, piece: bytes, complete: bool) -> bool:
        """A piece came; True: the answer was read, or is too large to be."""
        self.body += piece
        if len(self.body) > self.route.answer_bytes:
            return True
        if complete:
            self.unreadable = not self._readable()
        return complete

    def due(self, now: float, since: float) -> float:  # noqa: ARG002 - bounded is each silence
        """When the version has to have said more; ``since``: the attempt's beginning."""
        return now + self.route.body_s

    def _readable(self) -> bool:
        try:
            body = unpacked(bytes(self.body), coding_of(self.head), self.route.answer_bytes)
            payload(self.payload).read(body)
        except Beyond:
            return True  # nobody knows
        except Unreadable:
            return False
        except Exception as error:  # noqa: BLE001 - an installed payload's bug is no version's fault
            text = f"payload {self.payload!r} failed to read an answer"
            context = {"message": text, "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
        return True
