"""Answers that a version compressed because the client, or its copy, said that it may."""

from __future__ import annotations

import zlib

from router.core.foreign import ANSWER

PLAIN_BYTES_MAX = ANSWER.bytes_max
"""A compressed answer that is longer when unpacked counts as unreadable in a comparison."""

GZIP = b"\x1f\x8b"


def plain(body: bytes, most: int = PLAIN_BYTES_MAX) -> bytes:
    """The body without gzip (RFC 1952), if that is what it is.

    As it is: anything else, what is damaged, and what is longer than ``most`` bytes. Versions
    compress when clients ask them to, and a copy asks for the same.
    """
    if not body.startswith(GZIP):
        return body
    unpacking = zlib.decompressobj(wbits=31)
    try:
        text = unpacking.decompress(body, most)
    except zlib.error:
        return body
    return text if unpacking.eof else body
