"""What goes out: one framing, whatever came in, and nothing HTTP/1.0 does not understand."""

from __future__ import annotations

import pytest

from router.http1 import (
    CHUNKED,
    CONTINUE,
    LENGTH,
    NO_BODY,
    SHADOW_LINE,
    UNTIL_CLOSE,
    ResponseParser,
    body_piece,
    interim_head,
    own_response,
    request_head,
    response_head,
)
from tests.http1.wire import PEER, Recorder, parse_request, parse_response

GET = parse_request(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")[0]
GET_CLOSE = parse_request(b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")[0]
GET_10 = parse_request(b"GET /x HTTP/1.0\r\n\r\n")[0]
GET_10_KEEP = parse_request(b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")[0]


def upstream(raw: bytes, **more) -> bytes:
    head, body = parse_request(raw)
    out = request_head(head, host=b"h", peer=PEER, request_id=b"i", **more)
    return out + body_piece(head.framing, body, complete=True)


@pytest.mark.parametrize(
    ("raw", "end"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"Via: 1.1 rampway\r\n\r\n"),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
            b"\r\nContent-Length: 0\r\n\r\n",
        ),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"),
        (b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", b"Via: 1.1 rampway\r\n\r\n"),
        (
            b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0003\r\n\r\nabc",
            b"\r\nContent-Length: 3\r\n\r\nabc",
        ),
        (
            (
                b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
                b"1;a=b\r\na\r\n002\r\nbc\r\n0\r\nX: y\r\n\r\n"
            ),
            b"\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ),
    ],
)
def test_framing_to_the_backend_is_our_own(raw, end):
    out = upstream(raw)
    assert out.endswith(end)
    assert out.lower().count(b"content-length") + out.lower().count(b"transfer-encoding") == (
        0 if end.startswith(b"Via") else 1
    )


def test_http10_requests_go_on_as_http11():
    assert upstream(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n").startswith(b"GET / HTTP/1.1\r\n")


def test_absolute_targets_go_on_in_origin_form():
    out = upstream(b"GET http://a.org/p?q HTTP/1.1\r\nHost: x\r\n\r\n")
    assert out.startswith(b"GET /p?q HTTP/1.1\r\nHost: h\r\n")


def test_trace_and_further_lines_are_put_in():
    out = upstream(
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        trace=b"traceparent: t\r\n",
        extra=b"X-A: 1\r\nX-B: 2\r\n",
    )
    assert b"\r\ntraceparent: t\r\nX-A: 1\r\nX-B: 2\r\n" in out


def test_a_copy_is_marked():
    raw = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    out, copy = upstream(raw), upstream(raw, extra=SHADOW_LINE)
    assert copy.replace(SHADOW_LINE, b"") == out
    assert b"\r\nx-rampway-shadow: 1\r\n" in copy.lower()


TE = b"Transfer-Encoding: chunked\r\n"
ANSWERS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 005\r\n\r\nhello",
    "zero": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n5;x\r\nhello\r\n0\r\nA: b\r\n\r\n",
    "until_close": b"HTTP/1.0 200 OK\r\n\r\nhello",
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "204-zero": b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    "304-bare": b"HTTP/1.1 304 Not Modified\r\n\r\n",
}


@pytest.mark.parametrize(
    ("answer", "request_", "framing", "lines", "body"),
    [
        ("length", GET, LENGTH, [b"Content-Length: 5"], b"hello"),
        ("length", GET_CLOSE, LENGTH, [b"Content-Length: 5", b"Connection: close"], b"hello"),
        ("length", GET_10, LENGTH, [b"Content-Length: 5", b"Connection: close"], b"hello"),
        (
            "length",
            GET_10_KEEP,
            LENGTH,
            [b"Content-Length: 5", b"Connection: keep-alive"],
            b"hello",
        ),
        ("zero", GET, NO_BODY, [b"Content-Length: 0"], b""),
        ("chunked", GET, CHUNKED, [b"Transfer-Encoding: chunked"], b"5\r\nhello\r\n0\r\n\r\n"),
        ("chunked", GET_10, UNTIL_CLOSE, [b"Connection: close"], b"hello"),
        ("chunked", GET_10_KEEP, UNTIL_CLOSE, [b"Connection: close"], b"hello"),
        ("until_close", GET, CHUNKED, [b"Transfer-Encoding: chunked"], b"5\r\nhello\r\n0\r\n\r\n"),
        ("until_close", GET_10, UNTIL_CLOSE, [b"Connection: close"], b"hello"),
        ("204", GET, NO_BODY, [], b""),
        ("204-zero", GET, NO_BODY, [], b""),
        ("204", GET_10_KEEP, NO_BODY, [b"Connection: keep-alive"], b""),
        ("304", GET, NO_BODY, [b"Content-Length: 9"], b""),
        ("304-bare", GET, NO_BODY, [], b""),
    ],
)
def test_framing_to_the_client(answer, request_, framing, lines, body):
    head, got = parse_response(ANSWERS[answer], eof=answer == "until_close")
    out, out_framing, keep = response_head(head, request_, keep_alive=True, extra=b"X-A: 1\r\n")
    assert out_framing == framing
    assert keep is (b"Connection: close" not in lines)
    added = {b"X-A: 1", b"Via: 1.%d rampway" % head.minor}
    assert sorted({*out[:-4].split(b"\r\n")[1:]} - added) == sorted(lines)
    assert out.startswith(b"HTTP/1.1 %d " % head.status)
    assert body_piece(out_framing, got, complete=True) == body


def test_answers_to_head_keep_the_length_of_the_get():
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    head, _ = parse_response(raw, to_head=True)
    out, framing, keep = response_head(head, GET, keep_alive=True)
    assert out.endswith(b"Content-Length: 5\r\n\r\n")
    assert (framing, keep) == (NO_BODY, True)


def test_the_router_may_end_the_connection():
    head, _ = parse_response(ANSWERS["length"])
    out, _, keep = response_head(head, GET, keep_alive=False)
    assert out.endswith(b"Connection: close\r\n\r\n")
    assert not keep


@pytest.mark.parametrize(
    ("framing", "piece", "complete", "out"),
    [
        (LENGTH, b"abc", False, b"abc"),
        (LENGTH, b"", True, b""),
        (UNTIL_CLOSE, b"abc", True, b"abc"),
        (CHUNKED, b"abc", False, b"3\r\nabc\r\n"),
        (CHUNKED, b"x" * 255, False, b"ff\r\n" + b"x" * 255 + b"\r\n"),
        (CHUNKED, b"", False, b""),
        (CHUNKED, b"abc", True, b"3\r\nabc\r\n0\r\n\r\n"),
        (CHUNKED, b"", True, b"0\r\n\r\n"),
    ],
)
def test_body_pieces(framing, piece, complete, out):
    assert body_piece(framing, piece, complete) == out


def test_interim_answers_are_for_http11_only():
    raw = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 x\r\n\r\n"
    recorder = Recorder()
    parser = ResponseParser(recorder)
    parser.expect()
    parser.feed(raw)
    hints = recorder.heads[0]
    assert interim_head(hints, GET) == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    assert interim_head(hints, GET_10) == b""
    assert parse_response(CONTINUE + ANSWERS["length"])[1] == b"hello"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            {"status": 503, "extra": b"Retry-After: 1\r\n"},
            (
                b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
                b"Connection: close\r\n\r\n"
            ),
        ),
        (
            {"status": 200, "body": b"hi", "content_type": b"text/plain", "keep_alive": True},
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi",
        ),
        (
            {"status": 404, "body": b"{}", "keep_alive": True, "minor": 0},
            (
                b"HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\n"
                b"Content-Length: 2\r\nConnection: keep-alive\r\n\r\n{}"
            ),
        ),
        (
            {"status": 400, "body": b"{}", "to_head": True},
            (
                b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\n"
                b"Content-Length: 2\r\nConnection: close\r\n\r\n"
            ),
        ),
        ({"status": 204, "keep_alive": True}, b"HTTP/1.1 204 No Content\r\n\r\n"),
        ({"status": 599}, b"HTTP/1.1 599 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    ],
)
def test_own_answers(arguments, expected):
    status = arguments.pop("status")
    assert own_response(status, **arguments) == expected
