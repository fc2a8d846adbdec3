"""What single clients have brought into a comparison, to ask it without one of them.

For each client that has failed, a log factor a bettor: what its failures added, never
less than nothing. Taken away from the capital it leaves at most what the others brought
by themselves: a failure of the candidate is taken out whole, one of stable as far as it was
set off against earlier ones. So `capital without c` is below a capital in which c's failures never
bet, and of that the theorem holds whatever c knows and sends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.core.evidence.slices import Key, Slice
from router.core.snapshots import Lasting

if TYPE_CHECKING:
    from collections.abc import Sequence


CLIENTS_MAX = 256
"""Clients whose part is known, an evidence; of more, the one that brought least is forgotten."""

Failing = tuple[tuple[int, ...], tuple[int, ...]]
"""Whose requests have failed so far in a slice: with the candidate, with stable."""

NOBODY: Failing = (), ()


class Brought(Lasting, listed="_parts _told"):
    """See the module."""

    __slots__ = ("_parts", "_told")

    _parts: dict[int, list[float]]
    _told: dict[Key, tuple[int, int]]

    def __init__(self) -> None:
        """Nobody has failed."""
        self._parts: dict[int, list[float]] = {}
        self._told: dict[Key, tuple[int, int]] = {}

    def __bool__(self) -> bool:
        """Whether anybody has."""
        return bool(self._parts)

    def book(self, key: Key | None, s: Slice, failing: Failing,
             logs: tuple[Sequence[float], Sequence[float]]) -> None:  # fmt: skip
        """Who has failed in a slice by now; ``logs``: what one failure adds, candidate's, stable's.

        Slices are told whole: what is behind the failures that are known is new.
        """
        seen = self._told.get(key, (0, 0)) if key is not None else (0, 0)
        for names, known, added in zip(failing, seen, logs, strict=True):
            for who in names[known:]:
                self._add(who, added)
        if key is not None and s.open:
            self._told[key] = len(failing[0]), len(failing[1])
        elif key is not None:
            self._told.pop(key, None)

    def _add(self, who: int, added: Sequence[float]) -> None:
        part = self._parts.get(who)
        if part is None:
            if len(self._parts) >= CLIENTS_MAX:
                del self._parts[min(self._parts, key=lambda one: max(self._parts[one]))]
            part = [0.0] * len(added)
        self._parts[who] = [max(p + a, 0.0) for p, a in zip(part, added, strict=True)]

    def of(self, who: int) -> list[float] | None:
        """A client's part; None: it has none."""
        return self._parts.get(who)
