"""Gate ``trust``: do people take the candidate's predictions less often than stable's?

Told by feedback: ``accepted``, or a label of a person (``source: human``), which accepts the
prediction that it repeats and overrules any other. With ``again`` behaviour tells as well: a user
who asks again so soon has not taken the answer, one who does not has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from router.core.gates.gate import COMPARED_BP, GateContext
from router.core.gates.late import LateState
from router.core.gates.needs import Need
from router.core.gates.segmented import LateGate
from router.core.quantities import BasisPoints, Seconds
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from router.core.wire.ripe import Ripe


class TrustState(LateState):
    """The loss is 1 where a prediction was not taken."""

    unit = "predictions that people answered to"

    def loss(self, one: Ripe) -> float | None:
        """Of the version that served."""
        return None if one.accepted is None else float(not one.accepted)

    def shown(self, loss: float) -> str:
        """As a share of what was taken."""
        return f"taken {1.0 - loss:.1%}"

    def tolerated(self) -> str:
        """In points."""
        return f"stable - {self.evidence.margin * 100:g} pp"


class Trust(LateGate):
    """Predictions that people do not take, candidate against stable."""

    kind: ClassVar[str] = "trust"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TRUTHS, Need.COIN})
    brake_bp: ClassVar[int] = COMPARED_BP

    margin: Annotated[BasisPoints, Field(lt=10_000)] = 200
    """Difference of the shares that is tolerated."""
    again: Seconds = 0.0
    """Users who ask again within this time have not taken the answer, such as 60s; needs `sticky`.
    0s: only what feedback says counts."""

    @property
    def asked_again_s(self) -> float:
        """As it is written."""
        return self.again

    def begin(self, context: GateContext) -> TrustState:
        """Evidence 1 : 1."""
        return TrustState(self.title, context, self.margin / FULL_BP, dry_run=self.dry_run)
