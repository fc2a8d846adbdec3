"""Clients that wait for people: bounded in number, looked at by the sweeper, without a task.

An exchange ends when its version has answered, in its time (`ask_people` in `record`).
What waits is only the client, in a :class:`Held` of its worker, until control says something of the
question that it was asked to keep:

    kept        it is durable: a provisional answer goes out, others go on waiting
    decided     people answered in time: the client gets that
    deadline    202 with a place to look at again, or 503 if control has not kept the question

``GET /rampway/reviews/ID`` is that place, on the clients' listener; the id is 128 random bits.
"""

from __future__ import annotations

import json
from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from router.core.wire.review import SettledReview
from router.http1 import own_response, response_head
from router.proxy.replies import Refusal, reply

if TYPE_CHECKING:
    import asyncio

    from router.http1 import RequestHead, ResponseHead
    from router.telemetry.recorder import Recorder

PLACE: Final = b"/rampway/reviews/"
"""Below which clients look again, on every host: before any route."""
KEPT_S: Final = 2.0
"""How long a provisional answer waits until its question is durable; then it goes out unmarked."""
LOOK_S: Final = 5.0
"""How long who looks again waits for control."""
AGAIN_S: Final = 5
"""Retry-After of a 202."""

NOT_KEPT: Final = Refusal(503, "review", "people cannot be asked about this now", 1)
EXPIRED: Final = Refusal(504, "review_expired", "nobody has answered in time")
UNKNOWN: Final = Refusal(404, "review_unknown", "there is no such question, or no more")


class HeldClient(Protocol):
    """What a client is held by: a connection."""

    closing: bool
    transport: asyncio.Transport

    def write(self, data: bytes) -> None:
        """Bytes of an answer."""

    def done(self, keep: bool) -> None:
        """That was all of it."""


class Holding(Protocol):
    """What a plane has to have."""

    held: dict[str, Held]
    held_by: Counter[str]
    recorder: Recorder
    accepting: bool


class Held:
    """One client that waits for people, or for control."""

    __slots__ = ("answer", "client", "due", "extra", "head", "id", "keep", "kept", "kept_by",
                 "review", "route")  # fmt: skip

    def __init__(
        self, client: HeldClient, head: RequestHead, request_id: bytes, review: str
    ) -> None:
        self.client = client
        self.head = head
        self.id = request_id
        self.review = review
        """The question's id."""
        self.route = ""
        """Whose place it takes; empty: it only looks again."""
        self.keep = False
        """The client's connection may carry another request."""
        self.kept = False
        """The question is durable."""
        self.kept_by = self.due = 0.0
        """Until when that has to be known; until when the client waits."""
        self.extra = b""
        """Ready lines of its answer; empty: those of one that looks again."""
        self.answer: tuple[ResponseHead, bytes] | None = None
        """What goes out before people have answered."""


# --- what control says ----------------------------------------------------------------------------


def settle(plane: Holding, said: SettledReview) -> None:
    """Tell who waits for it; whoever has gone, or was told 202, is not there any more."""
    held = plane.held.get(said.ref)
    if held is None:
        return
    if said.state == "kept" and held.answer is None and monotonic() < held.due:
        held.kept = True
        return
    _forget(plane, said.ref, held)
    if said.state in ("kept", "open"):
        held.kept = True
        _say_due(plane, held)
    elif said.state == "decided":
        _write(held, own_response(
            200, said.body, content_type=b"application/json", keep_alive=held.keep,
            extra=_lines(held, b"decided"), minor=held.head.minor,
            to_head=held.head.method == b"HEAD",
        ))  # fmt: skip
    elif said.state == "full":
        plane.recorder.reject("review")
        unkept(held)
    else:
        _refuse(held, EXPIRED if said.state == "expired" else UNKNOWN)


def sweep_held(plane: Holding, now: float) -> None:
    """Called with every look at deadlines: who has waited long enough, and who has gone."""
    for ref, held in list(plane.held.items()):
        if held.client.closing or held.client.transport.is_closing():
            _forget(plane, ref, held)
            continue
        over = now >= held.due or not plane.accepting
        if over and (held.kept or now >= held.kept_by):
            held.keep = held.keep and plane.accepting
            _forget(plane, ref, held)
            _say_due(plane, held)


def _forget(plane: Holding, ref: str, held: Held) -> None:
    del plane.held[ref]
    if held.route:
        plane.held_by[held.route] -= 1


def _say_due(plane: Holding, held: Held) -> None:
    """The wait is over before people have answered."""
    if not held.kept:
        plane.recorder.reject("review")
        unkept(held)
    elif held.answer is not None:
        place = PLACE + held.review.encode("latin-1")
        lines = b"X-Rampway-Review: provisional\r\nX-Rampway-Review-At: %b\r\n" % place
        _let_out(held, held.answer, lines)
    else:
        said = {"request_id": held.id.decode("latin-1"),
                "review": (PLACE.decode() + held.review)}  # fmt: skip
        extra = b"Location: %b%b\r\nRetry-After: %d\r\n" % (
            PLACE, held.review.encode("latin-1"), AGAIN_S)  # fmt: skip
        _write(held, own_response(
            202, json.dumps(said).encode() + b"\n", content_type=b"application/json",
            keep_alive=held.keep, extra=_lines(held, b"open") + extra, minor=held.head.minor,
            to_head=held.head.method == b"HEAD",
        ))  # fmt: skip


def unkept(held: Held) -> None:
    """Nobody will answer this: what there is goes out, as without a review."""
    if held.answer is not None:
        _let_out(held, held.answer, b"")
    else:
        _refuse(held, NOT_KEPT)


def _let_out(held: Held, answer: tuple[ResponseHead, bytes], lines: bytes) -> None:
    """The version's own answer, with all that it said."""
    head, body = answer
    data, _, held.keep = response_head(head, held.head, held.keep, held.extra + lines, body, True)
    _write(held, data)


def _refuse(held: Held, why: Refusal) -> None:
    _write(held, reply(
        why.status, why.cause, why.text, keep_alive=held.keep, minor=held.head.minor,
        to_head=held.head.method == b"HEAD", request_id=held.id, retry_after_s=why.retry_after_s,
    ))  # fmt: skip


def _lines(held: Held, state: bytes) -> bytes:
    known = held.extra or b"X-Request-Id: %b\r\n" % held.id
    return known + b"X-Rampway-Review: %b\r\n" % state


def _write(held: Held, data: bytes) -> None:
    client = held.client
    if not client.closing and not client.transport.is_closing():
        client.write(data)
        client.done(held.keep)
