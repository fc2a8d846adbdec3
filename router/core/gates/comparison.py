"""The state shared by gates that compare the two arms, request by request."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field

from router.core.evidence import CompareEvidence
from router.core.evidence.blame import NOBODY, Failing
from router.core.evidence.ledger import key_of
from router.core.evidence.slices import Key, Slice
from router.core.gates.gate import GateContext, GateState
from router.core.gates.sample import Detect, Sample
from router.core.gates.sample import compared as compared_sample
from router.core.gates.verdict import FAILED, Counts, compared, judged, plainly, tolerance_text
from router.core.quantities import BasisPoints
from router.core.spec import Spec
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from router.core.wire.outcomes import ArmCounts, Batch, Cell

FIRST_REQUESTS = ", of each user the first request"
FIRST_FAILURES = ", of each user the first failure"

Afresh = Callable[[int, float], "tuple[Question, ...]"]
"""Makes the questions about one round, with a share of the gate's capital."""

Outcomes = tuple[int, int, int, int]
"""Drawn, bad and good requests (or users) of one arm of one slice; and of the bad ones, those with
the cause of another."""


class Tolerance(Spec):
    """How much worse than stable a candidate may be."""

    relative: Annotated[BasisPoints, Field(le=10_000)] = 1_000
    """Tolerated excess as a share of stable's bad rate."""
    absolute: Annotated[BasisPoints, Field(le=5_000)] = 10
    """Tolerated excess as a share of requests, on top."""

    @property
    def rho(self) -> float:
        """The relative tolerance as a fraction."""
        return self.relative / FULL_BP

    @property
    def delta(self) -> float:
        """The absolute tolerance as a fraction."""
        return self.absolute / FULL_BP

    def __str__(self) -> str:
        """``stable + 10 % + 0.1 pp``."""
        return tolerance_text(self.rho, self.delta)


class Row(NamedTuple):
    """One slice of draws as one question reads it from a batch."""

    key: Key | None
    draws: Slice
    failing: Failing = NOBODY
    """Whose requests the bad ones are, where the question is about failures."""


def arms(cell: Cell, round_: int | None = None) -> tuple[ArmCounts, ArmCounts] | None:
    """(candidate, stable) of what was drawn: requests, or users by their first ones.

    ``round_``: for the evidence of one round, in which all users count anew; None: of all rounds,
    where each counts once. None is answered where nothing of the cell counts.
    """
    if cell.forced or round_ not in {None, cell.round}:
        return None
    if not cell.sticky:
        return cell.candidate, cell.stable
    return cell.newcomers if round_ is None else cell.firsts


def row(cell: Cell, candidate: Outcomes, stable: Outcomes, failing: Failing = NOBODY) -> Row:
    """A row of a cell's outcomes; an increment has drawn what it tells of."""
    key = key_of(cell)
    (cd, cb, cg, cm), (sd, sb, sg, sm) = candidate, stable
    if key is None:
        cd, sd = cb + cg, sb + sg
    return Row(key, Slice(cell.weight_bp, cd, cb, cg, sd, sb, sg, cm, sm), failing)


@dataclass(frozen=True, slots=True)
class Question:
    """One question about the two arms."""

    evidence: CompareEvidence
    what: str
    """``failed``, ``slower than 250ms``: what a bad outcome is, for the sentence."""
    tolerated: str
    read: Callable[[Batch], Iterable[Row]]
    users: str = ""
    """How users are counted, where they are drawn."""
    share: float = 1.0
    """Of the gate's capital, beside those of its other questions."""
    aside: bool = False
    """Asks for something else than `detect` speaks of, so that no step waits for its sample."""

    def observe(self, batch: Batch) -> None:
        """Feed the rows of a batch."""
        for key, draws, failing in self.read(batch):
            self.evidence.book(key, draws, failing)


FRESH = 0.2
"""Share of a gate's capital that bets on users afresh. The k-th time they count anew has FRESH /
(k (k + 1)) of it, so that all of them together are one evidence, however long a rollout lasts."""

ROUNDS_MAX = 16
"""Rounds that evidence is kept of; what an older one has come to stays as it is."""

FRESH_FIRST_REQUESTS = ", of each user the first request since they count anew"
FRESH_FIRST_FAILURES = ", of each user the first failure since they count anew"


class ComparisonState(
    GateState, rounds="begun past rounds", questions="*_evidences", later="begun past rounds"
):
    """One or several questions, their evidence averaged; the sentence is the leading one's."""

    begun: int
    past: list[float]
    rounds: list[int]

    def __init__(
        self,
        name: str,
        context: GateContext,
        questions: tuple[Question, ...],
        *,
        dry_run: bool = False,
        afresh: Afresh | None = None,
    ) -> None:
        """``afresh``: the questions of one more round, beside those of all of them."""
        super().__init__(name, context, dry_run=dry_run)
        self.questions = questions
        self.afresh = afresh
        self._asked = len(questions)
        self.rounds: list[int] = []
        """Which of them are asked about afresh; of older ones what was left of their capital."""
        self.begun = 0
        self.past = [0.0, 0.0]
        """Of older ones: their share, and the capital that came of it."""

    @property
    def _idle(self) -> float:
        """The part of the capital that is kept for rounds to come, see :data:`FRESH`."""
        return FRESH / (self.begun + 1) if self.afresh is not None else 0.0

    @property
    def _whole(self) -> float:
        return math.fsum((*(q.share for q in self.questions), self._idle, self.past[0]))

    def begin_round(self, round_: int) -> None:
        """All users count anew: ask about them afresh."""
        if self.afresh is None:
            return
        self.begun += 1
        self._ask(self.afresh, round_, self.begun)
        if len(self.rounds) > ROUNDS_MAX:
            self._forget()

    def _forget(self) -> None:
        """The oldest round: what it has come to stays as it is."""
        each = (len(self.questions) - self._asked) // len(self.rounds)
        lasting, later = self.questions[: self._asked], self.questions[self._asked :]
        self.past = [
            self.past[0] + math.fsum(q.share for q in later[:each]),
            self.past[1] + math.fsum(q.share * q.evidence.capital for q in later[:each]),
        ]
        self.questions = lasting + later[each:]
        del self.rounds[0]

    def _ask(self, afresh: Afresh, round_: int, k: int) -> None:
        self.rounds.append(round_)
        self.questions += afresh(round_, FRESH / (k * (k + 1)))

    @property
    def capital(self) -> float:
        """Average evidence of the questions; what is kept for later counts as 1."""
        told = math.fsum(q.share * q.evidence.capital for q in self.questions)
        return (told + self._idle + self.past[1]) / self._whole

    def capital_without(self, who: int) -> float:
        """The same without one client's failures."""
        told = math.fsum(q.share * q.evidence.capital_without(who) for q in self.questions)
        return (told + self._idle + self.past[1]) / self._whole

    @property
    def leading(self) -> Question:
        """The question with the most evidence."""
        return max(self.questions, key=lambda question: question.share * question.evidence.capital)

    @property
    def candidate(self) -> Counts:
        """The candidate's outcomes in the leading question."""
        e = self.leading.evidence
        return Counts(e.candidate_bad, e.candidate_bad + e.candidate_ok)

    @property
    def stable(self) -> Counts:
        """Stable's outcomes in the leading question, at the same weights and in the same period."""
        e = self.leading.evidence
        return Counts(e.stable_bad, e.stable_bad + e.stable_ok)

    def observe(self, batch: Batch) -> None:
        """Feed every question."""
        for question in self.questions:
            question.observe(batch)

    def renew(self) -> None:
        """Tell the questions about failures."""
        for question in self.questions:
            if question.what == FAILED:
                question.evidence.renew()

    def abandon(self, source: int | None) -> None:
        """Tell every question."""
        for question in self.questions:
            question.evidence.abandon(source)

    def sample(self, detect: Detect, weight_bp: int) -> Sample:
        """The question that lacks most; first failures only help where first requests decide."""
        asked = [q.evidence for q in self.questions if not (q.evidence.bad_only or q.aside)]
        asking = math.fsum(q.share for q in self.questions if not q.aside)
        limit = self.context.limit * self._whole / asking
        return max(
            (
                Sample(
                    e.candidate_bad + e.candidate_ok,
                    compared_sample(
                        weight_bp, e.p0, e.relative, e.absolute, detect,
                        limit=limit, min_bad=self.context.min_bad,
                    ),
                )
                for e in asked
            ),
            key=lambda one: one.left,
        )  # fmt: skip

    @property
    def fails(self) -> bool:
        """Where the leading question asks that."""
        return self.leading.what == FAILED

    def plain(self) -> str:
        """The leading question's counts."""
        return plainly(self.candidate, self.stable, self.leading.what)

    def sentence(self) -> str:
        """The leading question's numbers."""
        question = self.leading
        seen = compared(self.candidate, self.stable, question.what)
        seen += question.users
        return judged(seen, question.tolerated, self.capital, self.context.limit)

    @property
    def _evidences(self) -> tuple[CompareEvidence, ...]:
        return tuple(question.evidence for question in self.questions)

    def _make_parts(self, name: str, data: Any) -> None:
        if name == "rounds" and self.afresh is not None:
            for k, round_ in enumerate(data, self.begun - len(data) + 1):
                self._ask(self.afresh, int(round_), k)
