"""Answers that a version compressed because the client, or its copy, said that it may.

gzip, deflate (RFC 9110 section 8.4.1), br (RFC 7932) and zstd (RFC 8878) are read, also one within
another. Whatever comes out is bounded while it is unpacked, never after it. A coding that this
program does not know says nothing about the version that used it.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Final, Protocol

from router.core.foreign import ANSWER
from router.core.payloads.answer import Beyond, Unreadable

PLAIN_BYTES_MAX: Final = ANSWER.bytes_max
"""An answer that is longer when unpacked is not compared."""
CODINGS_MAX: Final = 2
"""Codings within each other that are undone."""
MEMBERS_MAX: Final = 16
"""Members of a gzip body, or frames of a zstd one, that are read."""
ZSTD_WINDOW_LOG_MAX: Final = 23
"""A zstd frame may ask for 2 ** 23 bytes of memory; RFC 9659 forbids more in HTTP."""


BROKEN = "expected a compressed body, got bytes that are none"
CUT = "a compressed body that ends in the middle"
MEMBERS = f"compressed bodies of more than {MEMBERS_MAX} members are not read"


class _Inflating(Protocol):
    """One member while it is unpacked, by zlib or zstd."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def unpacked(body: bytes, coding: str, most: int = PLAIN_BYTES_MAX) -> bytes:
    """``body`` without the codings that its Content-Encoding names, the last one undone first.

    Raises:
        Beyond: a coding that is not known, or more than ``most`` bytes: nobody's fault.
        Unreadable: not what the coding says: no client can read it either.
    """
    names = [name.strip().lower() for name in coding.split(",")]
    codings = [name for name in names if name and name != "identity"]
    if len(codings) > CODINGS_MAX:
        raise Beyond(f"answers under {len(codings)} codings are not read")
    for name in reversed(codings):
        undo = _CODINGS.get(name)
        if undo is None:
            raise Beyond(f"the coding {name[:20]!r} is not read")
        body = undo(body, most)
        if len(body) > most:
            raise Beyond(f"answers of more than {most:,} bytes are not unpacked")
    return body


def _gzip(body: bytes, most: int) -> bytes:
    return _inflated(body, 31, most)


def _deflate(body: bytes, most: int) -> bytes:
    """The zlib format, or raw deflate as some servers send it (RFC 9110 section 8.4.1.2, note)."""
    zlib_header = len(body) > 1 and body[0] & 15 == 8 and (body[0] * 256 + body[1]) % 31 == 0
    return _inflated(body, 15 if zlib_header else -15, most)


def _inflated(body: bytes, wbits: int, most: int) -> bytes:
    return _members(body, most, lambda: zlib.decompressobj(wbits=wbits), zlib.error)


def _members(
    body: bytes, most: int, begin: Callable[[], _Inflating], broken: type[Exception]
) -> bytes:
    """All members of a body one behind the other; at most one byte more than ``most``."""
    text = b""
    for _ in range(MEMBERS_MAX):
        inflating = begin()
        try:
            text += inflating.decompress(body, most + 1 - len(text))
        except broken:
            raise Unreadable(BROKEN) from None
        if len(text) > most:
            return text
        if not inflating.eof:
            raise Unreadable(CUT)
        body = inflating.unused_data
        if not body:
            return text
    raise Beyond(MEMBERS)


def _br(body: bytes, most: int) -> bytes:
    import brotli  # noqa: PLC0415 - few answers are; a worker that meets none need not load it

    inflating = brotli.Decompressor()
    text = b""
    try:
        text = inflating.process(body, output_buffer_limit=most + 1)
        while len(text) <= most and not inflating.is_finished():
            if inflating.can_accept_more_data():
                raise Unreadable(CUT)
            text += inflating.process(b"", output_buffer_limit=most + 1 - len(text))
    except brotli.error:
        raise Unreadable(BROKEN) from None
    return bytes(text)


def _zstd(body: bytes, most: int) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415 - as br
    else:
        from backports import zstd  # noqa: PLC0415 - as br

    options = {int(zstd.DecompressionParameter.window_log_max): ZSTD_WINDOW_LOG_MAX}
    return _members(body, most, lambda: zstd.ZstdDecompressor(options=options), zstd.ZstdError)


_CODINGS: Final[dict[str, Callable[[bytes, int], bytes]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _br,
    "zstd": _zstd,
}
