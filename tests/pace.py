"""How much slower this machine is at this moment than the one where the bounds were set.

A bound on CPU time is broken by a neighbour as well: on a shared machine the same work takes twice
as long for seconds together. What is beyond a bound is therefore held against a piece of work that
never changes, done at once after it.
"""

import json
import time

REFERENCE = json.dumps([[n, str(n), n / 7] for n in range(2_000)])
REFERENCE_S = 0.0009
"""CPU of reading it where the bounds were set, with nobody beside."""


def pace() -> float:
    """CPU of the reference now, as a multiple of :data:`REFERENCE_S`; at least 1."""
    return max(1.0, min(_once() for _ in range(3)) / REFERENCE_S)


def _once() -> float:
    began = time.thread_time()
    json.loads(REFERENCE)
    return time.thread_time() - began
