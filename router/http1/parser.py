"""Bytes in, messages out: the two ends of a connection, without any IO.

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
"""

from __future__ import annotations

from typing import Final

from httptools import HttpParserError, HttpRequestParser, HttpResponseParser

from router.http1.framing import (
    REQUEST_LINES,
    STATUS_LINES,
    ClientFramingError,
    FramingError,
    UpstreamFramingError,
    read_request_line,
    read_status_line,
    refuse,
    settle_request,
    settle_response,
    stray_in_request_line,
    stray_in_status_line,
)
from router.http1.headers import REQUEST_FIELDS, RESPONSE_FIELDS, FieldCache, HeadCache
from router.http1.limits import DEFAULT_LIMITS, Limits
from router.http1.messages import (
    CHUNKED,
    LENGTH,
    UNTIL_CLOSE,
    UPGRADE,
    RequestHead,
    ResponseHead,
)
from router.http1.plain import read_request, read_response
from router.http1.reader import (
    BODY,
    DEAD,
    IDLE,
    LOOK_EVERY,
    Completion,
    Reader,
    RequestHandler,
    ResponseHandler,
    without_upgrade,
)

_KNOWN_BYTES_MAX: Final = HeadCache.HEAD_BYTES_MAX + 4
"""A head that is remembered ends within this."""
_TOO_LARGE: Final = frozenset((414, 431))
_CHUNKS_FOLLOW: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class RequestParser(Reader):
    """Reads the requests of one client connection.

    After a request that forbids persistence the rest of the connection is ignored. `paused` holds
    back further requests until `resume`; bytes fed meanwhile are kept, and `waiting` counts them as
    requests.
    """

    __slots__ = ("_busy", "_empty_lines", "_handler", "_heads", "_known", "_last", "paused")

    def __init__(
        self,
        handler: RequestHandler,
        limits: Limits = DEFAULT_LIMITS,
        fields: FieldCache = REQUEST_FIELDS,
    ) -> None:
        super().__init__(limits, fields, read_request_line, stray_in_request_line)
        self._handler = handler
        self._heads: HeadCache[RequestHead] = fields.heads(limits)
        self._known: RequestHead | None = None
        """The head of the last whole message that was known: senders mostly repeat it."""
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
        if self.paused:
            self._keep(data, 0)
        else:
            self._run(data, 0)

    @property
    def waiting(self) -> int:
        """How many requests are held back, at most: empty lines, those within bodies too."""
        return self.rest.count(b"\r\n\r\n", self._pos)

    def _plain(self, data: bytes) -> RequestHead | None:
        """The head that `data` begins with, if it is plain and of a known shape."""
        shape = self._shape
        head = read_request(shape, data, self._limits) if shape is not None else None
        if head is None:
            shape = self._other_shape(data)
            head = read_request(shape, data, self._limits) if shape is not None else None
            if head is None:
                return None
            self._shape = shape
            self._strange = 0
        behind = len(data) - head.end - head.length
        if behind > 0:
            return None  # pipelined requests are rare
        self._looks = looks = (self._looks + 1) & LOOK_EVERY - 1
        if looks < 2 and not behind and not head.query and self._repeats(head, data):
            head = self._known = self._heads.same(data[: head.end], head, len(data))
        return head

    def _recall(self, data: bytes) -> RequestHead | None:
        """The known head of which `data` is one whole message, if it is that."""
        head = self._heads.get(data[: data.find(b"\r\n\r\n", 0, _KNOWN_BYTES_MAX)])
        if head is None or head.size != len(data):
            return None
        self._known = head
        return head

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
        try:
            while pos < len(data) and self._state != DEAD and not self.paused:
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


class ResponseParser(Reader):
    """Reads the answers of one upstream connection, one for each `expect`.

    `reusable` tells whether the connection may carry another request; anything odd makes it False
    for good, because a connection out of step answers one client with another's prediction.
    """

    __slots__ = ("_due", "_fresh", "_handler", "_heads", "_interims", "_known", "_to_head",
                 "sound", "started")  # fmt: skip

    def __init__(
        self,
        handler: ResponseHandler,
        limits: Limits = DEFAULT_LIMITS,
        fields: FieldCache = RESPONSE_FIELDS,
    ) -> None:
        super().__init__(limits, fields, read_status_line, stray_in_status_line)
        self._handler = handler
        self._heads: HeadCache[ResponseHead] = fields.heads(limits)
        self._known: ResponseHead | None = None
        """The head of the last whole answer that was known: backends mostly repeat it."""
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

    def feed(self, data: bytes) -> None:  # noqa: C901 - one pass, hot path
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
            if self._state == BODY and not self.rest and (piece := self._whole_chunk(data)):
                self._second_reading(data, False)
                self._handler.on_body(piece, False)
                return
            self.started = True
            if self.rest:
                data = self._take(data)
            pos = self._read_due(data, plain)
            if pos < len(data):
                self._keep(data, pos)
        except FramingError as error:
            too_large = self._state == IDLE and error.status in _TOO_LARGE
            self.close()
            raise UpstreamFramingError(error.reason, too_large=too_large) from None

    def _plain(self, data: bytes) -> ResponseHead | None:
        """The head that `data` begins with, if it is plain and of a known shape."""
        shape = self._shape
        head = read_response(shape, data, self._limits) if shape is not None else None
        if head is None:
            shape = self._other_shape(data)
            head = read_response(shape, data, self._limits) if shape is not None else None
            if head is None:
                return None
            self._shape = shape
            self._strange = 0
        if head.framing > LENGTH:
            return head
        behind = len(data) - head.end - head.length
        if behind > 0:
            return None  # bytes behind the answer are for the ordinary way to judge
        self._looks = looks = (self._looks + 1) & LOOK_EVERY - 1
        if looks < 2 and not behind and self._repeats(head, data):
            head = self._known = self._heads.same(data[: head.end], head, len(data))
        return head

    def _recall(self, data: bytes) -> ResponseHead | None:
        """The known head of which `data` is one whole answer, if it is that."""
        head = self._heads.get(data[: data.find(b"\r\n\r\n", 0, _KNOWN_BYTES_MAX)])
        if head is None or head.size != len(data):
            return None
        self._known = head
        return head

    def _read_due(self, data: bytes, plain: ResponseHead | None) -> int:
        """Read interim answers and the final one; surplus bytes end the connection's use."""
        pos = 0
        while pos < len(data):
            if not self._due:
                self.close()
                break
            after = self._read(data, pos, plain)
            plain = None
            if after == pos:
                break
            pos = after
        return pos

    def feed_eof(self) -> None:
        """The backend closed: ends a body delimited that way, else raises if an answer was due."""
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
