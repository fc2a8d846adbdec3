"""What is asked of a signal: each check compares counts with those of the reference.

A check says how large a change is in its own unit, from which size on it matters, and how likely
so large a one is by chance. A new one is a function here and a line in :data:`CHECKS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from router.core.monitors.distances import (
    by_chance,
    chi_square,
    jensen_shannon,
    kolmogorov_smirnov,
    ks_chance,
    psi,
)
from router.core.monitors.profile import EXTRA, MISSING, MISTYPED, OUTSIDE, Profile
from router.core.monitors.settings import Tolerances


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts of one side of a comparison."""

    counts: Sequence[float]
    """Cells of values, then :data:`EXTRA` more."""
    weight: float = 1.0
    """Independent ones among its rows, as a share."""
    sample: Sequence[float] = ()
    """Values, sorted."""

    @property
    def values(self) -> Sequence[float]:
        """The cells of values."""
        return self.counts[:-EXTRA]

    @property
    def present(self) -> float:
        """Rows with a value."""
        return math.fsum(self.values)

    @property
    def rows(self) -> float:
        """All of them."""
        return self.present + self.counts[MISSING] + self.counts[MISTYPED]

    def share(self, cell: int) -> float:
        """Of its rows."""
        return self.counts[cell] / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True)
class Deviation:
    """One check's answer."""

    check: str
    size: float
    limit: float
    chance: float
    text: str
    """What was seen, with the sample."""
    beside: Mapping[str, float] = field(default_factory=dict)
    """Other distances that people know: jensen_shannon, and ks where it was asked for."""

    @property
    def large(self) -> bool:
        """Whether it matters, if it is real."""
        return self.size >= self.limit


Compares = Callable[[Profile, Counted, Counted, Tolerances], Deviation]


def reference_of(profile: Profile) -> Counted:
    """The reference as a side."""
    return Counted(profile.counts, profile.weight, profile.sample)


def _distribution(
    profile: Profile, reference: Counted, current: Counted, terms: Tolerances
) -> Deviation:
    """PSI less what chance alone gives; the p of KS for numbers, of chi-square for categories."""
    n, m = reference.present * reference.weight, current.present * current.weight
    size = max(psi(reference.values, current.values) - by_chance(profile.cells, n, m), 0.0)
    if not n or not m:
        return Deviation("distribution", 0.0, terms.psi, 1.0, "no values")
    apart = jensen_shannon(reference.values, current.values)
    chance = chi_square(reference.values, current.values, (reference.weight, current.weight))
    text, beside = f"PSI {size:.3f}, Jensen-Shannon {apart:.3f}", {"jensen_shannon": apart}
    if reference.sample and current.sample and size >= terms.psi / 2.0:  # a second opinion
        distance = kolmogorov_smirnov(reference.sample, current.sample)
        kept = (
            len(reference.sample) * reference.weight,
            len(current.sample) * current.weight,
        )
        chance = min(chance, ks_chance(distance, *kept))
        text, beside["ks"] = f"{text}, KS {distance:.3f}", distance
    text = f"{text} of {current.present:,.0f}"
    return Deviation("distribution", size, terms.psi, chance, text, beside)


def _share(check: str, cell: int, what: str, at_least: float = 0.0) -> Compares:
    """A share of rows that grew. ``at_least``: rows that the reference is supposed to have of it.

    A reference's own range holds all of it; of further values of the same kind 2 in n + 1 lie
    outside, as the smallest or the largest of all.
    """

    def look(
        _profile: Profile, reference: Counted, current: Counted, terms: Tolerances
    ) -> Deviation:
        hit = (max(reference.counts[cell], at_least), current.counts[cell])
        before, now = hit[0] / max(reference.rows, 1.0), current.share(cell)
        chance = chi_square(
            (hit[0], max(reference.rows - hit[0], 0.0)), (hit[1], current.rows - hit[1]),
            (reference.weight, current.weight),
        )  # fmt: skip
        text = f"{now:.1%} {what} of {current.rows:,.0f}, {before:.1%} in the reference"
        grown = max(now - before, 0.0)
        return Deviation(check, grown, terms.share, chance if grown else 1.0, text)

    return look


CHECKS: Final[Mapping[str, Compares]] = {
    "distribution": _distribution,
    "nulls": _share("nulls", MISSING, "null or missing"),
    "type": _share("type", MISTYPED, "of another type"),
    "outside": _share("outside", OUTSIDE, "outside of what it had", 2.0),
}
"""Every check, by its name."""


def checked(
    profile: Profile, reference: Counted, current: Counted, terms: Tolerances
) -> dict[str, Deviation]:
    """All of them."""
    return {name: check(profile, reference, current, terms) for name, check in CHECKS.items()}
