"""Gate ``classes``: does the candidate say other labels than stable, to requests like stable's?

Both answer at the same time, and a coin decides who answers what, so a change of the traffic moves
both alike. All labels are asked about at once (:mod:`router.core.evidence.shift`): the margin is
the share of predictions that may be others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from pydantic import Field

from router.core.evidence.shift import ShiftEvidence
from router.core.gates.gate import GateContext
from router.core.gates.needs import Need
from router.core.gates.output import OutputGate, OutputPool, OutputState
from router.core.gates.verdict import Counts, compared
from router.core.quantities import BasisPoints
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.core.wire.sampled import PredictedRow

CLASSES_MAX: Final = 50
"""Labels that are told apart; further ones are one."""

OTHERS: Final = "(other)"


class LabelShares(OutputPool, listed="requests shift names rows totals"):
    """Labels of one segment."""

    declared: ClassVar[str] = "label"

    shift: ShiftEvidence
    names: list[str]
    rows: list[list[int]]
    totals: list[int]

    def __init__(self, margin: float) -> None:
        super().__init__()
        self.heard = False
        self.shift = ShiftEvidence(margin)
        self.names: list[str] = []
        self.rows: list[list[int]] = []
        """A label: rows of the candidate and of stable that say it."""
        self.totals = [0, 0]

    @property
    def capital(self) -> float:
        """The evidence against the candidate."""
        return self.shift.capital

    def _counts(self, arm: int) -> Counts:
        place = self.shift.furthest
        return Counts(self.rows[place][arm] if place >= 0 else 0, self.totals[arm])

    @property
    def candidate(self) -> Counts:
        """Its rows of the label that it says most too often."""
        return self._counts(0)

    @property
    def stable(self) -> Counts:
        """Stable's."""
        return self._counts(1)

    def _place(self, label: str) -> int:
        if label in self.names:
            return self.names.index(label)
        if len(self.names) >= CLASSES_MAX:
            return self._place(OTHERS) if OTHERS in self.names else self._new(OTHERS)
        return self._new(label)

    def _new(self, label: str) -> int:
        self.names.append(label)
        self.rows.append([0, 0])
        return len(self.names) - 1

    def take(self, weight_bp: int, candidate: bool, rows: Sequence[PredictedRow]) -> None:
        """One request."""
        self.heard = self.heard or any(row.fault != "missing" for row in rows)
        places = [self._place(row.label or "") for row in rows]
        shares = [0.0] * len(self.names)
        arm = 0 if candidate else 1
        for place in places:
            shares[place] += 1.0 / len(places)
            self.rows[place][arm] += 1
        self.totals[arm] += len(places)
        self.shift.observe(weight_bp, candidate, shares)

    def doubt(self, weight_bp: int, candidate: bool) -> None:
        """As little against the candidate as it could be."""
        self.shift.doubt(weight_bp, candidate)

    def _furthest(self) -> str:
        place = self.shift.furthest
        return self.names[place] if place >= 0 else "(none)"

    def seen(self) -> str:
        """Of the label that it says most too often."""
        return compared(self.candidate, self.stable, f"label {self._furthest()}")

    def plain(self) -> str:
        """How often it says it."""
        mine, others = self.candidate, self.stable
        return (
            f"{mine.bad:,} of its {mine.total:,} predictions were {self._furthest()}; {{stable}}: "
            f"{others.bad:,} of {others.total:,}"
        )


class Classes(OutputGate):
    """Shares of the labels that live answers say, candidate against stable, at the same time."""

    kind: ClassVar[str] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.COIN, Need.PREDICTIONS, Need.LABEL})

    margin: Annotated[BasisPoints, Field(gt=0, lt=10_000)] = 300
    """Share of predictions that may be others than stable's."""

    def start(self, context: GateContext) -> OutputState:
        """Evidence 1 : 1."""
        margin = self.margin / FULL_BP
        tolerated = f"{margin * 100:g} pp of the predictions others"
        return OutputState(
            self, context, lambda: LabelShares(margin), tolerated=tolerated, margin=margin
        )
