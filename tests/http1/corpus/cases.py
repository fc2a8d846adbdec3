"""The form of a corpus case: data only, so that other suites can send it to a real listener."""

from __future__ import annotations

from dataclasses import dataclass

HOST = b"Host: example.org\r\n"


@dataclass(frozen=True)
class Seen:
    """One complete message as a backend (or a client) must see it."""

    start: bytes
    """`METHOD target` of a request, the status in digits of an answer."""
    framing: str = "none"
    """none, length, chunked or until_close."""
    body: bytes = b""


@dataclass(frozen=True)
class Case:
    """Raw bytes of one connection and the only verdict allowed, however they are cut.

    `seen` lists the complete messages in order; `status` is the refusal that follows them, None
    when there is none. `partial`: a further message has begun and is legal so far.
    """

    name: str
    raw: bytes
    seen: tuple[Seen, ...] = ()
    status: int | None = None
    partial: bool = False
    to_head: bool = False
    """Answers only: the request was HEAD."""
    eof: bool = False
    """Answers only: the backend closes behind the bytes."""
    reusable: bool = True
    """Answers only: the connection may carry another request afterwards."""


def get(fields: bytes = b"", line: bytes = b"GET /x HTTP/1.1", host: bytes = HOST) -> bytes:
    return line + b"\r\n" + host + fields + b"\r\n"


def post(fields: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    return b"POST /x HTTP/" + version + b"\r\n" + HOST + fields + b"\r\n" + body


def chunked(body: bytes, fields: bytes = b"") -> bytes:
    return post(b"Transfer-Encoding: chunked\r\n" + fields, body)


GET_X = Seen(b"GET /x")
