"""The one end of every exchange: what happened, who is told, and the router's own answers.

Counted are attempts: an exchange that was rescued ends its candidate's first, then stable's.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from time import monotonic, time
from typing import TYPE_CHECKING, Final

from router.core.payloads import Beyond, Unreadable, unpacked
from router.core.reviews.confidence import Reason
from router.core.wire.outcomes import BAD_OUTCOMES, Outcome
from router.core.wire.review import ReviewItem
from router.http1 import own_response
from router.proxy.held import KEPT_S, LOOK_S, PLACE, Held, unkept
from router.proxy.replies import Refusal, reply
from router.proxy.stage import Stage
from router.proxy.weighing import TEXT_CHARS_MAX, Weighing

if TYPE_CHECKING:
    from router.proxy.exchange import Exchange
    from router.proxy.faults import Fault
    from router.proxy.reading import AnswerReading

LOOKING: Final = frozenset((b"GET", b"HEAD"))
REVIEW_ID_CHARS: Final = 32
UNSURE: Final = Refusal(422, "review", "no version is sure enough of an answer to this request")

_ENDED: Final = Stage.ENDED
_WAITING: Final = Stage.WAITING


def record(exchange: Exchange, outcome: Outcome, answered: int = 0, now: float = 0.0) -> None:
    """End an exchange.

    ``answered``: the status of the router's own answer, 0 without one. ``now``: monotonic seconds,
    0.0 where the caller has not looked.
    """
    stage, plane, status = exchange.stage, exchange.plane, 0
    if stage is _ENDED:
        return
    exchange.stage = _ENDED
    plane.exchanges.discard(exchange)
    if exchange.upload is not None:
        exchange.upload.give_back()
    if stage >= _WAITING:
        now = now or monotonic()
        attempt = exchange.attempt
        attempt.end(outcome, exchange.asked, exchange.size, now)
        status, endpoint = attempt.status, attempt.endpoint
        if status and endpoint is not None:
            attempt.version.pool.blame.observed(endpoint, outcome in BAD_OUTCOMES, now)
        if attempt.tries:
            plane.retrying -= 1
        if exchange.first is not None:
            plane.rescuing -= 1
            exchange.first.clear_up(outcome, now)
    if exchange.pairing is not None:
        whole = outcome is Outcome.OK or outcome is Outcome.SERVER_ERROR
        exchange.pairing.primary_done(status if whole else 0, monotonic() - exchange.arrived)
    if exchange.sample is not None:
        exchange.sample.done(exchange, outcome)
    if exchange.spans is not None or plane.access_log is not None:
        _tell(exchange, stage, outcome, answered or status)


def _tell(exchange: Exchange, stage: Stage, outcome: Outcome, status: int) -> None:
    """Whoever watches single requests."""
    if exchange.spans is not None:
        exchange.spans.ended(exchange, outcome, status)
    if (log := exchange.plane.access_log) is not None:
        log.line(exchange, stage, outcome, status)


def left(exchange: Exchange) -> Outcome:
    """What it is that the client has gone: given up where stable would have answered, or its own.

    While it sends or reads it waits for itself.
    """
    unanswered = exchange.stage is _WAITING or exchange.stage is Stage.SENT
    if not unanswered or exchange.attempt.arm is None or not exchange.uploaded:
        return Outcome.CLIENT_ABORT
    slow_s = exchange.route.entry.slow_abort_s
    late = slow_s and monotonic() - exchange.asked >= slow_s
    return Outcome.GIVEN_UP if late else Outcome.CLIENT_ABORT


def refuse(exchange: Exchange, why: Refusal) -> None:
    """The router's own answer to a request that no version has seen."""
    exchange.plane.recorder.reject(why.cause)
    outcome = Outcome.SHED if why.status == 503 else Outcome.REJECTED
    record(exchange, outcome, why.status)
    answer(exchange, why)


def answer(exchange: Exchange, why: Refusal | Fault, *, keep: bool = True) -> None:
    """Answer in the version's place and end; ``keep``: the connection may be used again."""
    head = exchange.head
    keep = keep and exchange.uploaded and head.keep_alive and exchange.plane.accepting
    exchange.client.write(reply(
        why.status, why.cause, why.text, keep_alive=keep, minor=head.minor,
        to_head=head.method == b"HEAD", request_id=exchange.id, retry_after_s=why.retry_after_s,
        extra=why.extra,
    ))  # fmt: skip
    exchange.client.done(keep=keep)


def answer_options(exchange: Exchange) -> None:
    """OPTIONS with Max-Forwards 0 is for us (RFC 9110 section 7.6.2)."""
    exchange.stage = _ENDED  # no version has anything to do with it, and no count
    exchange.plane.exchanges.discard(exchange)
    keep = exchange.uploaded and exchange.head.keep_alive and exchange.plane.accepting
    exchange.client.write(own_response(204, keep_alive=keep, minor=exchange.head.minor))
    exchange.client.done(keep=keep)


# --- people ---------------------------------------------------------------------------------------


def ask_people(exchange: Exchange, read: AnswerReading, now: float) -> bool:
    """Have people asked about an answer, if they are to be; True: the client does not get it now.

    The version's part is over either way. An audit is asked beside the answer's going out.
    """
    if not isinstance(read, Weighing) or read.reason is None:
        return False
    item = _question(exchange, read, read.reason)
    if read.reason is Reason.AUDIT:
        exchange.plane.ask(item)
        return False
    if read.review.then == "refuse" and not read.person:
        exchange.plane.ask(item)
        record(exchange, exchange.attempt.verdict, UNSURE.status, now)
        answer(exchange, UNSURE)
    else:
        _hold(exchange, read, item, now)
    return True


def _hold(exchange: Exchange, read: Weighing, item: ReviewItem, now: float) -> None:
    """Its client waits; see :mod:`router.proxy.held`."""
    plane, review, name = exchange.plane, read.review, exchange.route.entry.name
    held = Held(exchange.client, exchange.head, exchange.id, item.id)
    held.keep = exchange.uploaded and exchange.head.keep_alive and plane.accepting
    provisional = review.then == "provisional" and not read.person
    if provisional:
        held.answer = read.head, bytes(read.body)
    held.due = now + (KEPT_S if provisional else review.deadline_s)
    held.kept_by = max(held.due, now + KEPT_S)
    held.extra = b"".join((exchange.attempt.version.line, exchange.id, b"\r\n", exchange.cookie))
    record(exchange, exchange.attempt.verdict, 0, now)
    if plane.held_by[name] >= review.held or not plane.ask(item):
        plane.recorder.reject("review")
        unkept(held)
        return
    held.route = name
    plane.held[item.id] = held
    plane.held_by[name] += 1


def _question(exchange: Exchange, read: Weighing, reason: Reason) -> ReviewItem:
    attempt, head, entry = exchange.attempt, exchange.head, exchange.route.entry
    request = b""
    if exchange.kept and exchange.size <= read.review.bytes_max:
        coding = (head.get(b"content-encoding") or b"").decode("latin-1")
        with suppress(Beyond, Unreadable):
            request = unpacked(exchange.whole(), coding, read.review.bytes_max)
    return ReviewItem(
        id=secrets.token_hex(16), route=entry.name, version=attempt.version.name,
        revision=entry.revision, request_id=exchange.id.decode("latin-1"), reason=reason,
        confidence=read.confidence, at=time(), labels=read.labels, request=request,
        answer=read.plain,
        content_type=str((head.get(b"content-type") or b"")[:TEXT_CHARS_MAX], "latin-1"),
        target=str(head.target[:TEXT_CHARS_MAX], "latin-1"),
    )  # fmt: skip


def look_again(exchange: Exchange) -> bool:
    """Whether this only asks what became of a question; if so, control is asked."""
    head, plane = exchange.head, exchange.plane
    if not head.path.startswith(PLACE) or head.method not in LOOKING:
        return False
    exchange.stage = _ENDED  # no version has anything to do with it, and no count
    plane.exchanges.discard(exchange)
    review, ref = head.path[len(PLACE) :].decode("latin-1"), f"?{exchange.id.decode('latin-1')}"
    held = Held(exchange.client, head, exchange.id, review[:REVIEW_ID_CHARS])
    held.keep = exchange.uploaded and head.keep_alive and plane.accepting
    held.due = held.kept_by = monotonic() + LOOK_S
    crowded = ref in plane.held or len(plane.held) >= plane.serving.limits.in_flight
    if crowded or not plane.look(ref, held.review):
        unkept(held)
    else:
        plane.held[ref] = held
    return True
