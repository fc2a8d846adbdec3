"""Streams of events: whether their protocol has said that this was all.

The last chunk is no part of the answer: protocols over event streams say themselves that they have
ended, and clients close when they have read that. What they leave behind is then complete.
"""

from __future__ import annotations

import re
from typing import Final

LINE_BYTES_MAX: Final = 128
"""Kept of a line that has not ended, since the last event may arrive in two pieces, and of how
events begin."""

_LAST: Final = re.compile(
    rb"(?:^|[\r\n])(?:data: ?\[DONE\][ \t]*[\r\n]"
    rb"|event: ?(?:message_stop|response\.(?:completed|failed|incomplete)|done)[ \t]*[\r\n])"
)
"""OpenAI's ``[DONE]``; the last events of its responses, of Anthropic's messages, and of others."""
_DONE: Final = re.compile(rb"(?:^|[\r\n])data: ?\[DONE\][ \t]*[\r\n]")
_BLANK: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_BREAKS: Final = b"\r\n"
_CR: Final = 13
_LF: Final = 10
_OBJECT: Final = b"data: {"


class StreamEnding:
    """Whether the protocol has said that this was all."""

    __slots__ = ("_named", "_tail", "_usual", "said")

    def __init__(self) -> None:
        self.said = False
        self._named = False
        """The last event has begun; it ends with a blank line."""
        self._tail = b""
        """The line that has not ended; empty where the next piece begins one."""
        self._usual = _OBJECT
        """What an event began with that was not the last, up to the object that it tells."""

    def more(self, piece: bytes) -> bool:
        """More of the stream passed; True from its last event on."""
        if not self._tail and piece.startswith(self._usual):
            # Most events are like the one before: what ends this line of it is the only end.
            line = piece[len(self._usual) :].rstrip(_BREAKS)
            ended = len(self._usual) + len(line) < len(piece)
            if ended and _LF not in line and _CR not in line:
                return False
        if self.said:
            return True
        seen = self._tail + piece
        start = 0
        # Two plain searches first, since the expression costs more; `in` would cost more than both.
        may_end = not self._named and (seen.find(b"[DONE]") >= 0 or seen.find(b"event:") >= 0)
        if may_end and (last := _LAST.search(seen)) is not None:
            self._named = True
            start = last.end() - 1
            self.said = _DONE.match(last.group()) is not None
        if self._named:
            self.said = self.said or _BLANK.search(seen, start) is not None
            self._tail = seen[-3:]
        else:
            self._go_on(seen)
        return self.said

    def _go_on(self, seen: bytes) -> None:
        """No last event began in ``seen``: keep what is needed to judge what follows."""
        line = seen[max(seen.rfind(b"\n"), seen.rfind(b"\r")) + 1 :]
        self._tail = line if len(line) <= LINE_BYTES_MAX else b"."  # too long to be the last
        begin, mark, _ = seen.partition(_OBJECT)
        if mark and len(begin) <= LINE_BYTES_MAX:
            self._usual = begin + mark
