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
from time import monotonic
from typing import TYPE_CHECKING, Final

from router.core.payloads import Beyond, Unreadable, unpacked
from router.core.wire.outcomes import Outcome
from router.proxy.pairing import coding_of
from router.proxy.rescue import may_rescue, rescue
from router.proxy.streams import FirstToken, event_stream

if TYPE_CHECKING:
    from router.http1 import ResponseHead
    from router.proxy.exchange import Exchange

WITHOUT_ANSWER: Final = frozenset((204, 205, 206))
"""Of the 2xx, those whose body is none or a part (RFC 9110 section 15.3)."""


def inspect(exchange: Exchange, head: ResponseHead, body: bytes, complete: bool) -> bool:
    """Begin to read an answer, if it is to be read; True: it goes out later, or never."""
    if exchange.route.first_token_s and event_stream(head) and head.status // 100 == 2:
        exchange.inspection = FirstToken(exchange, head)
        return exchange.inspection.more(body, complete)
    if (
        exchange.route.payload is None
        or exchange.head.method != b"POST"
        or head.status // 100 != 2
        or head.status in WITHOUT_ANSWER
        or event_stream(head)
    ):
        return False
    limit = exchange.route.answer_bytes
    if head.length > limit:
        return False
    holds = may_rescue(exchange, Outcome.MALFORMED, head.status)
    exchange.inspection = Inspection(exchange, head, limit, holds)
    return exchange.inspection.more(body, complete)


class Inspection:
    """One answer while it is read."""

    __slots__ = ("body", "exchange", "head", "holds", "limit")

    def __init__(self, exchange: Exchange, head: ResponseHead, limit: int, holds: bool) -> None:
        self.exchange = exchange
        self.head = head
        self.limit = limit
        self.holds = holds
        """The client gets nothing until the answer was read."""
        self.body = bytearray()

    def more(self, piece: bytes, complete: bool) -> bool:
        """A piece came; True: it is taken care of, False: it goes out now."""
        self.body += piece
        if len(self.body) > self.limit:
            return self._pass_on(complete)
        if complete:
            return self._judge()
        if self.holds:
            exchange = self.exchange
            now, chance_s = monotonic(), exchange.version.chance_s
            exchange.deadline = min(now + exchange.route.body_s, exchange.attempt_at + chance_s)
        return self.holds

    def _judge(self) -> bool:
        """The answer is whole: out with it, or stable's in its place."""
        exchange = self.exchange
        if not self._readable():
            exchange.verdict = Outcome.MALFORMED
            if self.holds and rescue(exchange, Outcome.MALFORMED, self.head.status):
                return True
        return self._pass_on(complete=True)

    def _pass_on(self, complete: bool) -> bool:
        """What was held goes out, and what follows as it comes."""
        self.exchange.inspection = None
        if self.holds:
            self.exchange.respond(self.head, bytes(self.body), complete, monotonic())
        return self.holds

    def _readable(self) -> bool:
        payload = self.exchange.route.payload
        assert payload is not None  # noqa: S101 - otherwise nobody would have asked
        try:
            payload.read(unpacked(bytes(self.body), coding_of(self.head), self.limit))
        except Beyond:
            return True  # nobody knows
        except Unreadable:
            return False
        except Exception as error:  # noqa: BLE001 - an installed payload's bug is no version's fault
            text = f"payload {self.exchange.route.entry.payload!r} failed to read an answer"
            context = {"message": text, "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
        return True
