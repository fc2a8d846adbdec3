"""Messages written anew from what was understood, never copied.

Exactly one framing goes out, whatever came in: the length from the parsed integer, chunk lines of
our own, no trailers, no extensions. A client of HTTP/1.0 gets neither chunks nor interim answers.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from router.http1.headers import Peer, hops, via_line
from router.http1.messages import (
    CHUNKED,
    CONTENT_LENGTH,
    LENGTH,
    MAX_FORWARDS,
    NO_BODY,
    UNTIL_CLOSE,
    VIA,
    RequestHead,
    ResponseHead,
)

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
"""What a client with `expect_continue` waits for before it sends the body."""

EXPECT: Final = b"Expect: 100-continue\r\n"
"""Asks a version the same, where the policy leaves it to say so."""

LAST_CHUNK: Final = b"0\r\n\r\n"
SWITCH: Final = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
"""Of a handshake and of the answer that accepts it (RFC 6455 section 4)."""
SHADOW_LINE: Final = b"X-Rampway-Shadow: 1\r\n"
"""Marks a mirrored copy."""
PSEUDONYM: Final = b"rampway"
"""Our name in Via; the host name stays private (RFC 9110 section 7.6.3)."""

HOPS_MAX: Final = 5
"""Times that a request may have passed a router; a chain of them is fine, a loop is not."""

_VIA_PLAIN: Final = (b"Via: 1.0 %b\r\n" % PSEUDONYM, b"Via: 1.1 %b\r\n" % PSEUDONYM)
_VIA: Final = b"Via: 1.1 %b" % PSEUDONYM
_VIA_AND_LENGTH: Final = tuple(b"%bContent-Length: " % via for via in _VIA_PLAIN)
_LENGTH_DUE: Final = frozenset([b"POST", b"PUT", b"PATCH"])
_REASONS: Final = {int(s): s.phrase.encode("ascii") for s in HTTPStatus}


def looped(head: RequestHead) -> bool:
    """Whether a request has come through routers like this too often."""
    return hops(head, PSEUDONYM) >= HOPS_MAX


def request_head(  # noqa: PLR0917 - keywords cost, for every request
    head: RequestHead,
    host: bytes,
    peer: Peer,
    request_id: bytes,
    trace: bytes = b"",
    extra: bytes = b"",
    body: bytes = b"",
) -> bytes:
    """The head to send upstream, empty line included; `body_piece(head.framing, ...)` follows.

    Args:
        head: The request as parsed.
        host: Authority for the Host field: `head.host`, or the endpoint's.
        peer: The client connection, for X-Forwarded-*.
        request_id: Value of X-Request-Id, ours or the client's.
        trace: Ready lines from `headers.child_span`.
        extra: Further ready lines, each with its CRLF.
        body: What is there of the body already, framed.
    """
    shape = head.shape
    front = peer.opening(head, host)
    if shape is not None and not (head.size or head.named):
        values = head.values
        length = values[shape.length]  # empty without one
        if not length and head.method in _LENGTH_DUE:
            length = b"0"
        if shape.scattered:
            extra += b"".join(shape.cut(values))
        return b"".join((
            head.request_line, front, request_id, b"\r\n", trace, extra, values[shape.first],
            values[shape.second], _VIA_AND_LENGTH[1] if length else _VIA, length, b"\r\n\r\n", body,
        ))  # fmt: skip
    if not head.tail:
        head.tail = _request_tail(head)
    return b"".join((head.request_line, front, request_id, b"\r\n", trace, extra, head.tail, body))


def _request_tail(head: RequestHead) -> bytes:
    """What goes upstream alike each time: end-to-end fields, Via, Max-Forwards, the framing."""
    kinds = head.kinds
    lines = [*head.passed_on()]
    lines.append(via_line(head, PSEUDONYM) if kinds & VIA else _VIA_PLAIN[head.minor])
    if kinds & MAX_FORWARDS:
        lines += _max_forwards(head)
    if head.framing == LENGTH:
        lines.append(b"Content-Length: %d\r\n\r\n" % head.length)
    elif head.framing == CHUNKED:
        lines.append(b"Transfer-Encoding: chunked\r\n\r\n")
    elif kinds & CONTENT_LENGTH or head.method in _LENGTH_DUE:
        lines.append(b"Content-Length: 0\r\n\r\n")
    else:
        lines.append(b"\r\n")
    return b"".join(lines)


def _max_forwards(head: RequestHead) -> list[bytes]:
    """One less for OPTIONS (RFC 9110 section 7.6.2), unchanged for methods it does not bind."""
    if head.max_forwards >= 0:
        return [b"Max-Forwards: %d\r\n" % max(0, head.max_forwards - 1)]
    return [field.line for field in head.fields if field.kind == MAX_FORWARDS]


def downstream_framing(head: ResponseHead, minor: int) -> int:
    """How the body of an answer goes on to a client of HTTP/1.`minor`.

    An upstream body that ends with its connection becomes chunked, so that the client can tell a
    complete answer from a broken one; HTTP/1.0 has no such means.
    """
    if head.framing in (CHUNKED, UNTIL_CLOSE):
        return CHUNKED if minor else UNTIL_CLOSE
    return head.framing


def response_head(  # noqa: PLR0917 - keywords cost, for every answer
    head: ResponseHead,
    request: RequestHead,
    keep_alive: bool,
    extra: bytes = b"",
    body: bytes = b"",
    complete: bool = False,
    opening: bytes = b"",
    request_id: bytes = b"",
) -> tuple[bytes, int, bool]:
    """The head to send to the client, how its body is framed, and whether the connection stays.

    `keep_alive`: the router is willing to keep the connection. The last element is False when the
    client's wish or the framing rules that out; then close after the body. `extra`: ready lines,
    each with its CRLF (X-Request-Id, X-Rampway-Version). `body`: what is there of it already, as it
    came; `complete` that nothing follows. `opening` and `request_id` go out before `extra`.
    """
    minor = request.minor
    framing = head.framing
    keep = keep_alive and request.keep_alive
    if framing <= LENGTH and keep and minor:
        shape = head.shape
        if shape is not None and not head.size:
            values = head.values
            if shape.scattered:
                extra += b"".join(shape.cut(values))
            return b"".join((
                head.status_line, opening, request_id, extra, values[shape.first],
                values[shape.second], _VIA_AND_LENGTH[head.minor], values[shape.length],
                b"\r\n\r\n", body,
            )), framing, True  # fmt: skip
        if not head.tail:
            head.tail = _response_tail(head)
        return b"".join((
            head.status_line, opening, request_id, extra, head.tail, b"\r\n", body,
        )), framing, True  # fmt: skip
    if not head.tail:
        head.tail = _response_tail(head)
    framing = downstream_framing(head, minor)
    keep = keep and framing != UNTIL_CLOSE
    framed = b"Transfer-Encoding: chunked\r\n" if framing == CHUNKED else b""
    piece = body_piece(framing, body, complete) if body or complete else b""
    return b"".join((
        head.status_line, opening, request_id, extra, head.tail, framed, _connection(minor, keep),
        piece,
    )), framing, keep  # fmt: skip


def _response_tail(head: ResponseHead) -> bytes:
    """What goes to clients alike each time: end-to-end fields, Via, a length if there is one."""
    lines = [*head.passed_on()]
    lines.append(via_line(head, PSEUDONYM) if head.kinds & VIA else _VIA_PLAIN[head.minor])
    if head.framing == LENGTH:
        lines.append(b"Content-Length: %d\r\n" % head.length)
    elif head.framing == NO_BODY and head.status != 204 and head.declared_length >= 0:
        # Of HEAD and 304: what a GET would have got; else a plain zero.
        lines.append(b"Content-Length: %d\r\n" % head.declared_length)
    return b"".join(lines)


def _connection(minor: int, keep: bool) -> bytes:
    """The end of a head for the client: its Connection field, if one is due, and the empty line."""
    if not keep:
        return b"Connection: close\r\n\r\n"
    return b"\r\n" if minor else b"Connection: keep-alive\r\n\r\n"


def body_piece(framing: int, piece: bytes, complete: bool) -> bytes:
    """`piece` as it goes out under `framing`; `complete`: it is the last (and may be empty)."""
    if framing != CHUNKED:
        return piece
    if not complete:
        return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(piece), piece) if piece else LAST_CHUNK


def interim_head(head: ResponseHead, request: RequestHead) -> bytes:
    """A 1xx answer for the client; empty for HTTP/1.0, which must not get one (RFC 9110 15.2)."""
    if not request.minor:
        return b""
    return b"".join([head.status_line, *head.passed_on(), b"\r\n"])


def switching_head(head: ResponseHead, extra: bytes) -> bytes:
    """A 101 answer for the client, with ready lines of ours; `head` was found to be one."""
    return b"".join((head.status_line, extra, SWITCH, _response_tail(head), b"\r\n"))


def own_response(
    status: int,
    body: bytes = b"",
    *,
    content_type: bytes = b"application/problem+json",
    extra: bytes = b"",
    keep_alive: bool = False,
    minor: int = 1,
    to_head: bool = False,
) -> bytes:
    """A complete answer of the router itself; `to_head` leaves the body out, not its length."""
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, _REASONS.get(status, b""))]
    if body:
        lines.append(b"Content-Type: %b\r\n" % content_type)
    lines.append(extra)
    if status != 204:
        lines.append(b"Content-Length: %d\r\n" % len(body))
    lines.append(_connection(minor, keep_alive))
    if not to_head:
        lines.append(body)
    return b"".join(lines)
