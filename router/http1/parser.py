"""Bytes in, messages out, without any IO; this end of a connection. The other: `answers`.

Two readers look at every message. Ours finds where the head ends, understands its lines by the
strict rules of `framing`, and counts the body off; llhttp is given the same bytes and must find
them well formed *and* complete at the same byte. A message on which two careful readers disagree is
by definition one that could smuggle, and is refused. Only a head of which there is one reading by
construction (see `plain`) is not shown to the second reader, nor a body of known length behind it.

The shape is chosen for the common case, a message that arrives whole: it costs one call of
`feed`, one call back with head and body together, and no object besides the head. A head that both
readers have already read the same way, and that says by itself where its message ends, needs no
further reading: whole messages that begin with it are known by their length (`Head.size`).

    parser = RequestParser(handler)
    parser.feed(data)            -> handler.on_request(head, body, complete)
                                    handler.on_body(more, complete) ...
    ClientFramingError           <- refuse with its status, after earlier requests are answered

Body bytes that arrive in one `feed` are handed on in one piece, also when chunked: chunk
boundaries mean nothing. A body that is malformed within the same `feed` as its head raises before
`on_request`, so such a request is never forwarded at all.

No single read holds the loop: behind `CHUNKS_A_TURN` chunks or `REQUESTS_A_TURN` requests a parser
is `behind`, and reads on when `resume` is called in a later turn.
"""

from __future__ import annotations

from typing import Final

from httptools import HttpRequestParser

from router.http1.framing import (
    REQUEST_LINES,
    ClientFramingError,
    FramingError,
    read_request_line,
    refuse,
    settle_request,
    stray_in_request_line,
)
from router.http1.headers import REQUEST_FIELDS, FieldCache
from router.http1.limits import DEFAULT_LIMITS, Limits
from router.http1.messages import (
    LENGTH,
    UPGRADE,
    RequestHead,
)
from router.http1.plain import read_request
from router.http1.reader import (
    DEAD,
    IDLE,
    MessageHandler,
    Reader,
    without_upgrade,
)

REQUESTS_A_TURN: Final = 64
"""Pipelined requests handed on before others have their turn."""


class RequestParser(Reader[RequestHead]):
    """Reads the requests of one client connection.

    After a request that forbids persistence the rest of the connection is ignored. `paused` holds
    back further requests until `resume`; bytes fed meanwhile are kept, and `waiting` counts them as
    requests.
    """

    __slots__ = ("_busy", "_empty_lines", "_handler", "_last", "paused")

    def __init__(
        self,
        handler: MessageHandler,
        limits: Limits = DEFAULT_LIMITS,
        fields: FieldCache = REQUEST_FIELDS,
    ) -> None:
        super().__init__(limits, fields, read_request_line, stray_in_request_line, read_request)
        self._handler = handler
        self._empty_lines = 0
        self.paused = False
        """Set it, within a callback or not, and nothing more is handed on until `resume`."""
        self._busy = False
        self._last = False
        self._llhttp = HttpRequestParser(self._completion)

    def feed(self, data: bytes) -> None:
        """Read more bytes; calls the handler, or raises ClientFramingError once and for all.

        Not to be called within a callback. Requests completed before the offending bytes have
        been handed on already: answer them first, then refuse. After an error, `close()` or the
        last request, bytes are ignored.
        """
        if self.rest:
            data = self._take(data)
        elif self._state == IDLE and not self.paused:
            head = self._known
            if head is None or head.size != len(data) or not data.startswith(head.raw):
                head = self._plain(data) or self._recall(data)
            if head is not None:
                if head.end + head.length != len(data):
                    self._run(data, 0, head)
                    return
                self._empty_lines = 0
                if not head.keep_alive:
                    self._state = DEAD
                self._handler.on_request(head, data[head.end :], True)
                return
        if self.paused or self.behind:
            self._keep(data, 0)
        else:
            self._run(data, 0)

    @property
    def waiting(self) -> int:
        """How many requests are held back, at most: empty lines, those within bodies too."""
        return self.rest.count(b"\r\n\r\n", self._pos)

    def _repeats(self, head: RequestHead, data: bytes) -> bool:
        return not head.query and super()._repeats(head, data)

    def resume(self) -> None:
        """Go on with what was kept; may raise like `feed`. Within a callback: after it."""
        self.paused = False
        if self.rest and not self._busy:
            data, pos = self.rest, self._pos
            self.rest = b""
            self._pos = 0
            self._run(data, pos)

    def feed_eof(self) -> bool:
        """The client will send nothing more; True when it stopped between two requests.

        Requests held back by `paused` are lost.
        """
        clean = not self.mid_message
        self.close()
        return clean

    def _run(self, data: bytes, pos: int, plain: RequestHead | None = None) -> None:
        self._busy = True
        self.behind = False
        left = REQUESTS_A_TURN
        try:
            while pos < len(data) and self._state != DEAD and not (self.paused or self.behind):
                if not left:
                    self.behind = True
                    break
                left -= 1
                after = self._read(data, pos, plain)
                plain = None
                if after == pos:
                    break
                pos = after
            if pos < len(data):
                self._keep(data, pos)
        except FramingError as error:
            self.close()
            raise ClientFramingError(error.status, error.reason) from None
        finally:
            self._busy = False

    def _read(self, data: bytes, pos: int, plain: RequestHead | None) -> int:  # noqa: C901, PLR0912 - one pass, hot path
        """Hand on one message, or as much of its body as there is; the position after it."""
        start = pos
        head = plain
        if self._state == IDLE:
            if head is not None:
                pos = start = head.end
            else:
                if data[pos] == 0x0D:
                    return self._skip_empty_line(data, pos)
                eoh = data.find(b"\r\n\r\n", pos, pos + self._limits.head_bytes)
                if eoh < 0:
                    self._wait_for_head(data, pos)
                    return pos
                raw = data[pos:eoh]
                head = self._heads.get(raw) or self._understand(raw)
                pos = eoh + 4
                if head.kinds & UPGRADE:
                    self._second_reading(without_upgrade(head, data[start:eoh]), not head.framing)
                    start = pos
            self._alone = plain is not None
            self._last = not head.keep_alive
            if self._scanned or self._empty_lines:
                self._line_read = False
                self._scanned = self._empty_lines = 0
            after = pos + head.length
            if head.framing <= LENGTH and after <= len(data):
                body, pos, complete = data[pos:after], after, True
            else:
                body, pos, complete = self._open_body(head, data, pos, self._limits.body_bytes)
        else:
            body, pos, complete = self._read_body(data, pos)
        if pos > start and not self._alone:
            whole = start == 0 and pos == len(data)
            self._second_reading(data if whole else data[start:pos], complete)
        if complete:
            self._state = DEAD if self._last else IDLE
        if head is not None:
            if plain is None and head.size <= 0:
                self._settle(head, data, start, eoh + 4, pos if complete else 0)
            self._handler.on_request(head, body, complete)
        elif body or complete:
            self._handler.on_body(body, complete)
        return pos

    def _skip_empty_line(self, data: bytes, pos: int) -> int:
        if pos + 1 == len(data):
            return pos
        self._empty_lines += 1
        if data[pos + 1] != 0x0A or self._empty_lines > self._limits.leading_empty_lines:
            refuse(400, "no request line where one is due")
        return pos + 2

    def _understand(self, raw: bytes) -> RequestHead:
        lines = raw.split(b"\r\n")
        start = lines.pop(0)
        misses = self._fields.misses
        head = RequestHead(*REQUEST_LINES[start], self._read_fields(raw, lines))
        settle_request(head, self._limits)
        if self._fields.misses == misses and start in REQUEST_LINES:
            self._heads.remember(raw, head)
        return head
