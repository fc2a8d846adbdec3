"""What the parsers promise besides verdicts: shape of the calls, pausing, persistence, bounds."""

from __future__ import annotations

import dataclasses

import pytest
from httptools import HttpParserError

from router.http1 import (
    DEFAULT_LIMITS,
    ClientFramingError,
    RequestParser,
    ResponseParser,
    UpstreamFramingError,
    body_piece,
    framing,
)
from router.http1.headers import REQUEST_KINDS, RESPONSE_KINDS, FieldCache
from router.http1.messages import CHUNKED
from router.http1.reader import DEAD
from tests.http1.corpus import Seen
from tests.http1.damage import take
from tests.http1.wire import Recorder, pairs_of, parse_request, parse_response

GET = b"GET /a?b=c HTTP/1.1\r\nHost: example.org:80\r\nX-User-Id: 7\r\n\r\n"
GET_SEEN = Seen(b"GET /a?b=c")
POST = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


def test_a_whole_request_costs_one_call():
    recorder = Recorder()
    RequestParser(recorder).feed(POST + b"hello")
    assert recorder.calls == 1


def test_chunks_of_one_read_are_handed_on_in_one_piece():
    recorder = Recorder()
    raw = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    RequestParser(recorder).feed(raw + b"1\r\na\r\n" * 1000 + b"0\r\n\r\n")
    assert recorder.calls == 1
    assert recorder.seen[0].body == b"a" * 1000


def test_a_long_body_is_passed_through_without_copies():
    pieces = []
    recorder = Recorder()
    recorder.on_body = lambda piece, _: pieces.append(piece)
    parser = RequestParser(recorder)
    parser.feed(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\n")
    piece = b"x" * 100
    parser.feed(piece)
    assert pieces[0] is piece


def test_what_a_head_says():
    head, _ = parse_request(GET)
    assert (head.method, head.target, head.path, head.query) == (b"GET", b"/a?b=c", b"/a", b"b=c")
    assert head.host == b"example.org:80"
    assert pairs_of(head) == [(b"Host", b"example.org:80"), (b"X-User-Id", b"7")]
    assert head.get(b"x-user-id") == b"7"
    assert head.get(b"absent") is None
    assert head.get_all(b"x-user-id") == [b"7"]
    assert list(head.passed_on()) == [b"", b"X-User-Id: 7\r\n"]
    assert (head.keep_alive, head.expect_continue, head.max_forwards) == (True, False, -1)
    assert repr(head) == "<RequestHead b'GET' b'/a?b=c' none length=0>"
    assert repr(head.fields[1]) == "<Field b'X-User-Id' kind=0>"


def test_what_an_answer_says():
    head, body = parse_response(OK + b"hello")
    assert (head.status, head.status_line, head.minor, body) == (
        200,
        b"HTTP/1.1 200 OK\r\n",
        1,
        b"hello",
    )
    assert pairs_of(head) == [(b"Content-Length", b"5")]
    assert head.get(b"content-length") == b"5"
    assert head.get(b"absent") is None
    assert head.get_all(b"content-length") == [b"5"]
    assert repr(head) == "<ResponseHead 200 length length=5>"


def test_host_of_an_absolute_target_wins():
    head, _ = parse_request(b"GET http://a.org:8080/x HTTP/1.1\r\nHost: b.org\r\n\r\n")
    assert (head.host, head.target) == (b"a.org:8080", b"/x")


def test_colon_without_port_is_dropped():
    assert parse_request(b"GET / HTTP/1.1\r\nHost: a.org:\r\n\r\n")[0].host == b"a.org"


@pytest.mark.parametrize(
    ("version", "connection", "stays"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: Keep-Alive, CLOSE\r\n", False),
        (b"1.1", b"Connection: keep-alive\r\nConnection: close\r\n", False),
        (b"1.1", b"Connection: x-secret\r\n", True),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: keep-alive\r\n", True),
        (b"1.0", b"Connection: keep-alive, close\r\n", False),
    ],
)
def test_persistence(version, connection, stays):
    raw = b"GET / HTTP/%b\r\nHost: x\r\n%b\r\n" % (version, connection)
    head, _ = parse_request(raw)
    assert head.keep_alive is stays
    recorder = Recorder()
    RequestParser(recorder).feed(raw * 2)
    assert len(recorder.seen) == 1 + stays


def test_expect_continue_is_only_meant_by_http11():
    raw = b"POST / HTTP/1.%d\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 0\r\n\r\n"
    assert parse_request(raw % 1)[0].expect_continue
    assert not parse_request(raw % 0)[0].expect_continue


def test_pause_holds_back_pipelined_requests_and_resume_goes_on():
    recorder = Recorder()
    parser = RequestParser(recorder)
    parser.paused = True
    parser.feed(GET * 3)
    assert recorder.seen == []
    assert parser.paused
    assert (parser.buffered_bytes, parser.waiting) == (len(GET * 3), 3)
    parser.feed(GET[:-1])
    assert parser.waiting == 3
    parser.feed(GET[-1:])
    parser.resume()
    assert not parser.paused
    assert recorder.seen == [GET_SEEN] * 4
    assert parser.buffered_bytes == 0
    parser.resume()
    assert len(recorder.seen) == 4


def test_pause_within_a_callback_stops_after_it():
    recorder = Recorder()
    parser = RequestParser(recorder)
    begin = recorder.on_request

    def one_at_a_time(head, body, complete):
        begin(head, body, complete)
        parser.paused = True

    recorder.on_request = one_at_a_time
    parser.feed(GET * 3)
    for count in (1, 2, 3, 3):
        assert len(recorder.seen) == count
        parser.resume()


def test_resume_within_a_callback_takes_effect_after_it():
    recorder = Recorder()
    parser = RequestParser(recorder)
    begin = recorder.on_request

    def answered_at_once(head, body, complete):
        parser.paused = True
        begin(head, body, complete)
        parser.resume()

    recorder.on_request = answered_at_once
    parser.feed(GET * 3 + GET[:10])
    assert recorder.seen == [GET_SEEN] * 3
    assert parser.buffered_bytes == 10


def test_resume_may_meet_the_error():
    parser = RequestParser(Recorder())
    parser.paused = True
    parser.feed(b"BAD\r\n\r\n")
    with pytest.raises(ClientFramingError):
        parser.resume()


def test_thousands_of_pipelined_requests_taken_one_by_one_copy_nothing():
    recorder = Recorder()
    parser = RequestParser(recorder)
    begin = recorder.on_request

    def one_at_a_time(head, body, complete):
        begin(head, body, complete)
        parser.paused = True

    recorder.on_request = one_at_a_time
    raw = GET * 4000
    parser.feed(raw)
    while parser.buffered_bytes:
        assert parser.rest is raw
        parser.resume()
    assert len(recorder.seen) == 4000


def test_after_an_error_bytes_are_ignored():
    recorder = Recorder()
    parser = RequestParser(recorder)
    with pytest.raises(ClientFramingError) as caught:
        parser.feed(b"GET / HTTP/1.1\r\n\r\n")
    assert (caught.value.status, caught.value.reason) == (400, "Host is missing")
    assert parser._state == DEAD
    parser.feed(GET)
    parser.paused = True
    parser.feed(GET)
    parser.resume()
    assert recorder.seen == []


def test_earlier_requests_are_handed_on_before_the_error():
    recorder = Recorder()
    with pytest.raises(ClientFramingError):
        RequestParser(recorder).feed(GET + GET + b"BAD\r\n\r\n")
    assert recorder.seen == [GET_SEEN] * 2


def test_a_body_malformed_in_the_same_read_is_never_handed_on():
    recorder = Recorder()
    with pytest.raises(ClientFramingError):
        RequestParser(recorder).feed(
            b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX"
        )
    assert recorder.calls == 0


def test_close_within_a_callback_ends_the_reading():
    recorder = Recorder()
    parser = RequestParser(recorder)
    recorder.on_request = lambda *_: parser.close()
    parser.feed(GET * 2)
    assert parser._state == DEAD
    assert parser.buffered_bytes == 0


@pytest.mark.parametrize(
    ("raw", "clean"),
    [(b"", True), (GET, True), (GET[:9], False), (POST, False), (POST + b"hell", False)],
)
def test_client_eof(raw, clean):
    parser = RequestParser(Recorder())
    parser.feed(raw)
    assert parser.mid_message is not clean
    assert parser.feed_eof() is clean
    assert parser._state == DEAD


def test_repr_shows_the_state():
    parser = RequestParser(Recorder())
    assert repr(parser) == "<RequestParser idle buffered=0>"
    parser.feed(POST)
    assert repr(parser) == "<RequestParser in body buffered=0>"


def test_smaller_limits_hold_too():
    limits = dataclasses.replace(DEFAULT_LIMITS, head_bytes=len(POST), body_bytes=5, fields=2)
    recorder = Recorder()
    parser = RequestParser(recorder, limits)
    parser.feed(POST + b"hello")
    assert len(recorder.seen) == 1
    for raw, status in [
        (POST.replace(b"5", b"6"), 413),
        (POST.replace(b": x", b": xx"), 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nC: d\r\n\r\n", 431),
    ]:
        with pytest.raises(ClientFramingError) as caught:
            RequestParser(Recorder(), limits).feed(raw)
        assert caught.value.status == status


def test_head_dripped_byte_by_byte_is_scanned_once():
    scanned = []
    parser = RequestParser(Recorder())
    stray = parser._stray_in_start

    def counted(head, start):
        scanned.append(len(head) - start)
        return stray(head, start)

    parser._stray_in_start = counted
    for i in range(5000):
        parser.feed(b"GET /aaaaaaa"[i : i + 1] or b"a")
    assert sum(scanned) <= 2 * 5000


# -- answers


def test_nothing_is_expected_of_an_idle_connection():
    parser = ResponseParser(Recorder())
    with pytest.raises(UpstreamFramingError) as caught:
        parser.feed(OK)
    assert (caught.value.status, caught.value.reason) == (502, "bytes nobody asked for")
    assert not parser.reusable
    parser.feed(b"more")


def test_answers_one_after_another():
    recorder = Recorder()
    parser = ResponseParser(recorder)
    for count in (1, 2, 3):
        parser.expect()
        assert parser._due
        assert not parser.started
        assert not parser.reusable
        parser.feed(OK + b"hel")
        assert parser.started
        parser.feed(b"lo")
        assert parser.reusable
        assert not parser._due
        assert len(recorder.seen) == count


def test_a_head_answer_in_between_keeps_the_second_reader_in_step():
    recorder = Recorder()
    parser = ResponseParser(recorder)
    for to_head in (False, True, True, False):
        parser.expect(to_head=to_head)
        parser.feed(OK if to_head else OK + b"hello")
        assert parser.reusable
    assert [seen.body for seen in recorder.seen] == [b"hello", b"", b"", b"hello"]


def test_only_one_answer_may_be_due():
    parser = ResponseParser(Recorder())
    parser.expect()
    with pytest.raises(RuntimeError):
        parser.expect()
    parser.close()
    with pytest.raises(RuntimeError):
        parser.expect()


def test_surplus_bars_the_connection_before_the_answer_is_handed_on():
    # A pool that pairs the connection with its next request within the callback would otherwise
    # read the surplus as that request's answer.
    recorder = Recorder()
    parser = ResponseParser(recorder)
    reusable = []
    recorder.on_response = lambda *_: reusable.append(parser.reusable)
    parser.expect()
    parser.feed(OK + b"hello" + OK + b"evil!")
    assert reusable == [False]
    assert parser._state == DEAD


def test_the_next_request_may_be_sent_within_the_callback():
    recorder = Recorder()
    parser = ResponseParser(recorder)
    recorder.on_response = lambda *_: parser.expect()
    parser.expect()
    parser.feed(OK + b"hello")
    assert parser._due
    assert not parser.started


def test_declared_length_of_answers_without_body():
    assert parse_response(OK, to_head=True)[0].declared_length == 5
    head, body = parse_response(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n")
    assert (head.declared_length, head.length, body) == (9, 0, b"")


@pytest.mark.parametrize("raw", [b"", OK[:20], OK, OK + b"hell"])
def test_upstream_eof_before_the_end_is_an_error(raw):
    parser = ResponseParser(Recorder())
    parser.expect()
    parser.feed(raw)
    assert parser.started is bool(raw)
    with pytest.raises(UpstreamFramingError):
        parser.feed_eof()
    assert not parser.reusable
    parser.feed_eof()


def test_upstream_eof_on_an_idle_connection_is_not():
    parser = ResponseParser(Recorder())
    parser.feed_eof()
    assert not parser.reusable


def test_upstream_eof_ends_a_body_delimited_by_it():
    recorder = Recorder()
    parser = ResponseParser(recorder)
    parser.expect()
    parser.feed(b"HTTP/1.1 200 OK\r\n\r\nhel")
    parser.feed(b"lo")
    parser.feed_eof()
    assert recorder.seen == [Seen(b"200", "until_close", b"hello")]
    assert not parser.reusable


def test_errors_never_repeat_input():
    secret = b"s3cr3t"
    for raw in (b"GET /%b#x HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nX %b: y\r\n\r\n"):
        with pytest.raises(ClientFramingError) as caught:
            RequestParser(Recorder()).feed(raw % secret)
        assert secret.decode() not in str(caught.value)
        assert caught.value.__suppress_context__


# -- the second reader


class DeafReader:
    """Stands in for llhttp and never finds the end of a message."""

    def feed_data(self, data):
        pass


@pytest.mark.parametrize("raw", [GET, POST + b"hello"])
def test_readers_that_disagree_about_the_end_refuse_a_request(raw):
    recorder = Recorder()
    parser = RequestParser(recorder, fields=FieldCache(REQUEST_KINDS))
    parser._llhttp = DeafReader()
    with pytest.raises(ClientFramingError, match="another end"):
        parser.feed(raw)
    assert recorder.calls == 0


def test_readers_that_disagree_about_the_end_refuse_an_answer():
    parser = ResponseParser(Recorder(), fields=FieldCache(RESPONSE_KINDS))
    parser._llhttp = DeafReader()
    parser.expect()
    with pytest.raises(UpstreamFramingError, match="another end"):
        parser.feed(OK + b"hello")


class FussyReader(DeafReader):
    """Stands in for llhttp and finds everything malformed."""

    def __init__(self, completion=None):
        pass

    def feed_data(self, data):
        raise HttpParserError("no")


@pytest.mark.parametrize("to_head", [True, False])
def test_what_only_the_second_reader_dislikes_is_refused(monkeypatch, to_head):
    monkeypatch.setattr("router.http1.answers.HttpResponseParser", FussyReader)
    parser = ResponseParser(Recorder(), fields=FieldCache(RESPONSE_KINDS))
    parser.expect(to_head=to_head)
    with pytest.raises(UpstreamFramingError, match="second reader"):
        parser.feed(OK)


@pytest.mark.parametrize("raw", [GET.replace(b"?b=c", b""), POST + b"hello"])
def test_a_head_that_both_readers_read_alike_is_known_by_the_length_of_its_message(raw):
    recorder, fields = Recorder(), FieldCache(REQUEST_KINDS)
    parser = RequestParser(recorder, fields=fields)
    for _ in range(3):
        parser.feed(raw)
    parser._llhttp = DeafReader()
    parser.feed(raw)
    assert recorder.seen == [recorder.seen[0]] * 4
    with pytest.raises(ClientFramingError, match="another end"):
        parser.feed(raw + raw)  # not the one message that was agreed on


def test_an_answer_behind_an_interim_one_is_read_twice():
    fields = FieldCache(RESPONSE_KINDS)
    for _ in range(3):
        parser = ResponseParser(Recorder(), fields=fields)
        parser.expect()
        parser.feed(OK + b"hello")
    parser.expect()
    parser.feed(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    parser._llhttp = DeafReader()
    with pytest.raises(UpstreamFramingError, match="another end"):
        parser.feed(OK + b"hello")


@pytest.mark.parametrize(
    ("pieces", "seen"),
    [
        ([b"2\r\nab\r\n", b"0\r\n\r\n"], b"ab"),
        ([b"2\r\nab\r\n1\r\nc\r\n", b"1\r\nd\r\n", b"0\r\n\r\n"], b"abcd"),
        ([b"2\r", b"\nab\r\n", b"1\r\nc\r\n0\r\n\r\n"], b"abc"),
        ([b"2;x=y\r\nab\r\n", b"0\r\n\r\n"], b"ab"),
        ([b"2\r\nab\n\n"], None),
        ([b"2\r\nabc\r\n"], None),
        ([b"02\r\nab\r\n", b"0x1\r\na\r\n"], None),
    ],
)
@pytest.mark.parametrize("taken", [False, True])
def test_a_stream_is_read_chunk_by_chunk(pieces, seen, taken):
    recorder = Recorder()
    parser = ResponseParser(recorder)
    parser.expect()
    parser.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    try:
        for piece in pieces:
            if taken:
                take(parser, recorder, piece)
            else:
                parser.feed(piece)
    except UpstreamFramingError:
        assert seen is None
        return
    assert recorder.seen == [Seen(b"200", "chunked", seen)]
    assert parser.reusable


@pytest.mark.parametrize("way", ["feed", "whole_chunk"])
def test_each_chunk_of_a_stream_is_read_twice(way):
    parser = ResponseParser(Recorder())
    parser.expect()
    parser.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    getattr(parser, way)(b"2\r\nab\r\n")
    parser._llhttp = FussyReader()
    with pytest.raises(UpstreamFramingError, match="second reader"):
        getattr(parser, way)(b"2\r\nab\r\n")
    assert not parser.reusable
    assert not parser.whole_chunk(b"2\r\nab\r\n"), "what was refused is read no further"


def _in_a_stream():
    parser = ResponseParser(Recorder())
    parser.expect()
    parser.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    return parser


@pytest.mark.parametrize("sizes", [range(1, 300), (4_079, 4_080, 4_096, 65_535, 65_536, 1_048_576)])
def test_a_chunk_of_any_size_is_taken_whole_if_it_is_framed_as_ours(sizes):
    parser = _in_a_stream()
    for size in sizes:
        content = b"x" * size
        assert parser.whole_chunk(body_piece(CHUNKED, content, False)) == content


@pytest.mark.parametrize(
    "data",
    [
        b"", b"0\r\n\r\n", b"\r\n", b"2\r\nab", b"2\r\nabc\r\n", b"2\r\na\r\n", b"02\r\nab\r\n",
        b"2;x\r\nab\r\n", b"A\r\n0123456789\r\n", b"f\r\n0123456789abcdef\r\n",
        b"10\r\n0123456789abcde\r\n", b"1\r\na\r\n1\r\nb\r\n", b"2\r\nab\n\n",
    ],
)  # fmt: skip
def test_any_other_bytes_are_left_for_the_ordinary_way(data):
    assert _in_a_stream().whole_chunk(data) == b""


def test_what_is_no_chunk_of_a_body_under_way_is_not_taken_as_one():
    chunk = b"2\r\nab\r\n"
    parser = _in_a_stream()
    parser.feed(b"2\r\na")
    assert not parser.whole_chunk(chunk), "within a chunk"
    parser = _in_a_stream()
    parser.feed(b"2")
    assert not parser.whole_chunk(chunk), "behind half a size line"
    parser = _in_a_stream()
    parser.feed(b"0\r\nA: b\r\n")
    assert not parser.whole_chunk(chunk), "within the trailers"
    parser.feed(b"\r\n")
    parser.expect()
    assert not parser.whole_chunk(chunk), "the body is over"
    parser.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\n")
    assert not parser.whole_chunk(chunk), "of a body that has no chunks"


def test_start_lines_remembered_are_bounded():
    for i in range(framing.REQUEST_LINES.LINES_MAX + 10):
        parse_request(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % i)
        parse_response(b"HTTP/1.1 204 %d\r\n\r\n" % i)
        assert len(framing.REQUEST_LINES) <= framing.REQUEST_LINES.LINES_MAX
        assert len(framing.STATUS_LINES) <= framing.REQUEST_LINES.LINES_MAX
    long = b"a" * (framing.REQUEST_LINES.LINE_BYTES_MAX + 1)
    secret = b"GET /x?token=s3cr3t HTTP/1.1"
    parse_request(b"GET /" + long + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    parse_request(secret + b"\r\nHost: x\r\n\r\n")
    parse_response(b"HTTP/1.1 204 " + long + b"\r\n\r\n")
    for lines in (framing.REQUEST_LINES, framing.STATUS_LINES):
        assert max(map(len, lines)) <= framing.REQUEST_LINES.LINE_BYTES_MAX
        assert secret not in lines
