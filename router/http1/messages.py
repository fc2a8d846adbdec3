"""What a parser understood: heads as plain slotted objects over raw bytes.

Nothing here is decoded to text: `str.lower` turns KELVIN SIGN into k and `int` accepts `1_0`, and
both have been request smuggling bugs (CVE-2024-23829, CVE-2023-47627). Routing, filtering and
forwarding all look at the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Final, NamedTuple

from router.core.wire.credentials import CREDENTIALS

# How a body is delimited. Plain integers: they are compared for every message.
NO_BODY: Final = 0
"""No content: nothing follows the head."""
LENGTH: Final = 1
"""Exactly `length` bytes follow."""
CHUNKED: Final = 2
"""Chunks follow, the last one of size zero."""
UNTIL_CLOSE: Final = 3
"""Answers only: the content ends when the connection does."""

FRAMING_NAMES: Final = ("none", "length", "chunked", "until_close")

# What a field means to an intermediary. Bits, so that one integer says what a head contains.
PLAIN: Final = 0
"""End-to-end: forwarded as it came."""
HOST: Final = 1
CONTENT_LENGTH: Final = 1 << 1
TRANSFER_ENCODING: Final = 1 << 2
CONNECTION: Final = 1 << 3
HOP: Final = 1 << 4
"""Meant for the neighbour only (RFC 9110 section 7.6.1): dropped."""
UPGRADE: Final = 1 << 5
"""Dropped: a proxy may ignore it (RFC 9110 section 7.8); h2c would be a tunnel around us."""
EXPECT: Final = 1 << 6
VIA: Final = 1 << 7
MAX_FORWARDS: Final = 1 << 8
FORWARDED: Final = 1 << 9
"""Says where a request came from: believed from trusted peers only."""
INTERNAL: Final = 1 << 10
"""`X-Rampway-*`: ours; nobody else's word counts."""
REQUEST_ID: Final = 1 << 11
TRACE: Final = 1 << 12

SECRET: Final = frozenset((b"set-cookie", *(name.encode() for name in CREDENTIALS)))
"""Names whose values must not stay in memory longer than their message."""

NO_OPTIONS: Final[frozenset[bytes]] = frozenset()


class Field:
    """One header line as read, shared between messages that repeat the same line.

    Never mutate one: the parsers keep them in a cache. `line` is ready to be sent: one space, outer
    whitespace removed, CRLF included; `passed` is the same when the field is end-to-end, else
    empty. `number` is the value of a Content-Length, else -1; `options` are the lower-case names
    of a Connection field, else empty.
    """

    __slots__ = ("kind", "line", "low", "name", "number", "options", "passed", "value")

    def __init__(self, name: bytes, low: bytes, value: bytes, kind: int, line: bytes) -> None:
        self.name = name
        self.low = low
        self.value = value
        self.kind = kind
        self.line = line
        self.passed = b"" if kind else line
        self.number = -1
        self.options = NO_OPTIONS

    def __repr__(self) -> str:
        return f"<Field {self.name!r} kind={self.kind}>"


_LOW: Final = attrgetter("low")
_PASSED: Final = attrgetter("passed")


class Shape:
    """One order and spelling of names, and where the values are in what its expression finds.

    Made by :mod:`router.http1.plain`.
    """

    __slots__ = ("chunked", "connection", "cut", "first", "host", "kinds", "lasting", "length",
                 "lines", "match", "of_requests", "parent", "places", "request_id", "scattered",
                 "second", "size", "state")  # fmt: skip

    kinds: int
    host: int
    """Places of values, -1 without one, where an empty one is; so are the next five."""
    length: int
    request_id: int
    connection: int
    parent: int
    """Of the trace's id; the flags follow it."""
    state: int
    """Of tracestate."""
    chunked: bool
    lasting: bool
    """No value must be forgotten at once."""
    places: dict[bytes, tuple[int, ...]]
    """By lower-case name."""
    lines: list[tuple[bytes, bytes, int, int]]
    """Name, lower-case name, kind and place of each line."""
    size: int
    """Of ``lines``."""
    cut: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]
    """The slices that go on unchanged; at least two, so that they are a tuple."""
    first: int
    """Place of the first slice where there are two at most, -1 without one; the next likewise."""
    second: int
    scattered: bool
    """There are more than two of them."""

    def fields(self, values: tuple[bytes, ...]) -> list[Field]:
        """The lines as the ordinary way would have read them."""
        out = []
        for name, low, kind, place in self.lines:
            value = values[place]
            out.append(Field(name, low, value, kind, b"%b: %b\r\n" % (name, value)))
        return out

    def passed_on(self, values: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """The end-to-end lines, as they came."""
        return self.cut(values)


class RequestLine(NamedTuple):
    """A request line understood; shared between requests that repeat it."""

    method: bytes
    target: bytes
    path: bytes
    query: bytes
    minor: int
    host: bytes
    """Of an absolute target, else empty."""
    line: bytes
    """Ready to be sent upstream: origin-form, HTTP/1.1, CRLF included."""


class StatusLine(NamedTuple):
    """A status line understood; shared between answers that repeat it."""

    status: int
    reason: bytes
    minor: int
    line: bytes
    """Ready to be sent to a client: HTTP/1.1, CRLF included."""


class Head:
    """What requests and answers share.

    The same head is handed out for every message that repeats it, so what it says never changes.
    Only the parser's and the writer's notes (`size`, `raw`, `tail`) are filled in later.
    """

    __slots__ = ("_fields", "end", "framing", "keep_alive", "kinds", "length", "minor", "named",
                 "raw", "shape", "size", "tail", "values")  # fmt: skip

    _fields: list[Field] | None
    shape: Shape | None
    """Of a head in the plain grammar: which of its lines is where in `values`."""
    values: tuple[bytes, ...]
    """What the expression of the shape found; empty without one."""
    end: int
    """Of a plain or remembered head: bytes from its first to the last of its empty line, else 0."""
    framing: int
    """NO_BODY, LENGTH, CHUNKED or UNTIL_CLOSE."""
    length: int
    """Body length in bytes; 0 unless framing is LENGTH."""
    kinds: int
    """Union of the kinds of all fields."""
    minor: int
    """The HTTP/1 minor version of the sender, 0 or 1."""
    keep_alive: bool
    """The sender is willing to keep its connection."""
    named: frozenset[bytes]
    """Lower-case names of further fields that Connection declares meant for us only."""
    tail: bytes
    """The writer's: lines that are the same whenever this head is sent on; empty until then."""
    size: int
    """The parsers': bytes of a message with this very head, body included, where the head is
    remembered, says by itself where the message ends, and both readers have agreed on that (or it
    is plain); -1 for further ones that are remembered, 0 for those read anew each time."""
    raw: bytes
    """With a positive `size`: the head as it arrives, empty line included; else empty."""

    @property
    def fields(self) -> list[Field]:
        """Every header line in order; of a plain head made when somebody asks."""
        fields = self._fields
        if fields is None:
            shape = self.shape
            fields = self._fields = shape.fields(self.values) if shape is not None else []
        return fields

    def get(self, name: bytes) -> bytes | None:
        """Value of the first field of this lower-case name, or None."""
        shape = self.shape
        if shape is not None:
            places = shape.places.get(name)
            return self.values[places[0]] if places is not None else None
        names = tuple(map(_LOW, self.fields))
        return self.fields[names.index(name)].value if name in names else None

    def get_all(self, name: bytes) -> list[bytes]:
        """Values of every field of this lower-case name, in order."""
        shape = self.shape
        if shape is not None:
            values = self.values
            return [values[place] for place in shape.places.get(name, ())]
        return [field.value for field in self.fields if field.low == name]

    def has_any(self, names: frozenset[bytes]) -> bool:
        """Whether there is a field of one of these lower-case names."""
        shape = self.shape
        if shape is not None:
            return not names.isdisjoint(shape.places)
        return not names.isdisjoint(map(_LOW, self.fields))

    def passed_on(self) -> Iterable[bytes]:
        """Ready lines of the end-to-end fields; empty strings stand for the others."""
        if self.named:
            return [field.passed for field in self.fields if field.low not in self.named]
        shape = self.shape
        if shape is not None:
            return shape.passed_on(self.values)
        return map(_PASSED, self.fields)


class RequestHead(Head):
    """A request without its body.

    `target` is the origin-form (or `*`) that will be sent on, also when the client sent the
    absolute-form; `path` and `query` are its parts, still percent-encoded, and `query` is empty
    when there is none. `host` is the authority the request is for: of an absolute target, else of
    the Host field, else empty (HTTP/1.0 only). `max_forwards` is that of OPTIONS only, -1 when
    absent; at 0 the router is the final recipient. `request_id` is the value of the one
    X-Request-Id where it is safe to log and to repeat; empty when there is none, or several.
    """

    __slots__ = (
        "expect_continue",
        "host",
        "max_forwards",
        "method",
        "path",
        "query",
        "request_id",
        "request_line",
        "target",
        "trace",
    )

    request_id: bytes
    trace: bytes
    """The lines of its trace as they are, once somebody has sent them on; empty until then."""

    def __init__(  # noqa: PLR0917 - a request line unpacked, for every message
        self,
        method: bytes,
        target: bytes,
        path: bytes,
        query: bytes,
        minor: int,
        host: bytes,
        line: bytes,
        fields: list[Field] | None,
        shape: Shape | None = None,
        values: tuple[bytes, ...] = (),
        end: int = 0,
    ) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.minor = minor
        self.host = host
        self.request_line = line
        self._fields = fields
        self.shape = shape
        self.values = values
        self.end = end
        self.named = NO_OPTIONS
        self.raw = self.tail = self.trace = b""
        self.framing = self.length = self.size = 0
        self.expect_continue = False
        self.max_forwards = -1

    def without(self, names: frozenset[bytes]) -> RequestHead:
        """This head but for the fields of these lower-case names; for mirrored copies."""
        bare = RequestHead(
            self.method, self.target, self.path, self.query, self.minor, self.host,
            self.request_line, self._fields,
        )  # fmt: skip
        bare.shape, bare.values = self.shape, self.values
        bare.named = self.named | names
        bare.kinds = self.kinds
        bare.framing, bare.length = self.framing, self.length
        bare.keep_alive = self.keep_alive
        bare.expect_continue = self.expect_continue
        bare.max_forwards = self.max_forwards
        bare.request_id = self.request_id
        return bare

    def __repr__(self) -> str:
        framing = FRAMING_NAMES[self.framing]
        return f"<RequestHead {self.method!r} {self.target!r} {framing} length={self.length}>"


class ResponseHead(Head):
    """An answer without its body; interim ones (1xx) too.

    `framing` says how the body arrives from the upstream. An answer to HEAD and a 204 or 304 has
    NO_BODY whatever its fields say; `declared_length` keeps the Content-Length it mentioned, -1
    when there was none.
    """

    __slots__ = ("declared_length", "status", "status_line")

    def __init__(self, line: StatusLine, fields: list[Field] | None) -> None:
        self.status, _, self.minor, self.status_line = line
        self._fields = fields
        self.shape = None
        self.values = ()
        self.named = NO_OPTIONS
        self.raw = self.tail = b""
        self.framing = NO_BODY
        self.length = self.size = self.end = 0
        self.declared_length = -1

    def but(self, fields: list[Field]) -> ResponseHead:
        """This head with these of its fields only; none that frames it may be missing."""
        other = ResponseHead(StatusLine(self.status, b"", self.minor, self.status_line), fields)
        other.named, other.kinds, other.keep_alive = self.named, self.kinds, self.keep_alive
        other.framing, other.length = self.framing, self.length
        other.declared_length = self.declared_length
        return other

    def __repr__(self) -> str:
        framing = FRAMING_NAMES[self.framing]
        return f"<ResponseHead {self.status} {framing} length={self.length}>"
