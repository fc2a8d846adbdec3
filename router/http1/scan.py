"""The plain grammar once more, byte by byte, for the compiled hot path alone.

What is plain is said by the expressions of :mod:`router.http1.plain`. They are the reference, and
all there is without a compiler. Compiled, the same verdict and the same values come
sooner from loops over bytes. Tests hold the two against each other: all generated messages, and
every byte of a head changed. Interpreted, this module is right and slow, and only they call it.

Every loop moves on by a byte each time, so a reading is linear.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from router.http1.messages import (
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    REQUEST_ID,
    TRACE,
    TRANSFER_ENCODING,
    Field,
)

if TYPE_CHECKING:
    from mypy_extensions import i64  # for the compiler; annotations are not looked at otherwise

_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_TEXT: Final = 1
_PATH: Final = 2
_QUERY: Final = 4
_IDENTITY: Final = 8
_NAME: Final = 16
_HEX: Final = 32
_SETS: Final = {
    _TEXT: b"\t" + bytes(range(0x20, 0x7F)),
    _PATH: _LETTERS + b"-._~%!$&'()*+,;=:@",
    _QUERY: _LETTERS + b"-._~%!$&'()*+,;=:@/?",
    _IDENTITY: _LETTERS + b"._-+/=:@",
    _NAME: _LETTERS + b"._~-",
    _HEX: b"0123456789abcdef",
}
_TABLE: Final = bytes(sum(bit for bit, held in _SETS.items() if c in held) for c in range(256))
"""Of each byte the sets it is in."""

_METHODS: Final = (b"POST ", b"GET ", b"PUT ", b"DELETE ", b"PATCH ", b"HEAD ", b"OPTIONS ")
_PROTOCOL: Final = b" HTTP/1.1\r\n"
_host: Final = re.compile(
    rb"(?:[A-Za-z0-9._~-]{1,255}+|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
).fullmatch
_NO_TRACE: Final = b"0" * 32
_NO_SPAN: Final = b"0" * 16
_ANY: Final = 0
_PARENT: Final = -1
_NOTHING: Final[tuple[int, tuple[bytes, ...]]] = (0, ())

ID_BYTES_MAX: Final = 128
DIGITS_MAX: Final = 18
PARENT_BYTES: Final = 55


class Line:
    """One line of a shape: what it begins with, what its value is, and which block it is in."""

    __slots__ = ("begins", "block", "prefix", "size", "what")

    def __init__(self, field: Field, of_requests: bool, block: int, begins: bool) -> None:
        self.prefix = field.name + b": "
        self.size: i64 = len(self.prefix)
        self.block = block
        """The group of the lines that go on unchanged together; -1: it is in none."""
        self.begins = begins
        self.what: int = _ANY
        if field.kind == TRACE and field.low == b"traceparent":
            self.what = _PARENT
        elif field.kind in {HOST, CONTENT_LENGTH, CONNECTION, TRANSFER_ENCODING}:
            self.what = field.kind
        elif field.kind == REQUEST_ID and of_requests:
            self.what = REQUEST_ID


def scan(
    lines: list[Line], data: bytes, most: int, of_requests: bool
) -> tuple[int, tuple[bytes, ...]]:
    """The end of the plain head that ``data`` begins with, and its values in the order of groups.

    0 and nothing where it is none of these lines, or none within ``most`` bytes.
    """
    end: i64 = min(len(data), most)
    values: list[bytes] = []
    pos: i64 = _request_line(data, end, values) if of_requests else _status_line(data, end, values)
    if pos == 0:
        return _NOTHING
    block = -1
    start: i64 = 0
    for line in lines:
        if block >= 0 and (line.begins or line.block < 0):
            values[block] = data[start:pos]
            block = -1
        if line.begins:
            block = line.block
            start = pos
            values.append(b"")
        after: i64 = pos + line.size
        if after >= end or not _same(data, pos, line.prefix):
            return _NOTHING
        pos = _value_end(data, after, end)
        if pos == 0:
            return _NOTHING
        value = data[after:pos]
        values.append(value)
        if line.what and not _means(line.what, value, values):
            return _NOTHING
        pos += 2
    if block >= 0:
        values[block] = data[start:pos]
    if not _ends(data, pos, end):
        return _NOTHING
    values.append(b"")
    return pos + 2, tuple(values)


def _same(data: bytes, pos: i64, wanted: bytes) -> bool:
    """Whether ``wanted`` stands at ``pos``, where there is room for it."""
    at: i64 = 0
    size: i64 = len(wanted)
    while at < size:
        if data[pos + at] != wanted[at]:
            return False
        at += 1
    return True


def _value_end(data: bytes, start: i64, end: i64) -> i64:
    """The position behind a value: text, visible at both ends, a line's end behind it; else 0."""
    pos: i64 = start
    while pos < end:
        byte: i64 = data[pos]
        if byte > 0x7E or (byte < 0x20 and byte != 0x09):
            break
        pos += 1
    if pos == start or data[start] <= 0x20 or data[pos - 1] <= 0x20:
        return 0
    return pos if _ends(data, pos, end) else 0


def _ends(data: bytes, pos: i64, end: i64) -> bool:
    """Whether a line ends at ``pos``."""
    return pos + 1 < end and data[pos] == 0x0D and data[pos + 1] == 0x0A


def _request_line(data: bytes, end: i64, values: list[bytes]) -> i64:
    """The position behind it, 0 if it is not plain."""
    table = _TABLE
    start: i64 = 0
    for method in _METHODS:
        if data.startswith(method):
            start = len(method)
            break
    if not start:
        return 0
    path: i64 = _path_end(data, start, end)
    if path <= start:
        return 0
    pos: i64 = path
    query = b""
    if pos < end and data[pos] == 0x3F:
        pos += 1
        while pos < end and table[data[pos]] & _QUERY:
            pos += 1
        query = data[path + 1 : pos]
    after: i64 = pos + len(_PROTOCOL)
    if after > end or not _same(data, pos, _PROTOCOL):
        return 0
    values.append(data[:after])
    values.append(data[: start - 1])
    values.append(data[start:pos])
    values.append(data[start:path])
    values.append(query)
    return after


def _path_end(data: bytes, start: i64, end: i64) -> i64:
    """The position behind the segments that begin at ``start``; 0 where one begins with a dot."""
    table = _TABLE
    pos: i64 = start
    while pos < end and data[pos] == 0x2F:
        pos += 1
        if pos < end and (data[pos] == 0x2E or (data[pos] == 0x25 and _dot(data, pos))):
            return 0
        while pos < end and table[data[pos]] & _PATH:
            pos += 1
    return pos


def _dot(data: bytes, pos: i64) -> bool:
    """Whether a dot is spelled at ``pos`` as %2E."""
    return data[pos : pos + 3].lower() == b"%2e"


def _status_line(data: bytes, end: i64, values: list[bytes]) -> i64:
    """The position behind it, 0 if it is not plain."""
    table = _TABLE
    if end < 14 or not data.startswith(b"HTTP/1.") or data[8] != 0x20 or data[12] != 0x20:
        return 0
    if data[7] != 0x31 and data[7] != 0x30:
        return 0
    status = data[9:12]
    if not status.isdigit() or not 0x32 <= data[9] <= 0x35 or status in {b"204", b"304"}:
        return 0
    pos: i64 = 13
    while pos < end and table[data[pos]] & _TEXT:
        pos += 1
    if not _ends(data, pos, end):
        return 0
    values.append(data[:pos])
    return pos + 2


def _means(what: int, value: bytes, values: list[bytes]) -> bool:
    """Whether a value is one of those that its name may have; a trace's parts are appended."""
    if what == CONTENT_LENGTH:
        return value.isdigit() and len(value) <= DIGITS_MAX and (value[0] != 0x30 or value == b"0")
    if what == HOST:
        return _all_in(value, _NAME, 255) or _host(value) is not None
    if what == REQUEST_ID:
        return _all_in(value, _IDENTITY, ID_BYTES_MAX)
    if what == CONNECTION:
        return value.lower() in {b"keep-alive", b"close"}
    if what == TRANSFER_ENCODING:
        return value.lower() == b"chunked"
    return _parent(value, values)


def number(digits: bytes) -> int:
    """What at most :data:`DIGITS_MAX` digits say; empty: 0."""
    value: i64 = 0
    pos: i64 = 0
    while pos < len(digits):
        value = value * 10 + digits[pos] - 0x30
        pos += 1
    return value


def _all_in(value: bytes, held: i64, most: i64) -> bool:
    table = _TABLE
    if len(value) > most:
        return False
    pos: i64 = 0
    while pos < len(value):
        if not table[value[pos]] & held:
            return False
        pos += 1
    return True


def _parent(value: bytes, values: list[bytes]) -> bool:
    if len(value) != PARENT_BYTES or not value.startswith(b"00-"):
        return False
    if value[35] != 0x2D or value[52] != 0x2D:
        return False
    trace, span, flags = value[3:35], value[36:52], value[53:]
    if trace == _NO_TRACE or span == _NO_SPAN:
        return False
    if not (_all_in(trace, _HEX, 32) and _all_in(span, _HEX, 16) and _all_in(flags, _HEX, 2)):
        return False
    values.append(trace)
    values.append(flags)
    return True
