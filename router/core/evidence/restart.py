"""When capital starts to bet: half at once, the rest spread over the bad events to come.

A bettor that has lost through twelve good hours would need hundreds of bad responses to recover
when the candidate breaks in the thirteenth. So half of the capital is kept as cash and released
in small shares after each bad event; each share is a fresh test of "it began now". The shares sum
to one half, so capital plus cash is still a supermartingale that began at 1: the bound needs no
horizon and no correction for the number of looks.

====== ==================================================== ==========================
name   released after the n-th bad event                    when
====== ==================================================== ==========================
log    ``1/2 (1/log2(n+1) - 1/log2(n+2))``                  no ``max_duration``
mixed  one fifth of that, and 0.4 in equal parts over the   ``max_duration`` known
       ``horizon`` bad events expected in it
alarm  half of either, and after the n-th alarm             comparisons, which have one
       (:mod:`router.core.alarm`) half of the log rule's
====== ==================================================== ==========================

An alarm is a guess that it began now, by what was seen up to now; what is released bets on requests
that are told later, never on those that raised it.

A horizon that is wrong by a factor of three either way costs about 10 to 50 % more bad responses
after a late change; the bound holds for any horizon.
"""

from __future__ import annotations

import math

START_SHARE = 0.5
"""Share of the capital that bets from the first request."""

ALARM_SHARE = 0.5
"""Part of the reserve that is kept for alarms."""

LOG_SHARE_OF_MIXED = 0.2
"""Part of the reserve the mixed schedule keeps for the log rule, for rollouts that outlast it."""


def released(
    n: int, horizon: int | None = None, start: float = START_SHARE, alarms: int | None = None
) -> float:
    """Share of the capital in play after ``n`` >= 0 bad events, ``start`` … 1, never falling.

    The log rule telescopes: 1/2 (1 - 1/log2(n + 2)). With ``alarms`` half of the reserve follows
    the bad events and half the alarms; without, all of it the bad events.
    """
    share = _by_log(n)
    if horizon is not None:
        evenly = min(n / horizon, 1.0)
        share = LOG_SHARE_OF_MIXED * share + (1.0 - LOG_SHARE_OF_MIXED) * evenly
    if alarms is not None:
        share = (1.0 - ALARM_SHARE) * share + ALARM_SHARE * _by_log(alarms)
    return start + (1.0 - start) * share


def _by_log(n: int) -> float:
    return 1.0 - 1.0 / math.log2(n + 2)


def horizon_of(bad_rate: float, requests_per_s: float, duration_s: float | None) -> int | None:
    """Bad events expected in ``duration_s``, at least 1; None (the log rule) if it is unknown."""
    if duration_s is None:
        return None
    expected = bad_rate * requests_per_s * duration_s
    return max(round(expected), 1) if math.isfinite(expected) and expected > 0.0 else None
