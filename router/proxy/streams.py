"""Streams of events: when they have begun to say something. When they have said all: `ending`.

A head is no token. Where the policy bounds the time to the first one (`timeouts: {first_token}`),
the head of an event stream is held until an event with data has come, so that stable can answer in
the place of a candidate that opened its mouth and said nothing; comments that keep a connection
alive are no data.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from router.proxy.reading import AnswerReading

if TYPE_CHECKING:
    from router.http1 import ResponseHead

HELD_BYTES_MAX: Final = 65_536
"""Of a stream without data; it then goes out, for nobody can wait for ever."""

_DATA: Final = re.compile(rb"(?:^|[\r\n]|\xef\xbb\xbf)data:[^\r\n]*[\r\n]")


def event_stream(head: ResponseHead) -> bool:
    """Whether an answer is one."""
    return (head.get(b"content-type") or b"").lower().startswith(b"text/event-stream")


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
