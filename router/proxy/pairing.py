"""The two answers to one request that is copied: collected, and sent up together to be compared."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, Protocol

from router.core.wire.counts import PairSample

if TYPE_CHECKING:
    from router.http1 import RequestHead, ResponseHead
    from router.proxy.serving import ServedRoute, ServedVersion, Target
    from router.telemetry.recorder import Recorder

SEGMENT_MAX: Final = 64
"""Characters of a segment's name."""
AHEAD_BYTES: Final = 65_536
"""Of its answer a shadow may send this much before stable's is complete; then its connection waits.
So a shadow that streams for ever is not read for ever, and one that is much faster cannot fill the
memory meanwhile."""

LARGER: Final = 8
"""An answer that is this many times as large as stable's (and more than AHEAD_BYTES) says something
else: it is not read to its end, and the pair says so. Under another coding it may say the same; it
is then a dropped copy."""

CODING_CHARS_MAX: Final = 64
"""Of a Content-Encoding; codings that are read have shorter names."""


class Kept:
    """An answer as it came, piece by piece, up to a size."""

    __slots__ = ("body", "size")

    def __init__(self) -> None:
        self.body: bytearray | None = bytearray()
        """None once it is larger than what is compared, or not whole."""
        self.size = 0

    def add(self, piece: bytes, most: int) -> bool:
        """One more piece; False, and nothing is kept any more, when it makes more than ``most``."""
        self.size += len(piece)
        if self.body is None or self.size > most:
            self.body = None
            return False
        self.body += piece
        return True

    def forget(self) -> None:
        """It will not be compared."""
        self.body = None


class Copied(Protocol):
    """A copy of the request, with what its shadow has answered."""

    target: Target
    kept: Kept
    ended: bool
    far: bool
    """Its answer is far larger than stable's: that much is known of it."""
    status: int
    seconds: float
    coding: str

    def go_on(self) -> None:
        """Stable's answer is complete."""


class Pairing:
    """One request's answers, collected until all of them are there."""

    __slots__ = ("closed", "coding", "copies", "exchange_id", "kept", "limit", "nonce",
                 "payload", "primary_version", "recorder", "request", "request_coding",
                 "route", "seconds", "segment", "status",
                 "stripped", "unit")  # fmt: skip

    def __init__(
        self, route: ServedRoute, version: ServedVersion, head: RequestHead, request_id: bytes,
        recorder: Recorder,
    ) -> None:  # fmt: skip
        self.route = route
        self.exchange_id = request_id
        self.nonce = random.getrandbits(64) if route.entry.receipt_secret else 0
        """Of the receipt that the client gets, so that a late label finds this pair."""
        self.recorder = recorder
        self.limit = route.entry.mirror_limits.body_bytes
        self.primary_version = "" if version is route.stable else version.name
        self.kept = Kept()
        self.closed = False
        """What the client gets is not what is compared."""
        self.coding = ""
        self.stripped = head.has_any(route.stripped)
        self.copies: list[Copied] = []
        self.unit = 0
        """Whose request it is, where whole users are copied."""
        self.status = -1
        """-1 until the primary's end; 0: it gave no whole answer."""
        self.seconds = 0.0
        self.request, self.request_coding = b"", ""
        """What was asked, where segments are told apart by it."""
        self.payload = route.payload_at(head.path)
        self.segment = ""
        if name := route.entry.segment_header.encode():
            value = head.get(name) or b""
            self.segment = value[:SEGMENT_MAX].decode("latin-1")

    def asked(self, head: RequestHead, body: bytes) -> None:
        """The request's body; one that is larger than is compared tells no segment."""
        if len(body) <= self.limit:
            self.request, self.request_coding = body, coding_of(head)

    def said(self, head: ResponseHead, body: bytes) -> None:
        """What the version said, all of it; the client's answer has become another."""
        self.begun(head, body)
        self.closed = True

    def begun(self, head: ResponseHead, body: bytes) -> None:
        """The client's answer begins."""
        if not self.closed:
            self.coding = coding_of(head)
            self.primary(body)

    def primary(self, piece: bytes) -> None:
        """More of the client's answer."""
        self.kept.add(piece, self.limit)

    def primary_done(self, status: int, seconds: float) -> None:
        """The client's answer is over; ``status`` 0: it is not whole, and there is no pair."""
        if not status:
            self.kept.forget()
        self.status = status
        self.seconds = seconds
        for one in self.copies:
            if one.ended:
                self.join(one)
            else:
                one.go_on()

    def join(self, one: Copied) -> None:
        """Both answers are there: send them up, unless one of them is too large to compare."""
        ours, theirs = self.kept.body, one.kept.body
        far = (0, 0)
        if one.far or self.far_beyond(one):
            far, ours, theirs = (self.kept.size, one.kept.size), bytearray(), bytearray()
        if self.status < 0 or ours is None or theirs is None:
            return
        if not self.recorder.room_for_pair(len(ours) + len(theirs) + len(self.request)):
            return
        entry = self.route.entry
        self.recorder.pair(PairSample(
            route=entry.name, version=one.target.version, revision=entry.revision,
            request_id=self.exchange_id.decode("latin-1"), primary_status=self.status,
            shadow_status=one.status, primary_body=bytes(ours), shadow_body=bytes(theirs),
            primary_s=self.seconds, shadow_s=one.seconds,
            segment=self.segment, payload=self.payload, primary=self.primary_version,
            nonce=self.nonce, request=self.request, request_coding=self.request_coding,
            primary_coding=self.coding, shadow_coding=one.coding, stripped=self.stripped, far=far,
            unit=self.unit,
        ))  # fmt: skip

    def far_beyond(self, one: Copied) -> bool:
        """Whether the client's whole answer is far larger than the copy's, and than is compared."""
        return (
            self.kept.body is None
            and self.status > 0
            and one.kept.body is not None
            and self.coding == one.coding
            and self.kept.size > max(AHEAD_BYTES, LARGER * one.kept.size)
        )


def coding_of(head: RequestHead | ResponseHead) -> str:
    """Its Content-Encoding; empty without one."""
    coding = head.get(b"content-encoding")
    return coding[:CODING_CHARS_MAX].decode("latin-1") if coding else ""
