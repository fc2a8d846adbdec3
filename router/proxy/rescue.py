"""Whether a failed attempt may be made again: on the same version, or on stable in its place.

    retry     another connection to the same version; nobody is blamed less for it
    rescue    a candidate's failure replayed on stable before the client has seen a byte
    fallback  an answer of the policy, when that has failed as well

With ``excuse_payload`` a drawn request that failed on *either* version is replayed on stable, and
what fails there (again) is the payload's fault: it counts against neither. Both arms are excused by
the same rule, so two equal versions stay equal in the evidence. If the candidate's failures alone
were excused, a worse one could be promoted.

Both need the request still in memory, a place in their budget (or a broken version would double
its own load), and time left.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from router.core.wire.outcomes import BAD_OUTCOMES, Outcome
from router.core.words import FULL_BP
from router.http1 import own_response
from router.proxy.attempt import Attempt
from router.proxy.fallback import fallback_body
from router.proxy.faults import CONNECT, Again
from router.proxy.record import answer, record
from router.proxy.replies import UNREADABLE
from router.proxy.stage import Stage

if TYPE_CHECKING:
    from router.proxy.exchange import Exchange
    from router.proxy.faults import Fault
    from router.upstream import Endpoint

SAFE: Final = frozenset((b"GET", b"HEAD", b"OPTIONS"))
"""Methods that may arrive twice without asking the policy (RFC 9110 section 9.2.2)."""
RETRIES_MIN: Final = 3
"""Retries that are always allowed at a time, whatever the budget's share of few requests is."""


def failed(exchange: Exchange, fault: Fault, avoid: Endpoint | None = None) -> None:
    """The attempt gave nothing that a client has seen: again, on stable, or an error."""
    attempt = exchange.attempt
    if attempt.endpoint is not None:
        attempt.observed(fault.outcome in BAD_OUTCOMES, monotonic())
        avoid = attempt.endpoint
    if may_retry(exchange, fault):
        _retry(exchange, attempt, avoid)
    elif not rescue(exchange, fault.outcome, 0):
        attempt.status = 0
        if not fall_back(exchange, fault.outcome):
            record(exchange, fault.outcome, fault.status)
            answer(exchange, fault)


def _retry(exchange: Exchange, attempt: Attempt, avoid: Endpoint | None) -> None:
    """Another connection to the same version, another endpoint first."""
    if not attempt.tries:
        exchange.plane.retrying += 1
    attempt.tries += 1
    attempt.version.stats.retries += 1
    attempt.endpoint = None
    exchange.select(attempt, avoid, monotonic())


def may_retry(exchange: Exchange, fault: Fault) -> bool:
    """Whether the attempt that ended in ``fault`` may be repeated on the same version."""
    retry, plane, tries = exchange.route.entry.retry, exchange.plane, exchange.attempt.tries
    if fault.again is Again.NEVER or tries >= retry.attempts:
        return False
    if fault.again is Again.IDEMPOTENT and not (
        exchange.kept and (retry.idempotent or exchange.head.method in SAFE)
    ):
        return False
    budget = max(RETRIES_MIN, len(plane.exchanges) * retry.budget_bp // FULL_BP)
    return plane.retrying - (tries > 0) < budget


def may_rescue(exchange: Exchange, outcome: Outcome, status: int) -> bool:
    """Whether an attempt may be replayed on stable; ``status`` is its answer's, 0 without one."""
    route, plane, attempt = exchange.route, exchange.plane, exchange.attempt
    rescue = route.entry.rescue
    if rescue is None or exchange.first is not None:
        return False
    if attempt.version is not route.candidate and not (rescue.excuse_payload and attempt.arm):
        return False
    if exchange.stage >= Stage.ANSWERING or not exchange.kept or monotonic() >= exchange.end_by:
        return False
    if outcome is Outcome.SERVER_ERROR:
        wanted = status in rescue.statuses or status // 100 in rescue.statuses
    elif outcome is Outcome.TIMEOUT:
        wanted = rescue.timeout
    elif status:
        wanted = rescue.schema
    else:
        wanted = rescue.connect and outcome in CONNECT
    budget = max(rescue.budget_min, len(plane.exchanges) * rescue.budget_bp // FULL_BP)
    return wanted and plane.rescuing < budget


def rescue(exchange: Exchange, outcome: Outcome, status: int) -> bool:
    """Replay a failed attempt on stable, if the policy wants it and it can be done.

    The attempt ends first: counted against the candidate, once. The replay is another attempt; its
    arm is forced, hence no evidence. Where payloads are excused, or nothing can be compared, the
    blame waits for its end: what stable fails as well is nobody's.
    """
    if not may_rescue(exchange, outcome, status):
        return False
    first, plane, now = exchange.attempt, exchange.plane, monotonic()
    if first.connection is not None:
        first.connection.abandon()
        first.connection = None
    exchange.resume_upload()
    if status:
        first.observed(True, now)
    first.version.stats.rescued += 1
    policy = exchange.route.entry.rescue
    excusable = (policy is not None and policy.excuse_payload) or alone(first)
    first.end(outcome, exchange.asked, exchange.size, now, excusable=excusable)
    if first.tries:
        plane.retrying -= 1
    plane.rescuing += 1
    exchange.first = first
    exchange.pairing = None  # the client will read stable's answer, not this version's
    if exchange.sample is not None:
        exchange.sample.done(exchange, outcome)
        exchange.sample = None
    exchange.reading = None
    attempt = Attempt(exchange.route.stable, None, first.unit, first.nth, 0, 0.0)
    exchange.select(attempt, None, attempt.since)
    return True


def alone(attempt: Attempt) -> bool:
    """No coin chose: at 100 %, by a pin or a rule. The replay is all that it is compared with."""
    return attempt.arm is not None and attempt.arm.slice.cell.weight_bp == FULL_BP


def fall_back(exchange: Exchange, outcome: Outcome) -> bool:
    """End an exchange whose last attempt failed with the policy's answer; False: there is none.

    The failure is counted as it would be without it; only what the client sees is another.
    """
    entry = exchange.route.entry.fallback
    if entry is None or exchange.stage >= Stage.ANSWERING:
        return False
    head, counts = exchange.head, exchange.route.counts
    body = fallback_body(entry, head, exchange.whole(), exchange.route.entry.buffer_bytes)
    if body is None:
        return False
    exchange.release()
    exchange.pairing = None  # what the client reads is no version's
    counts.dirty = True
    counts.fallbacks += 1
    keep = exchange.uploaded and head.keep_alive and exchange.plane.accepting
    record(exchange, outcome, entry.status)
    exchange.client.write(own_response(
        entry.status, body, content_type=entry.content_type.encode(),
        extra=b"X-Request-Id: %b\r\nX-Rampway-Fallback: 1\r\n" % exchange.id,
        keep_alive=keep, minor=head.minor, to_head=head.method == b"HEAD",
    ))  # fmt: skip
    exchange.client.done(keep=keep)
    return True


def withhold(exchange: Exchange) -> None:
    """The answer must not leave: the policy's own in its place, or an error."""
    if not fall_back(exchange, Outcome.MALFORMED):
        exchange.release()
        record(exchange, Outcome.MALFORMED, UNREADABLE.status)
        answer(exchange, UNREADABLE)
