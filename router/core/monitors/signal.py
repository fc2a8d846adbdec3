"""One signal (a feature, a label, a score) against its reference, as time goes on.

It learns its reference from the past, unless it is given one; then it counts, and says at each
look how far the last window lies from the reference, from the same slots of earlier seasons, and
how far the last season as a whole does. What differs from the reference as it did a season ago,
while the season as a whole does not differ, is a cycle and no change.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from router.core.monitors.checks import Counted, Deviation, checked, reference_of
from router.core.monitors.distances import shares, slope
from router.core.monitors.memory import Memory
from router.core.monitors.profile import (
    EXTRA,
    KNOWN_MAX,
    MISSING,
    MISTYPED,
    SAMPLE_MAX,
    Profile,
    SignalKind,
    kind_of,
    profiled,
)
from router.core.monitors.settings import SLOTS, Tolerances
from router.core.monitors.values import name_of, number_of, type_of
from router.core.snapshots import Lasting

FIRST_VALUES: Final = 500
"""From these the cells are cut, where the reference is the past."""
WINDOW_SAMPLE: Final = 150
"""About so many values of a window are held against the reference by KS: 64 features take some
20 ms of the decider's process in a look."""
SLOT_SAMPLE: Final = 24
"""Values of a slot that are kept for KS."""
COVERED: Final = 0.8
"""Share of a window's slots that an earlier season must have had."""
ALIKE: Final = 0.5
"""Where a cycle explains a change, the same slots of earlier seasons are off by no more than this
share of it ..."""
LIKEWISE: Final = 0.2
"""... and were off from the reference by at least this share of it: a slow change is near to what
was a season ago as well."""
BEFORE: Final = 2
"""Windows before a change that tell whether it came slowly."""
HISTORY_MAX: Final = 60
"""Windows whose distance is remembered, for the speed of change."""
TREND: Final = 14
"""Of these the speed is computed."""
EXPLAINED: Final = 0.6
"""Share of the distances' variance that a straight line must explain to be told."""


CourseRow = tuple[float | None, ...]
"""One look in the order of :data:`COURSE`."""
COURSE: Final = ("at", "psi", "jensen_shannon", "ks", "nulls", "type", "outside")
"""Wall seconds of a look and what it found."""


@dataclass(frozen=True, slots=True)
class SignalLook:
    """One look at a signal."""

    deviations: Mapping[str, Deviation]
    """From the reference, by check."""
    cyclic: frozenset[str]
    """Checks whose deviation is what the season brings."""
    earlier: float | None
    """How far those before this window had come on the way to it, 0 to 1; None: not known."""

    def row(self, now: float) -> CourseRow:
        """What is remembered of it, for people."""
        sizes = [self.deviations[check].size for check in ("nulls", "type", "outside")]
        whole = self.deviations["distribution"]
        apart = whole.beside.get("jensen_shannon", 0.0), whole.beside.get("ks")
        return now, whole.size, *apart, *sizes


class Signal(Lasting, later="course arms"):
    """See the module. A given ``profile`` is the reference; otherwise it is learnt."""

    name: str
    kind: SignalKind | None
    learnt: bool
    since: int
    """The first slot that is no part of the reference; -1: all are."""
    profile: Profile | None
    memory: Memory
    history: deque[float]
    """Square roots of PSI, one a window: a steady change makes them grow steadily."""
    _first: list[tuple[int, object]]
    """Values and their slots, until cells are cut."""
    _known: set[str]
    _sample: list[float]
    _seen: int
    _recent: deque[tuple[int, list[float]]]
    _in_slot: int
    course: deque[CourseRow]
    """The looks of the last season."""
    arms: dict[str, list[int]]
    """What each arm had in the cells since the attempt began, by role; for people."""

    def __init__(
        self, name: str, kind: SignalKind | None = None, profile: Profile | None = None
    ) -> None:
        """``kind`` None: the first values tell."""
        self.name = name
        self.kind = kind
        self.profile = profile
        self.learnt = profile is not None
        self.since = -1
        self.memory = _memory(profile)
        self.history = deque(maxlen=HISTORY_MAX)
        self.course = deque(maxlen=SLOTS)
        self.arms, self._first, self._known, self._sample = {}, [], set(), []
        self._seen = self._in_slot = 0
        self._recent = deque()

    def __repr__(self) -> str:
        state = "learnt" if self.learnt else "learning"
        return f"<Signal {self.name}: {self.kind}, {state}, {self.memory.age} slots>"

    # --- counting -------------------------------------------------------------------------------

    def advance(self, slot: int, window: int) -> None:
        """Time has come to ``slot``."""
        if slot != self.memory.slot:
            self._in_slot = 0
            while self._recent and self._recent[0][0] <= slot - window:
                self._recent.popleft()
        self.memory.advance(slot)

    def add(self, value: object, arm: str = "") -> None:
        """One row's value; None where it has none. ``arm``: whose request it was."""
        if self.profile is None:
            self._first.append((self.memory.slot, _plain(value)))
            if len(self._first) >= FIRST_VALUES:
                self._cut()
            return
        cell, outside = self._count(value, self.profile)
        if arm and self.learnt:
            self._of_arm(arm, cell, outside, self.profile)

    def beside(self, value: object, arm: str) -> None:
        """A value as that arm had it, which is no part of what is watched."""
        if self.profile is not None and self.learnt:
            self._of_arm(arm, *self.profile.place(value), self.profile)

    def _of_arm(self, arm: str, cell: int, outside: bool, profile: Profile) -> None:
        counts = self.arms.setdefault(arm, [0] * len(profile.counts))
        counts[cell] += 1
        counts[-1] += outside

    def _cut(self) -> None:
        """The first values are there: cells are cut, and they are counted in them."""
        values = [value for _, value in self._first]
        self.kind = self.kind or kind_of(values)
        self.profile = profiled(self.kind, values)
        self.memory = Memory(len(self.profile.counts))
        first, self._first = self._first, []
        for slot, value in first:
            self.memory.advance(slot)
            self._count(value, self.profile)

    def _count(self, value: object, profile: Profile) -> tuple[int, bool]:
        """Its cell, and whether it is outside of what the reference had."""
        cell, outside = profile.place(value)
        self.memory.add(cell)
        if outside:
            self.memory.add(-1)
        if cell >= 0:
            self._learn(value)
        return cell, outside

    def _learn(self, value: object) -> None:
        if self.kind == "numeric":
            number = number_of(value) or 0.0
            self._keep(number)
            if not self.learnt:
                self._learn_number(number)
        elif not self.learnt and len(self._known) <= KNOWN_MAX:
            self._known.add(name_of(value))

    def _keep(self, number: float) -> None:
        """A fair sample of each slot, the same for the same values."""
        if not self._recent or self._recent[-1][0] != self.memory.slot:
            self._recent.append((self.memory.slot, []))
        _drawn(self._recent[-1][1], number, self._in_slot, SLOT_SAMPLE)
        self._in_slot += 1

    def _learn_number(self, number: float) -> None:
        _drawn(self._sample, number, self._seen, SAMPLE_MAX)
        self._seen += 1
        if self.profile is not None and not self.profile.low <= number <= self.profile.high:
            low, high = min(self.profile.low, number), max(self.profile.high, number)
            self.profile = replace(self.profile, low=low, high=high)

    def settle(self, weight: float) -> bool:
        """The time of learning is over: what was counted is the reference. False: too little."""
        if self.profile is None and self._first:
            self._cut()
        if self.profile is None:
            return False
        known = self.profile.known | self._known
        counts = [float(n) for n in self.memory.season]
        counts[-1] = 0.0
        self.profile = replace(
            self.profile, counts=tuple(counts), weight=weight,
            sample=tuple(sorted(self._sample)) if self.kind == "numeric" else (),
            known=known if len(known) <= KNOWN_MAX else frozenset(),
        )  # fmt: skip
        self.learnt, self._known, self._sample = True, set(), []
        self.since = self.memory.slot
        return True

    @property
    def never(self) -> bool:
        """Whether nothing that it learnt from had a value."""
        counts = self.profile.counts if self.profile is not None and self.learnt else ()
        nothing = bool(counts) and not any(counts[:MISSING]) and not counts[MISTYPED]
        return nothing and counts[MISSING] > 0

    # --- looking --------------------------------------------------------------------------------

    def look(self, terms: Tolerances, slots: int, weight: float) -> SignalLook | None:
        """How far the last ``slots`` are off; None: it has no reference, or no rows."""
        profile = self.profile
        if profile is None or not self.learnt:
            return None
        if self.since >= 0 and self.memory.slot - slots < self.since:
            return None  # what the reference was learnt from is like it
        counts = self.memory.window(slots)
        current = Counted(counts, weight, self._window_sample(slots))
        if not current.rows:
            return None
        found = checked(profile, reference_of(profile), current, terms)
        cyclic = self._cyclic(profile, current, found, terms, slots)
        large = any(one.large for one in found.values())
        return SignalLook(found, cyclic, self._earlier(profile, counts, slots) if large else None)

    def _window_sample(self, slots: int) -> list[float]:
        since = self.memory.slot - slots
        kept = [v for slot, values in self._recent if slot > since for v in values]
        return sorted(kept[:: len(kept) // WINDOW_SAMPLE + 1])

    def _cyclic(
        self, profile: Profile, current: Counted, found: Mapping[str, Deviation], terms: Tolerances,
        slots: int,
    ) -> frozenset[str]:  # fmt: skip
        """Checks that are as far off as the same slots were in earlier seasons."""
        large = [name for name, one in found.items() if one.large]
        if not large or self.memory.age < SLOTS:
            return frozenset()
        past = Counted(self.memory.seasons_ago(slots), current.weight)
        if past.rows * past.weight < terms.rows or self.memory.covered(slots) < COVERED:
            return frozenset()
        reference = replace_sample(reference_of(profile))
        ago = checked(profile, past, replace_sample(current), terms)
        then = checked(profile, reference, past, terms)
        whole = Counted([float(n) for n in self.memory.season], current.weight)
        season = checked(profile, reference, whole, terms)
        return frozenset(
            n for n in large
            if ago[n].size <= ALIKE * found[n].size and not season[n].large
            and then[n].size >= LIKEWISE * found[n].size
        )  # fmt: skip

    def _earlier(self, profile: Profile, counts: list[int], slots: int) -> float | None:
        """The windows before, on the line from the reference to this one."""
        before = self.memory.window(BEFORE * slots, slots)
        if not any(before[:-1]) or self.memory.age <= slots:
            return None
        start, here, there = shares(profile.counts), shares(before), shares(counts)
        way = [b - a for a, b in zip(start, there, strict=True)]
        length = math.fsum(w * w for w in way)
        if not length:
            return None
        gone = math.fsum(w * (b - a) for w, a, b in zip(way, start, here, strict=True))
        return gone / length

    def remember(self, seen: SignalLook) -> None:
        """A window has passed: keep how far it was off."""
        self.history.append(math.sqrt(seen.deviations["distribution"].size))

    def deviation_of(self, arm: str, terms: Tolerances) -> Mapping[str, Deviation]:
        """How far what that arm had lies from the reference; empty where it had nothing."""
        counts = self.arms.get(arm)
        if self.profile is None or counts is None:
            return {}
        return checked(self.profile, reference_of(self.profile), Counted(counts), terms)

    def windows_until(self, limit: float) -> float | None:
        """Windows until PSI is ``limit`` at the present speed; None where it does not grow."""
        growth, explained = slope(list(self.history)[-TREND:])
        if len(self.history) < 5 or growth <= 0 or explained < EXPLAINED:
            return None
        return max((math.sqrt(limit) - self.history[-1]) / growth, 0.0)

    # --- state ----------------------------------------------------------------------------------

    def _make_parts(self, name: str, data: Any) -> None:
        if name == "memory":
            self.memory = _memory(self.profile)
            if data["width"] != self.memory.width:
                raise ValueError(f"expected {self.memory.width} cells, got {data['width']}")

    def _restored(self) -> None:
        width = self.memory.width
        self.arms = {arm: counts for arm, counts in self.arms.items() if len(counts) == width}
        for row in self.course:
            if len(row) != len(COURSE):
                raise ValueError(f"expected {len(COURSE)} numbers of a look, got {len(row)}")


def replace_sample(side: Counted) -> Counted:
    """The same counts without the values."""
    return replace(side, sample=())


def _memory(profile: Profile | None) -> Memory:
    return Memory(len(profile.counts) if profile else 1 + EXTRA)


def _plain(value: object) -> object:
    """As JSON has it; what is no value stays none."""
    kind = type_of(value)
    return None if kind == "missing" else [] if kind == "other" else value


def _drawn(kept: list[float], value: float, index: int, most: int) -> None:
    """Reservoir sampling (Vitter 1985) with a hash of the index for a coin."""
    if len(kept) < most:
        kept.append(value)
        return
    place = ((index + 1) * 0x9E3779B97F4A7C15 >> 17 & 0xFFFFFFFF) % (index + 1)
    if place < most:
        kept[place] = value
