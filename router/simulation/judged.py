"""What a judge says in a simulated world: neither version is better, so its gate has its sample.

A coin decides each pair that differs, as a judge would whose taste has nothing to do with the
versions: the ordinary noise of verdicts. Of a run some thousand pairs are judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from router.core.gates.judge import JudgeGate
from router.core.wire.judged import JudgedPair

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from router.core.gates import Gate
    from router.core.wire.outcomes import Batch

RUN_MAX: Final = 4_000
"""Verdicts of one run."""


class Judging:
    """Verdicts of one run."""

    def __init__(self, draw: np.random.Generator, gates: Sequence[Gate]) -> None:
        self._draw = draw
        self._gates = [gate for gate in gates if isinstance(gate, JudgeGate)]
        self._left = RUN_MAX

    def of(self, batch: Batch) -> tuple[JudgedPair, ...]:
        """What is said of the pairs of a batch."""
        if not self._gates or batch.pairs is None or not self._left:
            return ()
        made = tuple(self._said(batch.pairs.agreed, batch.pairs.disagreed))[: self._left]
        self._left -= len(made)
        return made

    def _said(self, agreed: int, disagreed: int) -> Iterator[JudgedPair]:
        for gate in self._gates:
            for _ in range(int(self._draw.binomial(agreed, gate.read_share))):
                yield JudgedPair(gate.title, 0.0, asked=False)
            for _ in range(int(self._draw.binomial(disagreed, gate.read_share))):
                worse, first = self._draw.integers(2, size=2).tolist()
                yield JudgedPair(gate.title, 2.0 * worse - 1.0, 2 * first - 1)
