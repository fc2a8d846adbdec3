"""Receipts that labels have used: each counts once, also after a restart.

A mark becomes durable in the same transaction as the evidence that its label made, or not at all
with it: after a crash a label is either counted and remembered, or may come again.
"""

from __future__ import annotations

from collections.abc import Iterable

from router.control.state.store import RECEIPTS_MAX


class Receipts:
    """See the module. Marks are :func:`router.core.wire.receipt.mark_of`."""

    def __init__(self) -> None:
        self._seen: dict[int, None] = {}
        self._unsaved: dict[int, None] = {}

    def __repr__(self) -> str:
        return f"<Receipts {len(self._seen)} seen, {len(self._unsaved)} unsaved>"

    def restore(self, marks: Iterable[int]) -> None:
        """Those that a store remembers, the oldest first."""
        self._seen = dict.fromkeys(marks)

    def use(self, mark: int) -> bool:
        """Whether it is the first time."""
        if mark in self._seen:
            return False
        for known in (self._seen, self._unsaved):
            known[mark] = None
            if len(known) > RECEIPTS_MAX:
                del known[next(iter(known))]
        return True

    @property
    def unsaved(self) -> tuple[int, ...]:
        """What no store has yet."""
        return tuple(self._unsaved)

    def saved(self, marks: Iterable[int]) -> None:
        """A store has them."""
        for mark in marks:
            self._unsaved.pop(mark, None)
