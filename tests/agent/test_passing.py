"""Messages of Envoy's filter: read as they are written, and nothing else ends the reader."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.agent.passing import CONNECTION, PassedKind, passed
from router.core.foreign import Unreadable
from tests.protobuf import field, varint


def head(*lines, ended=0):
    rows = b"".join(field(1, field(1, name) + field(3, value)) for name, value in lines)
    return field(1, rows) + field(3, ended)


def attributes(number, name=CONNECTION):
    value = varint(2 << 3 | 1) + struct.pack("<d", number)
    entry = field(1, name) + field(2, value)
    return field(9, field(1, "envoy.filters.http.ext_proc") + field(2, field(1, entry)))


def test_a_head_with_the_connection_of_its_client():
    said = field(2, head((":path", "/x"), ("x-a", "1"), ("x-a", "2"), ended=1)) + attributes(7.0)
    one = passed(said + field(10, 1))
    assert (one.kind, one.ended, one.connection) == (PassedKind.ASKED, True, 7)
    assert one.head == {b":path": b"/x", b"x-a": b"1"}


def test_a_piece_of_a_body_and_trailers():
    piece = passed(field(5, field(1, b"abc") + field(2, 1)))
    assert (piece.kind, piece.body, piece.ended) == (PassedKind.ANSWER_BODY, b"abc", True)
    end = passed(field(7, head(("grpc-status", "0"))))
    assert (end.kind, end.ended, end.head) == (
        PassedKind.ANSWER_TRAILERS,
        True,
        {b"grpc-status": b"0"},
    )


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0, 1e300])
def test_a_connection_that_is_no_number_is_none(number):
    assert passed(field(2, head()) + attributes(number)).connection == 0


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_unreadable(data):
    for message in (data, field(2, data), field(9, data) + field(2, data), field(5, data)):
        with suppress(Unreadable):
            passed(message)
