"""Gate ``nulls``: are predictions of the candidate null, NaN, infinite, unknown, out of range?

Such a row is a fault, whatever the model is, but not whosoever it is: a table of features that is
gone breaks both versions, and the coin alone knows whose answer met it. So what is asked is whether
the candidate has more than stable and `at_most` beside it. Where stable never has one, a fault says
which arm it came from and no more: at a share ``w`` it multiplies the odds by at most ``1 / w``,
and under a cause that both share k faults in a row are the candidate's with chance ``w ** k``. No
rule that spares it does with fewer than ``log(1 / alpha) / log(1 / w)`` of them: 7 at one half.
Half of the capital bets like that, the other half as for any two shares.

An operator for whom so many faults are too many, whoever causes them, says so: with `limit` half of
the capital asks about the candidate's share alone, and finds it with a third of the faults.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from pydantic import Field

from router.core.evidence import GuardEvidence
from router.core.evidence.shares import ShareEvidence
from router.core.gates.gate import GateContext, mean
from router.core.gates.needs import Need
from router.core.gates.output import OutputGate, OutputPool, OutputState
from router.core.gates.sample import Detect, Sample, walk
from router.core.gates.verdict import Counts, compared
from router.core.quantities import BasisPoints
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.core.wire.paired import PairRows
    from router.core.wire.sampled import PredictedRow

SURE: Final = 0.95
"""The bet, as a share of the largest, for faults that stable never has."""

WORDS: Final = {
    "unreadable": "not of the payload", "missing": "without a prediction", "null": "null",
    "nan": "NaN", "infinite": "infinite", "text": "no number", "unknown": "of an unknown label",
    "range": "out of range",
}  # fmt: skip
"""Faults for people."""


class Faults(OutputPool, listed="requests relative sure absolute *rows"):
    """Faulty rows of one segment."""

    relative: ShareEvidence
    sure: ShareEvidence
    absolute: GuardEvidence | None
    rows: list[Counter[str]]

    def __init__(self, at_most: float, limit: float | None, size: int) -> None:
        super().__init__()
        self.relative = ShareEvidence(at_most, size=size)
        self.sure = ShareEvidence(at_most, size=size, sizes=(SURE,), reserve=False)
        self.absolute = GuardEvidence(limit, size=size) if limit is not None else None
        self.rows = [Counter[str](), Counter[str]()]
        """By fault (empty: none), candidate's and stable's."""

    @property
    def capital(self) -> float:
        """The average of all."""
        relative = mean((self.relative.capital, self.sure.capital))
        return relative if self.absolute is None else mean((relative, self.absolute.capital))

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
        for evidence in (self.relative, self.sure):
            evidence.bet(weight_bp, candidate=candidate, share=share, mean=0.0)
        if candidate and self.absolute is not None:
            self.absolute.observe_share(share)

    def pair(self, one: PairRows) -> None:
        """A request that both answered: each fault against what the other said to the same."""
        shares = []
        for arm, rows in enumerate(([r.candidate for r in one.rows], [r.stable for r in one.rows])):
            faults = [row.fault for row in rows]
            self.heard = self.heard or any(fault != "missing" for fault in faults)
            self.rows[arm].update(faults)
            shares.append(sum(map(bool, faults)) / len(faults))
            self.requests[arm] += 1
        for evidence in (self.relative, self.sure):
            evidence.pair(*shares)
        if self.absolute is not None:
            self.absolute.observe_share(shares[0])

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


def _counts(rows: Counter[str]) -> Counts:
    total = rows.total()
    return Counts(total - rows[""], total)


class NullsState(OutputState):
    """Asked for a sample that shows faults of `detect`, of which stable has none."""

    def sample(self, detect: Detect, weight_bp: int) -> Sample:
        """Sampled requests that show a candidate which has too many faults by `detect`."""
        if not 0 < weight_bp < FULL_BP:
            return Sample(0, 0)
        w, faulty = weight_bp / FULL_BP, max(detect.points, 2.0 * self.margin) - self.margin
        told = math.log1p(SURE * (1.0 - w) / w)
        draws = walk(
            w * faulty * told, w * faulty * told * told, math.log(2.0 * self.context.limit)
        )
        return Sample(self.whole.requests[0], math.ceil(draws * w))


class Nulls(OutputGate):
    """Rows of live answers that are null, NaN, infinite, of an unknown label or out of range."""

    kind: ClassVar[str] = "nulls"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.BOTH, Need.PREDICTIONS})

    at_most: Annotated[BasisPoints, Field(gt=0, le=5_000)] = 10
    """Share of rows that may be faulty beyond stable's."""
    limit: Annotated[BasisPoints, Field(gt=0, le=5_000)] | None = None
    """Share of rows that may be faulty whatever stable has, even where both have one cause; absent:
    stable is the measure."""

    def start(self, context: GateContext) -> NullsState:
        """Evidence 1 : 1."""
        at_most, size = self.at_most / FULL_BP, context.baseline.together
        limit = self.limit / FULL_BP if self.limit is not None else None
        tolerated = f"stable + {at_most * 100:g} pp"
        if limit is not None:
            tolerated += f", in all {limit * 100:g} %"
        return NullsState(
            self, context, lambda: Faults(at_most, limit, size), tolerated=tolerated, margin=at_most
        )
