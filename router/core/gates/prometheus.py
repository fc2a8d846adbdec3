"""Gate ``prometheus``: is a number from your monitoring within its range?

A fixed range on a scraped number has no error bound and sees minutes late; it is for what only
your monitoring knows (GPU memory, business numbers). Failures of the version belong to
``error_rate``, ``latency`` and ``guard``.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StrictInt, model_validator

from router.core.gates.gate import GateContext, Measurement
from router.core.gates.polled import Polled, PolledState
from router.core.gates.verdict import Verdict
from router.core.quantities import Number, Text
from router.core.words import count


class PrometheusState(PolledState):
    """Answers within and outside of the range."""

    def __init__(self, gate: Prometheus, context: GateContext) -> None:
        super().__init__(gate, context)
        self.query = gate

    def take(self, values: tuple[float, ...]) -> str:
        """Every series must be within the range, so one without a value leaves that open.

        NaN (0/0 of an idle pod) is no data, with ``no_data: pass`` as if it were not there;
        infinity is an error. A series outside the range is a failure whatever the others are.
        """
        numbers = [v for v in values if not math.isnan(v)]
        missing = len(values) - len(numbers) if self.query.no_data != "pass" else 0
        if any(math.isinf(v) for v in numbers):
            return "the query answered with infinity"
        outside = any(self.query.excess(v) > 0.0 for v in numbers)
        if not numbers or (missing and not outside):
            self.empty_in_row += 1
            self.streak = 0
            self.answer = (
                f"{missing:,} of {len(values):,} series without a value"
                if numbers
                else "the query answered without data"
            )
        else:
            furthest = max(numbers, key=self.query.excess)
            self.succeeded(self.query.excess(furthest) <= 0.0)
            self.answer = f"measured {furthest:.6g}"
        return ""

    @property
    def too_bad(self) -> bool:
        """More outside the range than is put up with, in all or in a row."""
        limit, in_row = self.query.failure_limit, self.query.consecutive_failure_limit
        if limit is None and in_row is None:
            limit = 0
        in_all = limit is not None and self.bad > limit
        return in_all or (in_row is not None and self.bad_in_row > in_row)

    @property
    def verdict(self) -> Verdict:
        """Fail beyond ``failure_limit``; error and no data by their policies; then the streak."""
        if self.too_bad:
            return Verdict.FAIL
        if self.failing_to_ask:
            return Verdict.ERROR
        if self.empty_in_row and self.query.no_data != "pass":
            return Verdict.FAIL if self.query.no_data == "fail" else Verdict.INCONCLUSIVE
        enough = self.streak >= self.query.consecutive_success or self.empty_in_row > 0
        return Verdict.PASS if enough else Verdict.PENDING

    def plain(self) -> str:
        """The last value and the range."""
        return f"{self.name} {self.answer}, and it should be {self.query.range_text}"

    def sentence(self) -> str:
        """The last value, the range, and how many answers were outside."""
        in_row = self.query.consecutive_failure_limit
        limits = [] if in_row is None else [f"{self.bad_in_row} in a row, limit {in_row}"]
        if in_row is None or self.query.failure_limit is not None:
            limits.insert(0, f"limit {self.query.failure_limit or 0}")
        return (
            f"{self.answer}; tolerated: {self.query.range_text}; outside in {self.bad} of "
            f"{count(self.asked, 'measurement')}, {', '.join(limits)}"
        )


class Prometheus(Polled):
    """A PromQL query whose every series must stay within a range."""

    kind: ClassVar[str] = "prometheus"

    query: Annotated[Text, Field(min_length=1, max_length=4096)]
    """The PromQL expression; an instant query giving numbers."""
    at_least: Number | None = None
    """Smallest value that passes; absent: no lower end."""
    at_most: Number | None = None
    """Largest value that passes; absent: no upper end."""
    failure_limit: Annotated[StrictInt, Field(ge=0)] | None = None
    """Measurements outside the range that are put up with; one more rolls back. Absent: 0, unless
    consecutive_failure_limit is given."""
    consecutive_failure_limit: Annotated[StrictInt, Field(ge=0)] | None = None
    """The same for those in a row, in which one within the range begins anew."""
    consecutive_success: Annotated[StrictInt, Field(ge=0)] = 1
    """Measurements within the range in a row that are needed to pass."""
    no_data: Literal["hold", "pass", "fail"] = "hold"
    """What an empty answer (or NaN) means."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("expected at_least, at_most or both")
        if None not in (self.at_least, self.at_most) and self.excess(self.at_most or 0.0) > 0.0:
            raise ValueError("expected at_least not above at_most")
        return self

    def fine(self) -> Measurement:
        """A value at each border of the range."""
        return Measurement(tuple(v for v in (self.at_least, self.at_most) if v is not None))

    @property
    def range_text(self) -> str:
        """``at least 0.95, at most 1``."""
        ends = (("at least", self.at_least), ("at most", self.at_most))
        return ", ".join(f"{word} {end:g}" for word, end in ends if end is not None)

    def excess(self, value: float) -> float:
        """How far a value lies outside the range; 0 or less within it."""
        below = self.at_least - value if self.at_least is not None else -math.inf
        above = value - self.at_most if self.at_most is not None else -math.inf
        return max(below, above)

    def start(self, context: GateContext) -> PrometheusState:
        """Nothing measured yet."""
        return PrometheusState(self, context)
