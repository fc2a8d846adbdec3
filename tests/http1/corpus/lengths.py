"""Content-Length, Transfer-Encoding, and both in every mixture."""

from .cases import GET_X, Case, Seen, chunked, get, post

_HELLO = Seen(b"POST /x", "length", b"hello")
_EMPTY = Seen(b"POST /x")
_ABC = Seen(b"POST /x", "chunked", b"abc")
_END = b"3\r\nabc\r\n0\r\n\r\n"

_BAD_LENGTHS = {
    "plus": b"+5",
    "minus": b"-5",
    "minus-zero": b"-0",
    "hex": b"0x5",
    "float": b"5.0",
    "exponent": b"5e0",
    "underscore": b"1_0",
    "letters": b"five",
    "suffix": b"5 bytes",
    "suffix-tight": b"5a",
    "inner-space": b"5 5",
    "list-same": b"5, 5",
    "list-differ": b"5, 6",
    "list-tight": b"5,5",
    "list-trailing": b"5,",
    "list-leading": b",5",
    "empty": b"",
    "blank": b" \t ",
    "quoted": b'"5"',
    "semicolon": b"5;5",
    "nineteen": b"1" * 19,
    "huge": b"9" * 30,
    "zero-padded-huge": b"0" * 40 + b"5",
    "two-64": b"18446744073709551621",
    "arabic-digit": b"\xd9\xa5",
    "superscript": b"\xb2",
    "nbsp": b"\xa05",
    "nul": b"5\x00",
    "vertical-tab": b"\x0b5",
    "form-feed": b"5\x0c",
    "bare-cr": b"5\r5",
    "bare-lf": b"5\nX: y",
}
_BAD_CODINGS = {
    "gzip": (b"gzip", 501),
    "identity": (b"identity", 501),
    "xchunked": (b"xchunked", 501),
    "chunkedx": (b"chunkedx", 501),
    "gzip-chunked": (b"gzip, chunked", 501),
    "identity-chunked": (b"identity, chunked", 501),
    "chunked-gzip": (b"chunked, gzip", 501),
    "chunked-identity": (b"chunked, identity", 501),
    "chunked-chunked": (b"chunked, chunked", 501),
    "leading-comma": (b",chunked", 400),
    "leading-comma-space": (b", chunked", 400),
    "trailing-comma": (b"chunked,", 400),
    "two-words": (b"chunked chunked", 400),
    "parameter": (b"chunked;q=1", 400),
    "quoted": (b'"chunked"', 400),
    "single-quoted": (b"'chunked'", 501),
    "empty": (b"", 400),
    "nul": (b"chunked\x00", 400),
    "vertical-tab": (b"\x0bchunked", 400),
    "vertical-tab-end": (b"chunked\x0b", 400),
    "eight-bit": (b"\x63hunke\xe4", 400),
    "nbsp": (b"chunked\xa0", 400),
    "nel": (b"chunked\x85", 400),
    "kelvin": (b"chun\xe2\x84\xaaed", 400),
    "bare-lf": (b"chunked\n", 400),
    "bare-cr": (b"\rchunked", 400),
    "lf-header": (b"x\nTransfer-Encoding: chunked", 400),
}
_TE = b"Transfer-Encoding: chunked\r\n"
_CL = b"Content-Length: 6\r\n"
_BOTH = {
    "cl-te": _CL + _TE,
    "te-cl": _TE + _CL,
    "cl0-te": b"Content-Length: 0\r\n" + _TE,
    "te-cl0": _TE + b"Content-Length: 0\r\n",
    "cl-te-lower": _CL + b"transfer-encoding: chunked\r\n",
    "cl-te-mixed": b"cOnTeNt-LeNgTh: 6\r\ntRaNsFeR-eNcOdInG: chunked\r\n",
    "cl-te-upper-value": _CL + b"Transfer-Encoding: CHUNKED\r\n",
    "cl-te-xchunked": _CL + b"Transfer-Encoding: xchunked\r\n",
    "cl-te-identity": _CL + b"Transfer-Encoding: identity\r\n",
    "cl-te-gzip-chunked": _CL + b"Transfer-Encoding: gzip, chunked\r\n",
    "cl-te-space-colon": _CL + b"Transfer-Encoding : chunked\r\n",
    "cl-te-tab-colon": _CL + b"Transfer-Encoding\t: chunked\r\n",
    "cl-te-leading-space": _CL + b" Transfer-Encoding: chunked\r\n",
    "cl-te-folded": _CL + b"Transfer-Encoding:\r\n chunked\r\n",
    "cl-te-folded-tab": _CL + b"Transfer-Encoding:\r\n\tchunked\r\n",
    "cl-te-in-fold": _CL + b"X: y\r\n Transfer-Encoding: chunked\r\n",
    "cl-te-lf-injected": _CL + b"X: y\nTransfer-Encoding: chunked\r\n",
    "cl-te-cr-injected": _CL + b"X: y\rTransfer-Encoding: chunked\r\n",
    "cl-te-vertical-tab": _CL + b"Transfer-Encoding: \x0bchunked\r\n",
    "cl-te-nul": _CL + b"Transfer-Encoding: chunked\x00\r\n",
    "cl-te-quoted": _CL + b'Transfer-Encoding: "chunked"\r\n',
    "cl-te-comma": _CL + b"Transfer-Encoding: chunked,\r\n",
    "cl-te-underscore": _CL + b"Transfer_Encoding: chunked\r\n",
    "cl-te-two": _CL + b"Transfer-Encoding: identity\r\n" + _TE,
    "cl-te-far": _CL + b"X: y\r\n" * 20 + _TE,
    "cl-cl-te": _CL + _CL + _TE,
    "te-te-cl": _TE + _TE + _CL,
    "te-named-cl": b"Connection: transfer-encoding\r\n" + _TE + _CL,
    "cl-named-te": b"Connection: content-length\r\n" + _CL + _TE,
    "te-empty-cl": b"Transfer-Encoding:\r\n" + _CL,
    "te-cl-bad": _TE + b"Content-Length: x\r\n",
    "te-name-8bit": _CL + b"Transfer-Encoding\xa0: chunked\r\n",
}

CASES = [
    Case("cl", post(b"Content-Length: 5\r\n", b"hello"), (_HELLO,)),
    Case("cl-zero", post(b"Content-Length: 0\r\n"), (_EMPTY,)),
    Case("cl-absent", post(b""), (_EMPTY,)),
    Case("cl-zero-padded", post(b"Content-Length: 000005\r\n", b"hello"), (_HELLO,)),
    Case("cl-outer-blanks", post(b"Content-Length: \t 5 \t\r\n", b"hello"), (_HELLO,)),
    Case("cl-no-blank", post(b"Content-Length:5\r\n", b"hello"), (_HELLO,)),
    Case("cl-lower", post(b"content-length: 5\r\n", b"hello"), (_HELLO,)),
    Case("cl-http10", post(b"Content-Length: 5\r\n", b"hello", b"1.0"), (_HELLO,)),
    Case(
        "cl-get", get(b"Content-Length: 5\r\n") + b"hello", (Seen(b"GET /x", "length", b"hello"),)
    ),
    Case(
        "cl-head",
        get(b"Content-Length: 5\r\n", b"HEAD /x HTTP/1.1") + b"hello",
        (Seen(b"HEAD /x", "length", b"hello"),),
    ),
    Case(
        "cl-delete",
        get(b"Content-Length: 5\r\n", b"DELETE /x HTTP/1.1") + b"hello",
        (Seen(b"DELETE /x", "length", b"hello"),),
    ),
    Case(
        "cl-options",
        get(b"Content-Length: 5\r\n", b"OPTIONS * HTTP/1.1") + b"hello",
        (Seen(b"OPTIONS *", "length", b"hello"),),
    ),
    Case("cl-short-body", post(b"Content-Length: 5\r\n", b"hell"), partial=True),
    Case("cl-no-body", post(b"Content-Length: 5\r\n"), partial=True),
    Case(
        "cl-binary",
        post(b"Content-Length: 5\r\n", b"\r\n\r\n\x00"),
        (Seen(b"POST /x", "length", b"\r\n\r\n\x00"),),
    ),
    Case("cl-long-body", post(b"Content-Length: 5\r\n", b"helloGET"), (_HELLO,), partial=True),
    Case("cl-long-body-bad", post(b"Content-Length: 5\r\n", b"hello\x00"), (_HELLO,), status=400),
    Case(
        "cl-body-is-request",
        post(b"Content-Length: %d\r\n" % len(get()), get()),
        (Seen(b"POST /x", "length", get()),),
    ),
    Case("cl-zero-then-request", post(b"Content-Length: 0\r\n", get()), (_EMPTY, GET_X)),
    Case("cl-two-same", post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"), status=400),
    Case(
        "cl-two-differ", post(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello"), status=400
    ),
    Case("cl-two-zero", post(b"Content-Length: 0\r\nContent-Length: 5\r\n", b"hello"), status=400),
    Case("cl-two-case", post(b"Content-Length: 5\r\nCONTENT-LENGTH: 5\r\n", b"hello"), status=400),
    Case("cl-underscore", post(b"Content_Length: 5\r\n", b"hello"), status=400),
    Case("cl-space-colon", post(b"Content-Length : 5\r\n", b"hello"), status=400),
    Case("cl-tab-colon", post(b"Content-Length\t: 5\r\n", b"hello"), status=400),
    Case("cl-leading-space", post(b" Content-Length: 5\r\n", b"hello"), status=400),
    Case("cl-folded", post(b"Content-Length:\r\n 5\r\n", b"hello"), status=400),
    Case("cl-name-8bit", post(b"Content-Length\xa0: 5\r\n", b"hello"), status=400),
    Case("cl-over-limit", post(b"Content-Length: 67108865\r\n"), status=413),
    Case("cl-at-limit", post(b"Content-Length: 67108864\r\n"), partial=True),
    Case("cl-eighteen", post(b"Content-Length: " + b"9" * 18 + b"\r\n"), status=413),
    *(
        Case(f"cl-bad-{name}", post(b"Content-Length: " + value + b"\r\n", b"hello"), status=400)
        for name, value in _BAD_LENGTHS.items()
    ),
    Case("te", chunked(_END), (_ABC,)),
    Case("te-upper", post(b"TRANSFER-ENCODING: Chunked\r\n", _END), (_ABC,)),
    Case("te-tab", post(b"Transfer-Encoding:\tchunked\r\n", _END), (_ABC,)),
    Case("te-tab-end", post(b"Transfer-Encoding: chunked\t\r\n", _END), status=400),
    Case("te-blank-end", post(b"Transfer-Encoding: chunked \r\n", _END), (_ABC,)),
    Case("te-get", get(_TE) + _END, (Seen(b"GET /x", "chunked", b"abc"),)),
    Case("te-http10", post(_TE, _END, b"1.0"), status=400),
    Case(
        "te-http10-keep-alive", post(_TE + b"Connection: keep-alive\r\n", _END, b"1.0"), status=400
    ),
    Case("te-http10-gzip", post(b"Transfer-Encoding: gzip\r\n", _END, b"1.0"), status=400),
    Case("te-two", chunked(_END, _TE), status=400),
    Case("te-two-identity", chunked(_END, b"Transfer-Encoding: identity\r\n"), status=400),
    Case("te-identity-two", post(b"Transfer-Encoding: identity\r\n" + _TE, _END), status=400),
    Case("te-space-colon", post(b"Transfer-Encoding : chunked\r\n", _END), status=400),
    Case("te-folded", post(b"Transfer-Encoding:\r\n chunked\r\n", _END), status=400),
    Case("te-underscore", post(b"Transfer_Encoding: chunked\r\n", _END), status=400),
    Case("te-named", chunked(_END, b"Connection: transfer-encoding\r\n"), (_ABC,)),
    Case("te-no-body", chunked(b""), partial=True),
    *(
        Case(f"te-bad-{name}", post(b"Transfer-Encoding: " + value + b"\r\n", _END), status=status)
        for name, (value, status) in _BAD_CODINGS.items()
    ),
    *(
        Case(f"both-{name}", post(fields, b"0\r\n\r\nG"), status=400)
        for name, fields in _BOTH.items()
    ),
    Case("both-http10", post(_CL + _TE, b"0\r\n\r\nG", b"1.0"), status=400),
]
