"""Gate ``judge``: does somebody who reads both answers to a request call the candidate's the worse?

Of the requests that both versions answered a coin chooses some. A rule or a language model is asked
over HTTP which of the two answers is better; it is told neither version, and which answer stands
first is drawn by a fair coin. So a judge that likes a place, or throws dice, says "candidate" as
often as "stable" whatever the answers are, and convicts nobody; that it likes a place is found by
the same coin, and said.

A pair is a bet on ``D``, 1 where the candidate's answer was called worse, -1 where stable's was, 0
for a tie, or the judge's score between them (:class:`router.core.evidence.paired.PairedEvidence`).
Two answers that say the same are a tie of which nobody is asked. A question without a verdict is
unknown for both and no bet; while more than :data:`UNANSWERED` of the questions are, nobody is
convicted, since it might depend on the answers which they are. Verdicts come in the order in which
their pairs were drawn, whatever was said first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Self

from pydantic import Field, StrictInt, StrictStr, model_validator

from router.core.evidence.paired import PairedEvidence
from router.core.evidence.sample_ratio import SampleRatio
from router.core.gates.gate import COMPARED_BP, GateContext, GateState
from router.core.gates.needs import Need
from router.core.gates.polled import Calling
from router.core.gates.sample import Detect, Sample, preferred
from router.core.gates.verdict import Counts, judged
from router.core.quantities import BasisPoints, Number, Seconds
from router.core.spec import Spec
from router.core.words import FULL_BP, count, rate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.core.pairs.compare import Compare
    from router.core.wire.judged import JudgedPair
    from router.core.wire.outcomes import Batch

UNANSWERED: Final = 0.2
"""Share of questions without a verdict beyond which nobody is convicted."""
ASKED_LEAST: Final = 20
"""Questions before that is looked at."""
EVEN_BP: Final = 5_000
"""Share with which either answer stands first."""
PROMPT_CHARS_MAX: Final = 16_000
PLACES: Final = ("{first}", "{second}")
"""What a prompt must have."""


class JudgeGateState(GateState, later="evidence asked equal unknown place"):
    """What the judge has said."""

    evidence: PairedEvidence
    asked: int
    equal: int
    unknown: int
    place: SampleRatio

    def __init__(self, gate: JudgeGate, context: GateContext) -> None:
        super().__init__(gate.title, context, dry_run=gate.dry_run)
        self.evidence = PairedEvidence(gate.margin / FULL_BP)
        self.asked = 0
        """Questions that went out."""
        self.equal = 0
        """Pairs that say the same; they are ties."""
        self.unknown = 0
        """Questions without a verdict."""
        self.place = SampleRatio()
        """Of verdicts for one of the two: for the one that stood first, and second."""

    def observe(self, batch: Batch) -> None:
        """Its verdicts, in their order."""
        for one in batch.verdicts:
            if one.gate == self.name:
                self._take(one)

    def _take(self, one: JudgedPair) -> None:
        self.asked += one.asked
        if one.worse is None:
            self.unknown += 1
            return
        self.equal += not one.asked
        self.evidence.observe_mean(one.worse)
        self.place.observe(EVEN_BP, int(one.first > 0), int(one.first < 0))

    @property
    def capital(self) -> float:
        """Evidence that the candidate's answers are called worse too often."""
        return self.evidence.capital

    @property
    def verdicts(self) -> int:
        """Pairs of which something is known."""
        return self.evidence.worse + self.evidence.better + self.evidence.same

    @property
    def mute(self) -> bool:
        """Whether too many questions were not answered."""
        return self.asked >= ASKED_LEAST and self.unknown > UNANSWERED * self.asked

    @property
    def enough(self) -> bool:
        """What a judge leaves out may be what speaks for the candidate."""
        return not self.mute

    @property
    def candidate(self) -> Counts:
        """Pairs in which its answer was called the worse one."""
        return Counts(self.evidence.worse, self.verdicts)

    @property
    def stable(self) -> Counts:
        """The same of stable's."""
        return Counts(self.evidence.better, self.verdicts)

    def sample(self, detect: Detect, weight_bp: int) -> Sample:  # noqa: ARG002 - alike at all
        """Verdicts that show a candidate which loses too often by `detect`."""
        limit, least = self.context.limit, self.context.min_bad
        wanted = preferred(self.evidence.margin, detect, limit=limit, min_bad=least)
        return Sample(self.verdicts, wanted)

    @property
    def bias(self) -> str:
        """That the judge likes a place, as a sentence; empty while it may be chance."""
        if not self.place.broken:
            return ""
        first, second = self.place.candidate, self.place.stable
        of_all = f"{first:,} of {first + second:,} ({rate(first / (first + second))})"
        return f"it called the answer that stood first better in {of_all}, so it judges places too"

    def plain(self) -> str:
        """Who was called the better one how often."""
        e = self.evidence
        return (
            f"the judge called its answer worse than {{stable}}'s in {e.worse:,} of "
            f"{self.verdicts:,} pairs, better in {e.better:,}"
        )

    def sentence(self) -> str:
        """Verdicts, what is tolerated, evidence, and what is wrong with the judge."""
        e = self.evidence
        alike = f", alike in {e.same:,}" if e.same else ""
        seen = (
            f"called worse than stable's answer in {e.worse:,}, better in {e.better:,}{alike} of "
            f"{count(self.verdicts, 'pair')}"
        )
        margin = f"{e.margin * 100:g} pp of pairs"
        tolerated = f"worse more often than better by {margin}"
        said = judged(seen, tolerated, self.capital, self.context.limit)
        return "; ".join(filter(None, (said, self._unknown(), self.bias)))

    def _unknown(self) -> str:
        if not self.unknown:
            return ""
        told = f"{self.unknown:,} of {count(self.asked, 'question')} got no verdict"
        return f"{told}, too many to convict anybody" if self.mute else told


class JudgeBudget(Spec):
    """What a judge may be asked, and cost, from midnight to midnight (UTC)."""

    calls: Annotated[StrictInt, Field(ge=1, le=1_000_000)] = 1_000
    """Questions a day."""
    tokens: Annotated[StrictInt, Field(ge=1, le=10**12)] | None = None
    """Tokens a day, as the judge's answers say in `usage.total_tokens`. What is under way when they
    are spent may go beyond."""
    cost: Annotated[Number, Field(gt=0)] | None = None
    """Money a day, in whatever unit the judge's answers say it in `usage.cost`; likewise."""


class JudgeGate(Calling):
    """A rule or a language model that reads both answers and says which one is better."""

    kind: ClassVar[str] = "judge"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.PAIRS, Need.OUTSIDE})
    brake_bp: ClassVar[int] = COMPARED_BP
    unit: ClassVar[str] = "verdict"
    requests: ClassVar[bool] = True

    timeout: Annotated[Seconds, Field(gt=0, le=300)] = 30.0
    """Time a verdict may take."""
    sample: Annotated[BasisPoints, Field(ge=0)] = 1_000
    """Share of the pairs that it is asked about; a coin chooses them. 0% asks nobody."""
    budget: JudgeBudget = JudgeBudget.unwritten()
    """What it may be asked and cost a day; when that is spent, nobody is asked until the next."""
    margin: Annotated[BasisPoints, Field(ge=0, lt=10_000)] = 500
    """How much more often the candidate's answer may be the worse one than the better one, as a
    share of all pairs that were judged."""
    model: Annotated[StrictStr, Field(min_length=1, max_length=200)] | None = None
    """Name of a language model: `url` is then asked as OpenAI's API is (`/v1/chat/completions`).
    Absent: `url` gets `question`, `first` and `second` as JSON."""
    prompt: Annotated[StrictStr, Field(max_length=PROMPT_CHARS_MAX)] | None = None
    """What the model is told, with `{question}`, `{first}` and `{second}` where these belong; it
    has to ask for an answer such as `{"better": "first"}`. Absent: a prompt of the router's own."""

    @property
    def read_share(self) -> float:
        """Of the pairs."""
        return self.sample / FULL_BP

    @property
    def per_day(self) -> int:
        """Verdicts at most."""
        return self.budget.calls

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.sample and not self.dry_run:
            raise ValueError("expected sample above 0%: a judge that nobody asks decides nothing")
        if self.prompt is not None and self.model is None:
            raise ValueError("expected model beside prompt: only a language model is told it")
        if self.prompt is not None and not all(place in self.prompt for place in PLACES):
            raise ValueError("expected {first} and {second} in prompt: that is what it compares")
        return self

    def doubts(self, payload: str, compare: Compare) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - see Gate
        """Bytes may name the version that answered."""
        if payload == "opaque":
            message = f"{self.title} gets answers as they are, and may see in them who gave them"
            yield message, "add payload: json to the route, and compare: {ignore: [...]}"

    def start(self, context: GateContext) -> JudgeGateState:
        """Nobody asked yet."""
        return JudgeGateState(self, context)
