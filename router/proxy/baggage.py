"""The draws that made a request's input, as its baggage says (:mod:`router.core.wire.origin`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from router.core.wire.origin import BAGGAGE_BYTES_MAX, MEMBER, ORIGINS_MAX, Origin
from router.core.wire.receipt import BadReceipt, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.http1 import RequestHead

BAGGAGE: Final = b"baggage"
MEMBER_KEY: Final = MEMBER.encode()


def origins(head: RequestHead, secret: str) -> tuple[Origin, ...]:
    """What is ours of it; what is not is ignored."""
    sent = head.get_all(BAGGAGE)
    if not sent:
        return ()
    return tuple(_origins(b",".join(sent)[:BAGGAGE_BYTES_MAX], secret))[:ORIGINS_MAX]


def _origins(baggage: bytes, secret: str) -> Iterator[Origin]:
    for member in baggage.split(b","):
        key, _, value = member.strip().partition(b"=")
        if not key.startswith(MEMBER_KEY):
            continue
        mark = unquote_to_bytes(value.partition(b";")[0].strip()).decode("latin-1")
        try:
            told = opened(mark, secret)
        except (BadReceipt, ValueError):
            continue
        yield Origin(
            told.route, told.version, told.revision, told.weight_bp, told.arm.value, told.unit,
            told.nonce, float(told.issued),
        )  # fmt: skip
