"""What can go wrong with an exchange: whose fault, what the client sees, whether to try again.

One table decides. ``source`` says who broke it (as in pingora's errors): only a version's faults
count against a version. A retry is another connection to the *same* version; replaying a
candidate's failure on stable is a rescue, which the route's policy decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from router.core.wire.outcomes import Outcome
from router.upstream import Failure


class Again(Enum):
    """When a failed attempt may be repeated on the same version."""

    NEVER = 0
    NOT_SENT = 1  # nothing reached the version: any method, another endpoint first
    IDEMPOTENT = 2  # it may have arrived: only what may arrive twice


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail."""

    outcome: Outcome
    status: int
    again: Again
    cause: str
    """One word for metrics and the problem document; never made from input."""
    text: str
    retry_after_s: int = 0
    """Value of Retry-After; 0 leaves it out."""
    extra: bytes = b""
    """Further ready lines of the answer."""


TIMEOUT: Final = Fault(Outcome.TIMEOUT, 504, Again.NEVER, "timeout", "the version did not answer")
STALLED: Final = Fault(
    Outcome.TIMEOUT, 504, Again.NEVER, "stalled", "the version stopped in the middle of its answer"
)

FAULTS: Final[dict[Failure, Fault]] = {
    Failure.REFUSED: Fault(
        Outcome.REFUSED, 502, Again.NOT_SENT, "refused", "the version cannot be reached"
    ),
    Failure.CONNECT_TIMEOUT: Fault(
        Outcome.TIMEOUT, 504, Again.NOT_SENT, "connect_timeout", "the version cannot be reached"
    ),
    Failure.STALE: Fault(
        Outcome.RESET, 502, Again.IDEMPOTENT, "reset", "the version closed the connection"
    ),
    Failure.RESET: Fault(
        Outcome.RESET, 502, Again.NEVER, "reset", "the version closed the connection"
    ),
    Failure.MALFORMED: Fault(
        Outcome.MALFORMED, 502, Again.NEVER, "malformed", "the version's answer is not valid HTTP"
    ),
    Failure.HEAD_SIZE: Fault(
        Outcome.MALFORMED,
        502,
        Again.NEVER,
        "head_size",
        "the head of the version's answer is larger than limits.answer_head "
        "or has more fields than limits.answer_fields",
    ),
    Failure.QUEUE_FULL: Fault(
        Outcome.SHED, 503, Again.NEVER, "queue_full", "too many requests wait for the version", 1
    ),
    Failure.QUEUE_TIMEOUT: Fault(
        Outcome.SHED, 503, Again.NEVER, "queue_timeout", "waited too long for the version", 1
    ),
    Failure.BREAKER_OPEN: Fault(
        Outcome.REFUSED, 503, Again.NEVER, "breaker_open", "the version is not reachable now", 1
    ),
    Failure.EXHAUSTED: Fault(
        Outcome.SHED, 503, Again.NEVER, "exhausted", "the router is out of sockets", 1
    ),
    Failure.CLOSED: Fault(
        Outcome.SHED, 503, Again.NEVER, "gone", "the version was just taken away", 1
    ),
}

CONNECT: Final = frozenset(
    (Outcome.REFUSED, Outcome.RESET, Outcome.MALFORMED, Outcome.TRUNCATED, Outcome.SHED)
)
"""What a rescue means by `connect`; `timeout` is Outcome.TIMEOUT."""
