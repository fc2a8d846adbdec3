"""Counts of one signal over a season, slot by slot: now, a season ago, and all of it together.

A season (a week) has :data:`SLOTS` slots (hours of the week). The last season is kept slot by
slot; of the seasons before only each slot's sum, the older ones halved each time, so that memory
does not grow and the same hour of earlier weeks can be compared with.
"""

from __future__ import annotations

import base64
import zlib
from array import array
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

SLOTS: Final = 168
"""Of a season: the hours of a week."""
COUNT_MAX: Final = 2**62
"""Counts stop there."""
SNAPSHOT_BYTES_MAX: Final = 4 * 1024 * 1024
"""Unpacked, of one array."""


class Memory:
    """``width`` counts a slot. Slots are numbered from 1970 on, see :meth:`advance`."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.slot = -1
        """The one that is being counted; -1 before the first."""
        self.first = -1
        """The first one ever."""
        self._last = array("q", bytes(8 * SLOTS * width))
        self._past = array("q", bytes(8 * SLOTS * width))
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
        begin = index * self.width
        for cell in range(self.width):
            count = self._last[begin + cell]
            if count:
                self.season[cell] -= count
                self._last[begin + cell] = 0
            self._past[begin + cell] = (self._past[begin + cell] >> 1) + count

    def add(self, cell: int, by: int = 1) -> None:
        """Count in the present slot; ``cell`` may count from the end."""
        cell %= self.width
        place = self.slot % SLOTS * self.width + cell
        self._last[place] = min(self._last[place] + by, COUNT_MAX)
        self.season[cell] += by

    def window(self, slots: int, back: int = 0) -> list[int]:
        """Sums of the last ``slots`` slots, the present one included, or of those ``back`` ago."""
        return self._sums(self._last, slots, back)

    def seasons_ago(self, slots: int) -> list[int]:
        """What the same slots had in the seasons before the last."""
        return self._sums(self._past, slots, 0)

    def covered(self, slots: int) -> float:
        """The share of these slots of which earlier seasons have counts."""
        begins = ((self.slot - i) % SLOTS * self.width for i in range(slots))
        return sum(any(self._past[b : b + self.width]) for b in begins) / slots

    def _sums(self, counts: array[int], slots: int, back: int) -> list[int]:
        begins = ((self.slot - i) % SLOTS * self.width for i in range(back, back + slots))
        parts = [counts[begin : begin + self.width] for begin in islice(begins, SLOTS)]
        return [sum(cell) for cell in zip(*parts, strict=True)] if parts else [0] * self.width

    def reach(self, wanted: int, most: int, cell: int) -> int:
        """The fewest latest slots with ``wanted`` counts in ``cell``; 0: ``most`` do not do."""
        found = 0
        for i in range(most):
            found += self._last[(self.slot - i) % SLOTS * self.width + cell]
            if found >= wanted:
                return i + 1
        return 0

    @property
    def age(self) -> int:
        """Slots since the first one, it included; 0 before."""
        return 0 if self.slot < 0 else self.slot - self.first + 1

    def snapshot(self) -> dict[str, Any]:
        """JSON-able, exact."""
        return {
            "width": self.width, "slot": self.slot, "first": self.first,
            "last": _packed(self._last), "past": _packed(self._past),
        }  # fmt: skip

    @classmethod
    def restored(cls, data: Mapping[str, Any]) -> Memory:
        """The inverse. Raises KeyError, TypeError, ValueError."""
        memory = cls(int(data["width"]))
        memory.slot, memory.first = int(data["slot"]), int(data["first"])
        memory._last = _unpacked(data["last"], SLOTS * memory.width)
        memory._past = _unpacked(data["past"], SLOTS * memory.width)
        memory.season = memory.window(SLOTS)
        return memory


def _packed(counts: array[int]) -> str:
    return base64.b64encode(zlib.compress(counts.tobytes(), 1)).decode()


def _unpacked(text: str, length: int) -> array[int]:
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b64decode(text, validate=True), SNAPSHOT_BYTES_MAX)
    except zlib.error as error:
        raise ValueError(f"counts are damaged: {error}") from None
    if len(data) != 8 * length:
        raise ValueError(f"expected {length} counts, got {len(data) / 8:g}")
    return array("q", data)
