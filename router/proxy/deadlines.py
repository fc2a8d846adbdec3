"""Deadlines of one exchange, looked at by the plane's sweeper: requests set no timers.

    total       the whole exchange, whoever is slow
    queue       waiting for a turn at a version; waiting for a connect is bounded by the pool
    candidate   a candidate's chance before stable answers in its place
    body        the client's upload: silence, or a drip
    response    the version's head, then silence within its body

A client that is slow to read stops the version's clock; see `Downstream` for its own.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from router.proxy.faults import STALLED, TIMEOUT
from router.proxy.record import overdue
from router.upstream import Failure

if TYPE_CHECKING:
    from router.proxy.exchange import Exchange
    from router.telemetry.slices import Arm


def sweep(exchange: Exchange, now: float) -> None:
    """Called every 50 ms or so: slow by age, and whatever deadline has passed."""
    queued = exchange.waiting and exchange.version.pool.queued(exchange)
    unread = exchange.started and exchange.deadline == inf
    if (arm := exchange.arm) is not None and exchange.uploaded and not (unread or queued):
        _age(exchange, arm, now - exchange.asked, now)
    if queued:
        _queued(exchange, now)
    elif now > exchange.end_by or (exchange.waiting and now > exchange.deadline):
        exchange.timed_out(TIMEOUT)
    elif exchange.waiting:
        return
    elif not exchange.uploaded and not exchange.held and _stalled(exchange, now):
        exchange.client_broke(408, "body_timeout", "the body stopped arriving")
    elif now > exchange.deadline and (exchange.uploaded or exchange.held or exchange.started):
        exchange.timed_out(STALLED if exchange.started else TIMEOUT)


def _age(exchange: Exchange, arm: Arm, age_s: float, now: float) -> None:
    """Slow by age, and failed by age; a client that sends or does not read stops the clock.

    So does our own queue.
    """
    if exchange.passed < len(arm.limits_s):
        exchange.passed = arm.pass_limits(age_s, exchange.passed, exchange.unit, exchange.nth)
    within_s = exchange.route.entry.answer_within_s
    if within_s and age_s >= within_s and not exchange.started:
        overdue(exchange, arm, now)


def _queued(exchange: Exchange, now: float) -> None:
    """Too long in our own queue, by whichever bound: the version is not to blame."""
    pool = exchange.version.pool
    turn_by = exchange.attempt_at + pool.entry.queue_timeout_s
    if now > min(turn_by, exchange.deadline, exchange.end_by):
        pool.cancel(exchange)
        exchange.on_unavailable(Failure.QUEUE_TIMEOUT, None)


def _stalled(exchange: Exchange, now: float) -> bool:
    """Whether the client has stopped sending its body, or might as well have.

    A mean rate below the bound, after the body timeout as grace, is a stall in disguise (240 bytes
    a second is Kestrel's): a byte a second would otherwise hold a version's slot for ever.
    """
    limits = exchange.plane.serving.limits
    grace_s = limits.body_timeout_s
    if now - exchange.client_since > grace_s:
        return True
    return exchange.size < limits.upload_bytes_per_s * (now - exchange.arrived - grace_s)
