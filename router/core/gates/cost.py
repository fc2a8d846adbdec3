"""Gate ``cost``: does the candidate cost more than it may?

Prices are the policy's (``versions.*.price``). Tokens are what sampled answers say that they took,
so their money is a mean with a bound that holds at every look; the rest is arithmetic. Money is no
client's harm: its failure holds, and a person decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Self

from pydantic import Field, StrictInt, model_validator

from router.core.gates.gate import GateContext, Measurement
from router.core.gates.measured import Measured, MeasuredState
from router.core.gates.needs import Need
from router.core.gates.verdict import Verdict
from router.core.quantities import Number
from router.core.usage.seen import UsageFacts, half_width
from router.core.words import count

Money = Annotated[Number, Field(gt=0)]


class Cost(Measured):
    """Bounds of what the candidate may cost, in the currency of the prices."""

    kind: ClassVar[str] = "cost"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.PRICES})

    per_hour: Money | None = None
    """Most that an hour may cost once it has all traffic of the route, at the present rate:
    endpoints, requests and tokens."""
    per_request: Money | None = None
    """Most that a request may cost on average, with its tokens; endpoints are not shared out."""
    per_1k_tokens: Money | None = None
    """Most that 1,000 tokens (in and out) may cost on average."""
    answers: Annotated[StrictInt, Field(ge=20, le=1_000_000)] = 100
    """Answers whose tokens must have been read before it passes."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.per_hour is None and self.per_request is None and self.per_1k_tokens is None:
            raise ValueError("expected at least one of per_hour, per_request, per_1k_tokens")
        return self

    def taken(self, seen: UsageFacts) -> Measurement:
        """What :class:`CostState` judges, see there."""
        if seen.priced and not seen.spent.answers and seen.answered >= self.answers:
            return Measurement(error=f"none of {seen.answered:,} answers says its tokens")
        spent = seen.spent
        return Measurement((
            float(seen.priced), float(seen.answered), seen.requests_per_s, seen.per_request,
            seen.per_hour, float(spent.answers), spent.mean, spent.squares, spent.tokens,
        ))  # fmt: skip

    def fine(self) -> Measurement:
        """Nothing costs anything."""
        return Measurement((0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))

    def start(self, context: GateContext) -> CostState:
        """Nothing spent yet."""
        return CostState(self, context)


class CostState(MeasuredState):
    """Looks at what it costs."""

    idle: int

    def __init__(self, gate: Cost, context: GateContext) -> None:
        super().__init__(gate, context)
        self.bounds = gate
        self.idle = 1
        """1 while the candidate answers nobody, so that nothing can be known."""

    def take(self, values: tuple[float, ...]) -> str:
        """One look.

        ``values``: whether tokens cost something, answers of the last minute, requests a second of
        the route, price of a request, of an hour, answers with tokens, their mean money, its sum of
        squares, their mean tokens.
        """
        if len(values) != 9:
            return "no report of costs"
        priced, answered, per_s, per_request, per_hour, read, mean, squares, tokens = values
        self.idle = int(answered == 0 and not read)
        off = half_width(int(read), squares, self.bounds.answers) if priced else 0.0
        found = list(self._found(per_s, per_request + mean, per_hour, tokens, off))
        beyond = [one for one in found if one[1] - one[2] > one[3]]
        enough = not priced or read >= self.bounds.answers
        unsure = [one for one in found if one[1] > one[3]]
        if beyond or (enough and not unsure):
            self.succeeded(not beyond)
        else:
            self.streak = 0
        self.answer = "; ".join(_written(*one) for one in beyond or found) or "no request yet"
        if priced:
            self.answer += f"; tokens of {count(int(read), 'answer')}"
        return ""

    def _found(
        self, per_s: float, request: float, per_hour: float, tokens: float, off: float
    ) -> Iterator[tuple[str, float, float, float]]:
        """Each figure that has a limit: its name, itself, how far it may be off, the limit."""
        bounds, hourly = self.bounds, 3_600.0 * per_s
        if bounds.per_hour is not None:
            yield "an hour", per_hour + hourly * request, hourly * off, bounds.per_hour
        if bounds.per_request is not None:
            yield "a request", request, off, bounds.per_request
        if bounds.per_1k_tokens is not None and tokens:
            thousands = tokens / 1_000.0
            yield "1,000 tokens", request / thousands, off / thousands, bounds.per_1k_tokens

    @property
    def held(self) -> bool:
        """Until it is known, unless nothing can be: a shadow answers nobody."""
        return self.verdict not in (Verdict.PASS, Verdict.PENDING) or (
            self.verdict is Verdict.PENDING and not self.idle
        )


def _written(what: str, amount: float, off: float, limit: float) -> str:
    at_least = f" (at least {max(amount - off, 0.0):.4g})" if 0.0 < off < amount else ""
    return f"{what} costs {amount:.4g}{at_least}, limit {limit:g}"
