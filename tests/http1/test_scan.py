"""What the expressions of plain heads find, and what is found byte by byte, is the same.

RAMPWAY_PLAIN_HEADS=100000 pytest tests/http1/test_scan.py     all of it
"""

import os
import random
from itertools import islice

import pytest

from router.http1 import plain
from router.http1.headers import REQUEST_KINDS, RESPONSE_KINDS
from router.http1.plain import HEAD_BYTES_MAX
from router.http1.scan import DIGITS_MAX, number, scan
from tests.http1 import generated
from tests.http1.generated import PARENT
from tests.http1.test_plain import OK, POST, TAUGHT, damaged, eager, read, shape_of, teach

HEADS = int(os.environ.get("RAMPWAY_PLAIN_HEADS", "3000"))
SEED = 20261128
EACH = 1 if HEADS >= 100_000 else 23
"""Of damaged heads, so many less; all of them take a minute."""
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nServer: m\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: Chunked\r\nConnection: keep-alive\r\n\r\n"
)


def found(shape, data, most=HEAD_BYTES_MAX):
    """The end and the values, by the expression and byte by byte; they must be equal."""
    match = shape.match(data, 0, most)
    expected = (match.end(), match.groups(b"")) if match is not None else (0, ())
    assert scan(shape.scanned, data, most, shape.of_requests) == expected, data
    return expected[0]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("answers", [False, True], ids=["requests", "answers"])
def test_generated_heads_are_found_alike(answers, seed):
    own = random.Random(SEED + seed)
    make = generated.answer if answers else generated.request
    fields = eager(RESPONSE_KINDS if answers else REQUEST_KINDS)
    for _ in range(TAUGHT):
        read(make(own), fields, answers=answers)
    taken = 0
    for _ in range(HEADS // 4):
        data = b"".join(make(own))
        shape = fields.shapes.find(data)
        if shape is not None:
            taken += found(shape, data) > 0
    assert taken > HEADS // 4 // 4


@pytest.mark.parametrize(
    "line",
    [b"traceparent: " + PARENT % (1, 2, 1), b"traceparent: x", b"tracestate: a=1", b"Host: a"],
)
def test_what_means_something_in_a_request_is_any_line_of_an_answer(line):
    raw = OK.replace(b"Content-Type", line + b"\r\nContent-Type")
    shape = shape_of(raw, answers=True)
    assert found(shape, raw) == raw.index(b"\r\n\r\n") + 4
    assert scan(shape.scanned, raw, HEAD_BYTES_MAX, False)[1][shape.length] == b"5"


@pytest.mark.parametrize("raw", [POST, OK, CHUNKED], ids=["request", "answer", "chunks"])
def test_damaged_heads_are_found_alike(raw):
    shape = shape_of(raw, answers=raw is not POST)
    assert found(shape, raw) == raw.index(b"\r\n\r\n") + 4
    some = islice(damaged(raw), 0, None, EACH)
    assert sum(found(shape, one) > 0 for one in some) > 2_000 // EACH


@pytest.mark.parametrize("raw", [POST, OK], ids=["request", "answer"])
def test_a_compiled_parser_takes_what_was_found_byte_by_byte(monkeypatch, raw):
    fields = eager(RESPONSE_KINDS if raw is OK else REQUEST_KINDS)
    teach(fields, raw, answers=raw is OK)
    by_expression, (one,) = read([raw], fields, answers=raw is OK)
    monkeypatch.setattr(plain, "SCANS", True)
    byte_by_byte, (two,) = read([raw], fields, answers=raw is OK)
    assert byte_by_byte == by_expression
    assert two.values == one.values
    assert read([raw.replace(b"1.1", b"1.2")], fields, answers=raw is OK)[1] == []


@pytest.mark.parametrize("raw", [POST, OK], ids=["request", "answer"])
def test_a_head_that_is_cut_or_too_long_is_found_in_neither_way(raw):
    shape = shape_of(raw, answers=raw is OK)
    end = raw.index(b"\r\n\r\n") + 4
    for size in range(len(raw) + 1):
        assert found(shape, raw[:size]) == (end if size >= end else 0)
        assert found(shape, raw, size) == (end if size >= end else 0)


VALUES = {
    b"flights.example.org": (
        b"[::1]:80", b"[1]", b"[::1", b"a:", b"a:123456", b"a:80", b":80", b"a" * 255,
        b"a" * 256, b"a" * 256 + b":1", b"a:8x", b"a/b", b"[::1]x", b"~._-",
    ),
    b"3f2a": (b"i" * 128, b"i" * 129, b"a,b", b"a=/:@+-_.", b"i j", b'"i"'),
    b"keep-alive": (b"Keep-Alive", b"CLOSE", b"close, te", b"closed", b"keep_alive"),
    b": 5\r\n\r\n": tuple(b": %b\r\n\r\n" % n for n in (
        b"0", b"00", b"05", b"9" * 18, b"9" * 19, b"+5", b"5 ", b"0x5", b"", b"-1", b"\xb2",
    )),
    b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": (
        b"00-%b-%b-0f" % (b"a" * 32, b"9" * 16),
        b"00-%b-00f067aa0ba902b7-01" % (b"0" * 32), b"00-4bf92f3577b34da6a3ce929d0e0e4736-%b-01"
        % (b"0" * 16), b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fg",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
    ),
    b"POST": (b"GET", b"PUT", b"DELETE", b"PATCH", b"HEAD", b"OPTIONS", b"TRACE", b"post", b""),
    b"/v2/a?b=%20c": (*generated.TARGETS, *generated.ODD_TARGETS, b"/a/%2", b"/%2f", b"/a?", b"?a"),
    b"python-requests/2.32.3": (b"a\tb", b"\ta", b"a\t", b" a", b"a ", b"a\x7f", b"\x80", b"a\nb"),
}  # fmt: skip
"""Of a request: what stands there, and what is written in its place."""
LINES_OF_ANSWERS = (
    b"HTTP/1.0 200 OK", b"HTTP/1.2 200 OK", b"HTTP/2.0 200 OK", b"HTTP/1.1 204 No",
    b"HTTP/1.1 304 ", b"HTTP/1.1 199 a", b"HTTP/1.1 600 a", b"HTTP/1.1 2x0 a", b"HTTP/1.1 599 ",
    b"HTTP/1.1 200",
    b"HTTP/1.1  200 OK", b"HTTP/1.1 200 O\tK ", b"HTTP/1.1 200 O\x7fK", b"HTTP/1.1 404\tx", b"",
    b"HTTP/1.1 2000 OK", b"HTTP/1.1_200 OK", b"HTTP/1.x 200 OK", b"HTTP/1.1 \xb200 OK",
)  # fmt: skip


@pytest.mark.parametrize("there", VALUES, ids=range(len(VALUES)))
def test_what_a_value_may_be_is_the_same(there):
    shape = shape_of(POST, answers=False)
    assert there in POST
    verdicts = {found(shape, POST.replace(there, value, 1)) > 0 for value in VALUES[there]}
    assert verdicts == {True, False}


def test_what_a_status_line_may_be_is_the_same():
    shape, rest = shape_of(OK, answers=True), OK.partition(b"\r\n")[2]
    verdicts = [found(shape, line + b"\r\n" + rest) > 0 for line in LINES_OF_ANSWERS]
    assert verdicts.count(True) == 3
    coded = shape_of(CHUNKED, answers=True)
    assert not found(coded, CHUNKED.replace(b"Chunked", b"gzip"))


def test_a_length_is_the_number_that_its_digits_say():
    for digits in (b"", b"0", b"7", b"1024", b"9" * DIGITS_MAX):
        assert number(digits) == int(digits or b"0"), digits
