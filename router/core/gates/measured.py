"""What gates on usage have in common: a version's own reports, some in a row beyond a limit."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal

from pydantic import Field, StrictInt

from router.core.gates.gate import GateContext, Measurement
from router.core.gates.polled import PolledState, Timed
from router.core.gates.verdict import Verdict
from router.core.quantities import Seconds
from router.core.usage.seen import UsageFacts
from router.core.words import count


class Measured(Timed):
    """Fields of a gate on what is known of a candidate's usage."""

    on_fail: Literal["rollback", "hold", "notify"] = "hold"
    """What its failure does: `rollback` takes the candidate back, `hold` keeps it where it is while
    it is so, `notify` only tells people."""
    interval: Annotated[Seconds, Field(ge=1)] = 10.0
    """Time between two looks."""
    in_a_row: Annotated[StrictInt, Field(ge=1, le=1_000)] = 3
    """Looks in a row beyond a limit that make it fail; one within begins anew."""

    @abstractmethod
    def taken(self, seen: UsageFacts) -> Measurement:
        """The numbers of one look, as :meth:`MeasuredState.take` gets them."""


class MeasuredState(PolledState):
    """Looks within and beyond the limits."""

    def __init__(self, gate: Measured, context: GateContext) -> None:
        super().__init__(gate, context)
        self.looks = gate

    @property
    def approved(self) -> bool:
        """Low usage speaks for nobody: what a candidate answers is judged elsewhere."""
        return False

    @property
    def verdict(self) -> Verdict:
        """Fail after some in a row beyond a limit, and while it is so."""
        if self.bad_in_row >= self.looks.in_a_row:
            return Verdict.FAIL
        if self.failing_to_ask:
            return Verdict.ERROR
        return Verdict.PASS if self.streak else Verdict.PENDING

    @property
    def held(self) -> bool:
        """Until there is an answer, and while there is none: a declared limit is never idle."""
        return self.verdict is not Verdict.PASS

    def plain(self) -> str:
        """The last look."""
        return f"{self.name}: {self.answer}"

    def sentence(self) -> str:
        """The last look, and how many in a row were beyond."""
        looks = count(self.asked, "look")
        return f"{self.answer}; beyond in {self.bad_in_row} in a row of {looks}, limit " + str(
            self.looks.in_a_row
        )
