"""Host: exactly one, `uri-host[:port]`."""

from .cases import GET_X, HOST, Case, get

_GOOD = {
    "name": b"example.org",
    "upper": b"EXAMPLE.org",
    "port": b"example.org:8080",
    "empty-port": b"example.org:",
    "ipv4": b"127.0.0.1",
    "ipv4-port": b"127.0.0.1:80",
    "ipv6": b"[::1]",
    "ipv6-port": b"[2001:db8::1]:443",
    "ipv6-v4": b"[::ffff:127.0.0.1]",
    "single-letter": b"x",
    "underscore": b"my_service",
    "trailing-dot": b"example.org.",
    "outer-blanks": b"  example.org \t",
}
_BAD = {
    "empty": b"",
    "blank": b"  ",
    "space": b"exa mple.org",
    "tab": b"exa\tmple.org",
    "comma": b"a.org, b.org",
    "comma-tight": b"a.org,b.org",
    "slash": b"example.org/x",
    "query": b"example.org?x",
    "fragment": b"example.org#x",
    "userinfo": b"user@example.org",
    "scheme": b"http://example.org",
    "backslash": b"example.org\\x",
    "port-letters": b"example.org:http",
    "port-long": b"example.org:123456",
    "port-sign": b"example.org:+80",
    "two-ports": b"example.org:80:80",
    "port-only": b":80",
    "eight-bit": b"ex\xe4mple.org",
    "kelvin": b"\xe2\x84\xaaelvin",
    "percent": b"example%2eorg",
    "quote": b'"example.org"',
    "ipv6-open": b"[::1",
    "ipv6-zone": b"[fe80::1%25eth0]",
    "ipv6-bare": b"::1",
    "ipv6-text": b"[evil]",
    "semicolon": b"a.org;b.org",
    "crlf-injection-lf": b"a.org\nX: y",
    "nul": b"a.org\x00",
    "long": b"a" * 256,
}

CASES = [
    *(
        Case(f"host-{name}", get(host=b"Host: " + value + b"\r\n"), (GET_X,))
        for name, value in _GOOD.items()
    ),
    *(
        Case(f"host-bad-{name}", get(host=b"Host: " + value + b"\r\n"), status=400)
        for name, value in _BAD.items()
    ),
    Case("host-missing", get(host=b""), status=400),
    Case("host-missing-http10", get(host=b"", line=b"GET /x HTTP/1.0"), (GET_X,)),
    Case("host-two", get(HOST), status=400),
    Case("host-two-differ", get(b"Host: evil.org\r\n"), status=400),
    Case("host-two-case", get(b"hOST: evil.org\r\n"), status=400),
    Case("host-two-http10", get(HOST, line=b"GET /x HTTP/1.0"), status=400),
    Case("host-space-colon", get(host=b"Host : example.org\r\n"), status=400),
    Case("host-folded", get(host=b"Host:\r\n example.org\r\n"), status=400),
    Case("host-no-blank", get(host=b"Host:example.org\r\n"), (GET_X,)),
    Case("host-upper-name", get(host=b"HOST: example.org\r\n"), (GET_X,)),
    Case("host-missing-absolute", get(line=b"GET http://a/x HTTP/1.1", host=b""), status=400),
    Case("host-two-absolute", get(HOST, line=b"GET http://a/x HTTP/1.1"), status=400),
    Case("host-differs-absolute", get(line=b"GET http://a/x HTTP/1.1"), (GET_X,)),
    Case(
        "host-bad-absolute", get(line=b"GET http://a/x HTTP/1.1", host=b"Host: a b\r\n"), status=400
    ),
    Case("host-late", get(b"X: y\r\n" + HOST, host=b""), (GET_X,)),
    Case("host-last-only-name", get(b"Host\r\n", host=b""), status=400),
]
