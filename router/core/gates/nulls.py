"""Gate ``nulls``: are predictions of the candidate null, NaN, infinite, unknown, out of range?

Such a row is a fault, whatever the model is. Two evidences are averaged: the candidate has more
faulty rows than stable, and it has more than `at_most`, whatever stable has. The first finds one in
a hundred after a thousand requests where the coin is even, since each fault says only which arm it
came from; the second finds it twice as fast, but a shared cause (a table of features that is gone)
would convict the innocent. So, as in the gate guard, it counts only where the candidate has more
than stable at :data:`WITNESS` : 1, and nothing where stable breaks the limit as well.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import Field

from router.core.evidence import GuardEvidence
from router.core.evidence.shares import ShareEvidence
from router.core.gates.gate import GateContext, mean
from router.core.gates.needs import Need
from router.core.gates.output import OutputGate, OutputPool, OutputState
from router.core.gates.sample import Detect, Sample
from router.core.gates.sample import absolute as absolute_sample
from router.core.gates.verdict import Counts, compared
from router.core.quantities import BasisPoints
from router.core.wire.outcomes import FULL_BP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.core.wire.paired import PairRows
    from router.core.wire.sampled import PredictedRow

WITNESS: Final = 30.0
"""Relative evidence without which a broken limit convicts nobody; see the gate guard."""

BROKEN: Final = 3.0
"""Evidence that stable breaks the limit itself, from which on the limit says nothing."""

WORDS: Final = {
    "unreadable": "not of the payload", "missing": "without a prediction", "null": "null",
    "nan": "NaN", "infinite": "infinite", "text": "no number", "unknown": "of an unknown label",
    "range": "out of range",
}  # fmt: skip
"""Faults for people."""


class Faults(OutputPool):
    """Faulty rows of one segment."""

    def __init__(self, limit: float, size: int) -> None:
        super().__init__()
        self.relative = ShareEvidence(limit, size=size)
        self.witness = ShareEvidence(limit, size=size, sizes=(0.95,))
        self.absolute = GuardEvidence(limit, size=size)
        self.stables = GuardEvidence(limit, size=size)
        self.rows = [Counter[str](), Counter[str]()]
        """By fault (empty: none), candidate's and stable's."""

    @property
    def capital(self) -> float:
        """The average of both evidences."""
        present = self.absolute.capital
        if self.stables.capital >= BROKEN or self.witness.capital < WITNESS:
            present = min(present, 1.0)
        return mean((self.relative.capital, present))

    @property
    def candidate(self) -> Counts:
        """Its faulty rows."""
        return _counts(self.rows[0])

    @property
    def stable(self) -> Counts:
        """Stable's."""
        return _counts(self.rows[1])

    def take(self, weight_bp: int, candidate: bool, rows: Sequence[PredictedRow]) -> None:
        """One request."""
        faults = [row.fault for row in rows]
        self.rows[not candidate].update(faults)
        self._bet(weight_bp, candidate, sum(map(bool, faults)) / len(faults))

    def unreadable(self, weight_bp: int, candidate: bool) -> None:
        """An answer that is no prediction is a faulty one."""
        self.rows[not candidate]["unreadable"] += 1
        self._bet(weight_bp, candidate, 1.0)

    def doubt(self, weight_bp: int, candidate: bool) -> None:
        """The candidate's had no fault, stable's was one."""
        self._bet(weight_bp, candidate, 0.0 if candidate else 1.0)

    def _bet(self, weight_bp: int, candidate: bool, share: float) -> None:
        for evidence in (self.relative, self.witness):
            evidence.bet(weight_bp, candidate=candidate, share=share, mean=0.0)
        (self.absolute if candidate else self.stables).observe_share(share)

    def pair(self, one: PairRows) -> None:
        """A request that both answered: each fault against what the other said to the same."""
        shares = []
        for arm, rows in enumerate(([r.candidate for r in one.rows], [r.stable for r in one.rows])):
            faults = [row.fault for row in rows]
            self.heard = self.heard or any(fault != "missing" for fault in faults)
            self.rows[arm].update(faults)
            shares.append(sum(map(bool, faults)) / len(faults))
            self.requests[arm] += 1
        for evidence in (self.relative, self.witness):
            evidence.pair(*shares)
        self.absolute.observe_share(shares[0])
        self.stables.observe_share(shares[1])

    def _most(self) -> str:
        faults = [(number, fault) for fault, number in self.rows[0].items() if fault]
        return WORDS.get(max(faults)[1], "") if faults else ""

    def seen(self) -> str:
        """Faulty rows of both."""
        mostly = f"; mostly {self._most()}" if self._most() else ""
        return compared(self.candidate, self.stable, "faulty rows") + mostly

    def plain(self) -> str:
        """Which fault, how often."""
        mine, stables = self.candidate, self.stable
        return (
            f"{mine.bad:,} of its {mine.total:,} predictions were faulty, most of them "
            f"{self._most() or 'none'}; {{stable}}: {stables.bad:,} of {stables.total:,}"
        )

    def snapshot(self) -> list[Any]:
        """All evidences."""
        evidences = self.relative, self.witness, self.absolute, self.stables
        return [*(one.snapshot() for one in evidences), *map(dict, self.rows)]

    def restore(self, data: list[Any]) -> None:
        """Take over a snapshot."""
        relative, witness, absolute, stables, mine, others = data
        self.relative.restore(relative)
        self.witness.restore(witness)
        self.absolute.restore(absolute)
        self.stables.restore(stables)
        self.rows = [Counter({str(k): int(v) for k, v in one.items()}) for one in (mine, others)]


def _counts(rows: Counter[str]) -> Counts:
    total = rows.total()
    return Counts(total - rows[""], total)


class NullsState(OutputState):
    """Asked for a sample that breaks its own limit."""

    def sample(self, detect: Detect, weight_bp: int) -> Sample:
        """Sampled requests that show a candidate which has too many faults by `detect`."""
        if not 0 < weight_bp < FULL_BP:
            return Sample(0, 0)
        limit, least = self.context.limit, self.context.min_bad
        wanted = absolute_sample(self.margin, detect, limit=limit, min_bad=least)
        return Sample(self.whole.requests[0], wanted)


class Nulls(OutputGate):
    """Rows of live answers that are null, NaN, infinite, of an unknown label or out of range."""

    kind: ClassVar[str] = "nulls"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.BOTH, Need.PREDICTIONS})

    at_most: Annotated[BasisPoints, Field(gt=0, le=5_000)] = 10
    """Share of rows that may be faulty beyond stable's; and where stable has hardly any, at all."""

    def start(self, context: GateContext) -> NullsState:
        """Evidence 1 : 1."""
        limit, size = self.at_most / FULL_BP, context.baseline.together
        tolerated = f"stable + {limit * 100:g} pp"
        return NullsState(
            self, context, lambda: Faults(limit, size), tolerated=tolerated, margin=limit
        )
