"""Counts of one signal over a season, slot by slot: now, a season ago, and all of it together.

A season (a week) has :data:`SLOTS` slots (hours of the week). The last season is kept slot by
slot; of the seasons before only each slot's sum, the older ones halved each time, so that memory
does not grow and the same hour of earlier weeks can be compared with.
"""

from __future__ import annotations

import base64
import zlib
from array import array
from itertools import islice
from typing import Final

from router.core.monitors.settings import SLOTS
from router.core.snapshots import Lasting

COUNT_MAX: Final = 2**62
"""Counts stop there."""
SNAPSHOT_BYTES_MAX: Final = 4 * 1024 * 1024
"""Unpacked, of one array."""


class SlotCounts:
    """``width`` counts for each slot, packed where they are kept."""

    __slots__ = ("of",)

    def __init__(self, width: int) -> None:
        self.of = array("q", bytes(8 * SLOTS * width))

    def snapshot(self) -> str:
        """JSON-able, exact."""
        return base64.b64encode(zlib.compress(self.of.tobytes(), 1)).decode()

    def restore(self, data: str) -> None:
        """The inverse. Raises TypeError, ValueError."""
        try:
            unpacker = zlib.decompressobj()
            found = unpacker.decompress(base64.b64decode(data, validate=True), SNAPSHOT_BYTES_MAX)
        except zlib.error as error:
            raise ValueError(f"counts are damaged: {error}") from None
        if len(found) != 8 * len(self.of):
            raise ValueError(f"expected {len(self.of)} counts, got {len(found) / 8:g}")
        self.of = array("q", found)


class Memory(Lasting):
    """``width`` counts a slot. Slots are numbered from 1970 on, see :meth:`advance`."""

    width: int
    slot: int
    first: int
    _last: SlotCounts
    _past: SlotCounts

    def __init__(self, width: int) -> None:
        self.width = width
        self.slot = -1
        """The one that is being counted; -1 before the first."""
        self.first = -1
        """The first one ever."""
        self._last = SlotCounts(width)
        self._past = SlotCounts(width)
        self.season = [0] * width
        """Sums of the last season."""

    def advance(self, slot: int) -> None:
        """Time has come to ``slot``; what is older than a season moves to the past."""
        if self.slot < 0:
            self.slot = self.first = slot
        for passed in range(max(self.slot + 1, slot - 2 * SLOTS), slot + 1):
            self._turn(passed % SLOTS)
        self.slot = max(slot, self.slot)

    def _turn(self, index: int) -> None:
        begin, last, past = index * self.width, self._last.of, self._past.of
        for cell in range(self.width):
            count = last[begin + cell]
            if count:
                self.season[cell] -= count
                last[begin + cell] = 0
            past[begin + cell] = (past[begin + cell] >> 1) + count

    def add(self, cell: int, by: int = 1) -> None:
        """Count in the present slot; ``cell`` may count from the end."""
        cell %= self.width
        place = self.slot % SLOTS * self.width + cell
        last = self._last.of
        last[place] = min(last[place] + by, COUNT_MAX)
        self.season[cell] += by

    def window(self, slots: int, back: int = 0) -> list[int]:
        """Sums of the last ``slots`` slots, the present one included, or of those ``back`` ago."""
        return self._sums(self._last.of, slots, back)

    def seasons_ago(self, slots: int) -> list[int]:
        """What the same slots had in the seasons before the last."""
        return self._sums(self._past.of, slots, 0)

    def covered(self, slots: int) -> float:
        """The share of these slots of which earlier seasons have counts."""
        begins = ((self.slot - i) % SLOTS * self.width for i in range(slots))
        return sum(any(self._past.of[b : b + self.width]) for b in begins) / slots

    def _sums(self, counts: array[int], slots: int, back: int) -> list[int]:
        begins = ((self.slot - i) % SLOTS * self.width for i in range(back, back + slots))
        parts = [counts[begin : begin + self.width] for begin in islice(begins, SLOTS)]
        return [sum(cell) for cell in zip(*parts, strict=True)] if parts else [0] * self.width

    def reach(self, wanted: int, most: int, cell: int) -> int:
        """The fewest latest slots with ``wanted`` counts in ``cell``; 0: ``most`` do not do."""
        found = 0
        for i in range(most):
            found += self._last.of[(self.slot - i) % SLOTS * self.width + cell]
            if found >= wanted:
                return i + 1
        return 0

    @property
    def age(self) -> int:
        """Slots since the first one, it included; 0 before."""
        return 0 if self.slot < 0 else self.slot - self.first + 1

    def _restored(self) -> None:
        if len(self._last.of) != SLOTS * self.width:
            raise ValueError(f"expected {len(self._last.of) // SLOTS} cells, got {self.width}")
        self.season = self.window(SLOTS)
