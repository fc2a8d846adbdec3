"""What the parsers of both directions share: unfinished lines, the head's bounds, llhttp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from httptools import HttpParserError, HttpParserUpgrade

from router.http1.chunks import CHUNKS_A_TURN, ChunkReader
from router.http1.derivable import mypyc_attr
from router.http1.framing import refuse, stray_in_fields
from router.http1.headers import FieldCache, HeadCache
from router.http1.limits import Limits
from router.http1.messages import (
    CHUNKED,
    LENGTH,
    NO_BODY,
    UPGRADE,
    Field,
    Head,
    RequestHead,
    ResponseHead,
)
from router.http1.plain import ASK_EVERY, STRANGE_MAX, PlainShape


@mypyc_attr(allow_interpreted_subclasses=True)
class MessageHandler:
    """What a connection must offer to its parser. A base class, so calls are compiled."""

    __slots__ = ()

    def on_request(self, head: RequestHead, body: bytes, complete: bool, /) -> None:
        """A request began; `body` is what arrived with it, `complete` that nothing follows."""

    def on_interim(self, head: ResponseHead, /) -> None:
        """A 1xx answer other than 101; the final one is still to come."""

    def on_response(self, head: ResponseHead, body: bytes, complete: bool, /) -> None:
        """The final answer began; `body` is what arrived with it."""

    def on_body(self, piece: bytes, complete: bool, /) -> None:
        """More of the body; the last piece may be empty."""


KNOWN_BYTES_MAX: Final = HeadCache.HEAD_BYTES_MAX + 4
"""A head that is remembered ends within this."""
LOOK_EVERY: Final = 16
"""A power of two."""


class Completion:
    """Listens to llhttp for the one thing we ask it: is the message complete?"""

    __slots__ = ("reached",)

    def __init__(self) -> None:
        self.reached = False

    def on_message_complete(self) -> None:
        """The last byte of a message was seen by llhttp."""
        self.reached = True


IDLE: Final = 0  # between messages, or inside a head
BODY: Final = 1
DEAD: Final = 2  # after an error, or after the last message a connection may carry


H = TypeVar("H", bound=Head)


class Reader(Generic[H]):
    """What both directions share: buffering of unfinished lines, plain and known heads, llhttp."""

    __slots__ = (
        "_alone",
        "_completion",
        "_fields",
        "_framing",
        "_heads",
        "_known",
        "_last_raw",
        "_limits",
        "_line_read",
        "_llhttp",
        "_looks",
        "_pos",
        "_read_plain",
        "_read_start",
        "_remaining",
        "_scanned",
        "_shape",
        "_state",
        "_strange",
        "_stray_in_start",
        "behind",
        "chunks",
        "rest",
    )  # fmt: skip

    def __init__(
        self,
        limits: Limits,
        fields: FieldCache,
        read_start: Callable[[bytes], object],
        stray_in_start: Callable[[bytes, int], object],
        read_plain: Callable[[PlainShape, bytes, Limits], H | None],
    ) -> None:
        self._limits = limits
        self._fields = fields
        self._heads: HeadCache[H] = fields.heads(limits)
        self._known: H | None = None
        """The head of the last whole message that was known: senders mostly repeat it."""
        self._read_plain = read_plain
        self._read_start = read_start
        self._stray_in_start = stray_in_start
        self.rest = b""
        """What was fed but not handed on ends it; empty when there is nothing of the kind."""
        self.behind = False
        """Enough was read for one turn of the loop: `resume` in a later one, and feed no more."""
        self._pos = 0
        self._state = IDLE
        self._framing: int = NO_BODY
        self._remaining = 0
        self.chunks: ChunkReader | None = None
        """Reads the chunked body under way, if there is one."""
        self._line_read = False
        self._scanned = 0
        self._completion = Completion()
        self._llhttp: Any = None
        self._shape: PlainShape | None = None
        """Of the last plain head: a sender mostly stays with one."""
        self._strange = 0
        """Heads in a row of no known shape."""
        self._last_raw = b""
        """The last plain head as it came, where the next is to be compared with it."""
        self._looks = LOOK_EVERY - 1
        self._alone = False
        """The body is of a plain head, of known length: there is nothing for a second reader."""

    @property
    def buffered_bytes(self) -> int:
        """Bytes fed but not yet handed on: an unfinished head or chunk line, or all of a pause."""
        return len(self.rest) - self._pos

    @property
    def mid_message(self) -> bool:
        """Some bytes of a message have arrived, but not its last one."""
        return self._state == BODY or (self._state == IDLE and len(self.rest) > self._pos)

    def close(self) -> None:
        """Read nothing more; allowed within a callback."""
        self._state = DEAD
        self.rest = b""
        self.chunks = None
        self.behind = False
        self._pos = 0

    def __repr__(self) -> str:
        state = ("idle", "in body", "closed")[self._state]
        return f"<{type(self).__name__} {state} buffered={self.buffered_bytes}>"

    def _keep(self, data: bytes, pos: int) -> None:
        """Remember what was not consumed; an offset, so that pauses copy nothing."""
        if self._state != DEAD:
            self.rest = data
            self._pos = pos

    def _take(self, data: bytes) -> bytes:
        """New bytes behind those kept."""
        data = self.rest[self._pos :] + data
        self.rest = b""
        self._pos = 0
        return data

    def _wait_for_head(self, data: bytes, pos: int) -> None:
        """The head is not complete within its bound: refuse it as early as it can be judged.

        Looks only at the first `head_bytes` bytes and only at new ones, so the verdict does not
        depend on how the bytes were cut and a drip of bytes costs no rescans.
        """
        head = data[pos : pos + self._limits.head_bytes]
        start = max(0, self._scanned - 1)  # a CR at the seam is judged with what follows it
        self._scanned = len(head)
        full = len(head) == self._limits.head_bytes
        if not self._line_read:
            eol = head.find(b"\r\n", start)
            if eol < 0:
                if self._stray_in_start(head, start):
                    refuse(400, "stray character in the start line")
                if full:
                    refuse(414, "start line is longer than accepted")
                return
            self._read_start(head[:eol])
            self._line_read = True
            start = eol
        if stray_in_fields(head, start):
            refuse(400, "control character, bare CR or bare LF in a header line")
        if full:
            refuse(431, "header block is longer than accepted")

    def _read_fields(self, raw: bytes, lines: list[bytes]) -> list[Field]:
        """The header lines of `raw`, understood."""
        if len(lines) > self._limits.fields:
            if stray_in_fields(raw):
                refuse(400, "control character, bare CR or bare LF in a header line")
            refuse(431, "more header fields than accepted")
        return list(map(self._fields.__getitem__, lines))

    def _other_shape(self, data: bytes) -> PlainShape | None:
        """The shape by the names in `data`; a sender of many strange heads is asked now and then.

        Its names are invented, perhaps, and looking them up costs a third of reading the head.
        """
        self._strange += 1
        if self._strange > STRANGE_MAX and self._strange % ASK_EVERY:
            return None
        return self._fields.shapes.find(data)

    def _plain(self, data: bytes) -> H | None:
        """The head that `data` begins with, if it is plain and of a known shape."""
        shape = self._shape
        head = self._read_plain(shape, data, self._limits) if shape is not None else None
        if head is None:
            shape = self._other_shape(data)
            head = self._read_plain(shape, data, self._limits) if shape is not None else None
            if head is None:
                return None
            self._shape = shape
            self._strange = 0
        if head.framing > LENGTH:
            return head
        behind = len(data) - head.end - head.length
        if behind > 0:
            return None  # pipelined requests, or bytes behind an answer: for the ordinary way
        self._looks = looks = (self._looks + 1) & LOOK_EVERY - 1
        if looks < 2 and not behind and self._repeats(head, data):
            head = self._known = self._heads.same(data[: head.end], head, len(data))
        return head

    def _recall(self, data: bytes) -> H | None:
        """The known head of which `data` is one whole message, if it is that."""
        head = self._heads.get(data[: data.find(b"\r\n\r\n", 0, KNOWN_BYTES_MAX)])
        if head is None or head.size != len(data):
            return None
        self._known = head
        return head

    def _repeats(self, head: H, data: bytes) -> bool:
        """Whether this plain head is the one before, byte for byte.

        Asked for two in a row of each `LOOK_EVERY`: a sender repeats itself for ever, or never.
        None of the values is kept for that where one must not be.
        """
        raw = self._last_raw
        if raw:
            self._last_raw = b""
            return len(raw) == head.end and data.startswith(raw)
        if head.shape is not None and head.shape.lasting and head.end <= HeadCache.HEAD_BYTES_MAX:
            self._last_raw = data[: head.end]
        return False

    def _settle(self, head: Head, data: bytes, start: int, end: int, after: int) -> None:
        """Both readers have accepted a head not known before, at `data[start:end]`.

        `after`: where its message ended, 0 when it has not.
        """
        if head.size < 0 and after and head.framing <= LENGTH and not head.kinds & UPGRADE:
            head.size = after - start
            head.raw = data[start:end]
            head.end = end - start
        shape = self._fields.shapes.learn(head)
        if shape is not None:
            self._shape = shape

    def _open_body(
        self, head: Head, data: bytes, pos: int, body_bytes_max: int
    ) -> tuple[bytes, int, bool]:
        """Body bytes behind a head, the position after them, and whether they are the last."""
        framing = head.framing
        after = pos + head.length
        if framing <= LENGTH and after <= len(data):
            return data[pos:after], after, True
        self._state = BODY
        self._framing = framing
        self._remaining = head.length
        if framing == CHUNKED:
            self.chunks = ChunkReader(self._limits, body_bytes_max)
        return self._read_body(data, pos)

    def _read_body(self, data: bytes, pos: int) -> tuple[bytes, int, bool]:
        """Body bytes in `data[pos:]`, the position after them, and whether they are the last."""
        framing = self._framing
        if framing == LENGTH:
            after = pos + self._remaining
            if after > len(data):
                self._remaining = after - len(data)
                return (data[pos:] if pos else data), len(data), False
            return data[pos:after], after, True
        if (chunks := self.chunks) is not None:
            pieces: list[bytes] = []
            after, complete = chunks.read(data, pos, pieces)
            self.behind = len(pieces) >= CHUNKS_A_TURN and after < len(data) and not complete
            if complete:
                self.chunks = None
            return (pieces[0] if len(pieces) == 1 else b"".join(pieces)), after, complete
        return (data[pos:] if pos else data), len(data), False

    def _second_reading(self, portion: bytes, complete: bool) -> None:
        """Give llhttp the portion just understood; it must agree about where the message ends."""
        completion = self._completion
        completion.reached = False
        try:
            self._llhttp.feed_data(portion)
        except (HttpParserError, HttpParserUpgrade):
            refuse(400, "a second reader finds the message malformed")
        if completion.reached is not complete:
            refuse(400, "a second reader finds another end of the message")


def without_upgrade(head: RequestHead, raw: bytes) -> bytes:
    """The head as llhttp shall see it: it would stop being an HTTP parser after an upgrade.

    We ignore the wish, as RFC 9110 section 7.8 permits, so the message goes on as plain HTTP.
    """
    lines = raw.split(b"\r\n")
    fields = zip(lines[1:], head.fields, strict=True)
    kept = [line for line, field in fields if field.kind != UPGRADE]
    return b"\r\n".join([lines[0], *kept, b"", b""])
