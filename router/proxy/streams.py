"""Streams of events: when they have begun to say something, and when they have said all.

A head is no token. Where the policy bounds the time to the first one (`timeouts: {first_token}`),
the head of an event stream is held until an event with data has come, so that stable can answer in
the place of a candidate that opened its mouth and said nothing; comments that keep a connection
alive are no data.

And the last chunk is no part of the answer: protocols over event streams say themselves that they
have ended, and clients close when they have read that. What they leave behind is then complete.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from router.proxy.reading import AnswerReading

if TYPE_CHECKING:
    from router.http1 import ResponseHead

TAIL_BYTES: Final = 128
"""Kept of what has passed, since the last event may arrive in two pieces."""
HELD_BYTES_MAX: Final = 65_536
"""Of a stream without data; it then goes out, for nobody can wait for ever."""

_LAST: Final = re.compile(
    rb"(?:^|[\r\n])(?:data: ?\[DONE\][ \t]*[\r\n]"
    rb"|event: ?(?:message_stop|response\.(?:completed|failed|incomplete)|done)[ \t]*[\r\n])"
)
"""OpenAI's ``[DONE]``; the last events of its responses, of Anthropic's messages, and of others."""
_DONE: Final = re.compile(rb"(?:^|[\r\n])data: ?\[DONE\][ \t]*[\r\n]")
_BLANK: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_DATA: Final = re.compile(rb"(?:^|[\r\n]|\xef\xbb\xbf)data:[^\r\n]*[\r\n]")


def event_stream(head: ResponseHead) -> bool:
    """Whether an answer is one."""
    return (head.get(b"content-type") or b"").lower().startswith(b"text/event-stream")


class StreamEnding:
    """Whether the protocol has said that this was all."""

    __slots__ = ("_named", "_tail", "said")

    def __init__(self) -> None:
        self.said = False
        self._named = False
        """The last event has begun; it ends with a blank line."""
        self._tail = b""

    def more(self, piece: bytes) -> bool:
        """More of the stream passed; True from its last event on."""
        if self.said:
            return True
        seen = self._tail + piece
        start = 0
        # Two plain searches first: most events are not the last, and the expression costs more
        # than everything else that becomes of an event.
        may_end = not self._named and (b"[DONE]" in seen or b"event:" in seen)
        if may_end and (last := _LAST.search(seen)) is not None:
            self._named = True
            start = last.end() - 1
            self.said = _DONE.match(last.group()) is not None
        if self._named and not self.said:
            self.said = _BLANK.search(seen, start) is not None
        self._tail = seen[-TAIL_BYTES:] if not self._named else seen[-3:]
        return self.said


class FirstToken(AnswerReading):
    """Holds an answer until it says something, or is too much to be held."""

    __slots__ = ()
    first_byte_at_end = True

    def more(self, piece: bytes, complete: bool) -> bool:
        """A piece came; True: it has said something, or nothing for too long."""
        body = self.body
        since = max(body.rfind(b"\n"), body.rfind(b"\r"), 0)  # no earlier line can be the token
        body += piece
        return complete or len(body) > HELD_BYTES_MAX or bool(_DATA.search(body, since))

    def due(self, now: float, since: float) -> float:  # noqa: ARG002 - bounded is the whole wait
        """When it has to have said something; ``since``: the attempt's beginning."""
        return since + self.route.first_token_s
