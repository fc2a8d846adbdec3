"""What each header field means to an intermediary, and what becomes of it.

    request field                        becomes
    Host                                 written anew (of the absolute target if there was one)
    Content-Length, Transfer-Encoding    written anew from what was understood
    Connection and what it names         removed; protected fields cannot be named away
    Keep-Alive, TE, Trailer, Upgrade ... removed (RFC 9110 section 7.6.1)
    Expect                               removed; the router itself sends 100 Continue
    Via                                  ours appended
    Max-Forwards                         one less, for OPTIONS
    X-Forwarded-*, X-Real-IP             from trusted peers: kept, For appended; else replaced
    Forwarded                            from trusted peers: appended to; else removed
    X-Rampway-*                          removed
    X-Request-Id                         kept when well formed, else a new one
    traceparent, tracestate              as they are, or a child span where traces are exported
                                         (proxy/tracing.py); a malformed trace is dropped

Clients repeat the same lines for ever, so a line once read is remembered whole (`FieldCache`):
reading, classifying and re-serialising it again is one dictionary look-up.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar

from router.http1.framing import TOKEN, check_host, connection_options, read_length, refuse
from router.http1.limits import Limits
from router.http1.messages import (
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    FORWARDED,
    HOP,
    HOST,
    INTERNAL,
    MAX_FORWARDS,
    PLAIN,
    REQUEST_ID,
    SECRET,
    TRACE,
    TRANSFER_ENCODING,
    UPGRADE,
    VIA,
    Field,
    Head,
    RequestHead,
    ResponseHead,
)
from router.http1.plain import Shapes

_BOTH_WAYS: Final = {
    b"content-length": CONTENT_LENGTH,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"connection": CONNECTION,
    b"proxy-connection": HOP,
    b"keep-alive": HOP,
    b"te": HOP,
    b"trailer": HOP,
    b"upgrade": UPGRADE,
    b"http2-settings": HOP,
    b"via": VIA,
    b"x-request-id": REQUEST_ID,
}
REQUEST_KINDS: Final = _BOTH_WAYS | {
    b"host": HOST,
    b"expect": EXPECT,
    b"max-forwards": MAX_FORWARDS,
    b"proxy-authorization": HOP,
    b"forwarded": FORWARDED,
    b"x-real-ip": FORWARDED,
    b"traceparent": TRACE,
    b"tracestate": TRACE,
}
RESPONSE_KINDS: Final = _BOTH_WAYS | {
    b"proxy-authenticate": HOP,
    b"proxy-authentication-info": HOP,
}

_PARSED: Final = HOST | CONTENT_LENGTH | CONNECTION

_line = re.compile(
    rb"(%b):[ \t]*((?:[\x21-\x7e\x80-\xff]+(?:[ \t]+[\x21-\x7e\x80-\xff]+)*)?)[ \t]*" % TOKEN
).fullmatch
_whole_strings = re.compile(rb'(?:[^"]++|"(?:[^"\\]++|\\.)*+")*+').fullmatch
_token = re.compile(TOKEN).fullmatch
_traceparent = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})").fullmatch


_Head = TypeVar("_Head", bound=Head)


class HeadCache(dict[bytes, _Head]):
    """Whole heads already understood, for one direction and one set of limits.

    Services call each other with the same lines for ever, so most heads are repetitions. Only
    heads are kept of which every line is remembered too: none with a secret, a query, or anything
    that differs with each message.
    """

    HEADS_MAX: Final = 512
    HEAD_BYTES_MAX: Final = 1024

    def remember(self, raw: bytes, head: _Head) -> None:
        """Keep a head; the oldest knowledge goes all at once when there is too much of it."""
        if len(raw) <= self.HEAD_BYTES_MAX:
            if len(self) >= self.HEADS_MAX:
                self.clear()
            self[raw] = head
            head.size = -1

    def same(self, raw: bytes, head: _Head, size: int) -> _Head:
        """The head remembered of these bytes and this size; else `head`, from now on."""
        known = self.get(raw[:-4])
        if known is not None and known.size == size:
            return known
        self.remember(raw[:-4], head)
        head.size = size
        head.raw = raw
        return head


class _Name:
    """A header name already read: lower case, kind, and which of its lines are remembered."""

    __slots__ = ("kind", "lines", "low", "oldest", "secret")

    def __init__(self, low: bytes, kind: int) -> None:
        self.low = low
        self.kind = kind
        self.secret = low in SECRET
        self.lines: list[bytes] = []
        """A ring once it is full."""
        self.oldest = 0


class FieldCache(dict[bytes, Field]):
    """Header lines of one direction: `cache[line]` is the line understood.

    Remembers whole lines, the last few of each name: for a new one of the same name the oldest
    goes. So what differs with every message (an id) cannot crowd out other names, and what differs
    now and then (a date) is remembered for as long as it comes, however many came before it. When
    the cache is full everything is forgotten; nothing cleverer would help against a client that
    invents names. Hits share their `Field`.
    """

    LINES_MAX: Final = 4096
    LINES_OF_A_NAME_MAX: Final = 64
    LINE_BYTES_MAX: Final = 160
    NAMES_MAX: Final = 1024
    NAME_BYTES_MAX: Final = 64

    LIMITS_MAX: Final = 8

    __slots__ = ("_heads", "kinds", "misses", "names", "shapes")

    def __init__(self, kinds: dict[bytes, int]) -> None:
        self.kinds = kinds
        self.shapes = Shapes(b"host" in kinds)
        """Of plain heads made of such lines."""
        self.misses = 0
        """Lines that had to be read because they were not remembered."""
        self.names: dict[bytes, _Name] = {}
        self._heads: dict[Limits, HeadCache[Any]] = {}

    def heads(self, limits: Limits) -> HeadCache[Any]:
        """Whole heads made of these lines; a head is only known to be good within its limits."""
        if len(self._heads) >= self.LIMITS_MAX and limits not in self._heads:
            self._heads.clear()
        return self._heads.setdefault(limits, HeadCache())

    def __missing__(self, line: bytes) -> Field:
        """Read a line (without CRLF) not remembered, or raise FramingError(400).

        RFC 9112 section 5: no blank before the colon, no folding, no control characters.
        """
        self.misses += 1
        raw, _, value = line.partition(b": ")
        name = self.names.get(raw)
        if (
            name is not None
            and value.isascii()
            and str(value, "ascii").isprintable()
            and value.strip(b" ") == value
        ):
            field = Field(raw, name.low, value, name.kind, line + b"\r\n")
        else:
            match = _line(line)
            if match is None:
                refuse(400, "malformed header line")
            raw, value = match.groups()
            name = self.names.get(raw) or self._learn_name(raw)
            field = Field(raw, name.low, value, name.kind, b"%b: %b\r\n" % (raw, value))
        if field.kind & _PARSED:
            _parse(field)
        if not name.secret and len(line) <= self.LINE_BYTES_MAX:
            self._remember(name, line, field)
        return field

    def _remember(self, name: _Name, line: bytes, field: Field) -> None:
        lines = name.lines
        if len(lines) == self.LINES_OF_A_NAME_MAX:
            at = name.oldest
            self.pop(lines[at], None)
            lines[at] = line
            name.oldest = at + 1 if at + 1 < self.LINES_OF_A_NAME_MAX else 0
        else:
            if len(self) >= self.LINES_MAX:
                self._forget()
            lines.append(line)
        self[line] = field

    def _forget(self) -> None:
        self.clear()
        self.names.clear()

    def _learn_name(self, raw: bytes) -> _Name:
        """Lower case and kind of a name.

        One that is a framing or trust field but for an underscore is refused: CGI and WSGI
        backends read `Content_Length` as Content-Length.
        """
        low = raw.lower()
        kind = self._kind(low)
        if kind == PLAIN and b"_" in low and self._kind(low.replace(b"_", b"-")) != PLAIN:
            refuse(400, "a header name only differs from a reserved one by an underscore")
        name = _Name(low, kind)
        if len(raw) <= self.NAME_BYTES_MAX:
            if len(self.names) >= self.NAMES_MAX:
                self._forget()
            self.names[raw] = name
        return name

    def _kind(self, low: bytes) -> int:
        kind = self.kinds.get(low)
        if kind is not None:
            return kind
        if low.startswith(b"x-rampway-"):
            return INTERNAL
        if low.startswith(b"x-forwarded-") and b"host" in self.kinds:
            return FORWARDED
        return PLAIN

    def __repr__(self) -> str:
        return f"<FieldCache {len(self)} lines, {len(self.names)} names>"


def _parse(field: Field) -> None:
    """Complete a field whose value means something to the framing, or raise FramingError(400)."""
    if field.kind == HOST:
        field.value = check_host(field.value)
    elif field.kind == CONTENT_LENGTH:
        field.number = read_length(field.value, "malformed Content-Length")
    else:
        field.options = connection_options(field.value)


REQUEST_FIELDS: Final = FieldCache(REQUEST_KINDS)
"""Lines of clients seen by this process."""
RESPONSE_FIELDS: Final = FieldCache(RESPONSE_KINDS)
"""Lines of backends seen by this process."""


_HOST_AND_ORIGIN: Final = b"Host: %b\r\n%bX-Request-Id: "


class Peer:
    """Where a connection comes from, with the lines that say so; one per connection.

    `trusted`: a proxy of ours, whose X-Forwarded-* are kept and For is appended to. Anybody else's
    are replaced (RFC 7239 section 8.1: they are only as good as the last trusted hop).
    """

    __slots__ = ("_host", "_lines", "address", "forwarded", "scheme", "trusted")

    def __init__(self, address: bytes, *, scheme: bytes = b"http", trusted: bool = False) -> None:
        self.address = address
        self.scheme = scheme
        self.trusted = trusted
        self._host = b""
        self._lines = b""
        self.forwarded = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\n" % (address, scheme)

    def opening(self, head: RequestHead, host: bytes) -> bytes:
        """What follows the request line upstream, up to the value of X-Request-Id."""
        if host != head.host or (self.trusted and head.kinds & FORWARDED):
            return _HOST_AND_ORIGIN % (host, self.lines(head))
        if host != self._host:
            self._host = host
            self._lines = _HOST_AND_ORIGIN % (host, self.lines(head))
        return self._lines

    def lines(self, head: RequestHead) -> bytes:
        """The X-Forwarded-* lines of one request."""
        if self.trusted and head.kinds & FORWARDED:
            return self._appended(head)
        if not head.host:
            return self.forwarded
        return b"%bX-Forwarded-Host: %b\r\n" % (self.forwarded, head.host)

    def _appended(self, head: RequestHead) -> bytes:
        hops = head.get_all(b"x-forwarded-for")
        hops.append(self.address)
        out = [b"X-Forwarded-For: %b\r\n" % b", ".join(hops)]
        present = {b"x-forwarded-for"}
        for field in head.fields:
            if field.kind == FORWARDED and field.low not in {b"x-forwarded-for", b"forwarded"}:
                present.add(field.low)
                out.append(field.line)
        if b"x-forwarded-proto" not in present:
            out.append(b"X-Forwarded-Proto: %b\r\n" % self.scheme)
        if b"x-forwarded-host" not in present and head.host:
            out.append(b"X-Forwarded-Host: %b\r\n" % head.host)
        if chain := head.get_all(b"forwarded"):
            out.append(b"Forwarded: %b\r\n" % self._forwarded(b", ".join(chain), head.host))
        return b"".join(out)

    def _forwarded(self, chain: bytes, host: bytes) -> bytes:
        """The chain of RFC 7239 with this hop behind it.

        One that ends inside a quoted string would swallow what follows; ours then begins anew.
        """
        address = self.address
        if b":" in address:  # section 6: in brackets, and brackets in quotes; no zone
            address = b'"[%b]"' % address.partition(b"%")[0]
        hop = b"for=%b;proto=%b" % (address, self.scheme)
        if host:
            hop += b";host=%b" % host if _token(host) else b';host="%b"' % host
        return b"%b, %b" % (chain, hop) if _whole_strings(chain) else hop


def via_line(head: RequestHead | ResponseHead, pseudonym: bytes) -> bytes:
    """The Via values of a message that has some, and ours, in one line (RFC 9110 7.6.3)."""
    hops = b", ".join(head.get_all(b"via"))
    return b"Via: %b, 1.%d %b\r\n" % (hops, head.minor, pseudonym)


def hops(head: RequestHead, pseudonym: bytes) -> int:
    """How often a message has passed somebody of this name, by its Via (RFC 9110 7.6.3)."""
    members = b",".join(head.get_all(b"via")).split(b",")
    passed = [member.split(None, 2)[1:2] for member in members]
    return passed.count([pseudonym])


def trace_parent(head: RequestHead) -> bytes:
    """The traceparent of a request, if it has a valid one (W3C Trace Context section 3.2)."""
    shape = head.shape
    if shape is not None and shape.parent >= 0:
        return head.values[shape.parent - 1]
    parents = head.get_all(b"traceparent") if head.kinds & TRACE else []
    match = _traceparent(parents[0]) if len(parents) == 1 else None
    if match is None or match[1] == b"0" * 32 or match[2] == b"0" * 16:
        return b""
    return parents[0]


def trace_lines(head: RequestHead, parent: bytes) -> bytes:
    """The lines to send on: ``parent``, and the tracestate of `head` (section 3.3); or nothing."""
    if not parent:
        return b""
    line = b"traceparent: %b\r\n" % parent
    shape = head.shape
    if shape is not None and shape.parent >= 0 and shape.state < 0:
        return line
    states = head.get_all(b"tracestate")
    return line + b"tracestate: %b\r\n" % b",".join(states) if states else line
