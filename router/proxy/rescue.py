"""Whether a failed attempt may be made again: on the same version, or on stable in its place.

    retry     another connection to the same version; nobody is blamed less for it
    rescue    a candidate's failure replayed on stable before the client has seen a byte

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

from router.core.wire.outcomes import FULL_BP, Outcome
from router.proxy.faults import CONNECT, Again
from router.proxy.record import doubt, observe, settle

if TYPE_CHECKING:
    from router.proxy.exchange import Exchange
    from router.proxy.faults import Fault

SAFE: Final = frozenset((b"GET", b"HEAD", b"OPTIONS"))
"""Methods that may arrive twice without asking the policy (RFC 9110 section 9.2.2)."""
RETRIES_MIN: Final = 3
"""Retries that are always allowed at a time, whatever the budget's share of few requests is."""


def may_retry(exchange: Exchange, fault: Fault) -> bool:
    """Whether the attempt that ended in ``fault`` may be repeated on the same version."""
    retry, plane = exchange.route.entry.retry, exchange.plane
    if fault.again is Again.NEVER or exchange.attempts >= retry.attempts:
        return False
    if fault.again is Again.IDEMPOTENT and not (
        exchange.kept and (retry.idempotent or exchange.head.method in SAFE)
    ):
        return False
    budget = max(RETRIES_MIN, len(plane.exchanges) * retry.budget_bp // FULL_BP)
    return plane.retrying - exchange.retrying < budget


def may_rescue(exchange: Exchange, outcome: Outcome, status: int) -> bool:
    """Whether an attempt may be replayed on stable; ``status`` is its answer's, 0 without one."""
    route, plane = exchange.route, exchange.plane
    rescue = route.entry.rescue
    if rescue is None or exchange.rescuing:
        return False
    if exchange.version is not route.candidate and not (rescue.excuse_payload and exchange.arm):
        return False
    if exchange.started or not exchange.kept or monotonic() >= exchange.end_by:
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

    The attempt is settled first: counted against the candidate, once. The replay's arm is
    forced, hence no evidence. Where payloads are excused, the arm waits for the replay's end.
    """
    if not may_rescue(exchange, outcome, status):
        return False
    if exchange.connection is not None:
        exchange.connection.abandon()
        exchange.connection = None
    exchange.resume_upload()
    if status:
        observe(exchange, bad=True)
    exchange.version.stats.rescued += 1
    exchange.doubt = doubt(exchange, outcome)
    settle(exchange, outcome, monotonic())
    exchange.arm = None
    exchange.pairing = None  # the client will read stable's answer, not this version's
    exchange.inspection = None
    exchange.verdict = Outcome.OK
    exchange.rescuing = True
    exchange.plane.rescuing += 1
    exchange.version = exchange.route.stable
    exchange.attempts = exchange.status = 0
    exchange.first_byte_s = -1.0
    exchange.select()
    return True
