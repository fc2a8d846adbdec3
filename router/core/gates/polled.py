"""What gates that are told from outside have in common: when to ask, how often that may fail.

The control plane asks (it has the sockets) and hands the answer in; judging it is pure.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

from pydantic import Field, StrictInt

from router.core.gates.gate import Gate, GateContext, GateState, Measurement
from router.core.gates.needs import Need
from router.core.gates.verdict import Verdict
from router.core.quantities import Seconds
from router.core.urls import Headers, Url


class Timed(Gate):
    """Fields of a gate that is answered at an interval."""

    bets: ClassVar[bool] = False

    interval: Annotated[Seconds, Field(ge=1)] = 60.0
    """Time between two questions."""
    initial_delay: Seconds = 0.0
    """Time before the first question, for the source to have seen the candidate."""
    consecutive_error_limit: Annotated[StrictInt, Field(ge=0)] = 4
    """Failed questions in a row that are put up with; one more holds the rollout."""


class Calling(Gate):
    """Fields of a gate that calls a server of somebody else."""

    url: Url
    """Where to ask; redirects are not followed."""
    headers: Headers = Field(default_factory=dict)
    """Header fields of the question, by name; an edit takes effect in a rollout under way."""
    timeout: Annotated[Seconds, Field(gt=0)] = 5.0
    """Time an answer may take."""


class Polled(Calling, Timed):
    """Fields of a gate that asks outside at an interval."""

    needs: ClassVar[frozenset[Need]] = frozenset({Need.OUTSIDE})


class PolledState(GateState):
    """Counts of answers; subclasses say what an answer means."""

    asked: int
    good: int
    bad: int
    streak: int
    bad_in_row: int
    errors_in_row: int
    empty_in_row: int
    last_s: float | None
    first_s: float | None
    answer: str

    def __init__(self, gate: Timed, context: GateContext) -> None:
        super().__init__(gate.title, context, dry_run=gate.dry_run)
        self.gate = gate
        self.asked = self.good = self.bad = self.streak = self.bad_in_row = 0
        self.errors_in_row = self.empty_in_row = 0
        self.last_s: float | None = None
        self.first_s: float | None = None
        self.answer = "nothing measured yet"

    def due(self, now: float) -> bool:
        """After the initial delay (counted from the first call), then once an interval."""
        if self.first_s is None:
            self.first_s = now + self.gate.initial_delay
        last = self.last_s
        return now >= (self.first_s if last is None else last + self.gate.interval)

    @property
    def approved(self) -> bool:
        """An answer spoke for it; until the first one the gate holds the rollout by itself."""
        return self.good > 0

    def measure(self, measurement: Measurement, now: float) -> None:
        """Judge one answer at ``now``, rollout clock seconds."""
        self.last_s = now
        self.asked += 1
        error = measurement.error or self.take(measurement.values)
        if error:
            self.errors_in_row += 1
            self.streak = 0
            self.answer = error
        else:
            self.errors_in_row = 0

    @abstractmethod
    def take(self, values: tuple[float, ...]) -> str:
        """Judge the values of one answer; why it cannot be judged, or an empty string."""

    def succeeded(self, good: bool) -> None:
        """Book one judged answer."""
        self.empty_in_row = 0
        self.good += good
        self.bad += not good
        self.streak = self.streak + 1 if good else 0
        self.bad_in_row = 0 if good else self.bad_in_row + 1

    @property
    def failing_to_ask(self) -> bool:
        """More errors in a row than the policy puts up with."""
        return self.errors_in_row > self.gate.consecutive_error_limit

    @property
    def held(self) -> bool:
        """Anything but a clear answer lets the rollout wait."""
        return self.verdict is not Verdict.PASS
