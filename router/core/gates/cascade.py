"""Gate ``cascade``: do the routes that use this one's answers suffer from the candidate's?

A model can become better by its own measure and ruin the model that is fed with its answers. So
what becomes of each request of a fed route is booked under the version that made its input, and the
coin is the one that chose this version: what the fed route does with the inputs of both is a
randomised experiment. It is asked what its own gates would ask of two versions:

    errors    does it fail more often?
    inputs    do its requests lack more of the declared features?
    nulls     are more of its predictions null, NaN, of an unknown label, out of range?
    classes   does it say other labels?
    scores    do its scores lie elsewhere?
    accuracy  is it wrong more often, by late labels?
    auc       does it order positives and negatives worse, by late labels?
    mae       is it further from the true number, by late labels?

Each has an equal part of the gate's evidence, so that all of them together are one bet. The first
fed route that is met has one half of it, the second a quarter, and so on; the rest stays aside.

The unit is the draw: one profile may make the input of many requests, which are one outcome. The
first one counts, and the first truth. On sticky routes it is the user.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from router.core.evidence.distinct import DistinctUnits
from router.core.evidence.loss import LossEvidence
from router.core.gates.accuracy import Accuracy
from router.core.gates.auc import Auc
from router.core.gates.classes import Classes
from router.core.gates.comparison import Tolerance
from router.core.gates.gate import COMPARED_BP, Gate, GateContext, GateState
from router.core.gates.mae import Mae
from router.core.gates.needs import Need
from router.core.gates.nulls import Nulls
from router.core.gates.sample import Detect, Sample, lost
from router.core.gates.scores import ScoresGate
from router.core.gates.verdict import Counts, judged, plainly
from router.core.quantities import BasisPoints, Number
from router.core.snapshots import Lasting
from router.core.spec import Spec
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from router.core.wire.fed import FedRequest
    from router.core.wire.outcomes import Batch

CascadeQuestion = Literal[
    "errors", "inputs", "nulls", "classes", "scores", "accuracy", "auc", "mae"
]
"""What may be asked of a fed route."""

ROUTES_MAX: Final = 8
"""FedRequest routes with evidence of their own; further ones are not looked at."""
DRAWS_MAX: Final = 40_000
"""Draws that are remembered by one set, where requests are drawn: an older one may count again."""
SPREAD: Final = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio: kinds that share a set lie apart in it."""


class HarmState(GateState):
    """A share of 0 to 1 that each request has: whether it failed, what it lacks."""

    evidence: LossEvidence

    def __init__(self, what: str, context: GateContext, margin_bp: int) -> None:
        super().__init__(what, context)
        self.what = what
        self.evidence = LossEvidence(margin_bp / FULL_BP, 0.0)

    def take(self, one: FedRequest, share: float) -> None:
        """One request."""
        self.evidence.draw(one.weight_bp / FULL_BP, share, candidate=one.candidate)

    @property
    def capital(self) -> float:
        """Of draws."""
        return self.evidence.capital

    @property
    def candidate(self) -> Counts:
        """Requests with a share above what is usual."""
        return Counts(self.evidence.candidate.bad, self.evidence.candidate.count)

    @property
    def stable(self) -> Counts:
        """Likewise; the share is kept, not the number."""
        seen = self.evidence.stable
        return Counts(round(seen.first), seen.count)

    def sample(self, detect: Detect, weight_bp: int) -> Sample:
        """Draws that show one which loses more than the margin by `detect`."""
        wanted = lost(
            weight_bp, self.evidence.margin, detect, limit=self.context.limit,
            min_bad=self.context.min_bad, level=0.0,
        )  # fmt: skip
        return Sample(self.evidence.candidate.count, wanted)

    def plain(self) -> str:
        """How many."""
        return plainly(self.candidate, self.stable, self.what)

    def sentence(self) -> str:
        """Both shares, with their numbers."""
        mine, other = self.evidence.candidate, self.evidence.stable
        seen = (
            f"{self.what}: candidate {mine.mean():.1%} of {mine.count:,}, stable "
            f"{other.mean():.1%} of {other.count:,}"
        )
        margin = f"stable + {self.evidence.margin * 100:g} pp"
        return judged(seen, margin, self.capital, self.context.limit)


class Met(Lasting):
    """Which draws, or users, have had their outcome of each kind."""

    __slots__ = ("_rotates", "before", "known", "now")

    now: DistinctUnits
    before: DistinctUnits
    known: int

    def __init__(self, *, rotates: bool) -> None:
        self._rotates = rotates
        self.now, self.before = DistinctUnits(), DistinctUnits()
        self.known = 0

    def add(self, unit: int, kind: int) -> bool:
        """Whether it is the first one."""
        unit = (unit + kind * SPREAD) % 2**64
        if unit in self.before or not self.now.add((unit,)):
            return False
        self.known += 1
        if self._rotates and self.known >= DRAWS_MAX:
            self.before, self.now, self.known = self.now, DistinctUnits(), 0
        return True


class CascadeState(GateState):
    """The questions of each fed route that was met; the sentence is the leading one's."""

    routes: list[str]
    asked: list[GateState]
    met: Met

    def __init__(self, gate: Cascade, context: GateContext) -> None:
        super().__init__(gate.title, context, dry_run=gate.dry_run)
        self.gate = gate
        self.routes: list[str] = []
        """In the order in which they were met."""
        self.asked: list[GateState] = []
        """Of each route its questions, in the order of `ask`."""
        self.met = Met(rotates=not context.sticky)

    # --- what it is fed ---------------------------------------------------------------------------

    def observe(self, batch: Batch) -> None:
        """What became of inputs."""
        for one in batch.fed:
            if not 0 < one.weight_bp < FULL_BP:
                continue
            place = self._place(one.route)
            if place >= 0 and self.met.add(one.unit, 2 * place + (one.ripe is not None)):
                self._take(batch, one, place)

    def _place(self, route: str) -> int:
        if route in self.routes:
            return self.routes.index(route)
        if len(self.routes) == ROUTES_MAX:
            return -1
        self.routes.append(route)
        self.asked += self._begin(len(self.routes) - 1)
        return len(self.routes) - 1

    def _begin(self, place: int) -> list[GateState]:
        """Of the k-th route, which has 2^-k of the capital."""
        gate = self.gate
        limit = self.context.limit * len(gate.ask) * 2 ** (place + 1)
        part = replace(self.context, limit=limit, pairs_share=0.0)
        return [gate.question(what, part) for what in gate.ask]

    def _take(self, batch: Batch, one: FedRequest, place: int) -> None:
        count = len(self.gate.ask)
        questions = self.asked[count * place : count * (place + 1)]
        told = batch.of_fed(one)
        for what, state in zip(self.gate.ask, questions, strict=True):
            if not isinstance(state, HarmState):
                state.observe(told)
            elif what == "errors" and one.bad is not None:
                state.take(one, float(one.bad))
            elif what == "inputs" and one.missing is not None:
                state.take(one, one.missing)

    # --- what it says -----------------------------------------------------------------------------

    def _share(self, number: int) -> float:
        """Of the capital that the question with this number has."""
        count = len(self.gate.ask)
        return 0.5 ** (number // count + 1) / count

    @property
    def capital(self) -> float:
        """Of all questions; what is kept for further routes counts as 1."""
        told = math.fsum(self._share(n) * state.capital for n, state in enumerate(self.asked))
        return told + 0.5 ** len(self.routes)

    @property
    def held(self) -> bool:
        """A name that no answer of a fed route has must not switch its question off."""
        return any(state.held for state in self.asked)

    @property
    def leading(self) -> tuple[str, GateState] | None:
        """The question that says most against the candidate, and its route; None: none was met."""
        if not self.asked:
            return None

        def most(number: int) -> tuple[bool, float, int]:
            state = self.asked[number]
            return state.held, self._share(number) * state.capital, state.candidate.total

        number = max(range(len(self.asked)), key=most)
        return self.routes[number // len(self.gate.ask)], self.asked[number]

    @property
    def candidate(self) -> Counts:
        """Of what leads."""
        return self.leading[1].candidate if self.leading else Counts()

    @property
    def stable(self) -> Counts:
        """Of what leads."""
        return self.leading[1].stable if self.leading else Counts()

    def sample(self, detect: Detect, weight_bp: int) -> Sample:
        """The question that lacks most of those that are fed, or waited for by name."""
        if not 0 < weight_bp < FULL_BP:
            return Sample(0, 0)
        known = [
            state.sample(detect, weight_bp)
            for n, state in enumerate(self.asked)
            if state.candidate.total or self.gate.waits_for(self.gate.ask[n % len(self.gate.ask)])
        ]
        if not known:
            first = self._begin(0) if not self.asked else self.asked
            known = [first[0].sample(detect, weight_bp)]
        return max(known, key=lambda one: one.left)

    def plain(self) -> str:
        """Of what leads."""
        if (leading := self.leading) is None:
            return self.sentence()
        route, state = leading
        return f"in {route}, which it feeds: {state.plain()}"

    def sentence(self) -> str:
        """Of what leads."""
        if (leading := self.leading) is None:
            return "no request of a fed route is known whose input was drawn by the coin"
        route, state = leading
        return f"{route}, by who made its input: {state.name}: {state.sentence()}"

    def _make_parts(self, name: str, data: Any) -> None:
        if name == "asked":
            count = len(self.gate.ask)
            self.asked = [one for place in range(len(data) // count) for one in self._begin(place)]


class ScoresAsked(Spec):
    """How far scores of a fed route may move; see the gate `scores`."""

    shift: Annotated[BasisPoints, Field(le=10_000)] = 500
    """As a share of the range between the 5th and 95th percentile."""
    margin: Annotated[BasisPoints, Field(gt=0, lt=10_000)] = 200
    """Share of scores that may have moved further, one way."""
    deciles: Annotated[BasisPoints, Field(gt=0, lt=10_000)] = 2_500
    """Share of scores that may lie in other tenths."""


class MaeAsked(Spec):
    """How much further from the true number a fed route may be; see the gate `mae`."""

    largest: Annotated[Number, Field(gt=0)]
    """The largest error that counts, in the label's unit."""
    margin: Annotated[Number, Field(ge=0)] = 0.0
    """Error beyond that with stable's inputs that is tolerated, in the label's unit."""

    @model_validator(mode="after")
    def _below(self) -> Self:
        if self.margin >= self.largest:
            raise ValueError(f"expected a margin below largest ({self.largest:g})")
        return self


WITHOUT_MAE: Final[tuple[CascadeQuestion, ...]] = (
    "errors", "inputs", "nulls", "classes", "scores", "accuracy", "auc",
)  # fmt: skip
TRUTHS: Final = frozenset(("accuracy", "auc", "mae"))
"""What is asked of late labels."""


class Cascade(Gate):
    """What becomes of the candidate's answers in the routes that are fed with them (`feeds`)."""

    kind: ClassVar[str] = "cascade"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.COIN, Need.FED})
    brake_bp: ClassVar[int] = COMPARED_BP

    ask: Annotated[tuple[CascadeQuestion, ...], Field(min_length=1)] = WITHOUT_MAE
    """What is asked of a fed route. Late labels that are named here are waited for before a step
    is left; `mae` needs its settings."""
    errors: Annotated[BasisPoints, Field(gt=0, lt=10_000)] = 100
    """Share of requests that may fail beyond those with stable's inputs."""
    inputs: Annotated[BasisPoints, Field(gt=0, lt=10_000)] = 100
    """Share of the declared features that may be missing beyond."""
    nulls: Annotated[BasisPoints, Field(gt=0, le=5_000)] = 10
    """Share of faulty rows beyond."""
    classes: Annotated[BasisPoints, Field(gt=0, lt=10_000)] = 300
    """Share of predictions that may be others."""
    scores: ScoresAsked = ScoresAsked.unwritten()
    """How far its scores may move."""
    accuracy: Annotated[BasisPoints, Field(gt=0, le=5_000)] = 100
    """Share of wrong predictions that is tolerated beyond."""
    auc: Annotated[BasisPoints, Field(lt=10_000)] = 100
    """Area under the curve below that with stable's inputs that is tolerated: 1% is 0.01."""
    mae: MaeAsked | None = None
    """Mean absolute error that is tolerated; needed where `ask` names it."""

    @model_validator(mode="after")
    def _askable(self) -> Self:
        if len(set(self.ask)) != len(self.ask):
            raise ValueError("expected each question once in ask")
        if "mae" in self.ask and self.mae is None:
            raise ValueError("expected mae: {largest: ...} beside ask: [mae], in the label's unit")
        if self.mae is not None and "mae" not in self.ask:
            raise ValueError("expected mae in ask beside mae: {...}")
        return self

    def waits_for(self, what: str) -> bool:
        """Whether steps wait for a question of which nothing is known yet."""
        return what in TRUTHS and "ask" in self.model_fields_set

    def question(self, what: CascadeQuestion, context: GateContext) -> GateState:
        """The state of one question about one fed route."""
        scores, mae = self.scores, self.mae
        match what:
            case "errors":
                return HarmState("failed", context, self.errors)
            case "inputs":
                return HarmState("features missing", context, self.inputs)
            case "nulls":
                return Nulls.model_construct(name=what, at_most=self.nulls).start(context)
            case "classes":
                return Classes.model_construct(name=what, margin=self.classes).start(context)
            case "scores":
                return ScoresGate.model_construct(
                    name=what, shift=scores.shift, margin=scores.margin, deciles=scores.deciles
                ).start(context)
            case "accuracy":
                tolerance = Tolerance.model_construct(relative=0, absolute=self.accuracy)
                return Accuracy.model_construct(name=what, tolerance=tolerance).start(context)
            case "auc":
                return Auc.model_construct(name=what, margin=self.auc).start(context)
            case "mae":
                asked = {} if mae is None else {"largest": mae.largest, "margin": mae.margin}
                return Mae.model_construct(None, name=what, **asked).start(context)

    def start(self, context: GateContext) -> CascadeState:
        """Evidence 1 : 1."""
        return CascadeState(self, context)
