"""Slices are told whole, again and again; counters want what is new in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from router.core.evidence.slices import Key
from router.core.snapshots import Lasting

if TYPE_CHECKING:
    from router.core.wire.outcomes import Cell


class Addition(NamedTuple):
    """What a cell adds to what was known of its slice."""

    candidate_drawn: int = 0
    candidate_bad: int = 0
    candidate_answers: int = 0
    candidate_left: int = 0
    stable_drawn: int = 0
    stable_bad: int = 0
    stable_answers: int = 0
    stable_left: int = 0

    @property
    def open(self) -> int:
        """Of a whole cell: requests under way."""
        return (
            self.candidate_drawn - self.candidate_answers - self.candidate_left
            + self.stable_drawn - self.stable_answers - self.stable_left
        )  # fmt: skip


def key_of(cell: Cell) -> Key | None:
    """Which slice a cell is; None for an increment."""
    return (cell.source, cell.slice) if cell.slice else None


def whole(cell: Cell) -> Addition:
    """Everything in a cell."""
    c, s = cell.candidate, cell.stable
    return Addition(c.arrived, c.bad, c.answers, c.left, s.arrived, s.bad, s.answers, s.left)


class Ledger(Lasting):
    """What is known of every slice with something open."""

    __slots__ = ("_known", "_newest")

    _known: dict[Key, Addition]
    _newest: dict[int, int]

    def __init__(self) -> None:
        """Nothing is known."""
        self._known: dict[Key, Addition] = {}
        self._newest: dict[int, int] = {}

    def book(self, cell: Cell) -> Addition:
        """What is new in ``cell``; nothing in one that had ended before."""
        key, now = key_of(cell), whole(cell)
        if key is None:
            return now
        before = self._known.get(key)
        if before is None:
            if key[1] <= self._newest.get(key[0], 0):
                return Addition()
            self._newest[key[0]] = key[1]
            before = Addition()
        if now.open:
            self._known[key] = now
        else:
            self._known.pop(key, None)
        return Addition(*(n - b for n, b in zip(now, before, strict=True)))

    def abandon(self, source: int | None) -> None:
        """A worker is gone (None: all of them): what it had open will never be told."""
        for key in [k for k in self._known if source is None or k[0] == source]:
            del self._known[key]
        if source is None:
            self._newest.clear()
