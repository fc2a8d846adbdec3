"""Plain heads: whatever is read by an expression, both readers read alike.

RAMPWAY_PLAIN_HEADS=100000 pytest tests/http1/test_plain.py -k ordinary     all of it
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import re
import time
from pathlib import Path

import pytest

from router.http1 import (
    DEFAULT_LIMITS,
    FramingError,
    Peer,
    RequestParser,
    ResponseParser,
    plain,
    request_head,
    response_head,
    trace_lines,
    trace_parent,
)
from router.http1.headers import REQUEST_KINDS, RESPONSE_KINDS, FieldCache
from router.http1.plain import HEADS_BEFORE, read_request, read_response
from router.http1.reader import DEAD, LOOK_EVERY
from tests.http1 import generated
from tests.http1.wire import PEER, Recorder, pairs_of, parse_request

HEADS = int(os.environ.get("RAMPWAY_PLAIN_HEADS", "3000"))
SEED = 20261127
TAUGHT = 2_000
"""Messages that shapes are learned from before any are compared."""
TRUSTED = Peer(b"192.0.2.9", trusted=True)
SPAN = b"b7ad6b7169203331"
STRIPPED = frozenset([b"cookie", b"x-user-id"])


def unlearned(kinds):
    """Lines of one direction whose shapes are never learned: everything goes to both readers."""
    fields = FieldCache(kinds)
    fields.shapes._credit = -(1 << 60)
    return fields


def eager(kinds):
    """The same where shapes are learned as soon as they may be."""
    fields = FieldCache(kinds)
    fields.shapes._credit = 1 << 60
    return fields


def read(pieces, fields, *, answers):
    """What a parser makes of the pieces, and the heads it handed out."""
    recorder = Recorder()
    parser = (ResponseParser if answers else RequestParser)(recorder, DEFAULT_LIMITS, fields)
    status = None
    if answers:
        parser.expect()
    try:
        for piece in pieces:
            if answers and not parser._due:
                parser.close()
            parser.feed(piece)
    except FramingError as error:
        status = error.status, error.reason
    state = recorder.seen, recorder.open, status, parser._state == DEAD, parser.mid_message
    return (*state, parser.reusable if answers else None), recorder.heads


def meaning(head):
    """Everything anybody can ask of a request's head, and what is sent on of it."""
    names = {name.lower() for name, _ in pairs_of(head)} | {b"absent"}
    said = [
        head.method, head.target, head.path, head.query, head.minor, head.host, head.request_id,
        head.framing, head.length, head.keep_alive, head.expect_continue, head.max_forwards,
        head.kinds, head.named, head.request_line, pairs_of(head), head.has_any(STRIPPED),
        [(head.get(name), head.get_all(name)) for name in sorted(names)],
        [(f.low, f.kind, f.line, f.passed) for f in head.fields],
    ]  # fmt: skip
    trace = trace_lines(head, trace_parent(head))
    bare = head.without(STRIPPED)
    sent = [
        request_head(one, head.host or b"h", peer, head.request_id or b"own", trace, body=b"body")
        for one in (head, bare)
        for peer in (PEER, TRUSTED)
    ]
    return said, sent


REQUEST = parse_request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")[0]
OLD_REQUEST = parse_request(b"GET / HTTP/1.0\r\n\r\n")[0]


def meaning_of_answer(head):
    """The same of an answer's head."""
    said = [
        head.status, head.minor, head.status_line, head.framing, head.length,
        head.declared_length, head.keep_alive, head.kinds, head.named, pairs_of(head),
        head.get(b"content-type"), [(f.low, f.kind, f.line, f.passed) for f in head.fields],
    ]  # fmt: skip
    sent = [
        response_head(head, request, keep, b"X-Request-Id: i\r\n", b"body", complete)
        for request in (REQUEST, OLD_REQUEST)
        for keep in (True, False)
        for complete in (True, False)
    ]
    return said, sent


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("answers", [False, True], ids=["requests", "answers"])
def test_plain_heads_are_read_and_sent_on_as_the_ordinary_way_does(answers, seed):
    own = random.Random(SEED + seed)
    make = generated.answer if answers else generated.request
    means = meaning_of_answer if answers else meaning
    kinds = RESPONSE_KINDS if answers else REQUEST_KINDS
    ordinary, quick = unlearned(kinds), eager(kinds)
    plain_heads = refused = 0
    for _ in range(TAUGHT):
        read(make(own), quick, answers=answers)
    for number in range(HEADS // 8):
        pieces = make(own)
        expected, theirs = read(pieces, ordinary, answers=answers)
        got, ours = read(pieces, quick, answers=answers)
        assert got == expected, (SEED + seed, number, pieces)
        assert list(map(means, ours)) == list(map(means, theirs)), (SEED + seed, number, pieces)
        assert not any(head.shape for head in theirs)
        plain_heads += any(head.shape is not None for head in ours)
        refused += expected[2] is not None
    print(f"{HEADS // 8} generated: {plain_heads} plain, {refused} refused")
    assert plain_heads > HEADS // 8 // 4
    assert refused > HEADS // 8 // 20


# -- what is plain

LINES = (
    b"Host: flights.example.org\r\nUser-Agent: python-requests/2.32.3\r\nAccept: */*\r\n"
    b"X-User-Id: user-4711\r\nX-Request-Id: 3f2a\r\nX-Forwarded-For: 192.0.2.1\r\n"
    b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
    b"tracestate: a=1\r\nConnection: keep-alive\r\n"
)
POST = b"POST /v2/a?b=%%20c HTTP/1.1\r\n%bContent-Length: 5\r\n\r\nhello" % LINES
OK = (
    b"HTTP/1.1 200 OK\r\nServer: m\r\nDate: Sat, 21 Nov 2026 05:00:00 GMT\r\n"
    b"Keep-Alive: timeout=5\r\nContent-Type: application/json\r\nX-Request-Id: theirs\r\n"
    b"Content-Length: 5\r\n\r\nhello"
)


def teach(fields, raw, *, answers):
    """Messages like this one, each a little different: one that repeats is known as it is."""
    for number in range(HEADS_BEFORE + 1):
        read([raw.replace(b"ver: m", b"ver: m%d" % number)], fields, answers=answers)


def shape_of(raw, *, answers):
    """The shape of a message that is plain."""
    fields = eager(RESPONSE_KINDS if answers else REQUEST_KINDS)
    teach(fields, raw, answers=answers)
    (shape,) = fields.shapes.values()
    return shape


def damaged(raw):
    """Every byte of a head changed, left out, and with something before it."""
    end = raw.index(b"\r\n\r\n") + 4
    odd = (0, 9, 10, 13, 32, 37, 46, 47, 48, 49, 58, 63, 95, 97, 128, 255)
    more = (b"\r\n", b"\r\n ", b"\r\nTransfer-Encoding: chunked", b"\r\nContent-Length: 4", b"/..")
    for at in range(end):
        yield from (raw[:at] + bytes([byte]) + raw[at + 1 :] for byte in range(256))
        yield from (raw[:at] + bytes([byte]) + raw[at:] for byte in odd)
        yield from (raw[:at] + piece + raw[at:] for piece in more)
        yield raw[:at] + raw[at + 1 :]


@pytest.mark.parametrize("raw", [POST, OK], ids=["request", "answer"])
def test_no_damaged_head_is_taken_that_both_readers_do_not_read_the_same(raw):
    answers = raw is OK
    shape = shape_of(raw, answers=answers)
    quick = read_response if answers else read_request
    means = meaning_of_answer if answers else meaning
    fields = unlearned(RESPONSE_KINDS if answers else REQUEST_KINDS)
    taken = 0
    for one in damaged(raw):
        head = quick(shape, one, DEFAULT_LIMITS)
        if head is None or head.end + head.length != len(one):
            continue
        taken += 1
        (seen, unfinished, refusal, *_), heads = read([one], fields, answers=answers)
        assert (len(seen), unfinished, refusal) == (1, None, None), one
        assert seen[0].body == one[head.end :]
        assert means(head) == means(heads[0]), one
    assert taken > len(raw)


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_what_is_plain_may_arrive_in_pieces_and_among_others(pieces):
    """Plain and ordinary requests on one connection: the second reader misses nothing it needs."""
    odd = b"GET /x HTTP/1.1\r\nHost:x\r\nVia: 1.1 y\r\n\r\n"
    chunks = b"POST /y HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n"
    messages = [POST] * (HEADS_BEFORE + 3) + [odd, POST, chunks, POST, POST, odd]
    cut = [
        m[i * len(m) // pieces : (i + 1) * len(m) // pieces]
        for m in messages
        for i in range(pieces)
    ]
    expected, _ = read(cut, unlearned(REQUEST_KINDS), answers=False)
    got, heads = read(cut, eager(REQUEST_KINDS), answers=False)
    assert got == expected
    assert len(got[0]) == len(messages)
    assert pieces > 1 or any(head.shape for head in heads)


def test_the_body_of_a_plain_head_may_come_later():
    fields = eager(REQUEST_KINDS)
    head_end = POST.index(b"hello")
    for _ in range(HEADS_BEFORE + 1):
        read([POST], fields, answers=False)
    for cuts in ([head_end], [head_end, head_end + 2], [head_end + 1]):
        pieces = [POST[a:b] for a, b in zip([0, *cuts], [*cuts, len(POST)], strict=True)]
        (seen, *_), heads = read([*pieces, *pieces], fields, answers=False)
        assert [one.body for one in seen] == [b"hello", b"hello"]
        assert all(head.shape for head in heads)


def test_plain_heads_with_chunks_are_plain_and_their_chunks_read_twice():
    head = b"HTTP/1.1 200 OK\r\nServer: m\r\nTransfer-Encoding: chunked\r\n\r\n"
    fields = eager(RESPONSE_KINDS)
    teach(fields, head + b"0\r\n\r\n", answers=True)
    for pieces in ([head + b"2\r\nab\r\n0\r\n\r\n"], [head, b"2\r\nab\r\n", b"0\r\n", b"\r\n"]):
        (seen, _, refusal, *_, reusable), heads = read(pieces, fields, answers=True)
        assert (seen[0].body, seen[0].framing, refusal, reusable) == (b"ab", "chunked", None, True)
        assert heads[0].shape is not None
    for bad in (b"2 \r\nab\r\n0\r\n\r\n", b"2\nab\r\n0\r\n\r\n", b"2\r\nabc\r\n0\r\n\r\n"):
        for pieces in ([head + bad], [head, bad]):
            assert read(pieces, fields, answers=True)[0][2] is not None


@pytest.mark.parametrize(
    "line",
    [
        b"Transfer-Encoding: chunked", b"TE: trailers", b"Upgrade: h2c", b"Expect: 100-continue",
        b"Via: 1.1 x", b"Max-Forwards: 1", b"Trailer: x", b"Proxy-Connection: keep-alive",
        b"HTTP2-Settings: x", b"Connection: x-user-id", b"Connection: keep-alive, x",
        b"Host: again", b"X-Request-Id: again", b"tracestate: again", b"X-Empty:", b"X-Tight:x",
        b"X-Eight: \xe9", b"X-" + b"a" * 63 + b": x",
    ],
)  # fmt: skip
def test_what_means_more_to_an_intermediary_is_never_plain(line):
    fields = eager(REQUEST_KINDS)
    raw = b"GET / HTTP/1.1\r\n%b%b\r\n\r\n" % (
        LINES.replace(b"Connection: keep-alive\r\n", b""),
        line,
    )
    for _ in range(HEADS_BEFORE + 3):
        _, heads = read([raw], fields, answers=False)
        assert not [head for head in heads if head.shape]


REAL = json.loads((Path(__file__).parent / "real_heads.json").read_text())
"""What programs sent to a socket: `capture.py`."""


@pytest.mark.parametrize("side", ["clients", "servers"])
def test_nearly_all_heads_of_real_programs_are_plain(side):
    answers = side == "servers"
    heads = [(one["name"], head.encode("latin-1")) for one in REAL[side] for head in one["heads"]]
    plain_ones = []
    for name, head in heads:
        fields = eager(RESPONSE_KINDS if answers else REQUEST_KINDS)
        length = int((re.search(rb"(?i)content-length: (\d+)", head) or [b"", b"0"])[1])
        for number in range(HEADS_BEFORE + 2):
            one = re.sub(rb"(?i)(host: | 200 )", rb"\g<1>%d" % number, head) + b"x" * length
            _, got = read([one], fields, answers=answers)
        if got and got[0].shape is not None:
            plain_ones.append(name)
    others = sorted({name for name, _ in heads} - set(plain_ones))
    print(f"{len(plain_ones)} of {len(heads)} heads of {len(REAL[side])} {side}; not: {others}")
    assert len(REAL[side]) >= 12
    assert len(plain_ones) >= 0.95 * len(heads)


@pytest.mark.parametrize("answers", [False, True], ids=["request", "answer"])
def test_lines_that_go_on_in_more_than_two_slices_all_go_on(answers):
    if answers:
        raw = (
            b"HTTP/1.1 200 OK\r\nA: 1\r\nConnection: keep-alive\r\nB: 2\r\nX-Request-Id: o\r\n"
            b"C: 3\r\nContent-Length: 2\r\nD: 4\r\n\r\nok"
        )
    else:
        raw = (
            b"POST / HTTP/1.1\r\nA: 1\r\nHost: x\r\nB: 2\r\nConnection: keep-alive\r\nC: 3\r\n"
            b"X-Request-Id: i\r\nD: 4\r\nContent-Length: 2\r\n\r\nok"
        )
    kinds, means = (RESPONSE_KINDS, meaning_of_answer) if answers else (REQUEST_KINDS, meaning)
    ordinary, quick = unlearned(kinds), eager(kinds)
    for number in range(HEADS_BEFORE + 2):
        one = raw.replace(b"B: 2", b"B: 2%d" % number)
        (ours,), (theirs,) = (read([one], f, answers=answers)[1] for f in (quick, ordinary))
        assert means(ours) == means(theirs)
    assert ours.shape is not None
    assert ours.shape.scattered


# -- learning


def test_a_shape_is_learned_from_what_both_readers_accepted_and_after_some_of_it():
    fields = eager(REQUEST_KINDS)
    for _ in range(HEADS_BEFORE * 2):
        read([POST.replace(b"Host: f", b"Host:: f")], fields, answers=False)
    assert not fields.shapes
    for number in range(HEADS_BEFORE + 1):
        assert not fields.shapes, number
        read([POST], fields, answers=False)
    assert len(fields.shapes) == 1


def test_learning_is_bounded_and_earned():
    fields = FieldCache(REQUEST_KINDS)
    shapes = fields.shapes
    parser = RequestParser(Recorder(), DEFAULT_LIMITS, fields)
    for number in range(3_000):
        raw = b"GET /%d HTTP/1.1\r\nHost: x\r\nX-%d: y\r\n\r\n" % (number, number // 9)
        parser.feed(raw)
        assert len(shapes._seen) <= plain.COUNTED_MAX
    assert len(shapes) == plain.LEARN_AT_ONCE
    shapes._credit = 1 << 60
    for number in range(3_000):
        raw = b"GET /%d HTTP/1.1\r\nHost: x\r\nY-%d: y\r\n\r\n" % (number, number // 9)
        parser.feed(raw)
        assert len(shapes) <= plain.SHAPES_MAX
    assert (b"Host", b"Y-332") in shapes, "the oldest goes first"
    assert (b"Host", b"Y-0") not in shapes


def test_a_share_of_learning_is_earned_again():
    """What a process has only once it has only in its first minute."""
    fields = FieldCache(REQUEST_KINDS)
    fields.shapes._credit = 0
    parser = RequestParser(Recorder(), DEFAULT_LIMITS, fields)
    for number in range(plain.HEADS_A_SHAPE + HEADS_BEFORE):
        parser.feed(b"GET /%d HTTP/1.1\r\nHost: x\r\nVia: 1.1 x\r\n\r\n" % number)
    assert not fields.shapes
    for number in range(HEADS_BEFORE + 1):
        parser.feed(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
    assert len(fields.shapes) == 1


def test_a_sender_of_strange_heads_is_asked_for_its_names_now_and_then_only():
    asked = []

    class Counting(dict):
        find = asked.append
        learn = find

    fields = FieldCache(REQUEST_KINDS)
    parser = RequestParser(Recorder(), DEFAULT_LIMITS, fields)
    fields.shapes = Counting()
    for number in range(1_000):
        parser.feed(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
    found = [one for one in asked if isinstance(one, bytes)]
    assert len(found) <= plain.STRANGE_MAX + 1_000 // plain.ASK_EVERY + 1


@pytest.mark.parametrize(
    "raw",
    [
        POST.replace(b"?b=%20c", b"").replace(b"Accept: */*", b"Cookie: a=s3cr3t"),
        POST.replace(b"b=%20c", b"token=s3cr3t"),
    ],
)
def test_a_secret_stays_no_longer_than_its_message(raw):
    fields = eager(REQUEST_KINDS)
    parser = RequestParser(Recorder(), DEFAULT_LIMITS, fields)
    for _ in range(HEADS_BEFORE + LOOK_EVERY * 2):
        parser.feed(raw)
        assert b"s3cr3t" not in parser._last_raw
    assert fields.shapes
    assert not fields.heads(DEFAULT_LIMITS)
    assert not [line for line in fields if b"s3cr3t" in line]


def test_a_plain_head_that_repeats_is_known_by_its_bytes():
    fields, raw = eager(REQUEST_KINDS), POST.replace(b"?b=%20c", b"")
    for number in range(HEADS_BEFORE + 2):
        read([raw.replace(b"4711", b"%d" % number)], fields, answers=False)
    one, two = Recorder(), Recorder()
    for recorder in (one, two):
        parser = RequestParser(recorder, DEFAULT_LIMITS, fields)
        for _ in range(4):
            parser.feed(raw)
        parser.feed(raw.replace(b"4711", b"4712"))
    assert one.heads[2] is one.heads[3] is two.heads[2]
    assert one.heads[3].size == len(raw)
    assert one.heads[4].get(b"x-user-id") == b"user-4712"
    assert meaning(one.heads[3]) == meaning(
        read([raw], unlearned(REQUEST_KINDS), answers=False)[1][0]
    )


@pytest.mark.parametrize("limit", [{"body_bytes": 4}, {"head_bytes": 100}, {"fields": 3}])
def test_limits_hold_for_plain_heads(limit):
    limits = dataclasses.replace(DEFAULT_LIMITS, **limit)
    assert read_request(shape_of(POST, answers=False), POST, limits) is None
    if "body_bytes" not in limit:
        assert read_response(shape_of(OK, answers=True), OK, limits) is None


# -- linear time


HOSTILE = {
    "segments": lambda n: b"POST " + b"/a" * n + b"\x00",
    "percent": lambda n: b"POST /" + b"%2e" * n + b"\x00",
    "query": lambda n: b"POST /?" + b"?/" * n + b"\x00",
    "blanks": lambda n: POST.replace(b"*/*", b"a" + b" \t" * n),
    "value": lambda n: POST.replace(b"*/*", b"a b" * n + b"\x00"),
    "host": lambda n: POST.replace(b"flights", b"a." * n),
    "id": lambda n: POST.replace(b"3f2a", b"a" * 2 * n),
    "digits": lambda n: POST.replace(b": 5", b": " + b"1" * 2 * n),
    "zeros": lambda n: POST.replace(b"4bf92f3577b34da6a3ce929d0e0e4736", b"0" * 2 * n),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_head_takes_time_in_proportion_to_its_length(name):
    shape = shape_of(POST, answers=False)

    def best(raw):
        times = []
        for _ in range(30):
            began = time.process_time_ns()
            for _ in range(10):
                assert read_request(shape, raw, DEFAULT_LIMITS) is None
            times.append(time.process_time_ns() - began)
        return min(times)

    assert best(HOSTILE[name](3_500)) < 16 * best(HOSTILE[name](500)), "seven times as long"
