"""What becomes of each field on its way upstream and back."""

from __future__ import annotations

import dataclasses

import pytest

from router.http1 import (
    DEFAULT_LIMITS,
    FramingError,
    Peer,
    RequestParser,
    ResponseParser,
    framing,
    request_head,
    response_head,
    trace_lines,
    trace_parent,
)
from router.http1.headers import REQUEST_KINDS, RESPONSE_KINDS, FieldCache
from tests.http1.wire import PEER, Recorder, parse_request, parse_response

TRACE_ID = b"4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = b"00f067aa0ba902b7"
SPAN = b"b7ad6b7169203331"


def request(fields: bytes, method: bytes = b"GET", version: bytes = b"1.1"):
    raw = b"%b /x HTTP/%b\r\nHost: example.org\r\n%b\r\n" % (method, version, fields)
    return parse_request(raw)[0]


def sent_on(head, peer=PEER, **more) -> list[bytes]:
    out = request_head(head, host=head.host, peer=peer, request_id=b"id-1", **more)
    assert out.endswith(b"\r\n\r\n")
    return out[:-4].split(b"\r\n")


ADDED = {
    b"Host: example.org",
    b"X-Forwarded-For: 192.0.2.7",
    b"X-Forwarded-Proto: http",
    b"X-Forwarded-Host: example.org",
    b"Via: 1.1 rampway",
    b"X-Request-Id: id-1",
}


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        (b"", []),
        (b"Accept: a\r\nAccept: b\r\n", [b"Accept: a", b"Accept: b"]),
        (b"x-Odd-CASE:   v \t\r\n", [b"x-Odd-CASE: v"]),
        (
            b"Cookie: a=b\r\nAuthorization: Bearer x\r\n",
            [b"Cookie: a=b", b"Authorization: Bearer x"],
        ),
        (b"Connection: close\r\n", []),
        (b"Connection: X-A, x-b\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\n", [b"X-C: 3"]),
        (b"Connection: x-a\r\nConnection: x-b\r\nx-a: 1\r\nx-B: 2\r\n", []),
        (b"Keep-Alive: 5\r\nTE: gzip\r\nTrailer: x\r\nProxy-Connection: a\r\n", []),
        (b"Proxy-Authorization: Basic eA==\r\nHTTP2-Settings: AAA\r\n", []),
        (b"Connection: upgrade\r\nUpgrade: h2c\r\n", []),
        (b"Expect: 100-continue\r\n", []),
        (b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Port: 1\r\nX-Real-IP: 6.6.6.6\r\n", []),
        (b"Forwarded: for=6.6.6.6\r\nX-Forwarded-Host: evil\r\n", []),
        (b"X-Rampway-Version: v9\r\nX-Rampway-Pin: v2\r\nX-Rampway-Shadow: 1\r\n", []),
        (b"X-Request-Id: theirs\r\n", []),
        (b"traceparent: 00-" + TRACE_ID + b"-" + PARENT + b"-01\r\ntracestate: a=b\r\n", []),
        (b"Max-Forwards: 3\r\n", [b"Max-Forwards: 3"]),
    ],
)
def test_fields_to_the_backend(fields, kept):
    lines = sent_on(request(fields))
    assert lines[0] == b"GET /x HTTP/1.1"
    rest = lines[1:]
    assert [line for line in rest if line not in ADDED] == kept  # in their order
    assert set(rest) >= ADDED


@pytest.mark.parametrize(
    "name",
    [b"host", b"content-length", b"x-forwarded-for", b"x-request-id", b"via", b"x-rampway-pin"],
)
def test_protected_fields_cannot_be_named_away(name):
    head = request(b"Content-Length: 0\r\nX-Request-Id: a\r\nConnection: %b\r\n" % name, b"POST")
    lines = sent_on(head)
    assert set(lines) >= {*ADDED, b"Content-Length: 0"}


def test_framing_cannot_be_named_away():
    raw = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: transfer-encoding\r\n"
    head, body = parse_request(raw + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")
    assert body == b"a"
    assert b"Transfer-Encoding: chunked" in sent_on(head)


@pytest.mark.parametrize(
    ("method", "value", "line"),
    [
        (b"OPTIONS", b"10", b"Max-Forwards: 9"),
        (b"OPTIONS", b"1", b"Max-Forwards: 0"),
        (b"OPTIONS", b"0", b"Max-Forwards: 0"),
        (b"GET", b"10", b"Max-Forwards: 10"),
        (b"GET", b"odd", b"Max-Forwards: odd"),
    ],
)
def test_max_forwards(method, value, line):
    head = request(b"Max-Forwards: %b\r\n" % value, method)
    assert head.max_forwards == (int(value) if method == b"OPTIONS" else -1)
    assert line in sent_on(head)


def test_via_is_appended_and_names_the_version_received():
    assert b"Via: 1.0 rampway" in sent_on(request(b"", version=b"1.0"))
    head = request(b"Via: 1.0 fred\r\nVia: 1.1 p.org\r\n", version=b"1.0")
    assert b"Via: 1.0 fred, 1.1 p.org, 1.0 rampway" in sent_on(head)


def test_a_pin_can_be_read_and_goes_no_further():
    head = request(b"X-Rampway-Pin: v2\r\nX-Rampway-Version: v9\r\n")
    assert head.get(b"x-rampway-pin") == b"v2"
    assert not [line for line in sent_on(head) if line.startswith(b"X-Rampway-")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            b"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n",
            [
                b"X-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.7",
                b"X-Forwarded-Proto: https",
                b"X-Forwarded-Host: example.org",
            ],
        ),
        (
            b"X-Forwarded-Proto: wss\r\nX-Forwarded-Host: a.org\r\nForwarded: for=x\r\n",
            [
                b"X-Forwarded-For: 192.0.2.7",
                b"X-Forwarded-Proto: wss",
                b"X-Forwarded-Host: a.org",
                b"Forwarded: for=x, for=192.0.2.7;proto=https;host=example.org",
            ],
        ),
        (
            b"",
            [
                b"X-Forwarded-For: 192.0.2.7",
                b"X-Forwarded-Proto: https",
                b"X-Forwarded-Host: example.org",
            ],
        ),
    ],
)
def test_trusted_peers_are_appended_to(fields, expected):
    peer = Peer(b"192.0.2.7", scheme=b"https", trusted=True)
    lines = sent_on(request(fields), peer)
    assert [line for line in lines if b"orwarded" in line] == expected


def test_without_host_nothing_is_said_about_it():
    head = parse_request(b"GET / HTTP/1.0\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n")[0]
    for trusted in (True, False):
        lines = sent_on(head, Peer(b"192.0.2.7", trusted=trusted))
        assert not [line for line in lines if line.startswith(b"X-Forwarded-Host")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (b"", None),
        (b"X-Request-Id: abc-1.2_3+/=:@\r\n", b"abc-1.2_3+/=:@"),
        (b"x-request-id: " + b"a" * 128 + b"\r\n", b"a" * 128),
        (b"X-Request-Id: " + b"a" * 129 + b"\r\n", None),
        (b"X-Request-Id:\r\n", None),
        (b"X-Request-Id: a b\r\n", None),
        (b'X-Request-Id: a"b\r\n', None),
        (b"X-Request-Id: caf\xe9\r\n", None),
        (b"X-Request-Id: a\r\nX-Request-Id: b\r\n", None),
    ],
)
def test_request_id_is_kept_when_it_is_harmless(fields, expected):
    assert (request(fields).request_id or None) == expected


@pytest.mark.parametrize(
    "parent",
    [
        b"",
        b"traceparent: 00-" + b"0" * 32 + b"-" + PARENT + b"-01\r\n",
        b"traceparent: 00-" + TRACE_ID + b"-" + b"0" * 16 + b"-01\r\n",
        b"traceparent: 01-" + TRACE_ID + b"-" + PARENT + b"-01\r\n",
        b"traceparent: 00-" + TRACE_ID.upper() + b"-" + PARENT + b"-01\r\n",
        b"traceparent: x\r\n",
        (b"traceparent: 00-" + TRACE_ID + b"-" + PARENT + b"-01\r\n") * 2,
        b"tracestate: a=b\r\n",
    ],
)
def test_what_is_no_valid_parent_is_not_passed_on_and_nothing_is_invented(parent):
    head = request(parent + b"tracestate: a=b\r\n")
    assert trace_parent(head) == trace_lines(head, trace_parent(head)) == b""


@pytest.mark.parametrize("flags", [b"00", b"01"])
def test_a_valid_parent_is_passed_on_or_gets_a_child(flags):
    parent = b"00-%b-%b-%b" % (TRACE_ID, PARENT, flags)
    child = b"00-%b-%b-%b" % (TRACE_ID, SPAN, flags)
    fields = b"traceparent: %b\r\n" % parent
    states = b"tracestate: a=b\r\ntracestate: c=d\r\n"
    assert trace_parent(request(fields)) == parent
    for sent in (parent, child):
        line = b"traceparent: %b\r\n" % sent
        assert trace_lines(request(fields), sent) == line
        assert trace_lines(request(fields + states), sent) == line + b"tracestate: a=b,c=d\r\n"


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        (
            b"Server: x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n",
            [b"Server: x", b"Set-Cookie: a", b"Set-Cookie: b"],
        ),
        (b"Connection: x-secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\n", []),
        (b"Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nTrailer: x\r\n", []),
        (b"X-Rampway-Version: spoofed\r\nX-Request-Id: theirs\r\n", []),
        (b"X-Forwarded-For: 1.2.3.4\r\n", [b"X-Forwarded-For: 1.2.3.4"]),
    ],
)
def test_fields_to_the_client(fields, kept):
    head, _ = parse_response(b"HTTP/1.1 200 OK\r\n%bContent-Length: 0\r\n\r\n" % fields)
    out, _, _ = response_head(head, request(b""), keep_alive=True)
    lines = out[:-4].split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert lines[1:] == [*kept, b"Via: 1.1 rampway", b"Content-Length: 0"]


def test_via_of_an_answer_is_appended():
    head, _ = parse_response(b"HTTP/1.0 200 OK\r\nVia: 1.1 a\r\nContent-Length: 0\r\n\r\n")
    out, _, _ = response_head(head, request(b""), keep_alive=True)
    assert b"Via: 1.1 a, 1.0 rampway\r\n" in out


def test_cache_shares_lines_and_forgets_secrets():
    cache = FieldCache(REQUEST_KINDS)
    assert cache[b"Accept: a"] is cache.get(b"Accept: a")
    for secret in (b"Authorization: Bearer x", b"Cookie: a=b", b"X-Api-Key: k"):
        cache[secret]
        assert cache.get(secret) is None
    assert repr(cache) == "<FieldCache 1 lines, 4 names>"


def test_cache_reads_a_known_name_like_an_unknown_one():
    for value in (b"plain", b"a  b", b"tab\tin", b"caf\xe9", b"", b" lead", b"trail ", b"\ttab"):
        line = b"X-Some: " + value
        fresh = FieldCache(REQUEST_KINDS)[line]
        cache = FieldCache(REQUEST_KINDS)
        cache[b"X-Some: other"]
        known = cache[line]
        assert (known.value, known.line, known.low) == (fresh.value, fresh.line, fresh.low)
        assert known.line == b"X-Some: %b\r\n" % value.strip(b" \t")
    for value in (b"\x00", b"a\rb", b"a\nb", b"\x7f", b"\x0b"):
        cache = FieldCache(REQUEST_KINDS)
        cache[b"X-Some: other"]
        with pytest.raises(FramingError):
            cache[b"X-Some: " + value]


def test_cache_does_not_remember_what_always_differs():
    cache = FieldCache(REQUEST_KINDS)
    for user in range(1000):
        cache[b"X-User-Id: %d" % user]
    assert len(cache) == cache.LINES_OF_A_NAME_MAX
    cache[b"Accept: " + b"a" * 500]
    assert len(cache) == cache.LINES_OF_A_NAME_MAX


def test_a_line_that_changes_now_and_then_is_remembered_however_many_came_before():
    fields, recorder = FieldCache(RESPONSE_KINDS), Recorder()
    fields.shapes._credit = -(1 << 60)  # so that all of them are read the ordinary way
    parser = ResponseParser(recorder, fields=fields)
    for second in range(100):
        for _ in range(4):
            parser.expect()
            parser.feed(
                b"HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 05:%02d:%02d GMT\r\nX-Id: 7\r\n"
                b"Content-Length: 0\r\n\r\n" % divmod(second, 60)
            )
        assert recorder.heads[-2] is recorder.heads[-1], f"read anew in second {second + 1}"
        assert len(fields) <= fields.LINES_OF_A_NAME_MAX + 2


def test_the_oldest_line_of_a_name_goes_first():
    cache = FieldCache(REQUEST_KINDS)
    for user in range(cache.LINES_OF_A_NAME_MAX * 2 + 10):
        cache[b"X-User-Id: %d" % user]
        kept = [line for line in cache if line.startswith(b"X-User-Id")]
        newest = range(max(0, user + 1 - cache.LINES_OF_A_NAME_MAX), user + 1)
        assert set(kept) == {b"X-User-Id: %d" % one for one in newest}


def test_cache_is_bounded_against_invented_names():
    cache = FieldCache(REQUEST_KINDS)
    for i in range(20000):
        cache[b"X-%d: y" % (i // 5 if i < 10000 else i)]
        cache[b"X-%d: %d" % (i // 5 if i < 10000 else i, i)]
        assert len(cache) <= cache.LINES_MAX
        assert len(cache.names) <= cache.NAMES_MAX
    cache[b"X-" + b"a" * 100 + b": y"]
    assert max(map(len, cache.names)) <= cache.NAME_BYTES_MAX


# -- whole heads

HEAD = b"GET /x HTTP/1.1\r\nHost: example.org\r\nAccept: a\r\n%b\r\n"


def heads_of(*raws, limits=DEFAULT_LIMITS):
    """The heads a parser that remembers only these requests hands out, and its caches."""
    recorder = Recorder()
    fields = FieldCache(REQUEST_KINDS)
    for raw in raws:
        RequestParser(recorder, limits, fields).feed(raw)
    return recorder.heads, fields.heads(limits)


def test_a_repeated_head_is_understood_once():
    heads, known = heads_of(*[HEAD % b""] * 4)
    assert heads[2] is heads[3]
    assert len(known) == 1
    sent = [
        request_head(h, host=b"h", peer=PEER, request_id=b"%d" % i) for i, h in enumerate(heads)
    ]
    assert [out.replace(b"Id: %d" % i, b"Id: 0") for i, out in enumerate(sent)] == sent[:1] * 4


@pytest.mark.parametrize(
    "secret", [b"Authorization: Bearer x\r\n", b"Cookie: a=b\r\n", b"X-" + b"a" * 2000 + b": y\r\n"]
)
def test_secret_and_long_heads_are_not_kept(secret):
    heads, known = heads_of(*[HEAD % secret] * 4)
    assert heads[2] is not heads[3]
    assert not known


def test_a_copy_goes_without_some_fields_and_leaves_its_head_alone():
    raw = HEAD % b"Cookie: a=b\r\nX-Request-Id: id-7\r\nTransfer-Encoding: chunked\r\n"
    head = heads_of(raw + b"0\r\n\r\n")[0][0]
    whole = sent_on(head)
    bare = sent_on(head.without(frozenset([b"cookie", b"accept"])))
    assert [line for line in whole if line not in bare] == [b"Accept: a", b"Cookie: a=b"]
    assert sent_on(head) == whole
    assert head.without(frozenset()).request_id == b"id-7"


def test_heads_with_a_query_are_not_kept():
    raw = b"GET /x?token=s3cr3t HTTP/1.1\r\nHost: x\r\n\r\n"
    assert not heads_of(*[raw] * 4)[1]


def test_long_heads_are_not_kept():
    raw = HEAD % b"".join(b"X-%d: %b\r\n" % (i, b"a" * 100) for i in range(12))
    heads, known = heads_of(*[raw] * 4)
    assert heads[2] is not heads[3]
    assert not known


def test_a_head_known_within_one_limit_is_judged_anew_within_another():
    raw = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
    fields = FieldCache(REQUEST_KINDS)
    for _ in range(3):
        RequestParser(Recorder(), DEFAULT_LIMITS, fields).feed(raw)
    smaller = dataclasses.replace(DEFAULT_LIMITS, body_bytes=4)
    with pytest.raises(FramingError):
        RequestParser(Recorder(), smaller, fields).feed(raw)


def test_shapes_are_bounded():
    for i in range(framing._SHAPES.SHAPES_MAX * 2 + 5):
        request(b"".join(b"Via: 1\r\n" if i >> bit & 1 else b"A: 1\r\n" for bit in range(12)))
        assert len(framing._SHAPES) <= framing._SHAPES.SHAPES_MAX
    request(b"A: 1\r\n" * framing._SHAPES.FIELDS_MAX)
    assert max(map(len, framing._SHAPES)) <= framing._SHAPES.FIELDS_MAX


def test_heads_are_bounded():
    fields = FieldCache(REQUEST_KINDS)
    heads, one = fields.heads(DEFAULT_LIMITS), request(b"")
    for i in range(heads.HEADS_MAX * 2 + 5):
        heads.remember(b"%d" % i, one)
        assert len(heads) <= heads.HEADS_MAX
    assert fields.heads(DEFAULT_LIMITS) is heads
    for i in range(fields.LIMITS_MAX * 3):
        fields.heads(dataclasses.replace(DEFAULT_LIMITS, fields=i))
        assert len(fields._heads) <= fields.LIMITS_MAX
