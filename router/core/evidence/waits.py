"""How long is too long: ages at which no answer is an outcome.

A candidate that hangs gives no bad answer: its clients leave, or wait for the time-out. So

    a client that leaves without an answer at or after ``slow_abort_s``, the age at which stable has
    answered 99 %, was failed; one that left younger has seen no failure and counts as good
    a request that is not answered at the policy's ``answer_within`` has failed by then

in both arms by one rule, whoever was drawn: so it is a bad outcome like another one, and the proof
stays what it is. The first is fixed from the past; the second has no default, since a version that
is only slower is a legal one. Time in which the client itself sends or does not
read is no age.
"""

from __future__ import annotations

from typing import NamedTuple, Self

from router.core.wire.baseline import Baseline
from router.core.wire.histogram import quantile

ANSWERS_MIN = 100
"""Answers of stable's past that make its p99 worth using."""

SLOW_ABORT_MIN_S = 0.1
"""Nobody is called slow before."""

SLOW_ABORT_UNKNOWN_S = 0.5
"""Where stable's past is not known yet."""


class Waits(NamedTuple):
    """Ages in seconds."""

    slow_abort_s: float = SLOW_ABORT_UNKNOWN_S
    known: bool = False
    """From stable's past; otherwise assumed."""

    @classmethod
    def of(cls, past: Baseline) -> Self:
        """What stable's past says."""
        if sum(past.latency_buckets) < ANSWERS_MIN:
            return cls()
        p99 = quantile(past.latency_buckets, 0.99)
        return cls(float(f"{max(SLOW_ABORT_MIN_S, p99):.3g}"), True)
