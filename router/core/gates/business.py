"""Gate ``business``: do the candidate's predictions bring less than stable's?

The value (a sale, a saving, minutes) comes by feedback, and belongs to the version that served: a
copy brings nothing, so that only requests between which a coin decided are evidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field, model_validator

from router.core.gates.gate import COMPARED_BP, GateContext
from router.core.gates.late import LateState
from router.core.gates.needs import Need
from router.core.gates.segmented import LateGate
from router.core.quantities import Number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.core.pairs.compare import Compare
    from router.core.wire.ripe import Ripe


class BusinessState(LateState):
    """The loss is what is missing to the greatest value, as a share of the range."""

    unit = "predictions with a value"

    def __init__(
        self, name: str, context: GateContext, margin: float, between: tuple[float, float],
        *, dry_run: bool,
    ) -> None:  # fmt: skip
        self._least, self._most = between
        super().__init__(name, context, margin / (self._most - self._least), dry_run=dry_run)
        self._margin = margin

    def loss(self, one: Ripe) -> float | None:
        """Of the version that served; values outside the range count as its ends."""
        if one.value is None:
            return None
        value = min(max(one.value, self._least), self._most)
        return (self._most - value) / (self._most - self._least)

    def shown(self, loss: float) -> str:
        """In the unit of the value."""
        return f"{self._most - loss * (self._most - self._least):.4g} a prediction"

    def tolerated(self) -> str:
        """In the unit of the value."""
        return f"stable - {self._margin:g}"


class Business(LateGate):
    """What predictions bring by late feedback, candidate against stable."""

    kind: ClassVar[str] = "business"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TRUTHS, Need.COIN})
    brake_bp: ClassVar[int] = COMPARED_BP

    least: Number = 0.0
    """The least value that counts; a smaller one is taken as this one."""
    most: Number = 1.0
    """The greatest value that counts; a greater one is taken as this one."""
    margin: Annotated[Number, Field(ge=0)] = 0.0
    """How much less than stable's mean value is tolerated."""

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.least >= self.most:
            raise ValueError(f"expected least below most ({self.most:g}), got {self.least:g}")
        if self.margin >= self.most - self.least:
            raise ValueError("expected a margin below most - least")
        return self

    def doubts(self, payload: str, compare: Compare) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - see Gate
        """The unit of values is the business's alone."""
        if "most" not in self.model_fields_set:
            yield "business takes every value above 1 as 1: no most is said", "add most: 250.0"

    def begin(self, context: GateContext) -> BusinessState:
        """Evidence 1 : 1."""
        return BusinessState(
            self.title, context, self.margin, (self.least, self.most), dry_run=self.dry_run
        )
