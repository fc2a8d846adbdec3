"""A head that is kept says the same when it is read again, but for credentials."""

import pytest

from router.http1 import MessageHandler, Peer, kept_head, read_head, request_head
from router.http1.parser import RequestParser


class Taken(MessageHandler):
    def on_request(self, head, _body, _complete):
        self.head = head

    def on_body(self, *_):
        raise AssertionError


def head_of(raw):
    taken = Taken()
    RequestParser(taken).feed(raw)
    return taken.head


@pytest.mark.parametrize("peer", [Peer(b"10.0.0.7"), Peer(b"::1", scheme=b"https", trusted=True)])
@pytest.mark.parametrize(
    "raw",
    [
        b"POST /a%20b?x=1 HTTP/1.1\r\nHost: h\r\nX-A:  1\r\nx-a: 2\r\nContent-Length: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nVia: 1.1 other\r\n\r\n",
        b"GET http://b:81/p HTTP/1.1\r\nHost: a\r\nConnection: X-B\r\nX-B: 1\r\nX-C: 2\r\n\r\n",
        b"GET / HTTP/1.0\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX-Rampway-Pin: v2\r\nX-Request-Id: id-1\r\n\r\n",
    ],
)
def test_what_goes_out_is_what_went_out(raw, peer):
    head = head_of(raw)
    again, whose = read_head(kept_head(head, peer))
    assert request_head(again, b"h", whose, b"id") == request_head(head, b"h", peer, b"id")
    assert (again.framing, again.length) == (head.framing, head.length)


def test_credentials_are_known_to_have_been_there_and_no_more():
    raw = b"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer s3\r\nX-Tenant: t4\r\n\r\n"
    kept = kept_head(head_of(raw), Peer(b"1.2.3.4"), frozenset([b"x-tenant"]))
    assert b"s3" not in kept
    assert b"t4" not in kept
    again, _ = read_head(kept)
    assert again.has_any(frozenset([b"authorization"]))
    assert again.has_any(frozenset([b"x-tenant"]))


@pytest.mark.parametrize(
    "kept",
    [b"", b"GET /", b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
     b"GET / HTTP/1.1\r\nHost: h\r\nx-rampway-client: 1.2.3.4\r\n\r\n"],
)  # fmt: skip
def test_anything_else_is_refused(kept):
    with pytest.raises(ValueError, match="expected the head"):
        read_head(kept)
