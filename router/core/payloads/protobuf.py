"""Protocol buffers that somebody else wrote: fields by tag, without generated code.

What a version sends over gRPC is fields or it is :class:`Unreadable`, never another exception. The
format is small (https://protobuf.dev/programming-guides/encoding/): a field is a tag (its number
and how it is written) and a value. As every parser of it does, fields that nobody asks for are
passed over, also those of a known number that are written another way. Groups, which no proto3
message has, are refused.

=========================== =====================================================================
hostile bytes               here
=========================== =====================================================================
a length beyond the end     Unreadable
a varint that never ends    at most ten bytes, at most 64 bits
many small fields           :data:`FIELDS_MAX` of one body, nested ones too
many packed values          counted before they are read
shapes without values       :data:`VALUES_MAX` of one body, counted before they are made
nesting                     as deep as the reader of one message asks, never deeper
=========================== =====================================================================
"""

from __future__ import annotations

import struct
from typing import Final

from router.core.foreign import ANSWER, Unreadable
from router.core.payloads.answer import LEAVES_MAX, Beyond

FIELDS_MAX: Final = ANSWER.values_max
"""Fields of one body that are read, of all its messages together."""
VALUES_MAX: Final = ANSWER.values_max
"""Values of one body that its shapes promise, of all its tensors together."""
PREFIX_BYTES: Final = 5
"""In front of each message of gRPC: whether it is compressed, and its length, big endian."""
VARINT_BYTES_MAX: Final = 10

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
"""How a field is written."""
_WIDTHS: Final = {FIXED64: 8, FIXED32: 4}
_GO_ON: Final = bytes(range(128, 256))
"""Bytes that are not the last one of a varint."""

Fields = dict[int, list[int | bytes]]
"""Values by tag, in their order: whole numbers of varints, bytes of everything else."""


def message_of(body: bytes) -> bytes:
    """The one message of a unary call's body.

    Raises:
        Unreadable: no message, several, or a cut one.
        Beyond: it is compressed, or larger than what is read.
    """
    if len(body) < PREFIX_BYTES:
        raise Unreadable(f"expected a message of gRPC, got {len(body)} bytes")
    if body[0] == 1:
        raise Beyond("compressed messages of gRPC are not read")
    size = int.from_bytes(body[1:PREFIX_BYTES], "big")
    if body[0] or size != len(body) - PREFIX_BYTES:
        raise Unreadable("expected one whole message of gRPC")
    if size > ANSWER.bytes_max:
        raise Unreadable(f"expected at most {ANSWER.bytes_max:,} bytes, got {size:,}")
    return body[PREFIX_BYTES:]


class FieldReader:
    """The messages of one body; it counts their fields, and the values of its tensors."""

    __slots__ = ("left", "values_left")

    def __init__(self) -> None:
        self.left = FIELDS_MAX
        self.values_left = VALUES_MAX

    def promised(self, values: int) -> None:
        """One more tensor has so many. Raises Unreadable where all are too many."""
        self.values_left -= values
        if self.values_left < 0:
            raise Unreadable(f"expected at most {VALUES_MAX:,} values")

    def fields(self, message: bytes) -> Fields:
        """Its fields. Raises Unreadable."""
        found: Fields = {}
        at, end = 0, len(message)
        while at < end:
            tag, at = _varint(message, at)
            kind = tag & 7
            if not 8 <= tag < 2**32:
                raise Unreadable("expected the number of a field")
            self.left -= 1
            if self.left < 0:
                raise Unreadable(f"expected at most {FIELDS_MAX:,} fields")
            value: int | bytes
            if kind == VARINT:
                value, at = _varint(message, at)
            else:
                size, at = _varint(message, at) if kind == LENGTH else (_WIDTHS.get(kind, -1), at)
                if not 0 <= size <= end - at:
                    raise Unreadable("expected a whole field")
                value, at = message[at : at + size], at + size
            found.setdefault(tag, []).append(value)
        return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number and the place behind it."""
    number = shift = 0
    for place in range(at, min(at + VARINT_BYTES_MAX, len(data))):
        byte = data[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if number >= 2**64:
                break
            return number, place + 1
        shift += 7
    raise Unreadable("expected a whole number")


# --- values of a field ----------------------------------------------------------------------------


def parts(fields: Fields, number: int) -> list[bytes]:
    """What is written with a length: texts, bytes, messages."""
    return [one for one in fields.get(number << 3 | LENGTH, ()) if isinstance(one, bytes)]


def text(fields: Fields, number: int) -> str:
    """A text, the last one if there are several, empty if there is none. Raises Unreadable."""
    found = parts(fields, number)
    try:
        return found[-1].decode() if found else ""
    except UnicodeDecodeError:
        raise Unreadable("expected a text in UTF-8") from None


def integer(fields: Fields, number: int) -> int:
    """A whole number, the last one if there are several, 0 if there is none."""
    found = fields.get(number << 3 | VARINT, ())
    return found[-1] if found and isinstance(found[-1], int) else 0


def integers(fields: Fields, number: int) -> list[int]:
    """Whole numbers without a sign, packed or not. Raises Unreadable."""
    found = [one for one in fields.get(number << 3 | VARINT, ()) if isinstance(one, int)]
    for packed in parts(fields, number):
        if len(found) + len(packed.translate(None, _GO_ON)) > LEAVES_MAX:
            raise Unreadable(f"expected at most {LEAVES_MAX} values")
        if packed.isascii():
            found += packed
            continue
        at = 0
        while at < len(packed):
            one, at = _varint(packed, at)
            found.append(one)
    return found


def signed(numbers: list[int]) -> list[int]:
    """The same of int32 and int64, which are written as what they are modulo 2**64."""
    return [one - 2**64 if one >= 2**63 else one for one in numbers]


def floats(fields: Fields, number: int, code: str) -> list[float]:
    """Numbers of a fixed width, packed or not; ``code``: ``f`` or ``d``. Raises Unreadable."""
    width = struct.calcsize(f"<{code}")
    alone = fields.get(number << 3 | (FIXED32 if width == 4 else FIXED64), ())
    data = b"".join([one for one in alone if isinstance(one, bytes)] + parts(fields, number))
    if len(data) % width:
        raise Unreadable("expected whole numbers of a fixed width")
    if len(data) // width > LEAVES_MAX:
        raise Unreadable(f"expected at most {LEAVES_MAX} values")
    return list(struct.unpack(f"<{len(data) // width}{code}", data))
