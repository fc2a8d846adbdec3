"""Answers of the router itself: small problem documents (RFC 9457) that never echo input."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from router.http1 import own_response
from router.http1.writer import looped

if TYPE_CHECKING:
    from router.http1 import RequestHead

LINGER_S: Final = 1.0
"""After an early answer the client's rest is read and dropped this long, so that the answer is not
lost to a reset (RFC 9112 section 9.6)."""
LINGER_BYTES_MAX: Final = 16_777_216
"""At most this much of it is read: a client that is sending a body looks for its answer behind it.
Reading it away takes some milliseconds and no memory."""


class Refusal(NamedTuple):
    """Why no version sees a request. ``cause`` is one word for metrics; nothing is from input."""

    status: int
    cause: str
    text: str
    retry_after_s: int = 0
    """Value of Retry-After; 0 leaves it out."""
    extra: bytes = b""
    """Further ready lines of the answer."""


NO_ROUTE: Final = Refusal(404, "no_route", "no route takes this request")
BODY_SIZE: Final = Refusal(413, "body_size", "the body is larger than this route accepts")
BODY_TIMEOUT: Final = Refusal(408, "body_timeout", "the body stopped arriving")
TOTAL_TIMEOUT: Final = Refusal(408, "total_timeout", "the request did not arrive in time")
LOOP: Final = Refusal(508, "loop", "the request has come through here too often")
UNREADABLE: Final = Refusal(502, "unreadable", "the answer is none that this route lets out")
QUOTA: Final = Refusal(429, "quota", "this client has used its quota of this route")
OVERLOAD: Final = Refusal(503, "overload", "the router is busy", 1)


def unwanted(head: RequestHead) -> Refusal | None:
    """Why a request is not for any version, whatever its route says."""
    return LOOP if looped(head) else None


@cache
def _document(status: int, cause: str, text: str) -> bytes:
    title = {4: "the request was refused", 5: "the request could not be answered"}[status // 100]
    return (
        f'{{"type":"about:blank","title":"{title}","status":{status},"cause":"{cause}",'
        f'"detail":"{text}"}}\n'
    ).encode()


def reply(
    status: int,
    cause: str,
    text: str,
    *,
    keep_alive: bool,
    minor: int = 1,
    to_head: bool = False,
    request_id: bytes = b"",
    retry_after_s: int = 0,
    extra: bytes = b"",
) -> bytes:
    """A whole answer. ``cause`` and ``text`` are constants of ours, so the document is cached."""
    if request_id:
        extra = b"X-Request-Id: %b\r\n%b" % (request_id, extra)
    if retry_after_s:
        extra += b"Retry-After: %d\r\n" % retry_after_s
    return own_response(
        status, _document(status, cause, text), extra=extra, keep_alive=keep_alive, minor=minor,
        to_head=to_head,
    )  # fmt: skip
