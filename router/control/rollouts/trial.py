"""The evidence of one attempt of a rollout: the judge, and what the present step has seen.

Counts belong to an attempt by the revision of the table that routed them, not by the time at which
they arrive: what was in flight when a step ended still is evidence, what an earlier attempt left
behind is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import IntEnum
from math import isfinite
from typing import Final

from router.control.rollouts.lines import (
    AbandonLine,
    BatchLine,
    FollowLine,
    LearnLine,
    MeasuredValues,
    MeasureLine,
    RecordedLine,
    RewardLine,
)
from router.control.state.evidence import TrialState
from router.core.causes import NO_CAUSE, Ground, cause_of
from router.core.evidence.distinct import DistinctUnits
from router.core.gates import Measurement
from router.core.judge import Judge, Judgement, JudgeSettings
from router.core.pairs.shadow import ShadowBook, Terms
from router.core.policy import RolloutPolicy, Route
from router.core.position import Position
from router.core.predictions.rows import NOTHING
from router.core.proof import lacking, missing, place_of
from router.core.rollout.bandit import Rewards, shares, worth_moving
from router.core.rollout.events import Action, Observed
from router.core.rollout.plan import Plan
from router.core.rollout.rollout import Phase, Rollout
from router.core.rollout.traffic import split_for
from router.core.wire.baseline import Baseline
from router.core.wire.outcomes import Batch

Tape = Callable[[RecordedLine], None]
"""Takes down what a trial is fed."""


SPREAD: Final = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio: sets of users that share a filter lie apart in it."""


class Fact(IntEnum):
    """What is told of a prediction; each is one outcome of a user."""

    LABEL = 0
    VALUE = 1
    ACCEPTED = 2
    PAIR = 3
    """A label, of a request that both versions answered: who is misjudged by one is asked about
    more often than once."""


class Trial:
    """See the module. One for every attempt; a retry gets a new one."""

    def __init__(
        self, route: Route, policy: RolloutPolicy, rollout: Rollout, baseline: Baseline, now: float
    ) -> None:
        self.policy = policy
        self.settings = JudgeSettings.of(policy, sticky=route.sticky is not None)
        self.judge = Judge(policy.gates, self.settings, baseline, now)
        self.judge.begin_round(rollout.round)
        self.rollout_id = rollout.id
        self.attempt = rollout.attempt
        self.revision = rollout.revision
        """Batches of an older revision are another attempt's."""
        self.step = _position(rollout)
        self.step_revision = rollout.revision
        """Batches of an older revision were routed before the present step."""
        self.answers = 0
        self.pairs = 0
        self._bug_told = False
        self._failures_told: set[str] = set()
        self.shadow = ShadowBook(
            Terms(
                rollout.stable,
                rollout.candidate,
                policy.compare,
                route.payload,
                route.errors,
                route.predictions.declared if route.predictions else NOTHING,
                person=route.person(rollout.stable),
                redacted=frozenset(route.log.redact if route.log else ()),
            )
        )
        self.standing = rollout.standing
        self.labelled_users = DistinctUnits() if self.settings.sticky else None
        self.ripened = 0
        """Number of the last truth that is in the evidence, as the log counts them."""
        self.rewards: dict[str, Rewards] = {}
        """By version, of drawn requests of this attempt."""
        self._shared_s = now
        self._shares: tuple[tuple[str, int], ...] | None = None
        self.tape: Tape | None = None
        """Who is told everything that this one is fed."""

    @classmethod
    def resumed(
        cls,
        route: Route,
        policy: RolloutPolicy,
        rollout: Rollout,
        state: TrialState | None,
        now: float,
    ) -> Trial:
        """The trial as it was when ``state`` was written, or a new one when it does not fit.

        Starting the evidence anew is safe: it forgets, it never invents. The caller tells people.
        """
        trial = cls(route, policy, rollout, Baseline(), now)
        if state is None or state.about != (rollout.id, rollout.attempt):
            return trial
        if state.sticky not in (None, trial.settings.sticky):
            return trial  # counts of requests are none of users
        try:
            trial._take_over(state, rollout)
        except (KeyError, TypeError, ValueError):
            return cls(route, policy, rollout, Baseline(), now)
        return trial

    def _take_over(self, state: TrialState, rollout: Rollout) -> None:
        self.judge = Judge.restored(self.policy.gates, self.settings, state.judge)
        self._bug_told = bool(self.judge.router_bug)
        self._failures_told = set(self.judge.failed)
        self.shadow.restore(state.shadow)
        self.revision, self.ripened = state.revision, state.ripened
        if state.step == _position(rollout):
            self.step_revision = state.step_revision
            self.answers, self.pairs = state.samples
        if self.labelled_users is not None and state.labelled_users:
            self.labelled_users.restore(state.labelled_users)
        self.rewards = {name: Rewards(*one) for name, one in state.rewards.items()}
        if state.shares is not None:
            self._shared_s, self._shares = state.shares

    def __repr__(self) -> str:
        return (
            f"<Trial {self.rollout_id} step {self.step + 1}: {self.samples_text}, {self.judge!r}>"
        )

    @property
    def samples_text(self) -> str:
        """``57 answers, 0 pairs``."""
        return f"{self.answers} answers, {self.pairs} pairs"

    def snapshot(self) -> TrialState:
        """For the store and recordings."""
        return TrialState(
            about=(self.rollout_id, self.attempt),
            sticky=self.settings.sticky,
            revision=self.revision,
            step=self.step,
            step_revision=self.step_revision,
            samples=(self.answers, self.pairs),
            judge=self.judge.snapshot(),
            shadow=self.shadow.snapshot(),
            rewards={name: (one.count, one.total) for name, one in self.rewards.items()},
            shares=(self._shared_s, self._shares),
            ripened=self.ripened,
            labelled_users=self.labelled_users.snapshot() if self.labelled_users else None,
        )

    def observe(self, batch: Batch, now: float) -> None:
        """Take in what was counted; another attempt's counts are for display only."""
        if self.tape is not None:
            self.tape(BatchLine(t=now, batch=batch))
        self.ripened = max(self.ripened, batch.ripened)
        if self.standing or batch.revision < self.revision:
            return
        answers = self.judge.observe(batch, now)
        if batch.revision < self.step_revision:
            return
        self.answers += answers
        if batch.pairs is not None:
            self.pairs += batch.pairs.agreed + batch.pairs.disagreed + batch.pairs.failed

    def abandon(self, source: int | None, now: float) -> None:
        """A worker is gone, None: all of them; so is what it had under way."""
        if self.tape is not None:
            self.tape(AbandonLine(t=now, source=source))
        self.judge.abandon(source)

    def news(self) -> Iterator[tuple[str, str]]:
        """What the journal does not know yet and moves nothing: its action and its sentence."""
        if not self._bug_told and (bug := self.judge.router_bug):
            self._bug_told = True
            yield "router_bug", bug
        for title in self.judge.failed.keys() - self._failures_told:
            self._failures_told.add(title)
            yield "gate", f"{title}: {self.judge.failed[title]}"

    def counts_label(self, unit: int) -> bool:
        """Whether a label is evidence: each user's first one only where users were drawn.

        One user's predictions share one draw, so they are not independent; the first label of each
        user, right or wrong, is one outcome a draw.
        """
        return self.counts(Fact.LABEL, unit)

    def counts(self, kind: Fact, unit: int) -> bool:
        """The same for each kind of truth: what is told of one kind is not the first of another."""
        known = self.labelled_users
        return known is None or known.add(((unit + kind * SPREAD) % 2**64,)) == 1

    def reward(self, version: str, reward: float, now: float) -> None:
        """Take in how good one drawn prediction was, 0.0 to 1.0."""
        if self.tape is not None:
            self.tape(RewardLine(t=now, version=version, reward=reward))
        known = self.rewards.setdefault(version, Rewards())
        known.count += 1
        known.total += reward

    def _wanted(
        self, rollout: Rollout, plan: Plan, now: float
    ) -> tuple[tuple[str, int], ...] | None:
        """What rewards ask for in a bandit's step; it changes when they may ask again."""
        bandit = plan.steps[rollout.step].bandit
        if bandit is None or now - self._shared_s < bandit.every_s:
            return self._shares if bandit is not None else None
        self._shared_s, self._shares = now, None
        split = split_for(replace(rollout, override=None), plan)
        present = {rollout.candidate: split.candidate_bp, **dict(split.others)}
        everyone = {rollout.stable: split.stable_bp, **present}
        wanted = shares({n: self.rewards.get(n, Rewards()) for n in everyone}, bandit.floor_bp)
        if not worth_moving(everyone, wanted):
            return None
        self._shares = tuple((name, wanted[name]) for name in present)
        return self._shares

    def measure(self, gate: str, measurement: Measurement, now: float) -> None:
        """Take in an answer from outside."""
        if self.tape is not None:
            # JSON has no word for NaN and infinities, and which one it was decides what follows.
            values: list[float | str | None] = [
                value if isfinite(value) else str(value) for value in measurement.values
            ]
            told = MeasuredValues(values, measurement.error)
            self.tape(MeasureLine(t=now, gate=gate, measurement=told))
        self.judge.measure(gate, measurement, now)

    def learn(self, baseline: Baseline, now: float) -> bool:
        """Offer more of stable's past to gates that wait for it; True when thresholds changed."""
        if self.judge.settled:
            return False
        started = self.judge.learn(baseline)
        if started and self.tape is not None:
            self.tape(LearnLine(t=now, baseline=baseline))
        return started

    def follow(self, rollout: Rollout, now: float) -> None:
        """The rollout moved: a new step begins to count from zero."""
        if self.tape is not None:
            self.tape(FollowLine(t=now, revision=rollout.revision))
        if rollout.standing or self.standing:
            self._begin_anew(rollout, now)
        step = _position(rollout)
        if rollout.phase.live and step != self.step:
            self.step, self.step_revision = step, rollout.revision
            self.answers = self.pairs = 0

    def _begin_anew(self, rollout: Rollout, now: float) -> None:
        """Nothing that a candidate did before it was ready is evidence."""
        self.standing, self.revision = rollout.standing, rollout.revision
        self.judge = Judge(self.policy.gates, self.settings, Baseline(), now)
        self.judge.begin_round(rollout.round)
        self.shadow = ShadowBook(self.shadow.terms)
        self.step_revision = rollout.revision
        self.answers = self.pairs = 0

    def samples(self, rollout: Rollout, plan: Plan) -> int:
        """Judged answers of the step, or compared pairs where the candidate answers nobody."""
        return self.pairs if split_for(rollout, plan).candidate_bp == 0 else self.answers

    def tick(self, rollout: Rollout, plan: Plan, now: float) -> Observed:
        """The decider's look: it tells the time, and gets one observation for the machine.

        The sentence is made only where it will be read. Everybody else reads :meth:`judgement`.
        """
        step = plan.steps[rollout.step]
        expecting = self._expecting(rollout, plan)
        action = self._judged(self.judge.tick(now, expecting=expecting, ramping=step.auto))
        why = self._why(rollout, action)
        return Observed(
            action=action,
            samples=self.samples(rollout, plan),
            proven=self.judge.proven,
            auto_weight_bp=self.judge.auto_weight_bp if step.auto else None,
            cap_bp=self.judge.cap.bp,
            cap_reason=self.judge.cap.reason,
            round=self.judge.cap.round,
            shares=self._wanted(rollout, plan, now),
            sentence=why.sentence if action is Action.ROLLBACK else "",
            plain=why.plain,
            unproven=self.unproven(rollout, plan) if action is Action.CONTINUE else "",
        )

    def _judged(self, action: Action) -> Action:
        """What has not begun is not judged; a gate may be answered all the same."""
        return Action.CONTINUE if self.standing and action is Action.ROLLBACK else action

    def unproven(self, rollout: Rollout, plan: Plan) -> str:
        """What is not enough yet for the position to be left; empty where it may be."""
        place = self._place(rollout, plan)
        return lacking(self.judge, rollout, plan, place, self.policy.detect.sought)

    def lacks(self, rollout: Rollout, plan: Plan) -> dict[str, str]:
        """The same gate by gate: what each has not had enough of, by its title."""
        found = missing(self.judge, self._place(rollout, plan), self.policy.detect.sought)
        return {one.gate: one.sentence() for one in found}

    def _place(self, rollout: Rollout, plan: Plan) -> Position:
        return place_of(
            rollout, plan, seen=self.samples(rollout, plan),
            judged=self.judge.answers + self.judge.pairs,
            reverse=bool(self.policy.compare.reverse),
        )  # fmt: skip

    def _why(self, rollout: Rollout, action: Action) -> Ground:
        """Why the machine will move the traffic; reports are not made, nobody reads them before."""
        cap = self.judge.cap
        moves = (cap.bp, cap.round) != (rollout.cap_bp, rollout.round)
        return cause_of(self.judge) if moves or action is Action.ROLLBACK else NO_CAUSE

    def judgement(self) -> Judgement:
        """The whole answer as of the decider's last look; asking changes nothing."""
        return self.judge.judgement()

    def _expecting(self, rollout: Rollout, plan: Plan) -> bool:
        split = split_for(rollout, plan)
        return split.candidate_bp > 0 or split.mirror_bp > 0


BAKE: Final = -1
"""The position behind the last step."""


def _position(rollout: Rollout) -> int:
    """Index of the step it is in, or :data:`BAKE`: each counts its own samples."""
    bakes = Phase.BAKING in (rollout.phase, rollout.paused_from)
    return BAKE if bakes else rollout.step
