"""Answers of the router itself: small problem documents (RFC 9457) that never echo input."""

from __future__ import annotations

from functools import cache
from typing import Final

from router.http1 import own_response

LINGER_S: Final = 1.0
"""After an early answer the client's rest is read and dropped this long, so that the answer is not
lost to a reset (RFC 9112 section 9.6)."""
LINGER_BYTES_MAX: Final = 1_048_576
"""At most this much of it is read."""


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
) -> bytes:
    """A whole answer. ``cause`` and ``text`` are constants of ours, so the document is cached."""
    extra = b"X-Request-Id: %b\r\n" % request_id if request_id else b""
    if retry_after_s:
        extra += b"Retry-After: %d\r\n" % retry_after_s
    return own_response(
        status, _document(status, cause, text), extra=extra, keep_alive=keep_alive, minor=minor,
        to_head=to_head,
    )  # fmt: skip
