"""A number for each process that tells of requests, so that what they tell adds up.

Evidence knows a slice of draws by its source and its number there, and takes what is said of a
slice in place of what was said of it before (:mod:`router.core.evidence.ledger`). On one machine
the worker's own number is its source: who takes a dead worker's place numbers its slices on from
there. Workers of other machines have the same numbers 0, 1, 2, and clocks of their own; each of
their processes gets a source that no other ever has, and what a process says after its successor
began is not counted, since nobody could tell it from what the successor says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from router.core.wire.outcomes import Batch
from router.core.wire.reporter import WorkerId
from router.core.wire.sampled import Sampled

ELSEWHERE_FROM: Final = 1_000
"""Sources of other machines' workers begin here; one machine has fewer."""

PLACES_MAX: Final = 10_000
"""Places of workers elsewhere that are known; beyond it, who spoke longest ago is given up."""


class Reporters:
    """See the module. ``here``: the replica whose workers keep their own numbers.

    ``ended`` is told the source of a process that another one has followed.
    """

    def __init__(self, here: str, ended: Callable[[int], None]) -> None:
        self._here = here
        self._ended = ended
        self._newest: dict[tuple[str, int], tuple[int, int]] = {}
        """By replica and number: the latest boot, and its source; who spoke last is last."""
        self._next = ELSEWHERE_FROM

    def __repr__(self) -> str:
        return f"<Reporters {len(self._newest)} known>"

    def source(self, who: WorkerId) -> int | None:
        """Its number among all; None for a process that another one has followed."""
        place = who.replica, who.number
        boot, source = self._newest.get(place, (-1, who.number))
        if who.boot < boot:
            return None
        if who.boot > boot and who.replica != self._here:
            if place in self._newest:
                self._ended(source)
            source, self._next = self._next, self._next + 1
        if who.replica != self._here:
            self._newest.pop(place, None)
        self._newest[place] = who.boot, source
        if len(self._newest) > PLACES_MAX:
            self._give_up_oldest()
        return source

    def _give_up_oldest(self) -> None:
        """Nobody there has spoken for long: a router whose name was its alone has gone."""
        place = next(one for one in self._newest if one[0] != self._here)
        self._ended(self._newest.pop(place)[1])


def batches_of(source: int, batches: tuple[Batch, ...]) -> tuple[Batch, ...]:
    """The same counts, as drawn by this source."""
    return tuple(
        replace(batch, cells=tuple(replace(cell, source=source) for cell in batch.cells))
        if any(cell.source != source for cell in batch.cells) else batch
        for batch in batches
    )  # fmt: skip


def samples_of(source: int, samples: tuple[Sampled, ...]) -> tuple[Sampled, ...]:
    """The same requests, as drawn by this source."""
    return tuple(
        one if one.source == source else replace(one, source=source) for one in samples
    )  # fmt: skip
