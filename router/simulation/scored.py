"""A verdict from pairs alone: what a live shadow of the same requests would have come to.

The books, the gates and the evidence are the shadow's own; only the pairs come from a log that is
replayed instead of from copies of live requests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from router.core.judge import Judge, Judgement, JudgeSettings
from router.core.pairs.rows import with_features
from router.core.pairs.shadow import ShadowBook, Terms
from router.core.pairs.tally import PairFinding
from router.core.policy import RolloutPolicy, Route
from router.core.position import Position
from router.core.predictions.facts import row_features
from router.core.predictions.rows import NOTHING
from router.core.proof import holding, unproven
from router.core.rollout.events import Action
from router.core.snapshots import Lasting
from router.core.wire.baseline import Baseline
from router.core.wire.counts import PairSample
from router.core.wire.histogram import BUCKETS, bucket_of
from router.core.wire.outcomes import Batch
from router.core.words import FULL_BP


@dataclass(frozen=True, slots=True)
class ScoreVerdict:
    """What the pairs say."""

    verdict: str
    """fail: the version is worse; pass: every gate on pairs has had enough; pending: not yet."""
    sentence: str
    judgement: Judgement
    book: ShadowBook
    """What comparing has found."""


def past_of(ended: Iterable[tuple[bool, float]], over_s: float) -> Baseline:
    """Stable's past: of each answer whether it failed, and its seconds; over so long a time."""
    total = bad = 0
    buckets = [0] * BUCKETS
    for failed, seconds in ended:
        total += 1
        bad += failed
        buckets[bucket_of(max(seconds, 0.0))] += 1
    return Baseline(total, bad, tuple(buckets), total / over_s if over_s > 0 else 0.0)


class ScoreJudge(Lasting, shadow="book"):
    """Feed it pairs with :meth:`take`, in order; ask :meth:`verdict` at any time."""

    judge: Judge
    book: ShadowBook
    _first_s: float | None
    _now: float

    def __init__(
        self, route: Route, policy: RolloutPolicy, past: Baseline, *, stable: str, candidate: str
    ) -> None:
        declared = route.predictions.declared if route.predictions else NOTHING
        self.book = ShadowBook(
            Terms(stable, candidate, policy.compare, route.payload, route.errors, declared)
        )
        self.policy, self.route = policy, route
        self.judge = Judge(
            policy.gates, JudgeSettings.of(policy, sticky=route.sticky is not None), past, 0.0
        )
        self._first_s = None
        self._now = 0.0

    @property
    def decided(self) -> bool:
        """Whether more pairs would change nothing any more."""
        return bool(self.judge.conviction)

    def take(self, sample: PairSample, at: float) -> None:
        """One request with both answers; ``at``: when it was asked, seconds since 1970."""
        self._first_s = at if self._first_s is None else self._first_s
        self._now = max(self._now, at - self._first_s)
        pairs = self.book.add(sample, self._finding(sample), at)
        if pairs is not None:
            self.judge.observe(Batch(self.route.name, 1, pairs=pairs), self._now)

    def _finding(self, sample: PairSample) -> PairFinding:
        terms = self.book.terms
        known = terms.by_status(sample)
        if known is not None:
            return known
        kind = sample.payload or terms.payload
        stable, other = terms.sides(sample)
        found = terms.likeness.read_by(terms.payload, kind).compare(
            kind, stable.body, other.body, self.book.noise.silenced, (stable.coding, other.coding)
        )
        if (by := self.judge.told.features) and found.rows:
            asked = row_features(sample.request, sample.request_coding, kind, by)
            found = replace(found, rows=with_features(found.rows, asked))
        return terms.read_as(found)

    def verdict(self) -> ScoreVerdict:
        """As of the last pair."""
        judge = self.judge
        action = judge.tick(self._now, expecting=False)
        judgement = judge.judgement()
        place = Position(0, mirror_bp=FULL_BP, seen=judge.pairs, judged=judge.pairs)
        lacks = unproven(judge, place, self.policy.detect.sought)
        if action is Action.ROLLBACK:
            verdict, sentence = "fail", judgement.sentence
        elif action is Action.HOLD:
            verdict, sentence = "pending", "; ".join(holding(judge)) or judgement.sentence
        elif lacks:
            verdict, sentence = "pending", lacks
        else:
            verdict, sentence = "pass", judgement.sentence
        return ScoreVerdict(verdict, sentence, judgement, self.book)

    # --- through an interruption ------------------------------------------------------------------

    def _make_parts(self, name: str, data: Any) -> None:
        if name == "judge":
            self.judge = Judge.restored(self.policy.gates, self.judge.settings, data)
