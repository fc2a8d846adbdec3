"""A verdict from an access log: the router's own judge, fed by somebody else's split.

The router need not be in the path. What decides is the same: requests that a coin (or a hash of the
user) sent to one of two versions, whether they failed, how long they took. The weight of the coin
comes from the lines, or from whoever asks. Where users were split, users are the unit, as there.

A log tells requests when they end, and fast failures end before slow successes; evidence wants them
in the order in which they were drawn. So a line waits until everything drawn before it must have
ended: as long as the longest request that was seen, :data:`HELD_MAX_S` at most.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final

import xxhash

from router.core.evidence.users import bets_of
from router.core.gates.sample import Detect
from router.core.judge import Judge, Judgement, JudgeSettings
from router.core.policy import Route
from router.core.policy.rollout import RolloutPolicy
from router.core.position import Position
from router.core.proof import holding, unproven
from router.core.rollout.events import Action
from router.core.wire.baseline import Baseline
from router.core.wire.histogram import BUCKETS, bucket_of
from router.core.wire.outcomes import ArmCounts, Batch, Cell, UserCounts
from router.core.words import FULL_BP
from router.simulation.access_log import Logged

USERS_MAX: Final = 1 << 18
"""Places for users, as in a worker: two of one place count as one, both versions alike."""

FAILED_BEFORE: Final = -1

UNIT_DIGITS: Final = 16

HELD_MAX_S: Final = 60.0
"""Longest time for which a line waits for others that were drawn before it."""


class InOrder:
    """Requests in the order in which they were drawn, made from the order in which they ended."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Logged]] = []
        self._number = count()
        self._hold_s = self._newest_s = 0.0

    def put(self, entry: Logged) -> Iterator[Logged]:
        """One more; answers those that nothing earlier can follow any more."""
        self._hold_s = max(self._hold_s, min(entry.seconds or 0.0, HELD_MAX_S))
        self._newest_s = max(self._newest_s, entry.at_s)
        heapq.heappush(self._waiting, (entry.began_s, next(self._number), entry))
        yield from self._until(self._newest_s - self._hold_s)

    def rest(self) -> Iterator[Logged]:
        """The log has ended."""
        yield from self._until(float("inf"))

    def _until(self, drawn_s: float) -> Iterator[Logged]:
        while self._waiting and self._waiting[0][0] <= drawn_s:
            yield heapq.heappop(self._waiting)[2]


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


class LogJudge:
    """Feed it lines with :meth:`take`; ask :meth:`verdict` at any time."""

    def __init__(
        self, route: Route, policy: RolloutPolicy, *, stable: str, candidate: str,
        weight_bp: int | None = None, since_s: float = float("inf"),
    ) -> None:  # fmt: skip
        """``since_s``: the split began then, seconds since 1970; or with the candidate's first.

        What stable answered before is its past.
        """
        self.route, self.policy = route, policy
        self.arms = {candidate: True, stable: False}
        self.names = (stable, candidate)
        self.weight_bp = weight_bp
        self.users: dict[int, int] | None = {} if route.sticky is not None else None
        """Requests in this round by user's place, or :data:`FAILED_BEFORE`."""
        self._order = InOrder()
        self._since_s = since_s
        self._round = 0
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
                continue
            for one in self._order.put(entry):
                self._drawn(one)

    def finish(self) -> None:
        """The log has ended: what waited for earlier requests counts now."""
        for one in self._order.rest():
            self._drawn(one)

    def _drawn(self, entry: Logged) -> None:
        if entry.rescued:
            failed = replace(entry, version=self.names[1], outcome="", status=502)
            self._one(failed, candidate=True)
        elif entry.version in self.arms:
            self._one(entry, candidate=self.arms[entry.version])

    def _one(self, entry: Logged, *, candidate: bool) -> None:
        self.requests[entry.version] += 1
        self._first_s = entry.at_s if self._first_s is None else self._first_s
        self._now = max(self._now, entry.at_s - self._first_s)
        drawn = candidate or entry.weight_bp or entry.began_s >= self._since_s
        if self._judge is None and not drawn:
            self._remember(entry)
            return
        judge = self._begun()
        if not candidate:
            self._remember(entry)
            if not judge.settled:
                judge.learn(self._baseline())
        weight_bp = self.weight_bp if entry.weight_bp is None else entry.weight_bp
        if not weight_bp or (self.users is not None and not entry.user):
            return
        self._last_weight = weight_bp
        arm, other = self._arms(judge, entry, candidate=candidate)
        both = (arm, other) if candidate else (other, arm)
        sticky = self.users is not None
        cell = Cell(
            weight_bp, *both, judge.thresholds_s, judge.tolerance, sticky=sticky,
            round=judge.cap.round,
        )  # fmt: skip
        judge.observe(Batch(self.route.name, 1, (cell,)), self._now)
        if self.convicted_s is None and judge.conviction:
            self.convicted_s = entry.at_s

    def _arms(
        self, judge: Judge, entry: Logged, *, candidate: bool
    ) -> tuple[ArmCounts, ArmCounts]:  # fmt: skip
        """The counts of its arm, and of the other one."""
        scale = 1.0 + judge.tolerance if candidate else 1.0
        limits = [limit * scale for limit in judge.thresholds_s]
        slow = tuple(int(entry.seconds is not None and entry.seconds > one) for one in limits)
        fast = tuple(int(entry.seconds is not None and entry.seconds <= one) for one in limits)
        none = (0,) * len(limits)
        users, nobody = None, None
        if self.users is not None:
            users, nobody = self._user(judge, entry, slow), UserCounts(slow=((),) * len(limits))
        good = not (entry.failed or entry.left)
        arm = ArmCounts(
            int(good), int(entry.failed and not entry.left), fast, slow, arrived=1,
            left=int(entry.left), users=users, refused=int(entry.refused),
        )  # fmt: skip
        return arm, ArmCounts(fast=none, slow=none, users=nobody)

    def _user(self, judge: Judge, entry: Logged, slow: tuple[int, ...]) -> UserCounts:
        """What a worker would tell of its user: the first request, or a later one that bets."""
        users = self.users if self.users is not None else {}
        if self._round != judge.cap.round:
            self._round = judge.cap.round
            users.clear()
        name = _unit(entry.user)
        met = users.get(name % USERS_MAX, 0)
        first, failed = met == 0, entry.failed and not entry.left
        bets = 0 <= met < bets_of(judge.baseline.bad_rate)
        users[name % USERS_MAX] = FAILED_BEFORE if met < 0 or (bets and failed) else met + 1
        unit = (name,)
        return UserCounts(
            drawn=unit if first else (), bad=unit if first and failed else (),
            slow=tuple(unit if first and late else () for late in slow), betting=int(bets),
            betting_good=int(bets and not failed), first_bad=unit if bets and failed else (),
            refused=unit if first and entry.refused else (),
        )  # fmt: skip

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
        settings = JudgeSettings.of(self.policy, sticky=self.users is not None)
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


def _unit(user: str) -> int:
    """The user's name in evidence: as the router logs it (64 bits, hexadecimal), or hashed so."""
    if len(user) == UNIT_DIGITS and not set(user) - set("0123456789abcdef"):
        return int(user, 16)
    return xxhash.xxh64_intdigest(user.encode(), seed=1)
