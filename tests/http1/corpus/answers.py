"""What backends send: answers with one reading, and everything else."""

from .cases import Case, Seen

_OK = b"HTTP/1.1 200 OK\r\n"
_FIVE = b"Content-Length: 5\r\n\r\nhello"
_TE = b"Transfer-Encoding: chunked\r\n"
_ABC = b"3\r\nabc\r\n0\r\n\r\n"
_HELLO = (Seen(b"200", "length", b"hello"),)


def _answer(fields: bytes = b"", body: bytes = b"", line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return line + b"\r\n" + fields + b"\r\n" + body


_GOOD_LINES = {
    "reason": b"HTTP/1.1 200 OK",
    "no-reason": b"HTTP/1.1 200 ",
    "no-reason-no-space": b"HTTP/1.1 200",
    "long-reason": b"HTTP/1.1 200 Very Well Indeed",
    "8bit-reason": b"HTTP/1.1 200 caf\xe9",
    "tab-reason": b"HTTP/1.1 200 a\tb",
}
_BAD_LINES = {
    "garbage": b"NOT HTTP",
    "empty": b"",
    "http09": b"<html>hello</html>",
    "version-2": b"HTTP/2.0 200 OK",
    "version-1.2": b"HTTP/1.2 200 OK",
    "version-0.9": b"HTTP/0.9 200 OK",
    "version-missing": b"HTTP 200 OK",
    "lower": b"http/1.1 200 OK",
    "icy": b"ICY 200 OK",
    "status-two": b"HTTP/1.1 20 OK",
    "status-four": b"HTTP/1.1 2000 OK",
    "status-letters": b"HTTP/1.1 2xx OK",
    "status-zero": b"HTTP/1.1 000 OK",
    "status-099": b"HTTP/1.1 099 OK",
    "status-600": b"HTTP/1.1 600 OK",
    "status-999": b"HTTP/1.1 999 OK",
    "status-minus": b"HTTP/1.1 -200 OK",
    "status-missing": b"HTTP/1.1 OK",
    "double-space": b"HTTP/1.1  200 OK",
    "tab": b"HTTP/1.1\t200 OK",
    "reason-cr": b"HTTP/1.1 200 O\rK",
    "reason-lf": b"HTTP/1.1 200 O\nK",
    "reason-nul": b"HTTP/1.1 200 O\x00K",
    "reason-escape": b"HTTP/1.1 200 \x1b[31m",
    "leading-space": b" HTTP/1.1 200 OK",
    "leading-crlf": b"\r\nHTTP/1.1 200 OK",
    "switching": b"HTTP/1.1 101 Switching Protocols",
    "request": b"GET / HTTP/1.1",
    "bom": b"\xef\xbb\xbfHTTP/1.1 200 OK",
}
_BAD_FIELDS = {
    "cl-two-same": b"Content-Length: 5\r\nContent-Length: 5\r\n",
    "cl-two-differ": b"Content-Length: 5\r\nContent-Length: 6\r\n",
    "cl-list": b"Content-Length: 5, 5\r\n",
    "cl-plus": b"Content-Length: +5\r\n",
    "cl-minus": b"Content-Length: -5\r\n",
    "cl-hex": b"Content-Length: 0x5\r\n",
    "cl-letters": b"Content-Length: abc\r\n",
    "cl-empty": b"Content-Length:\r\n",
    "cl-huge": b"Content-Length: " + b"9" * 25 + b"\r\n",
    "cl-underscore": b"Content_Length: 5\r\n",
    "cl-te": b"Content-Length: 5\r\n" + _TE,
    "te-cl": _TE + b"Content-Length: 5\r\n",
    "te-gzip": b"Transfer-Encoding: gzip\r\n",
    "te-gzip-chunked": b"Transfer-Encoding: gzip, chunked\r\n",
    "te-identity": b"Transfer-Encoding: identity\r\n",
    "te-two": _TE + _TE,
    "te-comma": b"Transfer-Encoding: chunked,\r\n",
    "te-empty": b"Transfer-Encoding:\r\n",
    "space-colon": b"Content-Length : 5\r\n",
    "no-colon": b"foo\r\n",
    "no-name": b": x\r\n",
    "space-name": b"X Y: 1\r\n",
    "fold": b"X: a\r\n b\r\n",
    "bare-lf": b"X: a\nY: b\r\n",
    "bare-cr": b"X: a\rY: b\r\n",
    "nul": b"X: \x00\r\n",
    "escape": b"X: \x1b\r\n",
    "8bit-name": b"caf\xe9: x\r\n",
    "connection-bad": b"Connection: a b\r\n",
    "129-fields": b"X: y\r\n" * 129,
    "40k": b"X: " + b"a" * 40000 + b"\r\n",
    "1m": b"X: " + b"a" * 1_000_000 + b"\r\n",
}
_BAD_CHUNKS = {
    "size-letter": b"g\r\nabc\r\n0\r\n\r\n",
    "size-empty": b"\r\nabc\r\n0\r\n\r\n",
    "size-space": b"3 \r\nabc\r\n0\r\n\r\n",
    "size-0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "size-lf": b"3\nabc\r\n0\r\n\r\n",
    "size-overflow": b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "data-long": b"2\r\nabc\r\n0\r\n\r\n",
    "data-end": b"3\r\nabc0\r\n\r\n",
    "ext-lf": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "ext-10k": b"3;" + b"a" * 10_000 + b"\r\nabc\r\n0\r\n\r\n",
    "trailer-cl": b"0\r\nContent-Length: 3\r\n\r\n",
    "trailer-no-colon": b"0\r\nfoo\r\n\r\n",
    "trailer-9000": b"0\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
}
_HEAD_ANSWERS = {
    "cl": b"Content-Length: 5\r\n",
    "cl-zero": b"Content-Length: 0\r\n",
    "te": _TE,
    "none": b"",
}
_STATUS_WITHOUT_BODY = {
    "204": (b"HTTP/1.1 204 No Content", b"", True),
    "204-cl0": (b"HTTP/1.1 204 No Content", b"Content-Length: 0\r\n", True),
    "204-cl5": (b"HTTP/1.1 204 No Content", b"Content-Length: 5\r\n", False),
    "204-te": (b"HTTP/1.1 204 No Content", _TE, False),
    "304": (b"HTTP/1.1 304 Not Modified", b"", True),
    "304-cl5": (b"HTTP/1.1 304 Not Modified", b"Content-Length: 5\r\n", True),
    "304-te": (b"HTTP/1.1 304 Not Modified", _TE, True),
}
_EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CUT = {
    "line": b"HTTP/1.1 20",
    "head": _OK + b"Content-Le",
    "head-end": _OK + b"Content-Length: 5\r\n\r",
    "length": _OK + b"Content-Length: 5\r\n\r\nhell",
    "length-none": _OK + b"Content-Length: 5\r\n\r\n",
    "chunk-size": _OK + _TE + b"\r\n3",
    "chunk-data": _OK + _TE + b"\r\n3\r\nab",
    "chunk-end": _OK + _TE + b"\r\n3\r\nabc\r\n",
    "chunk-last": _OK + _TE + b"\r\n3\r\nabc\r\n0\r\n",
    "chunk-trailer": _OK + _TE + b"\r\n3\r\nabc\r\n0\r\nX: y\r\n",
    "interim": _CONTINUE,
    "nothing": b"",
}
_SURPLUS = {
    "second-answer": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL",
    "junk": b"junk",
    "crlf": b"\r\n",
    "nul": b"\x00",
}

CASES = [
    Case("length", _OK + _FIVE, _HELLO),
    Case("length-zero", _answer(b"Content-Length: 0\r\n"), (Seen(b"200"),)),
    Case("length-padded", _answer(b"Content-Length: 005\r\n", b"hello"), _HELLO),
    Case(
        "length-binary",
        _answer(b"Content-Length: 5\r\n", b"\r\n\r\n\x00"),
        (Seen(b"200", "length", b"\r\n\r\n\x00"),),
    ),
    Case("chunked", _answer(_TE, _ABC), (Seen(b"200", "chunked", b"abc"),)),
    Case(
        "chunked-extension",
        _answer(_TE, b"3;a=b\r\nabc\r\n0\r\n\r\n"),
        (Seen(b"200", "chunked", b"abc"),),
    ),
    Case(
        "chunked-trailer",
        _answer(_TE, b"3\r\nabc\r\n0\r\nX: y\r\n\r\n"),
        (Seen(b"200", "chunked", b"abc"),),
    ),
    Case(
        "until-close",
        _answer(b"", b"hello"),
        (Seen(b"200", "until_close", b"hello"),),
        eof=True,
        reusable=False,
    ),
    Case(
        "until-close-empty",
        _answer(),
        (Seen(b"200", "until_close", b""),),
        eof=True,
        reusable=False,
    ),
    Case(
        "until-close-http10",
        _answer(b"", b"hello", b"HTTP/1.0 200 OK"),
        (Seen(b"200", "until_close", b"hello"),),
        eof=True,
        reusable=False,
    ),
    Case("until-close-going-on", _answer(b"", b"hello"), partial=True, reusable=False),
    Case(
        "http10-length",
        _answer(b"Content-Length: 5\r\n", b"hello", b"HTTP/1.0 200 OK"),
        _HELLO,
        reusable=False,
    ),
    Case(
        "http10-keep-alive",
        _answer(b"Connection: keep-alive\r\nContent-Length: 5\r\n", b"hello", b"HTTP/1.0 200 OK"),
        _HELLO,
    ),
    Case("http10-chunked", _answer(_TE, _ABC, b"HTTP/1.0 200 OK"), status=502, reusable=False),
    Case(
        "close",
        _answer(b"Connection: close\r\nContent-Length: 5\r\n", b"hello"),
        _HELLO,
        reusable=False,
    ),
    Case(
        "close-upper",
        _answer(b"Connection: CLOSE\r\nContent-Length: 5\r\n", b"hello"),
        _HELLO,
        reusable=False,
    ),
    Case(
        "keep-alive-field",
        _answer(b"Keep-Alive: timeout=5\r\nContent-Length: 5\r\n", b"hello"),
        _HELLO,
    ),
    Case(
        "connection-names",
        _answer(b"Connection: x-a\r\nX-A: 1\r\nContent-Length: 5\r\n", b"hello"),
        _HELLO,
    ),
    Case(
        "upgrade-offered",
        _answer(b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n", b"hello"),
        _HELLO,
    ),
    Case(
        "set-cookie-two",
        _answer(b"Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 5\r\n", b"hello"),
        _HELLO,
    ),
    Case(
        "404",
        _answer(b"Content-Length: 5\r\n", b"hello", b"HTTP/1.1 404 Not Found"),
        (Seen(b"404", "length", b"hello"),),
    ),
    Case("599", _answer(b"Content-Length: 0\r\n", b"", b"HTTP/1.1 599 Odd"), (Seen(b"599"),)),
    Case(
        "205-length",
        _answer(b"Content-Length: 0\r\n", b"", b"HTTP/1.1 205 Reset Content"),
        (Seen(b"205"),),
    ),
    *(
        Case(f"line-{name}", _answer(b"Content-Length: 5\r\n", b"hello", line), _HELLO)
        for name, line in _GOOD_LINES.items()
    ),
    *(
        Case(
            f"line-bad-{name}",
            _answer(b"Content-Length: 5\r\n", b"hello", line),
            status=502,
            reusable=False,
        )
        for name, line in _BAD_LINES.items()
    ),
    *(
        Case(f"field-bad-{name}", _answer(fields, b"hello"), status=502, reusable=False)
        for name, fields in _BAD_FIELDS.items()
    ),
    *(
        Case(f"chunk-bad-{name}", _answer(_TE, body), status=502, reusable=False)
        for name, body in _BAD_CHUNKS.items()
    ),
    *(
        Case(f"head-{name}", _answer(fields), (Seen(b"200"),), to_head=True)
        for name, fields in _HEAD_ANSWERS.items()
    ),
    *(
        Case(
            f"head-{name}-with-body",
            _answer(fields, b"hello"),
            (Seen(b"200"),),
            to_head=True,
            reusable=False,
        )
        for name, fields in _HEAD_ANSWERS.items()
    ),
    Case("head-malformed-field", _answer(b"X : y\r\n"), status=502, to_head=True, reusable=False),
    Case(
        "head-two-framings",
        _answer(_TE + b"Content-Length: 5\r\n"),
        status=502,
        to_head=True,
        reusable=False,
    ),
    Case(
        "head-interim",
        _EARLY_HINTS + _answer(b"Content-Length: 5\r\n"),
        (Seen(b"103"), Seen(b"200")),
        to_head=True,
    ),
    *(
        Case(
            f"bodyless-{name}",
            _answer(fields, b"", line),
            (Seen(line.split()[1]),),
            reusable=reusable,
        )
        for name, (line, fields, reusable) in _STATUS_WITHOUT_BODY.items()
    ),
    *(
        Case(
            f"bodyless-{name}-with-body",
            _answer(fields, b"hello", line),
            (Seen(line.split()[1]),),
            reusable=False,
        )
        for name, (line, fields, _) in _STATUS_WITHOUT_BODY.items()
    ),
    Case("interim-100", _CONTINUE + _OK + _FIVE, (Seen(b"100"), *_HELLO)),
    Case("interim-103", _EARLY_HINTS + _OK + _FIVE, (Seen(b"103"), *_HELLO)),
    Case("interim-8", _EARLY_HINTS * 8 + _OK + _FIVE, (Seen(b"103"),) * 8 + _HELLO),
    Case("interim-9", _EARLY_HINTS * 9 + _OK + _FIVE, (Seen(b"103"),) * 8, 502, reusable=False),
    Case("interim-3000", _CONTINUE * 3000, (Seen(b"100"),) * 8, 502, reusable=False),
    Case(
        "interim-close",
        b"HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n" + _OK + _FIVE,
        (Seen(b"100"),),
        status=502,
        reusable=False,
    ),
    Case(
        "interim-cl",
        b"HTTP/1.1 103 Hints\r\nContent-Length: 5\r\n\r\nhello" + _OK + _FIVE,
        status=502,
        reusable=False,
    ),
    Case(
        "interim-te", b"HTTP/1.1 103 Hints\r\n" + _TE + b"\r\n" + _ABC, status=502, reusable=False
    ),
    Case(
        "interim-101-later",
        _CONTINUE + b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
        (Seen(b"100"),),
        502,
        reusable=False,
    ),
    Case("interim-waiting", _CONTINUE, (Seen(b"100"),), reusable=False),
    *(
        Case(
            f"cut-{name}",
            raw,
            (Seen(b"100"),) if name == "interim" else (),
            502,
            eof=True,
            reusable=False,
        )
        for name, raw in _CUT.items()
    ),
    *(
        Case(f"waiting-{name}", raw, partial=bool(raw), reusable=False)
        for name, raw in _CUT.items()
        if name != "interim"
    ),
    *(
        Case(f"surplus-{name}", _OK + _FIVE + raw, _HELLO, reusable=False)
        for name, raw in _SURPLUS.items()
    ),
    *(
        Case(
            f"surplus-chunked-{name}",
            _answer(_TE, _ABC) + raw,
            (Seen(b"200", "chunked", b"abc"),),
            reusable=False,
        )
        for name, raw in _SURPLUS.items()
    ),
]
