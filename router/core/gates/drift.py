"""Gate ``drift``: do the two versions give different answers to the same kind of traffic?

A new model is supposed to differ a little, so the default tolerates five points a class, and asks
to hold rather than to roll back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, StrictInt

from router.core.evidence import DriftEvidence
from router.core.evidence.drift import CLASSES_MAX
from router.core.gates.comparison import FULL_BP
from router.core.gates.gate import Gate, GateContext, GateState
from router.core.gates.verdict import Counts, compared, judged
from router.core.quantities import BasisPoints

if TYPE_CHECKING:
    from router.core.wire.outcomes import Batch


class DriftState(GateState):
    """The drift evidence and what to do with it."""

    def __init__(
        self, name: str, context: GateContext, evidence: DriftEvidence, *, convicts: bool,
        dry_run: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(name, context, dry_run=dry_run)
        self.evidence = evidence
        self.convicts = convicts

    @property
    def capital(self) -> float:
        """The evidence where the policy lets drift roll back, else 1."""
        return self.evidence.capital if self.convicts else 1.0

    @property
    def held(self) -> bool:
        """Drift is proven and the policy says hold."""
        return not self.convicts and self.evidence.capital >= self.context.limit

    @property
    def candidate(self) -> Counts:
        """Candidate answers in the class that differs most, among all."""
        return Counts(self.evidence.candidate[self._class], sum(self.evidence.candidate))

    @property
    def stable(self) -> Counts:
        """Stable answers in that class, among all."""
        return Counts(self.evidence.stable[self._class], sum(self.evidence.stable))

    @property
    def _class(self) -> int:
        return self.evidence.furthest()

    def observe(self, batch: Batch) -> None:
        """Answers per class; an unexpected number of classes is refused."""
        for classes in batch.classes:
            self.evidence.observe(classes.weight_bp, classes.candidate, classes.stable)

    def sentence(self) -> str:
        """The class that differs most."""
        tolerance = self.evidence.tolerance
        return judged(
            compared(self.candidate, self.stable, f"answered class {self._class}"),
            f"{tolerance * 100:g} pp per class" if tolerance else "no difference",
            self.evidence.capital, self.context.limit,
        )  # fmt: skip

    def snapshot(self) -> dict[str, Any]:
        """The evidence."""
        return {"evidence": self.evidence.snapshot()}

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot."""
        self.evidence.restore(data["evidence"])


class Drift(Gate):
    """Frequencies of output classes (or deciles of scores), candidate against stable."""

    kind: ClassVar[str] = "drift"
    coin: ClassVar[bool] = True

    classes: Annotated[StrictInt, Field(ge=2, le=CLASSES_MAX)] = 10
    """Output classes; ten for the deciles of a score."""
    tolerance: Annotated[BasisPoints, Field(lt=10_000)] = 500
    """Tolerated difference of each class's share; 0% tests for equality."""
    action: Literal["hold", "rollback"] = "hold"
    """What proven drift does."""

    def start(self, context: GateContext) -> DriftState:
        """Evidence 1 : 1."""
        evidence = DriftEvidence(self.classes, self.tolerance / FULL_BP or None)
        return DriftState(
            self.title, context, evidence, convicts=self.action == "rollback", dry_run=self.dry_run
        )
