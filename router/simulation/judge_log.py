"""A verdict from an access log: the router's own judge, fed by somebody else's split.

The router need not be in the path. What decides is the same: requests that a coin (or a hash of the
user) sent to one of two versions, whether they failed, how long they took. The weight of the coin
comes from the lines, or from whoever asks. Where users were split, a user counts once, with the
first request; so many requests of one user are one draw.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from router.core.gates.sample import Detect
from router.core.judge import Judge, Judgement, JudgeSettings
from router.core.policy import Route
from router.core.policy.rollout import RolloutPolicy
from router.core.proof import Position, holding, unproven
from router.core.rollout.events import Action
from router.core.wire.histogram import BUCKETS, bucket_of
from router.core.wire.outcomes import FULL_BP, ArmCounts, Baseline, Batch, Cell
from router.simulation.access_log import Logged

USERS_MAX: Final = 1_000_000
"""Users remembered; later new ones are left out, both versions alike."""


@dataclass(frozen=True, slots=True)
class LogVerdict:
    """What the log says."""

    verdict: str
    """fail: the candidate is worse; pass: every gate has had enough; pending: not yet."""
    sentence: str
    judgement: Judgement
    requests: dict[str, int] = field(default_factory=dict)
    """Lines by version."""
    skipped: int = 0
    at_s: float | None = None
    """Time of the request that convicted, seconds since 1970."""

    def to_json(self) -> dict[str, Any]:
        """For machines: ``value`` is 1 for pass, -1 for fail, 0 for not yet."""
        value = {"pass": 1, "fail": -1}.get(self.verdict, 0)
        told = self.judgement.to_json()
        return {
            "verdict": self.verdict, "value": value, "sentence": self.sentence,
            "evidence": told["capital"], "limit": told["limit"], "gates": told["reports"],
            "requests": self.requests, "skipped": self.skipped, "at": self.at_s,
        }  # fmt: skip


class LogJudge:
    """Feed it lines with :meth:`take`; ask :meth:`verdict` at any time."""

    def __init__(
        self, route: Route, policy: RolloutPolicy, *, stable: str, candidate: str,
        weight_bp: int | None = None,
    ) -> None:  # fmt: skip
        self.route, self.policy = route, policy
        self.arms = {candidate: True, stable: False}
        self.names = (stable, candidate)
        self.weight_bp = weight_bp
        self.users: set[str] | None = set() if route.sticky is not None else None
        self.requests = dict.fromkeys((stable, candidate), 0)
        self.skipped = 0
        self.convicted_s: float | None = None
        self._past = [0, 0]
        self._buckets = [0] * BUCKETS
        self._first_s: float | None = None
        self._now = 0.0
        self._judge: Judge | None = None
        self._last_weight = 0

    def take(self, entries: Iterable[Logged | None]) -> None:
        """Requests in the order of the log."""
        for entry in entries:
            if entry is None or (entry.route and entry.route != self.route.name):
                self.skipped += entry is None
            elif entry.rescued:
                failed = replace(entry, version=self.names[1], outcome="", status=502)
                self._one(failed, candidate=True)
            elif entry.version in self.arms:
                self._one(entry, candidate=self.arms[entry.version])

    def _one(self, entry: Logged, *, candidate: bool) -> None:
        self.requests[entry.version] += 1
        self._first_s = entry.at_s if self._first_s is None else self._first_s
        self._now = max(self._now, entry.at_s - self._first_s)
        if self._judge is None and not candidate:
            self._remember(entry)
            return
        judge = self._begun()
        if not candidate:
            self._remember(entry)
            judge.learn(self._baseline())
        weight_bp = self.weight_bp if entry.weight_bp is None else entry.weight_bp
        if not weight_bp or self._known(entry):
            return
        self._last_weight = weight_bp
        arm = self._arm(judge, entry, candidate=candidate)
        nobody = (0,) * len(judge.thresholds_s)
        other = ArmCounts(fast=nobody, slow=nobody)
        both = (arm, other) if candidate else (other, arm)
        cell = Cell(weight_bp, *both, judge.thresholds_s, judge.tolerance)
        judge.observe(Batch(self.route.name, 1, (cell,)), self._now)
        if self.convicted_s is None and judge.conviction:
            self.convicted_s = entry.at_s

    def _known(self, entry: Logged) -> bool:
        """Whether its user has been counted (or cannot be told) where users were split."""
        if self.users is None:
            return False
        if not entry.user or entry.user in self.users or len(self.users) >= USERS_MAX:
            return True
        self.users.add(entry.user)
        return False

    @staticmethod
    def _arm(judge: Judge, entry: Logged, *, candidate: bool) -> ArmCounts:
        scale = 1.0 + judge.tolerance if candidate else 1.0
        limits = [limit * scale for limit in judge.thresholds_s]
        slow = tuple(int(entry.seconds is not None and entry.seconds > one) for one in limits)
        fast = tuple(int(entry.seconds is not None and entry.seconds <= one) for one in limits)
        if entry.left:
            return ArmCounts(0, 0, fast, slow, arrived=1, left=1)
        return ArmCounts(int(not entry.failed), int(entry.failed), fast, slow, arrived=1)

    def _remember(self, entry: Logged) -> None:
        self._past[0] += 1
        self._past[1] += entry.failed
        if entry.seconds is not None:
            self._buckets[bucket_of(max(entry.seconds, 0.0))] += 1

    def _baseline(self) -> Baseline:
        per_s = self._past[0] / self._now if self._now > 0 else 0.0
        return Baseline(self._past[0], self._past[1], tuple(self._buckets), per_s)

    def _begun(self) -> Judge:
        if self._judge is None:
            self._judge = self._fresh()
        return self._judge

    def _fresh(self) -> Judge:
        settings = JudgeSettings.of(self.policy, sticky=False)
        return Judge(self.policy.gates, settings, self._baseline(), self._now)

    def verdict(self) -> LogVerdict:
        """As of the last line."""
        judge = self._judge or self._fresh()
        action = judge.tick(self._now)
        judgement = judge.judgement()
        place = Position(
            self._last_weight, seen=judge.answers + judge.pairs, judged=judge.answers + judge.pairs
        )
        detect: Detect = self.policy.detect.sought
        lacks = self._blind() or unproven(judge, place, detect)
        if action is Action.ROLLBACK:
            verdict, sentence = "fail", judgement.sentence
        elif judge.router_bug:
            seen = self.requests[self.names[1]]
            verdict, sentence = (
                "pending",
                (
                    f"the split is not the weight that was told: {seen:,} of "
                    f"{sum(self.requests.values()):,} requests are of {self.names[1]}"
                ),
            )
        elif action is Action.HOLD:
            verdict, sentence = "pending", "; ".join(holding(judge)) or judgement.sentence
        elif lacks:
            verdict, sentence = "pending", lacks
        else:
            verdict, sentence = "pass", judgement.sentence
        return LogVerdict(
            verdict, sentence, judgement, dict(self.requests), self.skipped, self.convicted_s
        )

    def _blind(self) -> str:
        """Why these lines cannot be judged at all; empty when they can."""
        stable, candidate = self.names
        if not self.requests[candidate]:
            return f"no line is of {candidate}"
        if not self._last_weight:
            return "no weight: give the candidate's share, or log it with every request"
        if self._last_weight == FULL_BP and not self.requests[stable]:
            return f"no line is of {stable}"
        return ""
