"""Answers of one upstream connection, read like requests (see :mod:`router.http1.parser`)."""

from __future__ import annotations

from typing import Final, NoReturn

from httptools import HttpParserError, HttpResponseParser

from router.http1.framing import (
    STATUS_LINES,
    FramingError,
    UpstreamFramingError,
    read_status_line,
    refuse,
    settle_response,
    stray_in_status_line,
)
from router.http1.headers import RESPONSE_FIELDS, FieldCache
from router.http1.limits import DEFAULT_LIMITS, Limits
from router.http1.messages import CHUNKED, LENGTH, UNTIL_CLOSE, ResponseHead
from router.http1.plain import read_response
from router.http1.reader import (
    BODY,
    DEAD,
    IDLE,
    Completion,
    MessageHandler,
    Reader,
)

_TOO_LARGE: Final = frozenset((414, 431))
_CHUNKS_FOLLOW: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class ResponseParser(Reader[ResponseHead]):
    """Reads the answers of one upstream connection, one for each `expect`.

    `reusable` tells whether the connection may carry another request; anything odd makes it False
    for good, because a connection out of step answers one client with another's prediction.
    """

    __slots__ = ("_due", "_fresh", "_handler", "_interims", "_to_head", "sound", "started")

    def __init__(
        self,
        handler: MessageHandler,
        limits: Limits = DEFAULT_LIMITS,
        fields: FieldCache = RESPONSE_FIELDS,
    ) -> None:
        super().__init__(limits, fields, read_status_line, stray_in_status_line, read_response)
        self._handler = handler
        self._due = False
        """A request was announced by `expect` and its answer is not complete."""
        self._fresh = False
        """An answer is due, to another method than HEAD, and no byte of it has come."""
        self._to_head = False
        self._interims = 0
        self.started = False
        """A byte of the answer that is due, interim ones included, has arrived."""
        self.sound = True
        """Nothing odd has happened on the connection yet, and the backend wants to keep it."""
        self._llhttp = HttpResponseParser(self._completion)

    def expect(self, to_head: bool = False) -> None:
        """A request is being sent: one answer is due. `to_head`: the request's method is HEAD."""
        if self._due or not self.sound:
            raise RuntimeError("connection cannot carry another request")
        self._due = True
        self._fresh = not to_head
        self._to_head = to_head
        self._interims = 0
        self.started = False

    @property
    def reusable(self) -> bool:
        """No answer is due, the last one ended cleanly and the backend keeps the connection.

        Whether our own request was sent in full is for the caller to know.
        """
        return self.sound and not self._due

    def close(self) -> None:
        """Read nothing more; the connection is not reusable."""
        super().close()
        self.sound = self._fresh = False

    def feed(self, data: bytes) -> None:
        """Read more bytes; calls the handler, or raises UpstreamFramingError once and for all.

        Bytes behind a complete answer do not spoil it but make the connection not reusable;
        bytes while no answer is due raise. Not to be called within a callback.
        """
        plain: ResponseHead | None = None
        if self._fresh:
            self._fresh = False
            plain = self._known
            if plain is None or plain.size != len(data) or not data.startswith(plain.raw):
                plain = self._plain(data) or self._recall(data)
            if plain is not None and plain.framing <= LENGTH and (
                    plain.end + plain.length == len(data)):  # fmt: skip
                self.started = True
                self._due = False
                if not plain.keep_alive:
                    self.sound = False
                self._handler.on_response(plain, data[plain.end :], True)
                return
        if self._state == DEAD or not data:
            return
        try:
            if not self._due:
                refuse(502, "bytes nobody asked for")
            if self.behind:
                self._keep(self._take(data), 0)
                return
            self.started = True
            if self.rest:
                data = self._take(data)
            self._read_due(data, 0, plain)
        except FramingError as error:
            self._spoiled(error)

    def whole_chunk(self, data: bytes) -> bytes:
        """Read `data` if it is one chunk of the body under way, framed as the writer does it.

        Returns its content, of which the handler is not told, and `data` may go out as it is. Else
        nothing, and nothing was read: `feed` it. May raise like that.
        """
        begin = self.chunks.whole(data) if self.chunks is not None and not self.rest else 0
        if not begin:
            return b""
        try:
            self._second_reading(data, False)
        except FramingError as error:
            self._spoiled(error)
        return data[begin:-2]

    def resume(self) -> None:
        """Go on with what was kept of a costly read; may raise like `feed`. Not in a callback."""
        data, pos = self.rest, self._pos
        self.rest = b""
        self._pos = 0
        try:
            self._read_due(data, pos, None)
        except FramingError as error:
            self._spoiled(error)

    def _spoiled(self, error: FramingError) -> NoReturn:
        too_large = self._state == IDLE and error.status in _TOO_LARGE
        self.close()
        raise UpstreamFramingError(error.reason, too_large=too_large) from None

    def _read_due(self, data: bytes, pos: int, plain: ResponseHead | None) -> None:
        """Read interim answers and the final one; surplus bytes end the connection's use."""
        self.behind = False
        while pos < len(data) and not self.behind:
            if not self._due:
                self.close()
                break
            after = self._read(data, pos, plain)
            plain = None
            if after == pos:
                break
            pos = after
        if pos < len(data):
            self._keep(data, pos)

    def feed_eof(self) -> None:
        """The backend closed: ends a body delimited that way, else raises if an answer was due."""
        while self.behind:
            self.resume()
        if not self._due or self._state == DEAD:
            self.close()
            return
        delimited = self._state == BODY and self._framing == UNTIL_CLOSE
        self.close()
        self._due = False
        if not delimited:
            raise UpstreamFramingError("connection ended before the answer did")
        self._handler.on_body(b"", True)

    def _read(self, data: bytes, pos: int, plain: ResponseHead | None) -> int:  # noqa: C901 - one pass
        start, head, head_end = pos, plain, 0
        if self._state == IDLE:
            if head is not None:
                pos = start = self._begin_plain(head)
            else:
                head_end = data.find(b"\r\n\r\n", pos, pos + self._limits.head_bytes) + 4
                if head_end < 4:
                    self._wait_for_head(data, pos)
                    return pos
                head = self._read_head(data[pos : head_end - 4])
                pos = head_end
                self._alone = False
            body, pos, complete = self._open_body(head, data, pos, -1)
        else:
            body, pos, complete = self._read_body(data, pos)
        if pos > start and not self._alone:
            whole = start == 0 and pos == len(data)
            self._check(data if whole else data[start:pos], complete)
        if complete:
            self._state = IDLE
            if head is not None and head.status < 200:
                self._handler.on_interim(head)
                return pos
            self._due = False
            if pos < len(data):
                # Before the callback: the pool must not pair the surplus with its next request.
                self.sound = False
        if head is None:
            if body or complete:
                self._handler.on_body(body, complete)
            return pos
        if head_end and head.size <= 0 and not self._to_head:
            self._settle(head, data, start, head_end, pos if complete else 0)
        self._handler.on_response(head, body, complete)
        return pos

    def _begin_plain(self, head: ResponseHead) -> int:
        """The position behind a plain head.

        The chunks behind one are for both readers, so the second is shown a head that says only
        that they come.
        """
        if not head.keep_alive:
            self.sound = False
        self._alone = head.framing != CHUNKED
        if not self._alone:
            self._second_reading(_CHUNKS_FOLLOW, False)
        return head.end

    def _check(self, portion: bytes, complete: bool) -> None:
        if not self._to_head:
            self._second_reading(portion, complete)
            return
        # llhttp cannot be told that an answer to HEAD has no body: judge the head alone, anew.
        self._llhttp = HttpResponseParser(Completion())
        try:
            self._llhttp.feed_data(portion)
        except HttpParserError:
            refuse(502, "a second reader finds the answer malformed")
        self._llhttp = HttpResponseParser(self._completion)

    def _understand(self, raw: bytes) -> ResponseHead:
        lines = raw.split(b"\r\n")
        start = lines.pop(0)
        misses = self._fields.misses
        head = ResponseHead(STATUS_LINES[start], self._read_fields(raw, lines))
        settle_response(head, self._to_head)
        if self._fields.misses == misses and start in STATUS_LINES and not self._to_head:
            self._heads.remember(raw, head)
        return head

    def _read_head(self, raw: bytes) -> ResponseHead:
        known = None if self._to_head else self._heads.get(raw)
        head = known or self._understand(raw)
        self._line_read = False
        self._scanned = 0
        if head.status < 200:
            self._count_interim(head.status)
        elif not head.keep_alive:
            self.sound = False
        return head

    def _count_interim(self, status: int) -> None:
        self._interims += 1
        if status == 101:
            refuse(502, "protocol switch nobody asked for")
        if self._interims > self._limits.interim_responses:
            refuse(502, "more interim answers than accepted")
