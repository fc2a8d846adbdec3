"""Gate ``guard``: is the candidate's failure rate above a fixed limit, whatever stable does?

A shared outage breaks an absolute limit although the candidate is innocent (in simulation on every
day with an outage). So the guard convicts only together with *relative* evidence: reached and
the candidate looks worse than stable at :data:`WITNESS` : 1 or more, it counts; reached alone, it
holds the ramp and says so. Where stable breaks the limit itself, the guard adds nothing: it takes
the relative evidence that would convict alone. Where there is nothing to compare with (the
candidate has all the traffic, or only mirrored requests), it counts alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from router.core.evidence import CompareEvidence, GuardEvidence
from router.core.gates.error_rate import all_error_rows, error_rows, failure_rows
from router.core.gates.gate import Gate, GateContext, GateState, mean
from router.core.gates.sample import Detect, Sample
from router.core.gates.sample import absolute as absolute_sample
from router.core.gates.verdict import Counts, compared, judged
from router.core.quantities import BasisPoints
from router.core.wire.outcomes import FULL_BP
from router.core.words import odds

if TYPE_CHECKING:
    from router.core.wire.outcomes import Batch


WITNESS = 30.0
"""Relative evidence without which a broken limit convicts nobody: where both versions break it, a
witness of 30 : 1 is found in at most one rollout in thirty, on top of the limit itself."""

BROKEN = 3.0
"""Evidence that stable breaks the limit itself, from which on the guard adds nothing."""


class GuardState(GateState):
    """The absolute evidence, and a relative one beside it as the witness."""

    def __init__(
        self, name: str, context: GateContext, limit: float, *, dry_run: bool = False
    ) -> None:
        super().__init__(name, context, dry_run=dry_run)
        p0 = context.baseline.bad_rate
        horizon = context.horizon(p0)
        self.absolute = GuardEvidence(limit, horizon=context.horizon(limit))
        self.stables = GuardEvidence(limit, horizon=context.horizon(limit))
        self.witnesses = [(error_rows, CompareEvidence(p0, horizon=horizon, hasty=True))]
        if context.sticky:
            failures = CompareEvidence(p0, horizon=horizon, hasty=True, bad_only=True)
            self.witnesses.append((failure_rows, failures))
        self.alone = False

    @property
    def capital(self) -> float:
        """The absolute evidence where a witness supports it, else at most 1."""
        present = self.absolute.capital
        return present if self._supported else min(present, 1.0)

    @property
    def relative(self) -> float:
        """What the witnesses say, ``x : 1``."""
        return mean(evidence.capital for _, evidence in self.witnesses)

    @property
    def _supported(self) -> bool:
        if self.alone:
            return True
        both = self.stables.capital >= BROKEN
        return self.relative >= (max(self.context.limit, WITNESS) if both else WITNESS)

    @property
    def held(self) -> bool:
        """Reached, but by both arms as it seems: no more traffic until it is over."""
        return self.absolute.capital >= self.context.limit and not self._supported

    @property
    def candidate(self) -> Counts:
        """All judged answers of the candidate."""
        return Counts(self.absolute.bad, self.absolute.bad + self.absolute.ok)

    @property
    def stable(self) -> Counts:
        """Stable's answers in the same period."""
        return Counts(self.stables.bad, self.stables.bad + self.stables.ok)

    def observe(self, batch: Batch) -> None:
        """Cells of any weight, and mirrored copies (a failed copy is a failed answer)."""
        for read, evidence in self.witnesses:
            for key, draws in read(batch):
                evidence.book(key, draws)
        for key, draws in all_error_rows(batch):
            self.absolute.book(key, draws)
            self.stables.book(key, draws.exchanged())
            if draws.candidate_bad or draws.candidate_good:
                self.alone = draws.weight_bp == FULL_BP
        pairs = batch.pairs
        if pairs is not None and not batch.cells and not pairs.reverse:
            self.absolute.observe(pairs.failed, pairs.agreed + pairs.disagreed)
            self.alone = True

    def abandon(self, source: int | None) -> None:
        """Tell every evidence."""
        self.absolute.abandon(source)
        self.stables.abandon(source)
        for _, evidence in self.witnesses:
            evidence.abandon(source)

    def sample(self, detect: Detect, weight_bp: int) -> Sample:  # noqa: ARG002 - alike at all
        """Answers that show a candidate which breaks the limit by `detect`."""
        limit, least = self.context.limit, self.context.min_bad
        wanted = absolute_sample(self.absolute.limit, detect, limit=limit, min_bad=least)
        return Sample(self.candidate.total, wanted)

    def sentence(self) -> str:
        """The candidate's rate against the limit, and whether stable fails as well."""
        text = judged(
            compared(self.candidate, self.stable, "failed"),
            f"{self.absolute.limit * 100:g} % whatever stable does",
            self.absolute.capital, self.context.limit,
        )  # fmt: skip
        if not self.held:
            return text
        return f"{text}; stable fails as well (relative {odds(self.relative)}), so it holds"

    def snapshot(self) -> dict[str, Any]:
        """All evidences."""
        return {
            "absolute": self.absolute.snapshot(),
            "stable": self.stables.snapshot(),
            "witnesses": [evidence.snapshot() for _, evidence in self.witnesses],
            "alone": self.alone,
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot."""
        self.absolute.restore(data["absolute"])
        self.stables.restore(data["stable"])
        for (_, evidence), part in zip(self.witnesses, data["witnesses"], strict=True):
            evidence.restore(part)
        self.alone = bool(data["alone"])


class Guard(Gate):
    """An absolute limit for the candidate's failures; the only gate that still acts at 100 %."""

    kind: ClassVar[str] = "guard"

    error_rate: Annotated[BasisPoints, Field(gt=0, le=9_000)] = 500
    """Failures the candidate may have, whatever stable has."""

    def start(self, context: GateContext) -> GuardState:
        """Evidence 1 : 1."""
        return GuardState(self.title, context, self.error_rate / FULL_BP, dry_run=self.dry_run)
