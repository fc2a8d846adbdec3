"""Heads in a grammar so narrow that every reader of HTTP/1.1 reads them alike.

Most heads are plain: they use a part of the language that leaves nothing to interpret. What is in
this part is decided by one regular expression, in one pass, and needs no second reader; whatever
is not goes to both of them, which judge it. So a head that does not match costs time, never safety.

    request = method SP path [ "?" query ] SP "HTTP/1.1" CRLF 1*32( line CRLF ) CRLF
    method  = POST | GET | PUT | DELETE | PATCH | HEAD | OPTIONS
    path    = 1*( "/" *pchar )        pchar of RFC 3986, "%" as a byte; no segment begins with a dot
    query   = *( pchar | "/" | "?" )
    line    = name ": " value
    name    = a token of at most 64 bytes that means nothing to an intermediary, or one of
              Host (exactly one), Content-Length, X-Request-Id, Connection, traceparent, tracestate
              (at most one of each), Keep-Alive, X-Forwarded-*, Forwarded, X-Real-IP, X-Rampway-*
    value   = visible ASCII, with blanks and tabs between; never empty
      of Host            a name or an address in brackets, and a port or none
      of Content-Length  "0", or 1 to 18 digits without a leading zero
      of X-Request-Id    1 to 128 bytes that are safe to repeat
      of Connection      keep-alive or close
      of traceparent     version 00 of W3C Trace Context, no identifier all zero

    answer  = version SP 2xx to 5xx without 204 and 304 SP reason CRLF 1*32( line CRLF ) CRLF
              with exactly one of Content-Length and `Transfer-Encoding: chunked`; not to HEAD
    version = HTTP/1.1, or HTTP/1.0 with Content-Length

Why there is one reading:

* Lines. CR and LF occur only as CRLF at the ends of lines, because no target, name or value may
  hold either; a reader that takes a bare LF or CR for an end, or a leading blank for a folded line
  (RFC 9112 sections 2.2 and 5.2), sees the same lines, and the same empty line behind them.
* Names. A token stands directly before the first colon of its line, so nobody can trim or skip it
  (section 5.1). Values have no outer blanks, so trimming changes nothing; no NUL, DEL or 8-bit
  byte, so nobody stops early or decodes.
* Framing. No Transfer-Encoding in a request, and no name that becomes a reserved one when
  underscores are taken for hyphens (the ordinary way refuses it when a shape is learned). At most
  one length, of digits in their one spelling that fit 63 bits: rules 1 to 5 of section 6.3 do not
  apply, and 6 or 7 gives one number. Of an answer exactly one of the two, and `chunked` alone; its
  chunks are read by both readers.
* Persistence. No option but the two of section 9.3, whose default the version gives; nothing is
  named hop-by-hop.
* Target. Origin-form only: the one Host says the authority. No byte is left that some readers
  refuse or rewrite (quotes, backslash, brackets, "#"); a segment that begins with a dot, spelled
  out or as %2E, is not plain, so nothing can be resolved.

A *shape* is the order and the spelling of the names of a head. Its expression is literal but for
the values; neighbouring lines that go on unchanged are one group, so a head is forwarded as a few
slices. A shape is learned from heads that both readers have accepted, after some of them, and
seldom: making an expression takes a millisecond.

Every part of an expression is possessive or ends at a byte it cannot hold, so a match is linear.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import attrgetter, itemgetter
from typing import Final

from router.http1.framing import ID, STATUS_LINES, TOKEN
from router.http1.limits import Limits
from router.http1.messages import (
    CHUNKED,
    CONNECTION,
    CONTENT_LENGTH,
    FORWARDED,
    HOP,
    HOST,
    INTERNAL,
    LENGTH,
    REQUEST_ID,
    SECRET,
    TRACE,
    TRANSFER_ENCODING,
    Field,
    Head,
    RequestHead,
    ResponseHead,
    Shape,
)
from router.http1.scan import Line, number, scan

SCANS: Final = not __file__.endswith(".py")
"""Compiled: the same heads are found byte by byte, which interpreted would be slow."""
_number: Final[Callable[[bytes], int]] = number if SCANS else int
HEAD_BYTES_MAX: Final = 8 * 1024
"""A longer head is not plain."""
LINES_MAX: Final = 32
NAME_BYTES_MAX: Final = 64
SHAPES_MAX: Final = 128
"""Shapes known at a time in one direction; for a further one the oldest is forgotten."""
COUNTED_MAX: Final = 1_024
"""Orders of names that are counted; when there are more, counting starts anew."""
HEADS_BEFORE: Final = 8
"""Heads of a shape that both readers have accepted before it is learned."""
LEARN_AT_ONCE: Final = 32
"""Shapes that may be learned without having earned it."""
HEADS_A_SHAPE: Final = 4_096
"""Heads read the ordinary way that earn the right to one more: the millisecond it takes is a
fiftieth of what they cost, so nobody can keep a process busy with names of his own."""
CREDIT_MAX: Final = LEARN_AT_ONCE * HEADS_A_SHAPE
NOT_PLAIN: Final = -1
STRANGE_MAX: Final = 8
"""Heads of unknown shape in a row after which a connection is asked only now and then."""
ASK_EVERY: Final = 32

_METHOD: Final = rb"(POST|GET|PUT|DELETE|PATCH|HEAD|OPTIONS)"
_PATH: Final = rb"((?:/(?!\.|%2[eE])[A-Za-z0-9\-._~%!$&'()*+,;=:@]*+)++)"
_QUERY: Final = rb"([A-Za-z0-9\-._~%!$&'()*+,;=:@/?]*+)"
_VALUE: Final = rb"[!-~](?:[\t -~]*+(?<![\t ]))"
_REQUEST: Final = rb"(%b (%b(?:\?%b)?) HTTP/1\.1\r\n)" % (_METHOD, _PATH, _QUERY)
_ANSWER: Final = rb"(HTTP/1\.[01] (?!204|304)[2-5][0-9]{2} [\t -~]*+)\r\n"
_NUMBER: Final = rb"(0|[1-9][0-9]{0,17})"
_VALUES: Final = {
    HOST: rb"((?:[A-Za-z0-9._~-]{1,255}+|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?)",
    CONTENT_LENGTH: _NUMBER,
    REQUEST_ID: rb"(%b)" % ID,
    CONNECTION: rb"((?i:keep-alive|close))",
    TRANSFER_ENCODING: rb"((?i:chunked))",
}
_PARENT: Final = rb"(00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2}))"
_ANY: Final = rb"(%b)" % _VALUE

_SINGLE: Final = HOST | CONTENT_LENGTH | REQUEST_ID | CONNECTION | TRANSFER_ENCODING
_REQUESTS: Final = HOST | CONTENT_LENGTH | REQUEST_ID | CONNECTION | TRACE | FORWARDED | INTERNAL
_ANSWERS: Final = CONTENT_LENGTH | REQUEST_ID | CONNECTION | TRANSFER_ENCODING | INTERNAL

_names = re.compile(rb"\r\n(%b): " % TOKEN).findall
_NAME: Final = attrgetter("name")

_Match = Callable[[bytes, int, int], "re.Match[bytes] | None"]


class PlainShape(Shape):
    """A shape with its expression."""

    __slots__ = ("scanned",)

    def __init__(self, fields: list[Field], of_requests: bool) -> None:
        self.of_requests = of_requests
        self.kinds = 0
        self.host = self.length = self.request_id = self.connection = -1
        self.parent = self.state = -1
        self.chunked = False
        self.places = {}
        self.lines = []
        self.lasting = True
        self.scanned: list[Line] = []
        """Its lines, for who reads byte by byte."""
        blocks: list[int] = []
        pattern = self._pattern(fields, blocks)
        self.size = len(self.lines)
        empty = pattern.groups - 1
        self.match: _Match = pattern.match
        self.scattered = len(blocks) > 2
        self.cut = itemgetter(*blocks, *[empty] * (1 if blocks else 2))
        self.first, self.second = (*blocks, -1, -1)[:2] if not self.scattered else (-1, -1)

    def read(self, data: bytes) -> tuple[int, tuple[bytes, ...]]:
        """The end of the head that `data` begins with, and its values; 0 where it is none."""
        if SCANS:
            return scan(self.scanned, data, HEAD_BYTES_MAX, self.of_requests)
        match = self.match(data, 0, HEAD_BYTES_MAX)
        return (match.end(), match.groups(b"")) if match is not None else (0, ())

    def _pattern(self, fields: list[Field], blocks: list[int]) -> re.Pattern[bytes]:
        out = [_REQUEST if self.of_requests else _ANSWER]
        groups = 5 if self.of_requests else 1
        inside = False
        for field in fields:
            self.kinds |= field.kind
            self.lasting = self.lasting and field.low not in SECRET
            begins = not inside and not field.kind
            if inside and field.kind:
                out.append(b")")
            elif begins:
                out.append(b"(")
                blocks.append(groups)
                groups += 1
            inside = not field.kind
            block = blocks[-1] if inside else -1
            self.scanned.append(Line(field, self.of_requests, block, begins))
            out.append(rb"%b: %b\r\n" % (re.escape(field.name), self._value(field, groups)))
            groups += 3 if self.parent == groups + 1 else 1
        out.append(b")" if inside else b"")
        out.append(rb"\r\n()")
        return re.compile(b"".join(out))

    def _value(self, field: Field, place: int) -> bytes:
        """The expression of a line's value, at whose place what it finds will be."""
        kind, low = field.kind, field.low
        self.places[low] = (*self.places.get(low, ()), place)
        self.lines.append((field.name, low, kind, place))
        if kind == HOST:
            self.host = place
        elif kind == CONTENT_LENGTH:
            self.length = place
        elif kind == REQUEST_ID:
            if not self.of_requests:  # ours takes its place
                return _ANY
            self.request_id = place
        elif kind == CONNECTION:
            self.connection = place
        elif kind == TRANSFER_ENCODING:
            self.chunked = True
        elif kind == TRACE and low == b"traceparent":
            self.parent = place + 1
            return _PARENT
        elif kind == TRACE:
            self.state = place
        return _VALUES.get(kind, _ANY)


class Shapes(dict[tuple[bytes, ...], PlainShape]):
    """The shapes of one direction that are known, by their names."""

    __slots__ = ("_credit", "_of_requests", "_seen")

    def __init__(self, of_requests: bool) -> None:
        self._of_requests = of_requests
        self._seen: dict[tuple[bytes, ...], int] = {}
        """How often an order of names came, or NOT_PLAIN."""
        self._credit: int = CREDIT_MAX

    def find(self, data: bytes) -> PlainShape | None:
        """The shape of the head that `data` begins with, if it is known; no proof of anything."""
        end = data.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX)
        return self.get(tuple(_names(data, 0, end))) if end > 0 else None

    def learn(self, head: Head) -> PlainShape | None:
        """Count a head that both readers have accepted, which may make its shape worth knowing.

        Returns its shape when that is known.
        """
        if self._credit < CREDIT_MAX:
            self._credit += 1
        names = tuple(map(_NAME, head.fields))
        if not 0 < len(names) <= LINES_MAX or max(map(len, names)) > NAME_BYTES_MAX:
            return None
        seen = self._seen.get(names, 0)
        if seen == NOT_PLAIN:
            return None
        if seen < HEADS_BEFORE:
            if not seen and len(self._seen) >= COUNTED_MAX:
                self._seen.clear()
            self._seen[names] = seen + 1
        elif not self._plain(head.fields):
            self._seen[names] = NOT_PLAIN
        elif names not in self and self._credit >= HEADS_A_SHAPE:
            self._credit -= HEADS_A_SHAPE
            if len(self) >= SHAPES_MAX:
                del self[next(iter(self))]
            self[names] = PlainShape(head.fields, self._of_requests)
        return self.get(names)

    def _plain(self, fields: list[Field]) -> bool:
        allowed = _REQUESTS if self._of_requests else _ANSWERS
        seen = 0
        for field in fields:
            kind = field.kind
            if kind & ~allowed and not (kind == HOP and field.low == b"keep-alive"):
                return False
            if kind & seen & (_SINGLE if self._of_requests else _SINGLE & ~REQUEST_ID):
                return False
            seen |= kind
        return self._settled(seen, [field.low for field in fields if field.kind == TRACE])

    def _settled(self, seen: int, traces: list[bytes]) -> bool:
        """Whether there is what must be, and each of the trace's fields at most once."""
        if self._of_requests:
            return bool(seen & HOST) and len(traces) == len(set(traces))
        return bool(seen & CONTENT_LENGTH) is not bool(seen & TRANSFER_ENCODING)


def read_request(shape: PlainShape, data: bytes, limits: Limits) -> RequestHead | None:
    """The head of the request that `data` begins with when it is plain and of this shape."""
    end, values = shape.read(data)
    if not end or end > limits.head_bytes or shape.size > limits.fields:
        return None
    head = RequestHead(
        values[1], values[2], values[3], values[4], 1, values[shape.host], values[0], None,
        shape, values, end,
    )  # fmt: skip
    head.kinds = shape.kinds
    # What is not there is at place -1, where the last group is: always empty.
    head.request_id = values[shape.request_id]
    head.keep_alive = _keeps(option) if (option := values[shape.connection]) else True
    if length := _number(values[shape.length] or b"0"):
        if length > limits.body_bytes:
            return None
        head.framing = LENGTH
        head.length = length
    return head


def read_response(shape: PlainShape, data: bytes, limits: Limits) -> ResponseHead | None:
    """The head of the answer that `data` begins with when it is plain and of this shape."""
    end, values = shape.read(data)
    if not end or end > limits.head_bytes or shape.size > limits.fields:
        return None
    head = ResponseHead(STATUS_LINES[values[0]], None)
    head.shape = shape
    head.values = values
    head.end = end
    head.kinds = shape.kinds
    option = values[shape.connection]  # empty without one, as in a request
    if not head.minor:
        head.keep_alive = option.lower() == b"keep-alive"
    else:
        head.keep_alive = _keeps(option) if option else True
    if shape.chunked:
        if not head.minor:
            return None
        head.framing = CHUNKED
    else:
        head.declared_length = length = _number(values[shape.length])
        if length:
            head.framing = LENGTH
            head.length = length
    return head


def _keeps(option: bytes) -> bool:
    return option.lower() != b"close"
