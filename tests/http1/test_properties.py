"""Random messages and random damage: one verdict, no other exception, and no change in meaning."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from router.http1 import (
    FramingError,
    RequestParser,
    ResponseParser,
    body_piece,
    request_head,
    response_head,
)
from router.http1.reader import DEAD
from tests.http1.damage import (
    RAW_ANSWERS,
    RAW_REQUESTS,
    damaged,
    pieces_of,
    read_answers,
    read_requests,
)
from tests.http1.wire import PEER, Recorder, pairs_of, parse_request, parse_response

MARKS = st.lists(st.integers(0, 10_000), max_size=6)


@settings(max_examples=400, deadline=None)
@given(damaged(RAW_REQUESTS), MARKS)
def test_requests_get_one_verdict_and_no_other_exception(raw, marks):
    verdict = read_requests([raw])
    assert read_requests(pieces_of(raw, marks)) == verdict
    assert read_requests([raw], fresh=True) == verdict, "the verdict depends on the past"


@settings(max_examples=300, deadline=None)
@given(damaged(RAW_ANSWERS), MARKS, st.booleans())
def test_answers_get_one_verdict_and_no_other_exception(raw, marks, to_head):
    pieces = pieces_of(raw, marks)
    verdict = read_answers([raw], to_head=to_head)
    assert read_answers(pieces, to_head=to_head) == verdict
    assert read_answers([raw], to_head=to_head, fresh=True) == verdict, "it depends on the past"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(RAW_REQUESTS), min_size=2, max_size=4))
def test_known_requests_are_read_like_unknown_ones(raws):
    assert read_requests(raws) == read_requests(raws, fresh=True)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(RAW_ANSWERS), min_size=2, max_size=4))
def test_known_answers_are_read_like_unknown_ones(raws):
    answers = [read_answers(raws, to_head=False, fresh=fresh) for fresh in (False, True)]
    assert answers[0] == answers[1]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_noise_is_refused_or_waited_for(noise):
    for parser in (RequestParser(Recorder()), ResponseParser(Recorder())):
        if isinstance(parser, ResponseParser):
            parser.expect()
        try:
            parser.feed(noise)
            parser.feed_eof()
        except FramingError:
            assert parser._state == DEAD


NAMES = st.from_regex(rb"X-[A-Za-z0-9!#$%&'*+.^`|~-]{1,12}", fullmatch=True).filter(
    lambda n: not n.lower().startswith((b"x-forwarded-", b"x-rampway-", b"x-real", b"x-request"))
)
VISIBLE = rb"[!-~\x80-\xff]"
VALUES = st.from_regex(
    rb"(?:%b(?:[ \t!-~\x80-\xff]{0,20}%b)?)?" % (VISIBLE, VISIBLE), fullmatch=True
)
PATHS = st.from_regex(
    rb"/[A-Za-z0-9_~!$&'()*+,;=:@%-]{0,20}(?:\?[A-Za-z0-9/?=&]{0,10})?", fullmatch=True
)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=8)
BODIES = st.binary(max_size=200)


def lines(fields):
    return b"".join(b"%b: %b\r\n" % pair for pair in fields)


def framed(body, chunked):
    if not chunked:
        return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    middle = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return b"Transfer-Encoding: chunked\r\n\r\n" + middle + b"0\r\n\r\n"


@settings(max_examples=120, deadline=None)
@given(st.sampled_from([b"GET", b"POST", b"PATCH"]), PATHS, FIELDS, BODIES, st.booleans())
@example(b"GET", b"/", [], b"", True)
def test_a_request_written_anew_means_the_same(method, path, fields, body, chunked):
    raw = b"%b %b HTTP/1.1\r\nHost: example.org\r\n%b" % (method, path, lines(fields))
    head, got = parse_request(raw + framed(body, chunked))
    again = request_head(head, host=head.host, peer=PEER, request_id=b"i")
    head2, got2 = parse_request(again + body_piece(head.framing, got, complete=True))
    assert got == got2 == body
    assert (head2.method, head2.target, head2.host) == (method, path, b"example.org")
    assert head2.framing == head.framing
    assert [pair for pair in pairs_of(head2) if pair in fields] == fields


@settings(max_examples=120, deadline=None)
@given(st.integers(200, 599), FIELDS, BODIES, st.booleans(), st.integers(0, 1))
def test_an_answer_written_anew_means_the_same(status, fields, body, chunked, minor):
    request = parse_request(b"GET / HTTP/1.%d\r\nHost: x\r\n\r\n" % minor)[0]
    bodyless = status in (204, 304)
    message = b"\r\n" if bodyless else framed(body, chunked)
    raw = b"HTTP/1.1 %d Some Reason\r\n%b%b" % (status, lines(fields), message)
    head, got = parse_response(raw)
    again, framing, _ = response_head(head, request, keep_alive=True)
    head2, got2 = parse_response(again + body_piece(framing, got, complete=True),
                                 eof=not (minor or bodyless) and chunked)  # fmt: skip
    assert got == got2 == (b"" if bodyless else body)
    assert (head2.status, head2.status_line) == (status, b"HTTP/1.1 %d Some Reason\r\n" % status)
    assert [pair for pair in pairs_of(head2) if pair in fields] == fields
