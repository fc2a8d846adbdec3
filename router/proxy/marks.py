"""Marks of routes that feed others, written into what goes out; `baggage` reads them.

A mark says which draw made an answer. It goes to the version in `baggage`, for a version that asks
the next route itself, and to the client in `X-Rampway-Baggage`, whose value belongs into the
`baggage` of the request that is made of the answer. See :mod:`router.core.wire.origin`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import xxhash

from router.core.wire.receipt import Seal
from router.proxy.baggage import BAGGAGE, MEMBER_KEY
from router.proxy.editing import EditedRequest
from router.proxy.receipt import arm_of

if TYPE_CHECKING:
    from router.core.wire.table import RouteEntry
    from router.http1 import RequestHead
    from router.proxy.editing import Editing
    from router.proxy.routed import RoutedExchange

_ONLY: Final = frozenset((BAGGAGE,))


class Marker:
    """Makes the marks of one route."""

    __slots__ = ("_key", "_seal")

    def __init__(self, entry: RouteEntry, secret: str, weight_bp: int) -> None:
        """``weight_bp``: that of the coin."""
        self._key = b"%b%b=" % (MEMBER_KEY, entry.name.replace("@", "!").encode())
        self._seal = Seal(
            entry.name, entry.revision, weight_bp, secret, hidden=not entry.reveal_version
        )

    def member(self, exchange: RoutedExchange) -> bytes:
        """The member of baggage that says which draw this is; one draw has one number."""
        attempt = exchange.attempt
        arm = arm_of(exchange.route, attempt, replay=exchange.first is not None)
        draw = xxhash.xxh64_intdigest(exchange.id)
        text = self._seal.text(attempt.version.name, arm, int(time.time()), attempt.unit, draw)
        return self._key + text

    def line(self, exchange: RoutedExchange) -> bytes:
        """Of an answer."""
        return b"X-Rampway-Baggage: %b\r\n" % self.member(exchange)

    def others(self, head: RequestHead) -> bytes:
        """What a client sent of baggage, but for a mark of this route."""
        members = b",".join(head.get_all(BAGGAGE)).split(b",")
        kept = (member for member in members if not member.strip().startswith(self._key))
        return b",".join(filter(None, (member.strip() for member in kept)))


class Marking:
    """The edit of a version whose requests are marked: that of the policy, and then its mark."""

    __slots__ = ("_edit", "_marker", "model")

    def __init__(self, marker: Marker, edit: Editing | None) -> None:
        self._marker = marker
        self._edit = edit
        self.model = edit.model if edit is not None else ""

    def sent(
        self, exchange: RoutedExchange, head: RequestHead, body: bytes, lines: bytes
    ) -> EditedRequest:
        """What there is of an exchange's request, as this attempt sends it."""
        edited = (
            EditedRequest(head, body, b"", lines)
            if self._edit is None
            else self._edit.of(head, body, exchange.uploaded, lines)
        )
        member = self._marker.member(exchange)
        bare = edited.head
        if others := self._marker.others(head):
            bare, member = bare.without(_ONLY), b"%b,%b" % (others, member)
        line = b"baggage: %b\r\n" % member
        return EditedRequest(bare, edited.body, edited.host, edited.lines + line)
