"""What gates on late truth share: one loss from 0 to 1 a request, of pairs and of drawn requests.

A gate says how a truth becomes losses (:meth:`LateState.losses`), and how a mean loss is told to
people. The bet is :class:`router.core.evidence.loss.LossEvidence`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from router.core.evidence.loss import LossEvidence
from router.core.gates.gate import GateContext, GateState
from router.core.gates.sample import Detect, Sample, lost, paired, part_limits
from router.core.gates.verdict import Counts, judged
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from router.core.wire.outcomes import Batch
    from router.core.wire.ripe import Ripe, RipePair


class LateState(GateState):
    """See the module."""

    evidence: LossEvidence

    unit = ""
    """What a request is called in the sentence, ``labelled predictions``."""
    by_pairs = False
    """Whether copies are evidence as well."""

    def __init__(
        self, name: str, context: GateContext, margin: float, *, dry_run: bool = False
    ) -> None:
        super().__init__(name, context, dry_run=dry_run)
        self.evidence = LossEvidence(margin, context.pairs_share if self.by_pairs else 0.0)

    @abstractmethod
    def loss(self, one: Ripe) -> float | None:
        """The loss of the version that served; None: the truth does not tell."""

    def losses(self, pair: RipePair) -> tuple[float, float] | None:  # noqa: ARG002 - see mae
        """(candidate's, stable's) for one row that both answered; None: not told."""
        return None

    @abstractmethod
    def shown(self, loss: float) -> str:
        """A mean loss as people know it: ``12.3``, ``81 %``."""

    @abstractmethod
    def tolerated(self) -> str:
        """What is allowed: ``stable + 2``."""

    def observe(self, batch: Batch) -> None:
        """Take in what has matured."""
        for one in batch.matured:
            self._pair(one)
            if one.candidate is not None and (loss := self.loss(one)) is not None:
                self.evidence.draw(one.weight_bp / FULL_BP, loss, candidate=one.candidate)

    def _pair(self, one: Ripe) -> None:
        """The rows of one request are one bet: their mean."""
        both = [losses for pair in one.pairs if (losses := self.losses(pair)) is not None]
        if both:
            candidate = sum(losses[0] for losses in both) / len(both)
            self.evidence.pair(candidate, sum(losses[1] for losses in both) / len(both))

    @property
    def capital(self) -> float:
        """Of pairs and of drawn requests."""
        return self.evidence.capital

    @property
    def _by_pairs(self) -> bool:
        return self.evidence.together.count > self.evidence.candidate.count

    @property
    def candidate(self) -> Counts:
        """Predictions in which it lost more, of all."""
        seen = self.evidence.together if self._by_pairs else self.evidence.candidate
        return Counts(seen.bad, seen.count)

    @property
    def stable(self) -> Counts:
        """Predictions of stable that it is held against."""
        seen = self.evidence.together if self._by_pairs else self.evidence.stable
        return Counts(0, seen.count)

    def sample(self, detect: Detect, weight_bp: int) -> Sample:
        """Pairs or drawn requests that show one which loses more than the margin by `detect`.

        Whichever is nearer: a part of the capital is of each.
        """
        e, least = self.evidence, self.context.min_bad
        limits = part_limits(self.context.limit, e.pairs_share)
        wanted = paired(e.margin, detect, limit=limits[0], min_bad=least)
        drawn = lost(weight_bp, e.margin, detect, limit=limits[1], min_bad=least)
        both = Sample(e.together.count, wanted), Sample(e.candidate.count, drawn)
        return min(both, key=lambda one: one.left)

    def sentence(self) -> str:
        """Both means, with their numbers."""
        if self._by_pairs:
            ours, theirs = self.evidence.together.means()
            seen = (
                f"candidate {self.shown(ours)}, stable {self.shown(theirs)} in "
                f"{self.evidence.together.count:,} {self.unit} that both answered"
            )
        else:
            mine, other = self.evidence.candidate, self.evidence.stable
            seen = (
                f"candidate {self.shown(mine.mean())} in {mine.count:,}, stable "
                f"{self.shown(other.mean())} in {other.count:,} {self.unit}"
            )
        return judged(seen, self.tolerated(), self.capital, self.context.limit)
