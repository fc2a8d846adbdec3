"""Canary: the candidate answers a growing share of the requests, then all of them."""

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, StrictFloat, StrictInt, model_validator

from router.core.quantities import BasisPoints, Seconds
from router.core.rollout.plan import Plan
from router.core.rollout.plan import Step as PlanStep
from router.core.spec import Kinds, OneOf, Spec
from router.core.strategies.base import StepPolicy, Strategy, Until, asked

STEPS_MAX = 200
"""Steps of one plan; a ramp that generates more is a typing error in its increment."""


class RampPolicy(Spec):
    """A rule that generates steps instead of listing them."""

    def steps(self) -> Iterator[PlanStep]:
        """The generated steps in order, weights growing."""
        raise NotImplementedError


class Linear(RampPolicy):
    """Equal increments: ``{start: 10%, step: 20%, to: 50%, hold: 5m}`` gives 10, 30, 50 %."""

    step: Annotated[BasisPoints, Field(gt=0)]
    """Increment of the weight from step to step."""
    start: Annotated[BasisPoints, Field(gt=0)] | None = None
    """Weight of the first step; absent means one increment."""
    to: Annotated[BasisPoints, Field(gt=0)] = 5_000
    """Weight of the last step before all traffic."""
    hold: Seconds
    """How long each step lasts at least."""
    until: Until | None = None
    """Data that each step must have seen before it ends."""

    def steps(self) -> Iterator[PlanStep]:
        """start, start + step, ... and finally `to` itself, also when the increment overshoots."""
        weights = range(min(self.start or self.step, self.to), self.to, self.step)
        return _plateaus([*weights, self.to], self.hold, self.until)


class Exponential(RampPolicy):
    """Equal factors: ``{start: 1%, factor: 2, to: 50%, hold: 5m}`` gives 1, 2, 4, ... 32, 50 %."""

    start: Annotated[BasisPoints, Field(gt=0)] = 100
    """Weight of the first step."""
    factor: Annotated[StrictFloat, Field(ge=1.1, le=100, allow_inf_nan=False)] = 2.0
    """Each weight is the one before times this, 1.1 to 100."""
    to: Annotated[BasisPoints, Field(gt=0)] = 5_000
    """Weight of the last step before all traffic."""
    hold: Seconds
    """How long each step lasts at least."""
    until: Until | None = None
    """Data that each step must have seen before it ends."""

    def steps(self) -> Iterator[PlanStep]:
        """start, start * factor, ... rounded down to 0.01 % but always growing, and `to` itself."""
        weights = [min(self.start, self.to)]
        while weights[-1] < self.to:
            grown = max(int(weights[-1] * self.factor), weights[-1] + 1)
            weights.append(min(grown, self.to))
        return _plateaus(weights, self.hold, self.until)


class Auto(RampPolicy):
    """The evidence chooses the weight, once a second, so that little is at risk at any moment.

    The weight is what keeps the bad answers that can be under way before the first outcome is
    known below `budget`; it grows by itself while the candidate is clean and leaves the step when
    the promotion gates have their proof.
    """

    to: Annotated[BasisPoints, Field(gt=0)] = 5_000
    """Highest weight the evidence may choose before all traffic."""
    budget: Annotated[StrictInt, Field(ge=1, le=10**6)] = 20
    """Bad candidate answers that may be under way before the first outcome is known."""
    hold: Seconds = 300.0
    """Shortest time in the ramp: leaks and cold caches show with time, not with traffic."""

    def steps(self) -> Iterator[PlanStep]:
        """A single step whose weight moves."""
        yield PlanStep(weight_bp=self.to, hold_s=self.hold, auto=True, proof=True, label="auto")


RAMPS: Kinds[RampPolicy] = Kinds({"linear": Linear, "exponential": Exponential, "auto": Auto})
"""Every way to generate the steps of a canary. A new one is a class and a line here."""


class Canary(Strategy):
    """Give the candidate a growing share of the requests; after the last step it answers all.

    The bake has all traffic in every plan, so ``{weight: 100%}`` need not be the last step.
    """

    steps: tuple[StepPolicy, ...] = Field(default=(), max_length=STEPS_MAX)
    """The plateaus in order; give either `steps` or `ramp`, or both: steps first, then the ramp."""
    ramp: Annotated[RampPolicy, OneOf(RAMPS, "ramp")] | None = None
    """A rule that generates plateaus: `linear`, `exponential`, or `auto` (evidence decides)."""
    bake: Seconds = 0.0
    """How long the candidate answers everything, gates watching, before it becomes stable."""

    @model_validator(mode="after")
    def _has_steps(self) -> Self:
        if not self.steps and self.ramp is None:
            raise ValueError("expected steps or a ramp, got neither. A canary needs at least one")
        self.plan()
        return self

    def plan(self) -> Plan:
        """The listed steps, then the generated ones."""
        steps: list[PlanStep] = []
        for written in self.steps:
            steps.append(written.after(steps[-1] if steps else PlanStep()))
        steps += self.ramp.steps() if self.ramp else ()
        return Plan(tuple(steps), bake_s=self.bake, strategy="canary")


def _plateaus(weights: list[int], hold_s: float, until: Until | None) -> Iterator[PlanStep]:
    if len(weights) > STEPS_MAX:
        raise ValueError(f"expected a ramp of at most {STEPS_MAX} steps, got {len(weights)}")
    return (PlanStep(weight_bp=bp, hold_s=hold_s, **asked(until)) for bp in weights)
