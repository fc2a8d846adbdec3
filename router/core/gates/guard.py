"""Gate ``guard``: is the candidate's failure rate above a fixed limit, whatever stable does?

A shared outage breaks an absolute limit although the candidate is innocent (in simulation on every
day with an outage). So the guard convicts only together with *relative* evidence: reached and
the candidate looks worse than stable at :data:`WITNESS` : 1 or more, it counts; reached alone, it
holds the ramp and says so. Where stable breaks the limit itself, the guard adds nothing: it takes
the relative evidence that would convict alone. Where only copies are judged, it counts alone.

Where the candidate has more than :data:`TRIAL_BP` of the traffic, or users are drawn who have all
been met, the alarm is no sentence but a *trial*: the share falls to :data:`TRIAL_BP` at once, and
what is drawn from then on is compared afresh. The k-th trial (from 0) has ``2 ** -(k + 1)`` of the
capital, so that all of them are one evidence, however many outages there are. It ends when the
alarm has gone.

Refusals (4xx but 429, empty answers) are their clients' fault until one version refuses what the
other one takes. So there is no limit for them, but where the candidate has that much traffic and
refuses most of it, that is an alarm too, and the trial compares the refusals. Where stable refuses
most itself there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from router.core.evidence import CompareEvidence, GuardEvidence
from router.core.gates.error_rate import (
    REFUSED,
    all_error_rows,
    all_refusal_rows,
    error_rows,
    failure_rows,
    refusal_evidence,
    refusal_rows,
)
from router.core.gates.gate import Gate, GateContext, GateState, mean
from router.core.gates.sample import Detect, Sample
from router.core.gates.sample import absolute as absolute_sample
from router.core.gates.verdict import FAILED, Counts, compared, judged, plainly
from router.core.quantities import BasisPoints
from router.core.snapshots import Lasting
from router.core.words import FULL_BP, odds, percent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from router.core.gates.comparison import Row
    from router.core.wire.outcomes import Batch

    Read = Callable[[Batch, int | None], Iterable[Row]]


WITNESS = 30.0
"""Relative evidence without which a broken limit convicts nobody: where both versions break it, a
witness of 30 : 1 is found in at most one rollout in thirty, on top of the limit itself."""

WITNESS_WITHOUT = 100.0
"""The same without the failures of one client among many, who may have made the alarm alone."""

BROKEN = 3.0
"""Evidence that stable breaks the limit itself, from which on the guard adds nothing."""


ALARM = 10.0
"""Evidence that the limit is broken at which a trial begins. It blames nobody and can be taken
back, so it need not wait for the evidence that convicts: that would cost two bad answers more."""

USERS_ALARM = 200.0
"""The same where users are drawn: there a trial ends the comparison that is going on."""

TRIAL_BP = 500
"""Share of the candidate while it is on trial: nearly a rollback, without blame."""


REFUSING = 0.5
"""Share of refusals above which they are an alarm, where stable's share is below."""


class _Trial(Lasting, listed="round _evidences refusals", later="refusals"):
    """Fresh evidence of what is drawn from one round on: of failures, or of refusals."""

    round: int
    refusals: bool

    def __init__(self, round_: int, context: GateContext, *, refusals: bool = False) -> None:
        self.round = round_
        self.refusals = refusals
        self.evidence: list[tuple[Read, CompareEvidence]] = (
            [(refusal_rows, refusal_evidence(context))]
            if refusals
            else _relative(context, hasty=False)
        )

    @property
    def _evidences(self) -> tuple[CompareEvidence, ...]:
        return tuple(evidence for _, evidence in self.evidence)

    @property
    def capital(self) -> float:
        return mean(evidence.capital for _, evidence in self.evidence)

    def capital_without(self, who: int) -> float:
        return mean(evidence.capital_without(who) for _, evidence in self.evidence)

    def observe(self, batch: Batch) -> None:
        for read, evidence in self.evidence:
            for key, draws, failing in read(batch, self.round):
                evidence.book(key, draws, failing)

    def counts(self) -> tuple[Counts, Counts]:
        first = self.evidence[0][1]
        return (
            Counts(first.candidate_bad, first.candidate_bad + first.candidate_ok),
            Counts(first.stable_bad, first.stable_bad + first.stable_ok),
        )


def _relative(context: GateContext, *, hasty: bool) -> list[tuple[Read, CompareEvidence]]:
    """Candidate against stable: requests, or users by their first request and first failure."""
    p0 = context.baseline.bad_rate
    horizon = context.horizon(p0)
    size = context.baseline.together

    def evidence(*, bad_only: bool) -> CompareEvidence:
        return CompareEvidence(p0, horizon=horizon, hasty=hasty, bad_only=bad_only, together=size)

    found: list[tuple[Read, CompareEvidence]] = [(error_rows, evidence(bad_only=False))]
    if context.sticky:
        found.append((failure_rows, evidence(bad_only=True)))
    return found


class GuardState(
    GateState,
    stable="stables",
    refusing="refusing stable_refusing",
    witnesses="*_witnessing",
    seen="weight_bp copies _tried",
    later="refusing stable_refusing copied",
):
    """The absolute evidence, a relative one beside it as the witness, and the trials."""

    absolute: GuardEvidence
    stables: GuardEvidence
    forced: GuardEvidence
    refusing: GuardEvidence
    stable_refusing: GuardEvidence
    trials: list[_Trial]
    weight_bp: int
    copies: bool
    _tried: bool
    copied: int

    def __init__(
        self, name: str, context: GateContext, limit: float, *, dry_run: bool = False
    ) -> None:
        super().__init__(name, context, dry_run=dry_run)
        horizon, size = context.horizon(limit), context.baseline.together
        self.absolute = GuardEvidence(limit, horizon=horizon, size=size)
        self.stables = GuardEvidence(limit, horizon=horizon, size=size)
        self.forced = GuardEvidence(limit, horizon=horizon, size=size)
        """Of requests that pins and rules sent: there is nobody to compare with, so it acts alone,
        unless stable breaks the limit as well."""
        self.refusing = GuardEvidence(REFUSING)
        self.stable_refusing = GuardEvidence(REFUSING)
        self.witnesses = _relative(context, hasty=True)
        self.trials: list[_Trial] = []
        self.weight_bp = 0
        """At which the candidate's newest answers were drawn."""
        self.copies = False
        """Only copies are judged: there is nothing to compare with."""
        self.copied = 0
        """Of the candidate's answers, those to copies; no other gate on failures counts them."""
        self._tried = True
        """The last trial has ended."""

    @property
    def capital(self) -> float:
        """The absolute evidence where a witness supports it, else that of the trials."""
        present = self.absolute.capital
        if present > 1.0 and not self._supported:
            present = 1.0
        if self.stables.capital < BROKEN:
            present = max(present, self.forced.capital)
        parts = [trial.capital * 0.5 ** (k + 1) for k, trial in enumerate(self.trials)]
        return max(present, sum(parts) + 0.5 ** len(parts)) if parts else present

    def capital_without(self, who: int) -> float:
        """What it would be without one client's failures.

        The limit counts only where the others alone make the candidate look worse.
        """
        relative = mean(evidence.capital_without(who) for _, evidence in self.witnesses)
        supported = self._supported and (self.copies or relative >= WITNESS_WITHOUT)
        present = self.absolute.capital if supported else min(self.absolute.capital, 1.0)
        if self.stables.capital < BROKEN:
            present = max(present, self.forced.capital_without(who))
        return max(present, self._tried_without(who))

    def _tried_without(self, who: int) -> float:
        parts = [t.capital_without(who) * 0.5 ** (k + 1) for k, t in enumerate(self.trials)]
        return sum(parts) + 0.5 ** len(parts) if parts else 0.0

    @property
    def relative(self) -> float:
        """What the witnesses say, ``x : 1``."""
        return mean(evidence.capital for _, evidence in self.witnesses)

    @property
    def _supported(self) -> bool:
        if self.copies:
            return True
        both = self.stables.capital >= BROKEN
        return self.relative >= (max(self.context.limit, WITNESS) if both else WITNESS)

    @property
    def held(self) -> bool:
        """Reached, but by both arms as it seems: no more traffic until it is over."""
        return self.on_trial or (
            self.absolute.capital >= min(self.context.limit, USERS_ALARM) and not self._supported
        )

    @property
    def wants_trial(self) -> bool:
        """Reached without a witness, where one could not be found soon."""
        if self.on_trial or self.dry_run:
            return False
        sticky, weight_bp = self.context.sticky, self.weight_bp
        if weight_bp == FULL_BP or (weight_bp > TRIAL_BP and not sticky):
            return (self._alarmed(self.absolute) or self.refuses) and not self._supported
        return sticky and self.held  # a trial of users ends the comparison that is going on

    def _alarmed(self, evidence: GuardEvidence) -> bool:
        enough = evidence.bad >= self.context.min_bad
        return enough and evidence.capital >= min(ALARM, self.context.limit)

    @property
    def refuses(self) -> bool:
        """It refuses most requests, and stable is not known to."""
        return self._alarmed(self.refusing) and self.stable_refusing.capital < BROKEN

    @property
    def on_trial(self) -> bool:
        """Until the alarm has gone."""
        return not self._tried

    def begin_trial(self, round_: int) -> None:
        """Compare what is drawn in this round."""
        refusals = self.refuses and not self._alarmed(self.absolute)
        self.trials.append(_Trial(round_, self.context, refusals=refusals))
        self._tried = False

    @property
    def of_refusals(self) -> bool:
        """The newest trial is."""
        return bool(self.trials) and self.trials[-1].refusals

    def _over(self) -> bool:
        """The alarm has gone, or stable gives the same one."""
        if self.of_refusals:
            return self.refusing.capital < 1.0 or self.stable_refusing.capital >= BROKEN
        return self.absolute.capital < 1.0

    @property
    def candidate(self) -> Counts:
        """All judged answers of the candidate."""
        if self.of_refusals:
            return Counts(self.refusing.bad, self.refusing.bad + self.refusing.ok)
        bad, ok = self.absolute.bad + self.forced.bad, self.absolute.ok + self.forced.ok
        return Counts(bad, bad + ok)

    @property
    def stable(self) -> Counts:
        """Stable's answers in the same period."""
        if self.of_refusals:
            e = self.stable_refusing
            return Counts(e.bad, e.bad + e.ok)
        return Counts(self.stables.bad, self.stables.bad + self.stables.ok)

    def observe(self, batch: Batch) -> None:
        """Cells of any weight, and mirrored copies (a failed copy is a failed answer)."""
        for read, evidence in self.witnesses:
            for key, draws, failing in read(batch, None):
                evidence.book(key, draws, failing)
        for trial in self.trials:
            trial.observe(batch)
        for key, draws, _ in all_refusal_rows(batch):
            self.refusing.book(key, draws)
            self.stable_refusing.book(key, draws.exchanged())
        for key, draws, failing in all_error_rows(batch, forced=True):
            self.forced.book(key, draws, failing)
        for key, draws, _ in all_error_rows(batch, forced=False):
            self.absolute.book(key, draws)
            self.stables.book(key, draws.exchanged())
            if draws.candidate_bad or draws.candidate_good:
                self.weight_bp, self.copies = draws.weight_bp, False
        pairs = batch.pairs
        if pairs is not None and not batch.cells and not pairs.reverse:
            self.absolute.observe(pairs.failed, pairs.agreed + pairs.disagreed)
            self.copies = True
            self.copied += pairs.failed + pairs.agreed + pairs.disagreed
        self._tried = self._tried or self._over()

    def abandon(self, source: int | None) -> None:
        """Tell every evidence."""
        self.absolute.abandon(source)
        self.stables.abandon(source)
        self.forced.abandon(source)
        self.refusing.abandon(source)
        self.stable_refusing.abandon(source)
        for _, evidence in [*self.witnesses, *(e for t in self.trials for e in t.evidence)]:
            evidence.abandon(source)

    def sample(self, detect: Detect, weight_bp: int) -> Sample:  # noqa: ARG002 - alike at all
        """Answers that show a candidate which breaks the limit by `detect`."""
        limit, least = self.context.limit, self.context.min_bad
        wanted = absolute_sample(self.absolute.limit, detect, limit=limit, min_bad=least)
        return Sample(self.candidate.total, wanted)

    @property
    def fails(self) -> bool:
        """They are, but for a trial of refusals."""
        return not self.of_refusals

    @property
    def _what(self) -> str:
        return REFUSED if self.of_refusals else FAILED

    def _besides(self) -> str:
        """What is in its totals and in no other gate's, so that nobody wonders why they differ."""
        forced = self.forced.bad + self.forced.ok
        parts = [f"{self.copied:,} copies"] if self.copied else []
        parts += [f"{forced:,} sent undrawn"] if forced else []
        return f", with {' and '.join(parts)}" if parts and not self.of_refusals else ""

    def plain(self) -> str:
        """Failures of both, all of them."""
        return plainly(self.candidate, self.stable, self._what)

    def sentence(self) -> str:
        """The candidate's rate against the limit, and whether stable fails as well."""
        refusals = self.of_refusals
        limit = REFUSING if refusals else self.absolute.limit
        present = self.refusing.capital if refusals else self.absolute.capital
        text = judged(
            compared(self.candidate, self.stable, self._what) + self._besides(),
            f"{limit * 100:g} % {'where' if refusals else 'whatever'} stable does"
            f"{' not' if refusals else ''}",
            max(present, self.forced.capital), self.context.limit,
        )  # fmt: skip
        if self.on_trial:
            counts = self.trials[-1].counts()
            if not counts[0].total:
                return f"{text}; on trial at {percent(TRIAL_BP)}, no answer of the candidate since"
            seen = compared(*counts, self._what)
            return (
                f"{text}; on trial at {percent(TRIAL_BP)}, since then {seen}, {odds(self.capital)}"
            )
        if not self.held:
            return text
        return f"{text}; stable fails as well (relative {odds(self.relative)}), so it holds"

    @property
    def _witnessing(self) -> tuple[CompareEvidence, ...]:
        return tuple(evidence for _, evidence in self.witnesses)

    def _make_parts(self, name: str, data: Any) -> None:
        if name == "trials":
            self.trials = [
                _Trial(int(round_), self.context, refusals=any(kind)) for round_, _, *kind in data
            ]


class Guard(Gate):
    """An absolute limit for the candidate's failures; at 100 % its alarm puts the arms on trial."""

    kind: ClassVar[str] = "guard"
    small: ClassVar[float | None] = 0.1

    error_rate: Annotated[BasisPoints, Field(gt=0, le=9_000)] = 500
    """Failures the candidate may have, whatever stable has."""

    def start(self, context: GateContext) -> GuardState:
        """Evidence 1 : 1."""
        return GuardState(self.title, context, self.error_rate / FULL_BP, dry_run=self.dry_run)
