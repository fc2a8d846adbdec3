"""Request lines, targets and versions."""

from .cases import GET_X, HOST, Case, Seen, get

_TARGETS = {
    "root": b"/",
    "deep": b"/v2/models/flight-delay/versions/1.10/infer",
    "query": b"/x?a=1&b=%20c",
    "empty-query": b"/x?",
    "query-with-question": b"/x?a?b",
    "query-with-slash": b"/x?redirect=/a/../b",
    "percent-slash": b"/a%2Fb",
    "percent-nul": b"/a%00b",
    "percent-broken": b"/a%zz",
    "sub-delims": b"/a!$&'()*+,;=:@b",
    "tilde": b"/~user/-._",
    "double-slash": b"//host/path",
    "many-slashes": b"/a///b",
    "colon-first": b"/:80/",
    "brackets": b"/a[0]?x[]=1",
    "braces": b"/{id}|^",
    "three-dots": b"/.../a",
    "dotfile": b"/.well-known/x",
    "dots-in-name": b"/a..b",
    "long": b"/" + b"a" * 30000,
}
_BAD_TARGETS = {
    "no-slash": b"x",
    "fragment": b"/x#frag",
    "fragment-query": b"/x?a#frag",
    "backslash": b"/a\\b",
    "backslash-first": b"\\x",
    "quote": b'/a"b',
    "angle": b"/<script>",
    "backtick": b"/a`b",
    "dot-dot": b"/a/../b",
    "dot-dot-first": b"/../etc/passwd",
    "dot-dot-last": b"/a/..",
    "dot": b"/a/./b",
    "dot-last": b"/a/.",
    "dot-percent": b"/a/%2e%2e/b",
    "dot-mixed": b"/a/.%2E/b",
    "eight-bit": b"/caf\xe9",
    "utf8": b"/\xc3\xa9",
    "nul": b"/a\x00b",
    "control": b"/a\x01b",
    "del": b"/a\x7fb",
    "tab": b"/a\tb",
    "space": b"/a b",
    "vertical-tab": b"/a\x0bb",
    "bare-cr": b"/a\rb",
    "bare-lf": b"/a\nb",
    "star-get": b"*",
    "authority": b"example.org:80",
    "ftp": b"ftp://example.org/x",
    "file": b"file:///etc/passwd",
    "javascript": b"javascript:alert(1)",
    "http-one-slash": b"http:/example.org/x",
    "http-no-host": b"http:///x",
    "http-userinfo": b"http://user@example.org/x",
    "http-password": b"http://user:pw@example.org/x",
    "http-fragment": b"http://example.org/x#f",
    "http-space-host": b"http://exa mple.org/x",
    "http-backslash": b"http://example.org\\@evil/x",
    "http-bad-port": b"http://example.org:80a/x",
    "http-comma": b"http://a,b/x",
    "http-dot-dot": b"http://example.org/../x",
    "scheme-relative-star": b"//*",
}
_LINES = {
    "http10": (b"GET /x HTTP/1.0", None),
    "version-2.0": (b"GET /x HTTP/2.0", 505),
    "version-1.2": (b"GET /x HTTP/1.2", 505),
    "version-0.9": (b"GET /x HTTP/0.9", 505),
    "version-3.1": (b"GET /x HTTP/3.1", 505),
    "version-9.9": (b"GET /x HTTP/9.9", 505),
    "version-1.10": (b"GET /x HTTP/1.10", 400),
    "version-01.1": (b"GET /x HTTP/01.1", 400),
    "version-1": (b"GET /x HTTP/1", 400),
    "version-1.": (b"GET /x HTTP/1.", 400),
    "version-comma": (b"GET /x HTTP/1,1", 400),
    "version-space": (b"GET /x HTTP/ 1.1", 400),
    "version-minus": (b"GET /x HTTP/-1.1", 400),
    "version-unicode-digit": (b"GET /x HTTP/1.\xd9\xa1", 400),
    "version-lower": (b"GET /x http/1.1", 400),
    "version-rtsp": (b"OPTIONS /x RTSP/1.0", 400),
    "version-ice": (b"SOURCE /x ICE/1.0", 400),
    "version-hypertext": (b"GET /x HTTPS/1.1", 400),
    "simple-request": (b"GET /x", 400),
    "no-target": (b"GET HTTP/1.1", 400),
    "empty-target": (b"GET  HTTP/1.1", 400),
    "method-alone": (b"GET", 400),
    "double-space-first": (b"GET  /x HTTP/1.1", 400),
    "double-space-second": (b"GET /x  HTTP/1.1", 400),
    "tab-separator": (b"GET\t/x HTTP/1.1", 400),
    "tab-separator-second": (b"GET /x\tHTTP/1.1", 400),
    "leading-space": (b" GET /x HTTP/1.1", 400),
    "trailing-space": (b"GET /x HTTP/1.1 ", 400),
    "trailing-word": (b"GET /x HTTP/1.1 x", 400),
    "bare-cr-end": (b"GET /x HTTP/1.1\r", 400),
    "form-feed": (b"GET /x\x0cHTTP/1.1", 400),
    "bom": (b"\xef\xbb\xbfGET /x HTTP/1.1", 400),
    "bracket-method": (b"G[T /x HTTP/1.1", 400),
    "colon-method": (b"GET: /x HTTP/1.1", 400),
    "nul-method": (b"GE\x00T /x HTTP/1.1", 400),
    "lower-method": (b"get /x HTTP/1.1", 501),
    "unknown-method": (b"FOO /x HTTP/1.1", 501),
    "long-method": (b"A" * 300 + b" /x HTTP/1.1", 501),
    "connect": (b"CONNECT example.org:443 HTTP/1.1", 501),
    "connect-path": (b"CONNECT /x HTTP/1.1", 501),
    "trace": (b"TRACE /x HTTP/1.1", 501),
    "source": (b"SOURCE /x HTTP/1.1", 501),
    "describe": (b"DESCRIBE /x HTTP/1.1", 501),
    "http2-preface": (b"PRI * HTTP/2.0", 505),
    "status-line": (b"HTTP/1.1 200 OK", 400),
}
_METHODS = (
    b"HEAD DELETE OPTIONS PATCH PUT POST PROPFIND REPORT M-SEARCH PURGE QUERY SEARCH LINK".split()
)


def _absolute() -> list[Case]:
    table = {
        "http": (b"http://other.org/x", b"/x"),
        "https": (b"https://other.org/x", b"/x"),
        "upper-scheme": (b"HTTP://other.org/x", b"/x"),
        "port": (b"http://other.org:8080/x?y", b"/x?y"),
        "ipv6": (b"http://[::1]:80/x", b"/x"),
        "no-path": (b"http://other.org", b"/"),
        "query-only": (b"http://other.org?q=1", b"/?q=1"),
    }
    return [
        Case(f"absolute-{name}", get(line=b"GET " + raw + b" HTTP/1.1"), (Seen(b"GET " + seen),))
        for name, (raw, seen) in table.items()
    ]


CASES = [
    *(
        Case(f"target-{name}", get(line=b"GET " + raw + b" HTTP/1.1"), (Seen(b"GET " + raw),))
        for name, raw in _TARGETS.items()
    ),
    *(
        Case(f"target-bad-{name}", get(line=b"GET " + raw + b" HTTP/1.1"), status=400)
        for name, raw in _BAD_TARGETS.items()
        if name != "scheme-relative-star"
    ),
    Case("target-scheme-relative-star", get(line=b"GET //* HTTP/1.1"), (Seen(b"GET //*"),)),
    *_absolute(),
    *(
        Case(f"line-{name}", get(line=line), () if status else (GET_X,), status)
        for name, (line, status) in _LINES.items()
    ),
    *(
        Case(
            f"method-{method.decode()}",
            get(line=method + b" /x HTTP/1.1"),
            (Seen(method + b" /x"),),
        )
        for method in _METHODS
    ),
    Case("options-star", get(line=b"OPTIONS * HTTP/1.1"), (Seen(b"OPTIONS *"),)),
    Case("options-absolute-star", get(line=b"OPTIONS http://a HTTP/1.1"), (Seen(b"OPTIONS *"),)),
    Case("leading-crlf", b"\r\n" + get(), (GET_X,)),
    Case("leading-crlf-four", b"\r\n" * 4 + get(), (GET_X,)),
    Case("leading-crlf-five", b"\r\n" * 5 + get(), status=400),
    Case("leading-crlf-between", get() + b"\r\n" + get(), (GET_X, GET_X)),
    Case("leading-lf", b"\n" + get(), status=400),
    Case("leading-cr", b"\r" + get(), status=400),
    Case("leading-nul", b"\x00" + get(), status=400),
    Case("bare-lf-throughout", get().replace(b"\r\n", b"\n"), status=400),
    Case("bare-cr-throughout", get().replace(b"\r\n", b"\r"), status=400),
    Case("bare-lf-after-line", b"GET /x HTTP/1.1\n" + HOST + b"\r\n", status=400),
    Case("lf-cr", get().replace(b"\r\n", b"\n\r"), status=400),
    Case("tls-hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", status=400),
    Case("nothing", b""),
    Case("half-line", b"GET /x HT", partial=True),
    Case("line-only", b"GET /x HTTP/1.1\r\n", partial=True),
    Case("head-without-end", b"GET /x HTTP/1.1\r\n" + HOST, partial=True),
    Case("one-cr", b"\r", partial=True),
    Case("line-too-long", b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", status=414),
    Case("line-too-long-bad-early", b"GET /\x80" + b"a" * 40000 + b" HTTP/1.1\r\n", status=400),
    Case("line-too-long-bad-late", b"GET /" + b"a" * 40000 + b"\x80 HTTP/1.1\r\n", status=414),
    Case("line-endless", b"A" * 33000, status=414),
]
