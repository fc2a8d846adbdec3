"""What a feature, a label or a score looks like: cells to count in, and a reference's counts.

Numbers are counted between the reference's quantiles, categories one by one. Behind the cells of
values three more count what is wrong with a value: :data:`MISSING`, :data:`MISTYPED`,
:data:`OUTSIDE` (beyond the reference's range, or a category that it never had; such a value is in
a cell as well).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from router.core.monitors.distances import quantiles
from router.core.monitors.values import name_of, number_of, type_of
from router.core.snapshots import ByName

SignalKind = Literal["numeric", "categorical"]

BINS: Final = 10
"""Quantile bins of a number."""
CATEGORIES_MAX: Final = 30
"""Categories with a cell of their own; the others share one."""
KNOWN_MAX: Final = 2_000
"""Categories that are known to be in a reference; with more of them none is called unseen."""
SAMPLE_MAX: Final = 1_000
"""Values of the reference that are kept, at equal distances of rank."""

MISSING: Final = -3
MISTYPED: Final = -2
OUTSIDE: Final = -1
EXTRA: Final = 3
"""Cells behind those of values."""


def kind_of(values: Sequence[object]) -> SignalKind:
    """Numbers of many values are numeric; a few values, or text, are categories."""
    numbers = {value for value in values if type_of(value) == "number"}
    return "numeric" if len(numbers) > CATEGORIES_MAX else "categorical"


@dataclass(frozen=True, slots=True)
class Profile(ByName):
    """A reference: its cells, and what it had in them."""

    kind: SignalKind
    type: str
    """Of most of its values: number, text or boolean; empty: it does not matter."""
    edges: tuple[float, ...]
    """Inner cuts of the bins, ascending; none for categories."""
    names: tuple[str, ...]
    """Categories with a cell, most frequent first."""
    known: frozenset[str]
    """All categories; empty where there are too many to know."""
    low: float
    high: float
    counts: tuple[float, ...]
    sample: tuple[float, ...]
    """Some values, sorted; none for categories."""
    weight: float = 1.0
    """Independent ones among its rows, as a share."""

    @property
    def cells(self) -> int:
        """Of values; :data:`EXTRA` more follow."""
        return len(self.counts) - EXTRA

    def place(self, value: object) -> tuple[int, bool]:
        """The cell of a value, and whether it is outside of what the reference had."""
        kind = type_of(value)
        if kind == "missing":
            return MISSING, False
        if kind == "other" or (self.type and kind != self.type):
            return MISTYPED, False
        if self.kind == "numeric":
            number = number_of(value)
            if number is None:
                return MISTYPED, False
            return bisect_right(self.edges, number), not self.low <= number <= self.high
        name = name_of(value)
        unseen = bool(self.known) and name not in self.known
        return (self.names.index(name) if name in self.names else len(self.names)), unseen

    def _restored(self) -> None:
        if self.kind not in get_args(SignalKind):
            raise ValueError(f"expected numeric or categorical, got {self.kind!r:.40}")
        wanted = len(self.edges if self.kind == "numeric" else self.names) + 1 + EXTRA
        if len(self.counts) != wanted:
            raise ValueError(f"expected {wanted} counts, got {len(self.counts)}")


def profiled(
    kind: SignalKind, values: Sequence[object], weight: float = 1.0, *, typed: bool = True
) -> Profile:
    """The reference that ``values`` make.

    ``typed`` False: they come from text, so that 3 and "3" are one category.
    """
    types = Counter(map(type_of, values))
    present = {t: n for t, n in types.items() if t not in ("missing", "other")}
    wanted = "number" if kind == "numeric" else max(present, key=present.__getitem__, default="")
    usable = [value for value in values if type_of(value) in ({wanted} if typed else present)]
    if kind == "numeric":
        numbers = sorted(n for n in map(number_of, usable) if n is not None)
        empty = _empty(kind, wanted, numbers, Counter())
    else:
        empty = _empty(kind, wanted if typed else "", [], Counter(map(name_of, usable)))
    return _with_counts(empty, values, weight)


def _empty(kind: SignalKind, wanted: str, numbers: list[float], names: Counter[str]) -> Profile:
    edges = quantiles(numbers, BINS) if numbers else ()
    step = max(1, len(numbers) // SAMPLE_MAX)
    common = tuple(name for name, _ in names.most_common(CATEGORIES_MAX))
    cells = (len(edges) if kind == "numeric" else len(common)) + 1
    return Profile(
        kind, wanted, edges, common, frozenset(names if len(names) <= KNOWN_MAX else ()),
        numbers[0] if numbers else 0.0, numbers[-1] if numbers else 0.0,
        (0.0,) * (cells + EXTRA), tuple(numbers[::step]),
    )  # fmt: skip


def _with_counts(empty: Profile, values: Iterable[object], weight: float) -> Profile:
    counts = list(empty.counts)
    for value in values:
        cell, outside = empty.place(value)
        counts[cell] += 1
        counts[OUTSIDE] += outside
    return Profile(
        empty.kind, empty.type, empty.edges, empty.names, empty.known, empty.low, empty.high,
        tuple(counts), empty.sample, weight,
    )  # fmt: skip
