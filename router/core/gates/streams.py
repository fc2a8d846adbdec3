"""Gate ``streams``: do answers begin later, or fall silent for longer, than stable's?

A language model that answers 200 and streams can keep its clients waiting for the first token, or
between two. Of each sampled request the worker tells when the first piece of its answer came that
says something (of an event stream the first with data: comments that keep a connection alive say
nothing), and the longest wait between two pieces. The candidate may be late more often than stable
by `margin`; both answer at the same time, so a burst of long prompts falls on both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field, model_validator

from router.core.evidence.shares import Means, ShareEvidence
from router.core.gates.gate import GateContext
from router.core.gates.needs import Need
from router.core.gates.output import OutputGate, OutputPool, OutputState
from router.core.gates.verdict import Counts, compared
from router.core.quantities import BasisPoints, Seconds
from router.core.words import FULL_BP, duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.core.wire.sampled import PredictedRow, SampleFacts


class LateAnswers(OutputPool, listed="requests evidence means"):
    """Late answers of one segment."""

    evidence: ShareEvidence
    means: Means

    def __init__(self, margin: float, limits: str) -> None:
        super().__init__()
        self.limits = limits
        self.evidence = ShareEvidence(margin)
        self.means = Means(1)

    @property
    def capital(self) -> float:
        """The evidence against the candidate."""
        return self.evidence.capital

    @property
    def candidate(self) -> Counts:
        """Its late answers."""
        return Counts(round(self.means.candidate[0]), self.means.candidates)

    @property
    def stable(self) -> Counts:
        """Stable's."""
        return Counts(round(self.means.stable[0]), self.means.stables)

    def take(self, weight_bp: int, candidate: bool, rows: Sequence[PredictedRow]) -> None:
        """An answer in time; see :meth:`late`."""
        del rows
        self.late(weight_bp, candidate, 0.0)

    def late(self, weight_bp: int, candidate: bool, share: float) -> None:
        """One answer: 1.0 if it was late."""
        mine, others = self.means.of(0)
        w = weight_bp / FULL_BP
        mean = (1.0 - w) * mine + w * others
        self.evidence.bet(weight_bp, candidate=candidate, share=share, mean=mean)
        self.means.add(candidate, [share])

    def doubt(self, weight_bp: int, candidate: bool) -> None:
        """The candidate's was in time, stable's was late."""
        self.late(weight_bp, candidate, 0.0 if candidate else 1.0)

    def seen(self) -> str:
        """Late answers of both."""
        return compared(self.candidate, self.stable, self.limits)

    def plain(self) -> str:
        """How often it was late."""
        mine, others = self.candidate, self.stable
        return (
            f"{mine.bad:,} of its {mine.total:,} answers were late ({self.limits}); {{stable}}: "
            f"{others.bad:,} of {others.total:,}"
        )


class StreamsState(OutputState):
    """Asks of when answers came, whatever they say."""

    def __init__(self, gate: Streams, context: GateContext) -> None:
        self.gate = gate
        margin = gate.margin / FULL_BP
        super().__init__(
            gate, context, lambda: LateAnswers(margin, gate.late_when), margin=margin,
            tolerated=f"stable + {margin * 100:g} pp",
        )  # fmt: skip

    def _take(self, sample: SampleFacts) -> None:
        if sample.facts.waits is None:
            if sample.facts.why == "lost":
                super()._take(sample)
            return
        for pool in (self.whole, *self._of(sample)):
            if isinstance(pool, LateAnswers):
                late = float(self.gate.is_late(*sample.facts.waits))
                pool.late(sample.weight_bp, sample.candidate, late)
                pool.requests[not sample.candidate] += 1

    def _of(self, sample: SampleFacts) -> list[OutputPool]:
        return [self._part(name) for name in self._segments(sample)]


class Streams(OutputGate):
    """LateAnswers for the first token and between tokens, of sampled live answers."""

    kind: ClassVar[str] = "streams"
    needs: ClassVar[frozenset[Need]] = OutputGate.needs | {Need.PIECES}

    first_token: Annotated[Seconds, Field(gt=0)] | None = None
    """From a request's arrival to the first piece of its answer that says something, at most."""
    gap: Annotated[Seconds, Field(gt=0)] | None = None
    """Between two pieces of an answer, at most."""
    margin: Annotated[BasisPoints, Field(gt=0, lt=10_000)] = 100
    """Share of answers that may be later beyond stable's."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.first_token is None and self.gap is None:
            raise ValueError("expected first_token or gap, or both")
        return self

    @property
    def late_when(self) -> str:
        """For people."""
        first = f"first token after {duration(self.first_token)}" if self.first_token else ""
        gap = f"silent for {duration(self.gap)}" if self.gap else ""
        return " or ".join(filter(None, (first, gap)))

    def is_late(self, first_s: float, gap_s: float) -> bool:
        """Whether an answer kept its client waiting."""
        return (self.first_token is not None and first_s > self.first_token) or (
            self.gap is not None and gap_s > self.gap
        )

    def start(self, context: GateContext) -> StreamsState:
        """Evidence 1 : 1."""
        return StreamsState(self, context)
