"""What Envoy's filter tells of a request while it passes: messages of ``ext_proc``, read here.

The filter (:mod:`router.agent.filtering`) sends what goes through and waits for no answer. Of its
messages (``envoy.service.ext_proc.v3.ProcessingRequest``) seven fields are read; the format is that
of other messages that somebody else wrote, and so is the reader.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, NamedTuple

from router.core.payloads.protobuf import FIXED64, FieldReader, Fields, integer, parts

CONNECTION: Final = "connection.id"
"""The attribute that tells, with the id of a request, which one it is."""
_DOUBLE: Final = 2
"""The field of a ``google.protobuf.Value`` that is a number."""


class PassedKind(IntEnum):
    """What a message is about; the value is the number of its field."""

    ASKED = 2
    ANSWERED = 3
    REQUEST_BODY = 4
    ANSWER_BODY = 5
    REQUEST_TRAILERS = 6
    ANSWER_TRAILERS = 7


ANSWERS: Final = (PassedKind.ANSWERED, PassedKind.ANSWER_BODY, PassedKind.ANSWER_TRAILERS)
_ATTRIBUTES: Final = 9


class Passed(NamedTuple):
    """One message."""

    kind: PassedKind
    head: dict[bytes, bytes]
    """Of each header field the first line; of a body nothing."""
    body: bytes
    ended: bool
    """Nothing more comes of this request, or of this answer."""
    connection: int
    """The client's, where the request begins; else 0."""


def passed(message: bytes) -> Passed | None:
    """What one message says; None: nothing that is read here. Raises Unreadable."""
    reader = FieldReader()
    fields = reader.fields(message)
    for kind in PassedKind:
        for told in parts(fields, kind):
            inside = reader.fields(told)
            if kind in {PassedKind.REQUEST_BODY, PassedKind.ANSWER_BODY}:
                body = b"".join(parts(inside, 1))
                return Passed(kind, {}, body, bool(integer(inside, 2)), 0)
            ended = kind >= PassedKind.REQUEST_TRAILERS or bool(integer(inside, 3))
            connection = _connection(reader, fields) if kind is PassedKind.ASKED else 0
            return Passed(kind, _head(reader, inside), b"", ended, connection)
    return None


def _head(reader: FieldReader, inside: Fields) -> dict[bytes, bytes]:
    """Values are raw bytes, or text where an older Envoy sends it."""
    found: dict[bytes, bytes] = {}
    for header in parts(inside, 1):
        for line in parts(reader.fields(header), 1):
            one = reader.fields(line)
            name, value = parts(one, 1), parts(one, 3) or parts(one, 2)
            if name:
                found.setdefault(name[-1], value[-1] if value else b"")
    return found


def _connection(reader: FieldReader, fields: Fields) -> int:
    """Of the attributes that were asked for; 0 where it is not told."""
    for space in parts(fields, _ATTRIBUTES):
        for struct_ in parts(reader.fields(space), 2):
            for entry in parts(reader.fields(struct_), 1):
                named = reader.fields(entry)
                if parts(named, 1)[-1:] != [CONNECTION.encode()]:
                    continue
                for value in parts(named, 2):
                    numbers = reader.fields(value).get(_DOUBLE << 3 | FIXED64, ())
                    for number in numbers:
                        if isinstance(number, bytes):
                            found: float = struct.unpack("<d", number)[0]
                            return int(found) if 0 <= found < 2**53 else 0
    return 0
