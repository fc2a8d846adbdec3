"""Request bodies that are kept for a choice or a replay, and their total within one worker.

Each route bounds what one request keeps (`buffer`, `rescue.buffer`); `limits.buffers` bounds what
all requests of a worker keep together. Counted are bodies that arrive in pieces: what comes with
its head in one read is there anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.proxy.exchange import Exchange


def keep(exchange: Exchange, piece: bytes) -> None:
    """One more piece of a body that is kept.

    Into an array, which grows in place: bodies may come byte by byte, and one joined anew with each
    piece, or kept as a list of them, costs many times what it weighs.
    """
    if exchange.tail is None:
        exchange.tail = bytearray()
    exchange.tail += piece
    exchange.charged += len(piece)
    exchange.plane.kept_bytes += len(piece)


def whole(exchange: Exchange) -> bytes:
    """All of the body that is kept so far."""
    if exchange.tail is not None:
        exchange.body, exchange.tail = b"".join((exchange.body, exchange.tail)), None
    return exchange.body


def crowded(exchange: Exchange) -> bool:
    """Whether this body, with all the others, is more than the worker may keep."""
    plane = exchange.plane
    return exchange.charged > 0 and plane.kept_bytes > plane.serving.limits.buffers_bytes


def slim(exchange: Exchange) -> None:
    """Forget a body that was sent and is too large for a replay, or for what the worker keeps."""
    if exchange.kept and (exchange.size > exchange.route.keep_bytes or crowded(exchange)):
        exchange.kept = False
        exchange.body, exchange.tail = b"", None
        give_back(exchange)


def give_back(exchange: Exchange) -> None:
    """Its body is out of the account: forgotten, or the request is over."""
    exchange.plane.kept_bytes -= exchange.charged
    exchange.charged = 0
