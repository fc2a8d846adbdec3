"""The one end of every exchange: what happened, whose fault it was, and who is told.

Counted are attempts: an exchange that was rescued settles its candidate's first, then stable's.
Where the policy excuses payloads, the evidence of the first waits for the end of the second.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from router.core.wire.outcomes import BAD_OUTCOMES, Outcome
from router.proxy.buffers import give_back

if TYPE_CHECKING:
    from router.proxy.exchange import Exchange
    from router.telemetry.slices import Arm
    from router.upstream import Endpoint, Pool

PAYLOAD: Final = BAD_OUTCOMES - {Outcome.REFUSED}
"""Ends of a replay that speak against the request; a refused connection never saw it."""


class Doubt:
    """A failure whose blame is not settled yet, as it was when the attempt ended."""

    __slots__ = ("age_s", "arm", "endpoint", "nth", "outcome", "passed", "pool", "unit")

    def __init__(self, exchange: Exchange, arm: Arm, outcome: Outcome, now: float) -> None:
        self.arm = arm
        self.outcome = outcome
        self.age_s = now - exchange.asked
        self.passed = exchange.passed
        self.unit, self.nth = exchange.unit, exchange.nth
        self.pool: Pool = exchange.version.pool
        self.endpoint: Endpoint | None = exchange.endpoint

    def settle(self, blamed: bool) -> None:
        """Count it. Not blamed, it ends like a request whose client left: it counts for nobody."""
        outcome = self.outcome if blamed else Outcome.CLIENT_ABORT
        self.arm.end(outcome, self.age_s, self.passed, self.unit, self.nth)


def record(exchange: Exchange, outcome: Outcome, answered: int = 0, now: float = 0.0) -> None:
    """End an exchange.

    ``answered``: the status of the router's own answer, 0 without one. ``now``: monotonic seconds,
    0.0 where the caller has not looked.
    """
    if exchange.ended:
        return
    forget(exchange)
    if exchange.attempt_at:
        now = now or monotonic()
        settle(exchange, outcome, now)
        endpoint = exchange.endpoint
        if endpoint is not None and exchange.status:
            exchange.version.pool.blame.observed(endpoint, outcome in BAD_OUTCOMES, now)
    if exchange.doubt is not None:
        _clear_up(exchange.doubt, outcome)
    if exchange.pairing is not None:
        whole = outcome is Outcome.OK or outcome is Outcome.SERVER_ERROR
        status = exchange.status if whole else 0
        exchange.pairing.primary_done(status, monotonic() - exchange.arrived)
    if exchange.plane.access_log is not None:
        exchange.plane.access_log.line(exchange, outcome, answered or exchange.status)


def left(exchange: Exchange) -> Outcome:
    """What it is that the client has gone: given up where stable would have answered, or its own.

    While it sends or reads it waits for itself.
    """
    if exchange.arm is None or exchange.started or not exchange.uploaded:
        return Outcome.CLIENT_ABORT
    slow_s = exchange.route.entry.slow_abort_s
    late = slow_s and monotonic() - exchange.asked >= slow_s
    return Outcome.GIVEN_UP if late else Outcome.CLIENT_ABORT


def overdue(exchange: Exchange, arm: Arm, now: float) -> None:
    """It is not answered at an age at which it has failed, however it ends."""
    exchange.arm = None
    arm.end(Outcome.TIMEOUT, now - exchange.asked, exchange.passed, exchange.unit, exchange.nth)


def settle(exchange: Exchange, outcome: Outcome, now: float) -> None:
    """Count an attempt: for its version always, as evidence where a coin chose it."""
    stats = exchange.version.stats
    since = max(exchange.attempt_at, exchange.asked)
    stats.end(outcome, exchange.status, now - since, exchange.first_byte_s)
    stats.bytes_in += exchange.size
    arm = exchange.arm
    if arm is None:
        return
    if outcome and arm.candidate and outcome in BAD_OUTCOMES:
        blame(Doubt(exchange, arm, outcome, now))
    else:
        if outcome is Outcome.OK and (exchange.blank or 399 < exchange.status < 500):
            _refused(exchange, arm)
        arm.end(outcome, now - exchange.asked, exchange.passed, exchange.unit, exchange.nth)


def _refused(exchange: Exchange, arm: Arm) -> None:
    """An answer that is none: the request was refused, or nothing is in it. 429 is about load."""
    if exchange.status != 429:
        arm.refuse(exchange.unit, exchange.nth)


def doubt(exchange: Exchange, outcome: Outcome) -> Doubt | None:
    """What stable's replay has to clear up: it keeps the arm. None where the policy blames now."""
    arm, rescue = exchange.arm, exchange.route.entry.rescue
    if arm is None or rescue is None or not rescue.excuse_payload:
        return None
    exchange.arm = None
    return Doubt(exchange, arm, outcome, monotonic())


def _clear_up(doubt: Doubt, replayed: Outcome) -> None:
    """The replay is over: failed as well, it is the payload; anything else, not."""
    if replayed in PAYLOAD:
        doubt.settle(blamed=False)
    else:
        blame(doubt)


def blame(doubt: Doubt) -> None:
    """The candidate's failures count once it is sure that they are not a single instance's."""
    if doubt.arm.candidate:
        doubt.pool.blame.bad_answer(doubt.endpoint, doubt.settle, monotonic())
    else:
        doubt.settle(blamed=True)


def observe(exchange: Exchange, *, bad: bool) -> None:
    """Tell the pool how the endpoint did, for ejecting one that fails in a row."""
    if exchange.endpoint is not None:
        exchange.version.pool.blame.observed(exchange.endpoint, bad, monotonic())


def forget(exchange: Exchange) -> None:
    """It is over, once: the plane need not know it any longer."""
    exchange.ended = True
    if exchange.inspection is not None:
        exchange.inspection = None  # it knows us: the two would wait for the garbage collector
    plane = exchange.plane
    plane.exchanges.discard(exchange)
    if exchange.charged:
        give_back(exchange)
    if exchange.retrying:
        plane.retrying -= 1
    if exchange.rescuing:
        plane.rescuing -= 1
