"""The answer to a request that asks for another protocol: 101, behind which no HTTP follows.

Only such a request may be answered so; every other parser refuses the status. The connection
carries no further request, whatever the answer is.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade

from router.http1.answers import ResponseParser
from router.http1.framing import refuse
from router.http1.limits import Limits
from router.http1.messages import ResponseHead
from router.http1.reader import IDLE, MessageHandler

_STATUS = b"HTTP/1.1 101"


class SwitchingParser(ResponseParser):
    """Reads one answer. ``take`` gets a 101 and the bytes behind it, which it may find unfit."""

    __slots__ = ("_take_switch",)

    def __init__(
        self,
        handler: MessageHandler,
        limits: Limits,
        take: Callable[[ResponseHead, bytes], None],
    ) -> None:
        super().__init__(handler, limits)
        self._take_switch = take

    @property
    def reusable(self) -> bool:
        """Never."""
        return False

    def _read(self, data: bytes, pos: int, plain: ResponseHead | None) -> int:
        if self._state == IDLE and data.startswith(_STATUS, pos):
            end = data.find(b"\r\n\r\n", pos, pos + self._limits.head_bytes) + 4
            if end >= 4:
                return self._switch(data, pos, end)
        return super()._read(data, pos, plain)

    def _switch(self, data: bytes, start: int, end: int) -> int:
        """HTTP ends here (RFC 9110 section 15.2.2); the second reader has to see that as well."""
        head = self._understand(data[start : end - 4])
        if not _switches(self._llhttp, data[start:end]):
            refuse(502, "a second reader finds no protocol switch")
        self._due = False
        self.close()
        self._take_switch(head, data[end:])
        return len(data)


def _switches(llhttp: Any, raw: bytes) -> bool:
    try:
        with suppress(HttpParserError):
            llhttp.feed_data(raw)
    except HttpParserUpgrade:
        return True
    return False
