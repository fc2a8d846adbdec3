"""Deadlines of one exchange, looked at by the plane's sweeper: requests set no timers.

    total       the whole exchange, whoever is slow; the version's failure if its part was as long
    queue       waiting for a turn at a version; waiting for a connect is bounded by the pool
    candidate   a candidate's chance before stable answers in its place
    body        the client's upload: silence, or a drip
    response    the version's head, then silence within its body

A client that is slow to read stops the version's clock; see `Downstream` for its own.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from router.proxy.faults import STALLED, TIMEOUT
from router.proxy.replies import BODY_TIMEOUT, TOTAL_TIMEOUT
from router.proxy.stage import Stage
from router.upstream import Failure

if TYPE_CHECKING:
    from router.proxy.attempt import Attempt
    from router.proxy.exchange import Exchange
    from router.proxy.upload import Upload


SILENT_S: Final = 1.0
"""A version that was asked whether it wants a body (`expect: pass`) and says nothing gets it: curl
waits as long."""


def sweep(exchange: Exchange, now: float) -> None:
    """Called every 50 ms or so: slow by age, and whatever deadline has passed."""
    stage, upload = exchange.stage, exchange.upload
    waiting = stage is Stage.WAITING
    sending = upload is not None and not exchange.uploaded and not upload.held
    if stage < Stage.WAITING:
        if upload is not None and not exchange.uploaded and _stalled(exchange, upload, now):
            exchange.client_broke(BODY_TIMEOUT)
        return
    attempt, begun = exchange.attempt, stage is Stage.ANSWERING
    queued = waiting and attempt.version.pool.queued(exchange)
    unread = begun and attempt.deadline == inf
    if exchange.uploaded and not (unread or queued):
        _age(exchange, attempt, now)
        exchange.quiet_until = _next_look(exchange, attempt)
    if queued:
        _queued(exchange, attempt, now)
    elif now > exchange.end_by or (waiting and now > attempt.deadline):
        if waiting or not _too_slow(exchange, unread, sending, now):
            exchange.timed_out(TIMEOUT)
    elif waiting:
        return
    elif upload is not None and sending and _stalled(exchange, upload, now):
        exchange.client_broke(BODY_TIMEOUT)
    elif now > attempt.deadline and (begun or not sending):
        exchange.timed_out(STALLED if begun else TIMEOUT)


def _age(exchange: Exchange, attempt: Attempt, now: float) -> None:
    """Slow by age, and failed by age; a client that sends or does not read stops the clock.

    So does our own queue.
    """
    arm, age_s = attempt.arm, now - exchange.asked
    if arm is None:
        return
    if attempt.passed < len(arm.limits_s):
        attempt.passed = arm.pass_limits(age_s, attempt.passed, attempt.unit, attempt.nth)
    within_s = exchange.route.entry.answer_within_s
    if within_s and age_s >= within_s and exchange.stage is not Stage.ANSWERING:
        attempt.overdue(age_s)


def _next_look(exchange: Exchange, attempt: Attempt) -> float:
    """When something may be due of an answer that has begun; of another, at any time.

    Each piece of it only moves its deadline on, and so does a client that reads again. A stream of
    hours is then looked at as often as it may fall silent, not twenty times a second.
    """
    if exchange.stage is not Stage.ANSWERING:
        return 0.0
    due = min(attempt.deadline, exchange.end_by)
    arm = attempt.arm
    if arm is not None and attempt.passed < len(arm.limits_s):
        due = min(due, exchange.asked + arm.limits_s[attempt.passed])
    return due


def _too_slow(exchange: Exchange, unread: bool, sending: bool, now: float) -> bool:
    """End an exchange that took too long because of its client: it still sends, or read slowly.

    It has seen which version answers, so a slow reader could choose whom to harm.
    """
    if sending:
        exchange.client_broke(TOTAL_TIMEOUT)
    elif exchange.stage is Stage.ANSWERING and (
        unread or now - exchange.asked < exchange.route.total_s
    ):
        exchange.client.abort()
        exchange.client_left()
    else:
        return False
    return True


def _queued(exchange: Exchange, attempt: Attempt, now: float) -> None:
    """Too long in our own queue, by whichever bound: the version is not to blame."""
    pool = attempt.version.pool
    turn_by = attempt.since + pool.entry.queue_timeout_s
    if now > min(turn_by, attempt.deadline, exchange.end_by):
        pool.cancel(exchange)
        exchange.on_unavailable(Failure.QUEUE_TIMEOUT, None)


def _stalled(exchange: Exchange, upload: Upload, now: float) -> bool:
    """Whether the client has stopped sending its body, or might as well have.

    A mean rate below the bound, after the body timeout as grace, is a stall in disguise (240 bytes
    a second is Kestrel's): a byte a second would otherwise hold a version's slot for ever. One that
    waits to be told to go on is told so in time.
    """
    if not upload.continued and now - upload.since > SILENT_S:
        exchange.go_on()
    limits = exchange.plane.serving.limits
    grace_s = limits.body_timeout_s
    if now - upload.since > grace_s:
        return True
    return exchange.size < limits.upload_bytes_per_s * (now - exchange.arrived - grace_s)
