"""The one end of every exchange: what happened, who is told, and the router's own answers.

Counted are attempts: an exchange that was rescued ends its candidate's first, then stable's.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from router.core.wire.outcomes import BAD_OUTCOMES, Outcome
from router.http1 import own_response
from router.proxy.replies import Refusal, reply
from router.proxy.stage import Stage

if TYPE_CHECKING:
    from router.proxy.exchange import Exchange
    from router.proxy.faults import Fault

_ENDED = Stage.ENDED
_WAITING = Stage.WAITING


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
    if (log := plane.access_log) is not None:
        log.line(
            exchange.head, exchange.id, exchange.arrived,
            route.entry if (route := getattr(exchange, "route", None)) is not None else None,
            exchange.attempt if stage >= _WAITING else None,
            exchange.first is not None, outcome, answered or status,
        )  # fmt: skip


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
