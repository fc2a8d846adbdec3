"""What a simulated world predicts: both versions alike, so gates on predictions have their sample.

A run of a day has millions of requests; of each piece of time a few are sampled, and of a run some
thousand. That is as valid as the router's own sampling, and enough for a step to end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from router.core.wire.fed import FedRequest
from router.core.wire.ripe import Ripe
from router.core.wire.sampled import Facts, PredictedRow, SampleFacts
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np

    from router.core.gates.by import SegmentKeys
    from router.core.wire.outcomes import ArmCounts, Batch, Cell

RUN_MAX: Final = 4_000
"""Samples of one run."""
IN_TIME: Final = (0.01, 0.0)
"""Seconds that each answer takes to begin, and is silent for."""

FED_ROUTE: Final = "fed"
"""Who uses the simulated route's answers."""

GAP_MAX: Final = 10
"""Samples of one piece of time."""

PARTS: Final = 4
"""Values of each header and feature that gates tell segments apart by: numbers, so that they have
parts as well."""


class Predicted:
    """Samples of one run."""

    def __init__(self, draw: np.random.Generator, share: float, told: SegmentKeys) -> None:
        self._draw = draw
        self._told = told
        self._share = share
        self._left = RUN_MAX if share > 0.0 else 0

    def of(self, batch: Batch) -> tuple[SampleFacts, ...]:
        """What the sampled requests of a batch predicted."""
        if not self._left or not batch.cells:
            return ()
        made = tuple(one for cell in batch.cells for one in self._cell(cell))[: self._left]
        self._left -= len(made)
        return made

    def _cell(self, cell: Cell) -> Iterator[SampleFacts]:
        if cell.forced or not 0 < cell.weight_bp < FULL_BP:
            return
        mine, others = _answered(cell.candidate), _answered(cell.stable)
        count = min(int(self._draw.binomial(mine + others, self._share)), GAP_MAX)
        of_candidate = int(self._draw.hypergeometric(mine, others, count)) if count else 0
        for number in range(count):
            yield SampleFacts(
                0,
                0,
                cell.weight_bp,
                number < of_candidate,
                0,
                self._values(self._told.headers),
                Facts((self._row(),), waits=IN_TIME),
            )

    def fed(self, samples: Iterable[SampleFacts]) -> Iterator[FedRequest]:
        """What became of these answers in a route that uses them, and the truth about that."""
        for one in samples:
            score = one.facts.rows[0].score or 0.0
            positive = bool(self._draw.random() < score)
            about = FED_ROUTE, one.weight_bp, one.candidate, int(self._draw.integers(2**63))
            yield FedRequest(*about, bad=False, missing=0.0, facts=one.facts)
            yield FedRequest(*about, ripe=Ripe(
                one.weight_bp, one.candidate, (score >= 0.5) == positive, abs(score - positive),
                score, positive,
            ))  # fmt: skip

    def _row(self) -> PredictedRow:
        score = float(self._draw.random())
        features = self._values(self._told.features)
        return PredictedRow(str(int(score >= 0.5)), score, features=features)

    def _values(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """One value of each: requests have whatever a gate asks for."""
        return tuple(str(1 + int(self._draw.integers(PARTS))) for _ in names)


def _answered(arm: ArmCounts) -> int:
    """Requests, or users' first ones, that were answered well."""
    return len(arm.users.drawn) if arm.users is not None else arm.ok
