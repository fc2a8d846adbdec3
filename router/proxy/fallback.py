"""What a client gets when stable fails as well: a fixed answer, or one of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.proxy.matching import BodyDocument

if TYPE_CHECKING:
    from router.core.wire.protection import FallbackEntry
    from router.http1 import RequestHead


def fallback_body(entry: FallbackEntry, head: RequestHead, body: bytes, most: int) -> bytes | None:
    """The answer's body; None: there is none for this request.

    Args:
        entry: What the policy says.
        head: The request's.
        body: The request's, as far as it is known.
        most: Bytes of it that may be unpacked.
    """
    said = entry.answer
    if entry.table:
        key: str | None
        if entry.header:
            value = head.get(entry.header.encode())
            key = value.decode("latin-1") if value is not None else None
        else:
            key = BodyDocument(body, head.get(b"content-encoding") or b"", most).field(entry.path)
        said = entry.table.get(key, said) if key is not None else said
    return said.encode() if said is not None else None
