"""The signals of a version: what it reports of itself, whatever way it does.

========== ============== =======================================================================
memory     bytes          of the process
cpu        cores          in use; of ORCA, which has shares only: the share of what there is
gpu        share, 0 to 1  of its time
gpu_memory share, 0 to 1  of it, or of the cache of keys and values of a language model
queue      requests       that wait in the version
========== ============== =======================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

SIGNALS: Final = ("memory", "cpu", "gpu", "gpu_memory", "queue")
"""In the order in which they are told."""

Reported = Mapping[str, float]
"""Some of :data:`SIGNALS`, finite and not negative."""


def together(reports: Iterable[Reported]) -> dict[str, float]:
    """The mean of each signal over the endpoints that report it."""
    told: dict[str, list[float]] = {}
    for report in reports:
        for name, value in report.items():
            told.setdefault(name, []).append(value)
    return {name: math.fsum(told[name]) / len(told[name]) for name in SIGNALS if name in told}


def plausible(value: float) -> bool:
    """A finite number, not negative: what no signal can be is not taken."""
    return math.isfinite(value) and value >= 0.0


def written(name: str, value: float) -> str:
    """``memory 1,204 MiB``, ``cpu 0.8``, ``gpu 93 %``, ``queue 4``."""
    if name == "memory":
        return f"memory {value / 2**20:,.0f} MiB"
    if name in ("gpu", "gpu_memory"):
        return f"{name.replace('_', ' ')} {value * 100:.3g} %"
    return f"{name} {value:.3g}"
