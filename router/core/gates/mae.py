"""Gate ``mae``: is the candidate further from the true number than stable, in the mean?

Errors are held against the largest one that counts, so that one absurd number is one bad
prediction, not a thousand; what lies beyond it is as bad as it is.
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
    from router.core.wire.ripe import Ripe, RipePair


class MaeState(LateState):
    """Losses are errors as a share of the largest."""

    unit = "labelled predictions"
    by_pairs = True

    def __init__(
        self, name: str, context: GateContext, margin: float, largest: float, *, dry_run: bool
    ) -> None:
        super().__init__(name, context, margin / largest, dry_run=dry_run)
        self._largest, self._margin = largest, margin

    def _share(self, error: float) -> float:
        return min(error / self._largest, 1.0)

    def loss(self, one: Ripe) -> float | None:
        """Of the version that served."""
        return None if one.error is None else self._share(one.error)

    def losses(self, pair: RipePair) -> tuple[float, float] | None:
        """Of both."""
        if pair.candidate_error is None or pair.stable_error is None:
            return None
        return self._share(pair.candidate_error), self._share(pair.stable_error)

    def shown(self, loss: float) -> str:
        """In the label's unit."""
        return f"off by {loss * self._largest:.3g}"

    def tolerated(self) -> str:
        """In the label's unit."""
        return f"stable + {self._margin:g}"


class Mae(LateGate):
    """Mean absolute error by late labels, candidate against stable."""

    kind: ClassVar[str] = "mae"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TRUTHS})
    brake_bp: ClassVar[int] = COMPARED_BP

    largest: Annotated[Number, Field(gt=0)] = 1.0
    """The largest error that counts, in the label's unit; a greater one is taken as this one."""
    margin: Annotated[Number, Field(ge=0)] = 0.0
    """Error beyond stable's that is tolerated, in the label's unit."""

    @model_validator(mode="after")
    def _below(self) -> Self:
        if self.margin >= self.largest:
            raise ValueError(f"expected a margin below largest ({self.largest:g})")
        return self

    def doubts(self, payload: str, compare: Compare) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - see Gate
        """The unit of labels is theirs alone."""
        if "largest" not in self.model_fields_set:
            yield "mae takes every error above 1 as 1: no largest is said", "add largest: 60.0"

    def begin(self, context: GateContext) -> MaeState:
        """Evidence 1 : 1."""
        return MaeState(self.title, context, self.margin, self.largest, dry_run=self.dry_run)
