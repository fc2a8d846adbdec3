"""Several gates, one evidence: the average of their capital.

Averaging is the only admissible way to merge such evidence under arbitrary dependence (Vovk & Wang,
arXiv 1912.06116), and never worse than a Bonferroni correction. It costs ln(1/share) nats: none to
two bad responses more for a large regression.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def shares(
    names: Sequence[str], *, fixed: Mapping[str, float], half: frozenset[str] = frozenset(),
    small: Mapping[str, float] | None = None,
) -> dict[str, float]:  # fmt: skip
    """Shares of the gates ``names``, summing to 1 (to less, if ``fixed`` names all of them so).

    ``fixed`` shares are kept. Of the rest, the gates in ``half`` together get one half and the
    others the other half, in equal parts; those in ``small`` have that part of the rest, out of the
    other half. Where only one sort is there, it has all. Raises ValueError if fixed shares
    exceed 1.

    Worked examples: error_rate (in ``half``), latency, guard (``small``, 0.1): 1/2, 4/10, 1/10;
    error_rate and guard: 9/10 and 1/10.
    """
    spent = math.fsum(fixed[n] for n in names if n in fixed)
    if spent > 1.0 + 1e-9 or any(s < 0.0 for s in fixed.values()):
        raise ValueError(f"shares of the gates add up to {spent:.2f}, expected at most 1")
    free = [n for n in names if n not in fixed]
    first = [n for n in free if n in half]
    little = {n: part for n, part in (small or {}).items() if n in free}
    if len(little) == len(free):
        little = {}
    second = [n for n in free if n not in half and n not in little]
    rest = max(1.0 - spent, 0.0)
    aside = {n: rest * part for n, part in little.items()}
    left = rest - math.fsum(aside.values())
    part = rest / 2 if first and second else left
    return (
        {n: float(fixed[n]) for n in names if n in fixed}
        | aside
        | {n: part / len(first) for n in first}
        | {n: (left - part if first else left) / len(second) for n in second}
    )


def average(weighted: Sequence[tuple[float, float]]) -> float:
    """``sum share * capital`` over (share, capital), with the missing share as idle cash at 1."""
    idle = 1.0 - math.fsum(share for share, _ in weighted)
    return math.fsum([max(idle, 0.0), *(share * capital for share, capital in weighted)])
