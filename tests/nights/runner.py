"""Many nights in one process."""

from __future__ import annotations

import time

from tests.nights import seams
from tests.nights.night import Night


def many(first, last):
    """(nights, CPU seconds, violations by seed, sums of facts)."""
    found, sums = {}, {}
    began = time.process_time()
    with seams.installed():
        for seed in range(first, last):
            out = Night(seed).live()
            if out.violations:
                found[seed] = out.violations[0]
            for name, number in out.facts.items():
                sums[name] = sums.get(name, 0) + number
    return last - first, time.process_time() - began, found, sums


def many_of(piece):
    return many(*piece)
