"""Heads and answers made by chance, tame and hostile, for comparing two ways of reading them.

Each is of one of a few orders of names, so that most of them have a shape that can be known.
"""

from __future__ import annotations

import random

METHODS = (b"POST", b"GET", b"PUT", b"DELETE", b"OPTIONS", b"HEAD", b"PATCH")
ODD_METHODS = (b"BREW", b"TRACE", b"post", b"CONNECT", b"PURGE", b"G\x00T", b"")
TARGETS = (
    b"/v2/models/flight-delay/infer", b"/", b"/v2/x?a=1&b=%20c", b"/a//b", b"/v2/?", b"/a?b?c/d",
    b"/a;p=1,2", b"/a%zz", b"/a..b/c.", b"/~u/-_!$&'()*+:@=",
)  # fmt: skip
ODD_TARGETS = (
    b"/v2/a/../b", b"/v2/./b", b"/v2/%2e%2e/b", b"/%2E", b"/a/%2ehidden", b"/.well-known", b"*",
    b"http://other.example/v2/y", b"/v2/{x}", b"/a|b^c", b"/a\\b", b"/\x80", b"/a b", b"/a#f", b"x",
    b"/a?q=%00", b'/a"b', b"/a<b>", b"//x/../y", b"/a?b=../c", b"",
)  # fmt: skip
VERSIONS = (
    b"HTTP/1.0",
    b"HTTP/1.2",
    b"HTTP/2.0",
    b"http/1.1",
    b"HTTP/1.1 ",
    b"HTTP/0.9",
    b"RTSP/1.1",
)
PARENT = b"00-%032x-%016x-%02x"
ODD_PARENTS = (
    PARENT % (0, 1, 1), PARENT % (1, 0, 1), b"00-ABC", b"01" + (PARENT % (5, 6, 1))[2:],
    b"00-%032X-%016x-01" % (0xABC, 6), PARENT % (1, 2, 3) + b"-x",
)  # fmt: skip
RARE = (
    (b"Connection", b"keep-alive"), (b"Connection", b"close"), (b"Connection", b"X-User-Id"),
    (b"Connection", b"Keep-Alive"), (b"Connection", b"close, te"), (b"Keep-Alive", b"timeout=5"),
    (b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"gzip, chunked"),
    (b"Transfer_Encoding", b"chunked"), (b"Expect", b"100-continue"), (b"TE", b"trailers"),
    (b"Trailer", b"X"), (b"Upgrade", b"h2c"), (b"Via", b"1.1 x"), (b"X-Forwarded-For", b"1.2.3.4"),
    (b"X-Forwarded-Proto", b"https"), (b"Forwarded", b"for=1.2.3.4"), (b"X-Real-IP", b"1.2.3.4"),
    (b"X-Rampway-Pin", b"v2"), (b"X_Rampway_Pin", b"v2"), (b"Content_Length", b"3"),
    (b"tracestate", b"a=1"), (b"tracestate", b"b=2"), (b"traceparent", PARENT % (3, 4, 0)),
    (b"X-Request-Id", b"two"), (b"Max-Forwards", b"0"), (b"X-User-Id", b"second"),
    (b"Accept", b"again"), (b"Proxy-Authorization", b"x"), (b"HTTP2-Settings", b"x"),
    (b"Proxy-Connection", b"keep-alive"), (b"Host", b"other.example"), (b"Content-Length", b"0"),
)  # fmt: skip
RARE_OF_ANSWERS = (
    (b"Connection", b"close"), (b"Connection", b"keep-alive"), (b"Connection", b"X-Inference-Id"),
    (b"Transfer-Encoding", b"chunked"), (b"Via", b"1.1 b"), (b"Set-Cookie", b"a=1"),
    (b"X-Rampway-Version", b"z"), (b"X-Request-Id", b"q q"), (b"Keep-Alive", b"timeout=5"),
    (b"Upgrade", b"h2c"), (b"Content_Length", b"4"), (b"Content-Length", b"244"),
    (b"Proxy-Authenticate", b"x"), (b"Trailer", b"x"), (b"Server", b"again"),
    (b"traceparent", PARENT % (3, 4, 0)), (b"tracestate", b"a=1"), (b"Host", b"b"),
)  # fmt: skip
ODD_STATUS = (
    b"HTTP/1.1 200", b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified", b"HTTP/1.0 200 OK",
    b"HTTP/1.1 103 Early", b"HTTP/1.1 101 X", b"HTTP/2 200", b"HTTP/1.1 200 \xe9", b"HTTP/1.1 ",
    b"HTTP/1.1  200 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 600 X", b"HTTP/1.1 200\tOK",
)  # fmt: skip
ODD_LENGTHS = (
    b"+%d",
    b"0%d",
    b"%d, %d",
    b"-%d",
    b"%d ",
    b"0x%d",
    b"99999999999999999999%d",
    b"\t%d",
)


def _spoilt(own: random.Random, value: bytes) -> bytes:
    """A value as it should not be, or as it rarely is."""
    return own.choice((
        b"", b" " + value, value + b" ", value + b"\t", b"\t" + value, value + b"\x00",
        value + b"\xe9", value + b"\r", value + b"\n", value + b"\r\n folded", value + b"\x7f",
        value + b", " + value, value[:3] + b"\r\nEvil: 1", value + b": a:  b", value + b"\tin",
    ))  # fmt: skip


def _line(own: random.Random, name: bytes, value: bytes, wild: bool) -> bytes:
    odd = 0.04 if wild else 0.002
    colon = own.choice((b":", b":\t", b" : ", b":  ")) if own.random() < odd else b": "
    if wild and own.random() < odd:
        names = (name.upper(), name + b" ", b" " + name, name.replace(b"-", b"_"), name + b"\x00")
        name = own.choice((*names, name.lower()))
    return name + colon + (_spoilt(own, value) if own.random() < odd else value)


def _lines(own: random.Random, fields: list[tuple[bytes, bytes]], wild: bool) -> list[bytes]:
    return [_line(own, name, value, wild) for name, value in fields]


def _joined(own: random.Random, start: bytes, lines: list[bytes], body: bytes) -> bytes:
    end = own.choices((b"\r\n", b"\n", b"\r\r\n"), (99.4, 0.3, 0.3))[0]
    raw = start + end + end.join(lines) + end + end + body
    if own.random() < 0.02:
        at = own.randrange(len(raw))
        raw = raw[:at] + bytes([own.randrange(256)]) + raw[at + own.randrange(2) :]
    return raw


def _cut(own: random.Random, raw: bytes) -> list[bytes]:
    if own.random() < 0.85 or len(raw) < 2:
        return [raw]
    if own.random() < 0.5 and (end := raw.find(b"\r\n\r\n") + 4) > 4 and raw[end:]:
        return [raw[:end], raw[end:]]
    at = own.randrange(1, len(raw))
    return [raw[:at], raw[at:]]


def tame_fields(own: random.Random) -> list[tuple[bytes, bytes]]:
    """What ordinary clients send, in one of some forty orders and spellings."""
    some = [
        (b"Host", own.choice((b"flights.example.org", b"a:80", b"[::1]:80", b"127.0.0.1:8080"))),
        (b"User-Agent", b"client/%d (x; y) z" % own.randrange(9)),
        (b"Accept", b"*/*"),
        (b"Accept-Encoding", b"gzip, deflate, br"),
        (b"Connection", own.choice((b"keep-alive", b"Keep-Alive", b"close"))),
        (b"Content-Type", b"application/json"),
        (b"X-User-Id", b"user-%d" % own.randrange(9_999)),
        (b"X-Request-Id", b"%032x" % own.getrandbits(128)),
        (b"traceparent", PARENT % (own.getrandbits(128) | 1, own.getrandbits(64) | 1, 1)),
        (b"tracestate", b"a=%d,b=2" % own.randrange(9)),
        (b"X-Forwarded-For", b"192.0.2.%d" % own.randrange(256)),
        (b"Cookie", b"session=%x; b=2" % own.getrandbits(64)),
    ]
    wanted = own.choice((0b1111111, 0b1101, 0b11101111, 0b100100001, 0b111101111, 0b11111101111,
                         0b110000000001, 0b1010, 0b1000010011, 0b11100111))  # fmt: skip
    fields = [pair for bit, pair in enumerate(some) if wanted >> bit & 1]
    style = own.choice((0, 0, 1, 2))
    if style == 1:
        fields = [(name.lower(), value) for name, value in fields]
    return fields[::-1] if style == 2 else fields


def request(own: random.Random) -> list[bytes]:
    """The pieces of a request, and perhaps of another behind it."""
    wild = own.random() < 0.3
    odd = 0.08 if wild else 0.01
    method = own.choice(ODD_METHODS if own.random() < odd / 2 else METHODS)
    target = own.choice(ODD_TARGETS if own.random() < odd else TARGETS)
    version = own.choice(VERSIONS) if own.random() < odd else b"HTTP/1.1"
    body = b"x" * own.choice((0, 1, 10, 1_024))
    fields = tame_fields(own)
    if own.random() < odd:
        fields = [(n, own.choice(ODD_PARENTS) if n == b"traceparent" else v) for n, v in fields]
    if own.random() < odd:
        ids = (b"a b", b"x" * 129, b"x" * 128, b"<x>", b"ok-1=/")
        fields = [(n, own.choice(ids) if n == b"X-Request-Id" else v) for n, v in fields]
    if own.random() < odd:
        hosts = (b"u@h", b"a b", b"a:", b"A.b", b"a/b", b"", b"h" * 255, b"h" * 256, b"a:123456")
        fields = [(n, own.choice(hosts) if n == b"Host" else v) for n, v in fields]
    while own.random() < (0.25 if wild else 0.05):
        fields.insert(own.randrange(len(fields) + 1), own.choice(RARE))
    chunked = any(name.lower() == b"transfer-encoding" for name, _ in fields)
    if (body or own.random() < 0.3) and not (chunked and own.random() < 0.9):
        size = len(body) + own.choices((0, 1, -1), (97, 1.5, 1.5))[0]
        form = own.choice(ODD_LENGTHS) if own.random() < odd else b"%d"
        fields.append((b"Content-Length", form.replace(b"%d", b"%d" % size)))
    elif chunked:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    raw = _joined(own, b"%b %b %b" % (method, target, version), _lines(own, fields, wild), body)
    if own.random() < 0.03:
        raw = b"\r\n" + raw
    if own.random() < 0.03:
        raw += b"GET /v2/next HTTP/1.1\r\nHost: b\r\n\r\n"
    return _cut(own, raw)


def answer(own: random.Random) -> list[bytes]:
    """The pieces of an answer, and perhaps of bytes behind it."""
    wild = own.random() < 0.3
    odd = 0.1 if wild else 0.01
    statuses = (b"HTTP/1.1 200 OK", b"HTTP/1.1 404 Not Found", b"HTTP/1.1 503 Oh\tno",
                b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK")  # fmt: skip
    status = own.choice(ODD_STATUS if own.random() < odd else statuses)
    body = b"y" * own.choice((0, 1, 244))
    fields = [
        (b"Server", b"model"), (b"Date", b"Sat, 21 Nov 2026 05:00:%02d GMT" % own.randrange(60)),
        (b"Content-Type", b"application/json"), (b"X-Inference-Id", b"%x" % own.getrandbits(64)),
    ][own.choice((0, 0, 1, 2)) :]  # fmt: skip
    while own.random() < (0.3 if wild else 0.15):
        fields.insert(own.randrange(len(fields) + 1), own.choice(RARE_OF_ANSWERS))
    form = own.choice(ODD_LENGTHS) if own.random() < odd else b"%d"
    size = len(body) + own.choices((0, 1, -1), (98, 1, 1))[0]
    if own.random() < 0.2:
        fields.append((b"Transfer-Encoding", own.choice((b"chunked", b"Chunked"))))
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        if own.random() < odd:
            body = body.replace(b"\r\n", own.choice((b"\n", b";x\r\n", b" \r\n")), 1)
    elif own.random() < 0.97:
        fields.append((b"Content-Length", form.replace(b"%d", b"%d" % size)))
    if own.random() < 0.3:
        fields = [(name.lower(), value) for name, value in fields]
    raw = _joined(own, status, _lines(own, fields, wild), body)
    if own.random() < 0.03:
        raw += b"HTTP/1.1 200 OK\r\n\r\n"
    return _cut(own, raw)
