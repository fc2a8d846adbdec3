"""Requests whose prediction is read: drawn by a coin of their own, told of when they have ended.

The coin is thrown with the draw of the version and knows nothing of it. What it does not choose
costs one look; what it chooses is kept as it passes, within the bounds of what a mirror keeps.
"""

from __future__ import annotations

import random
import time
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from router.core.wire.outcomes import Outcome
from router.core.wire.sampled import TEXT_CHARS_MAX, Sampled
from router.http1 import kept_head
from router.proxy.baggage import origins
from router.proxy.pairing import Kept, coding_of
from router.proxy.receipt import arm_of
from router.proxy.streams import event_stream
from router.telemetry.recorder import SAMPLE_BYTES_MAX

if TYPE_CHECKING:
    from router.core.wire.origin import Origin
    from router.http1 import RequestHead, ResponseHead
    from router.proxy.attempt import Attempt
    from router.proxy.serving import ServedRoute
    from router.proxy.shared import ClientSide
    from router.telemetry.recorder import Recorder

FIELD_CHARS_MAX: Final = 100
"""Of a header field's value that is told."""
TARGET_CHARS_MAX: Final = 500

_ANSWERED: Final = frozenset((Outcome.OK, Outcome.SERVER_ERROR))


def sampled(route: ServedRoute, attempt: Attempt, recorder: Recorder) -> Sampling | None:
    """A request that the coin chose with the draw of its version; None: there is no room for it."""
    entry = route.entry.sampling
    logged = entry is not None and entry.logged
    return Sampling(route, attempt, recorder) if recorder.begin_sample(logged=logged) else None


class SampledExchange(Protocol):
    """What a sample is told of the exchange."""

    client: ClientSide
    head: RequestHead
    id: bytes
    arrived: float
    size: int

    @property
    def kept(self) -> bool:
        """All of its body is kept."""

    def whole(self) -> bytes:
        """All of its body."""


class Sampling:
    """One request that is sampled."""

    __slots__ = ("_answer", "_arm", "_at", "_attempt", "_chosen", "_closed", "_counted", "_cut",
                 "_events", "_first", "_gap", "_last", "_read", "_recorder", "_route", "_said",
                 "most", "nonce")  # fmt: skip

    def __init__(self, route: ServedRoute, attempt: Attempt, recorder: Recorder) -> None:
        self._route = route
        self._recorder = recorder
        self._attempt = attempt
        self._at = time.time()
        self.most = route.entry.mirror_limits.body_bytes
        """Of a body that is kept."""
        self._said: ResponseHead | None = None
        self._answer = Kept()
        self._events = False
        """The answer is a stream of events, in which a comment says nothing."""
        self._first = self._last = self._gap = 0.0
        """Monotonic times of the first and the last piece, and the longest time between two."""
        self._closed = False
        """What the client gets is not what the version said."""
        self._cut = ""
        self.nonce = random.getrandbits(64) if route.seal is not None else 0
        """Of the receipt that the client gets."""
        self._chosen = arm_of(route, attempt, replay=False)
        self._arm = arm = attempt.arm
        entry = route.entry.sampling
        self._read = recorder.read and (entry is None or entry.judged)
        self._counted = (
            self._read
            and arm is not None
            and not (arm.slice.cell.forced or (arm.users is not None and attempt.nth))
        )
        if arm is not None and self._counted:
            arm.sampled += 1

    def said(self, head: ResponseHead, body: bytes) -> None:
        """What the version said, all of it; the client's answer has become another."""
        self.begun(head, body)
        self._closed = True

    def begun(self, head: ResponseHead, body: bytes) -> None:
        """The answer begins."""
        if not self._closed:
            self._said = head
            self._events = event_stream(head)
            self.piece(body)

    def piece(self, piece: bytes) -> None:
        """More of the answer."""
        self._tell_time(piece)
        kept, recorder = self._answer, self._recorder
        if self._closed or kept.body is None:
            return
        before = len(kept.body)
        if kept.add(piece, self.most):
            recorder.sample_bytes += len(piece)
        else:
            recorder.sample_bytes -= before
            self._cut = "body"

    def _tell_time(self, piece: bytes) -> None:
        if not piece or (self._events and b"data:" not in piece):
            return
        now = monotonic()
        if self._first:
            self._gap = max(self._gap, now - self._last)
        else:
            self._first = now
        self._last = now

    def done(self, ending: SampledExchange, outcome: Outcome) -> None:
        """The exchange or its attempt has ended: told once."""
        attempt, route, head, said = self._attempt, self._route, ending.head, self._said
        recorder, arm = self._recorder, self._arm
        cell = arm.slice.cell if arm is not None else None
        request, answer = self._bodies(ending)
        asked = self._head(ending)
        recorder.sample(Sampled(
            route=route.entry.name, version=attempt.version.name, revision=route.entry.revision,
            role=attempt.version.stats.role, arm=self._chosen.value,
            weight_bp=cell.weight_bp if cell is not None else 0, source=recorder.source,
            slice=arm.slice.number if arm is not None else 0,
            counted=self._counted,
            unit=attempt.unit, nonce=self.nonce, request_id=ending.id.decode("latin-1"),
            key=_text(head, route.key_header), segments=_segments(head, route), at=self._at,
            seconds=monotonic() - ending.arrived,
            status=attempt.status if outcome in _ANSWERED else 0, outcome=int(outcome),
            target=str(head.target[:TARGET_CHARS_MAX], "latin-1"),
            request=request, request_coding=_text(head, b"content-encoding"), answer=answer,
            answer_coding=coding_of(said) if said is not None else "",
            payload=route.payload_at(head.path), cut=self._cut, read=self._read, gap_s=self._gap,
            head=asked, made=_made(head, route),
            first_s=max(self._first - ending.arrived, 1e-6) if self._first else 0.0,
        ))  # fmt: skip

    def _head(self, ending: SampledExchange) -> bytes:
        """Of the request, where it is kept whole so that it can be sent once more."""
        entry = self._route.entry.sampling
        if entry is None or not entry.heads or self._cut:
            return b""
        head = kept_head(ending.head, ending.client.peer, self._route.stripped)
        self._recorder.sample_bytes += len(head)
        return head

    def _bodies(self, ending: SampledExchange) -> tuple[bytes, bytes]:
        """Of the request and of the answer, as far as there is room for them."""
        recorder, kept = self._recorder, self._answer.body
        if not ending.kept or ending.size > self.most:
            self._cut = "body"
        request = ending.whole() if not self._cut else b""
        held = len(kept) if kept is not None else 0
        if not self._cut and recorder.sample_bytes + len(request) > SAMPLE_BYTES_MAX:
            self._cut = "shed"
        if self._cut:
            recorder.sample_bytes -= held
            return b"", b""
        recorder.sample_bytes += len(request)
        return request, bytes(kept or b"")


def _made(head: RequestHead, route: ServedRoute) -> tuple[Origin, ...]:
    """Which draws of other routes made its input."""
    feeds = route.entry.feeds
    return origins(head, feeds.secret) if feeds is not None and feeds.fed else ()


def _segments(head: RequestHead, route: ServedRoute) -> tuple[str, ...]:
    """What tells requests apart, as far as headers do."""
    entry = route.entry.sampling
    names = entry.headers if entry is not None else ()
    values = (head.get(name.encode()) or b"" for name in names)
    return tuple(value[:TEXT_CHARS_MAX].decode("latin-1") for value in values)


def _text(head: RequestHead | ResponseHead | None, name: bytes) -> str:
    value = head.get(name) if head is not None and name else None
    return value[:FIELD_CHARS_MAX].decode("latin-1") if value else ""
