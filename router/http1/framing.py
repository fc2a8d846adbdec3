"""What is refused, and with which status: every message has exactly one reading or none.

llhttp accepts 30 of our must-reject inputs (missing or doubled Host, HTTP/0.9, `gzip, chunked`,
`GET *`, RTSP and ICE version strings, any size ...). The rules that close those gaps are here, as
functions over whole lines; the parsers say when to apply them. Rules are checked in the order of
the bytes, so that a message gets the same verdict however TCP cut it:

1. the request line, when it is complete: 400, 501, 505 (414 when it does not fit the head bound);
2. stray control characters, as they arrive: 400; the head bound: 431;
3. when the head is complete: the grammar of each line (400), then what the fields say together.

    FramingError                 status and reason, never any input
    ├── ClientFramingError       answer with `status` and close
    └── UpstreamFramingError     the backend broke the rule; always 502
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import attrgetter
from typing import Final, NamedTuple, NoReturn, TypeVar

from router.http1.limits import Limits
from router.http1.messages import (
    CHUNKED,
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    HOST,
    LENGTH,
    MAX_FORWARDS,
    NO_OPTIONS,
    REQUEST_ID,
    TRANSFER_ENCODING,
    UNTIL_CLOSE,
    RequestHead,
    RequestLine,
    ResponseHead,
    StatusLine,
)


class FramingError(Exception):
    """A message that will not be forwarded.

    `status` is the answer due to the client; `reason` a short constant sentence that is safe to
    log and to send, because it never contains input.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class ClientFramingError(FramingError):
    """The client broke a rule: answer with `status` and close the connection."""


class UpstreamFramingError(FramingError):
    """The backend broke a rule: abort its connection; 502 if nothing was sent on yet.

    `too_large`: the rule is only a bound of ours on the head of an answer.
    """

    def __init__(self, reason: str, *, too_large: bool = False) -> None:
        super().__init__(502, reason)
        self.too_large = too_large


HTTP_2_PREFACE: Final = b"PRI * HTTP/2.0"
"""How a client begins that speaks HTTP/2 unasked, as those of gRPC do (RFC 9113 section 3.4)."""
HTTP_2: Final = "HTTP/2 and gRPC are not spoken here: write engine: envoy, or put a proxy in front"
"""Why it is refused."""

TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
"""RFC 9110 section 5.6.2."""
ID: Final = rb"[A-Za-z0-9._\-+/=:@]{1,128}"
"""An X-Request-Id that is safe to log and to repeat."""

# Methods llhttp knows, without those that ask for something else than a forwarded request:
# CONNECT opens a tunnel, TRACE echoes credentials (RFC 9110 section 9.3.8), PRI is HTTP/2,
# SOURCE and the RTSP verbs are other protocols.
METHODS: Final = frozenset(
    b"GET HEAD POST PUT DELETE OPTIONS PATCH ACL BIND CHECKOUT COPY LINK LOCK M-SEARCH MERGE "
    b"MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY PROPFIND PROPPATCH PURGE QUERY REBIND REPORT SEARCH "
    b"SUBSCRIBE UNBIND UNLINK UNLOCK UNSUBSCRIBE".split()
)

_request_line = re.compile(rb"(%b) ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])" % TOKEN).fullmatch
_status_line = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?"
).fullmatch
# RFC 3986 characters, plus the five that browsers and curl send raw and no server reads in two
# ways. Not the backslash (a path separator to some), quotes and angle brackets.
_origin_form = re.compile(
    rb"(/[A-Za-z0-9\-._~%!$&'()*+,;=:@/\[\]{}|^]*)"
    rb"(?:\?([A-Za-z0-9\-._~%!$&'()*+,;=:@/?\[\]{}|^]*))?"
).fullmatch
_absolute_form = re.compile(rb"(?i:https?)://([^/?#]*)(.*)").fullmatch
_dot_segment = re.compile(rb"/(?:\.|%2[eE]){1,2}(?:/|$)").search
_host = re.compile(rb"(?:[A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{0,5})?").fullmatch
_token = re.compile(TOKEN).fullmatch
_id = re.compile(ID).fullmatch
_length = re.compile(rb"[0-9]{1,18}").fullmatch
_codings = re.compile(rb"%b(?:[ \t]*,[ \t]*%b)*" % (TOKEN, TOKEN)).fullmatch

stray_in_request_line = re.compile(rb"[^\x20-\x7e\r]|\r(?=.)", re.DOTALL).search
"""A byte no request line may contain, before its CRLF has arrived."""
stray_in_status_line = re.compile(rb"[\x00-\x08\x0a-\x0c\x0e-\x1f\x7f]|\r(?=.)", re.DOTALL).search
"""The same for a status line, whose reason phrase may hold tabs and 8-bit bytes."""
stray_in_fields = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?=[^\n])|(?<!\r)\n", re.DOTALL
).search
"""A control character, bare CR or bare LF among complete or partial header lines."""

_PERSISTENCE: Final = frozenset([b"close", b"keep-alive"])

_Line = TypeVar("_Line", RequestLine, StatusLine)

_ONCE: Final = HOST | CONTENT_LENGTH | TRANSFER_ENCODING | EXPECT | MAX_FORWARDS


def refuse(status: int, reason: str) -> NoReturn:
    """Raise the error of the family's root; the parsers translate it to the side they read."""
    raise FramingError(status, reason)


def read_request_line(line: bytes) -> RequestLine:
    """The head's first line (without CRLF) understood, or 400, 501, 505.

    RFC 9112 section 3. Exactly one space twice: double spaces have been read as an empty target.
    """
    match = _request_line(line)
    if match is None:
        refuse(400, "malformed request line")
    method, target, major, minor = match.groups()
    if line == HTTP_2_PREFACE:
        refuse(505, HTTP_2)
    if major != b"1" or minor > b"1":
        refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    if method not in METHODS:
        refuse(501, "method not implemented")
    host = b""
    if target[0] != 0x2F and target != b"*":
        host, target = _split_absolute(target, method)
    path, query = _split_target(target, method)
    out = b"%b %b HTTP/1.1\r\n" % (method, target)
    return RequestLine(method, target, path, query, minor[0] - 48, host, out)


def _split_absolute(target: bytes, method: bytes) -> tuple[bytes, bytes]:
    """Host and origin-form of an absolute-form target (RFC 9112 sections 3.2.2 and 3.2.4)."""
    absolute = _absolute_form(target)
    if absolute is None:
        refuse(400, "request target is in no known form")
    host, rest = absolute.groups()
    if not rest:
        rest = b"*" if method == b"OPTIONS" else b"/"
    elif rest[0] != 0x2F and rest != b"*":
        rest = b"/" + rest
    return check_host(host), rest


def _split_target(target: bytes, method: bytes) -> tuple[bytes, bytes]:
    """Path and query of an origin-form target, or `*`, which only OPTIONS may ask for."""
    if target == b"*":
        if method != b"OPTIONS":
            refuse(400, "only OPTIONS may ask for *")
        return target, b""
    match = _origin_form(target)
    if match is None:
        refuse(400, "request target has a character that must be percent-encoded")
    path: bytes = match[1]
    # A backend that resolves them sees another path than the one that was routed.
    if _dot_segment(path):
        refuse(400, "request path has a dot segment")
    return path, match[2] or b""


def read_status_line(line: bytes) -> StatusLine:
    """A status line (without CRLF) understood, or 502.

    RFC 9112 section 4; the space before an empty reason may be missing, as many servers do.
    """
    match = _status_line(line)
    if match is None:
        refuse(502, "malformed status line")
    minor, status, reason = match.groups(default=b"")
    out = b"HTTP/1.1 %b %b\r\n" % (status, reason)
    return StatusLine(int(status), reason, minor[0] - 48, out)


class _StartLines(dict[bytes, _Line]):
    """Start lines repeat for ever: what `read` once understood is remembered.

    Bounded by count and length; lines with a query are not kept, they vary and may hold secrets.
    """

    LINES_MAX: Final = 1024
    LINE_BYTES_MAX: Final = 512

    def __init__(self, read: Callable[[bytes], _Line]) -> None:
        self._read: Callable[[bytes], _Line] = read

    def __missing__(self, line: bytes) -> _Line:
        meaning = self._read(line)
        if b"?" not in line and len(line) <= self.LINE_BYTES_MAX:
            if len(self) >= self.LINES_MAX:
                self.clear()
            self[line] = meaning
        return meaning


REQUEST_LINES: Final = _StartLines(read_request_line)
STATUS_LINES: Final = _StartLines(read_status_line)


def check_host(value: bytes) -> bytes:
    """The value when it is `uri-host[:port]` without userinfo, list or blank; else 400.

    A colon without a port is legal (RFC 3986 section 3.2.3) and removed.
    """
    if _host(value) is None:
        refuse(400, "malformed Host")
    return value[:-1] if value[-1] == 0x3A else value


def read_length(value: bytes, reason: str) -> int:
    """Up to 18 ASCII digits as a number: fits 64 bits; `int` alone is lenient. Else 400."""
    if _length(value) is None:
        refuse(400, reason)
    return int(value)


def _check_coding(value: bytes) -> None:
    """One coding, chunked. A chain such as `gzip, chunked` is legal but nobody agrees on it."""
    if value.lower() == b"chunked":
        return
    if _codings(value) is None:
        refuse(400, "malformed Transfer-Encoding")
    refuse(501, "the only transfer coding spoken here is chunked")


class _Shape(NamedTuple):
    """What follows from the kinds of the fields of a request; a place is -1 where there is none."""

    seen: int
    """All kinds."""
    host: int
    """Place of the Host field."""
    length: int
    """Place of the Content-Length field."""
    request_id: int
    """Place of the X-Request-Id field; -1 also for several, of which none is believed."""


class _Shapes(dict[tuple[int, ...], _Shape]):
    """Requests differ in their values for ever, but little in the order of their fields' kinds."""

    SHAPES_MAX: Final = 1_024
    FIELDS_MAX: Final = 32

    def __missing__(self, kinds: tuple[int, ...]) -> _Shape:
        seen = 0
        for kind in kinds:
            if kind & seen & _ONCE:
                refuse(400, "a field that must be single is repeated")
            seen |= kind
        shape = _Shape(
            seen,
            kinds.index(HOST) if seen & HOST else -1,
            kinds.index(CONTENT_LENGTH) if seen & CONTENT_LENGTH else -1,
            kinds.index(REQUEST_ID) if kinds.count(REQUEST_ID) == 1 else -1,
        )
        if len(kinds) <= self.FIELDS_MAX:
            if len(self) >= self.SHAPES_MAX:
                self.clear()
            self[kinds] = shape
        return shape


_SHAPES: Final = _Shapes()
_KIND: Final = attrgetter("kind")


def settle_request(head: RequestHead, limits: Limits) -> None:
    """Decide host, framing and persistence from the non-plain fields, or refuse.

    RFC 9112 sections 3.2 (Host), 6.1-6.3 (framing), 9.3 (persistence).
    """
    fields = head.fields
    seen, host_at, length_at, id_at = _SHAPES[tuple(map(_KIND, fields))]
    head.kinds = seen
    if host_at >= 0:
        head.host = head.host or fields[host_at].value
    elif head.minor:
        refuse(400, "Host is missing")
    head.keep_alive = head.minor == 1
    head.request_id = fields[id_at].value if id_at >= 0 and _id(fields[id_at].value) else b""
    length = fields[length_at].number if length_at >= 0 else -1
    if seen & TRANSFER_ENCODING:
        _settle_chunked(head, length)
    elif length > limits.body_bytes:
        refuse(413, "content is longer than accepted")
    elif length > 0:
        head.framing = LENGTH
        head.length = length
    if seen & (CONNECTION | EXPECT | MAX_FORWARDS):
        _settle_rest(head)


def _settle_chunked(head: RequestHead, length: int) -> None:
    if length >= 0:
        refuse(400, "Content-Length and Transfer-Encoding together")
    if not head.minor:
        refuse(400, "Transfer-Encoding in HTTP/1.0")
    for field in head.fields:
        if field.kind == TRANSFER_ENCODING:
            _check_coding(field.value)
    head.framing = CHUNKED


def _settle_rest(head: RequestHead) -> None:
    """The rarer fields: what the connection shall do, Expect, Max-Forwards."""
    options = NO_OPTIONS
    for field in head.fields:
        if field.kind == CONNECTION:
            options |= field.options
        elif field.kind == EXPECT:
            if field.value.lower() != b"100-continue":
                refuse(417, "the only expectation met here is 100-continue")
            head.expect_continue = head.minor == 1
        elif field.kind == MAX_FORWARDS and head.method == b"OPTIONS":
            head.max_forwards = read_length(field.value, "malformed Max-Forwards")
    head.keep_alive = persists(head.minor, options)
    head.named = options - _PERSISTENCE


def settle_response(head: ResponseHead, to_head: bool) -> None:
    """Decide framing and persistence of an answer; `to_head`: it answers a HEAD request.

    RFC 9112 section 6.3. Stricter than a client must be: two Content-Length fields, or both
    framings, mean the backend and we could disagree about where the next answer begins.
    """
    seen = 0
    options = NO_OPTIONS
    for field in head.fields:
        kind = field.kind
        if kind:
            if kind & seen & _ONCE:
                refuse(502, "a field that must be single is repeated")
            seen |= kind
            if kind == CONTENT_LENGTH:
                head.declared_length = field.number
            elif kind == TRANSFER_ENCODING:
                _check_coding(field.value)
            elif kind == CONNECTION:
                options |= field.options
    head.kinds = seen
    head.keep_alive = persists(head.minor, options)
    if options:
        head.named = options - _PERSISTENCE
    chunked = bool(seen & TRANSFER_ENCODING)
    if chunked and (head.declared_length >= 0 or not head.minor):
        refuse(502, "answer with two framings")
    _frame_response(head, chunked, to_head)


def _frame_response(head: ResponseHead, chunked: bool, to_head: bool) -> None:
    status = head.status
    if status < 200:
        if chunked or head.declared_length >= 0:
            refuse(502, "interim answer with a body")
    elif status == 204:
        # Whoever declares content here may also send it: do not trust the connection again.
        if chunked or head.declared_length > 0:
            head.keep_alive = False
    elif to_head or status == 304:
        return
    elif chunked:
        head.framing = CHUNKED
    elif head.declared_length > 0:
        head.framing = LENGTH
        head.length = head.declared_length
    elif head.declared_length < 0:
        head.framing = UNTIL_CLOSE
        head.keep_alive = False


def connection_options(value: bytes) -> frozenset[bytes]:
    """Lower-case names listed in a Connection field.

    Empty elements are skipped, others must be tokens (RFC 9110 sections 5.6.1.2 and 7.6.1).
    """
    options = frozenset(part.strip(b" \t") for part in value.lower().split(b","))
    for option in options:
        if option and _token(option) is None:
            refuse(400, "malformed Connection")
    return options - {b""}


def persists(minor: int, options: frozenset[bytes]) -> bool:
    """RFC 9112 section 9.3: close wins; HTTP/1.0 must ask for keep-alive."""
    if b"close" in options:
        return False
    return minor == 1 or b"keep-alive" in options
