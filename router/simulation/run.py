"""One rollout in virtual time: the product's own judge, machine and plan, in a drawn world."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from router.core.gates.by import SegmentKeys
from router.core.gates.needs import Need
from router.core.gates.sample import Detect
from router.core.judge import Judge, JudgeSettings
from router.core.proof import lacking, place_of
from router.core.rollout.events import Action, Observed, Promote
from router.core.rollout.machine import decide
from router.core.rollout.plan import Plan, Step
from router.core.rollout.rollout import Phase, Rollout, begin
from router.core.rollout.traffic import split_for
from router.simulation.followed import FollowedWorld
from router.simulation.judged import Judging
from router.simulation.predicted import Predicted
from router.simulation.world import CountingWorld, TimedWorld, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.core.gates import Gate
    from router.core.policy import RolloutPolicy
    from router.core.wire.outcomes import Batch
    from router.simulation.scenario import Scenario

QUIET_CAPITAL = 1.0
"""Below this evidence against the candidate, and for it, time may pass in longer gaps."""

FEW_REQUESTS = 5.0
"""A ramp is looked at each second, but not before so many requests more."""

TRACE_MAX = 2_000
"""Points kept of the traced run's curves; every second one is dropped when they are full."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is simulated: gates, how they decide, and the plan they guard."""

    gates: tuple[Gate, ...]
    settings: JudgeSettings
    plan: Plan
    detect: Detect | None = None
    """What must have been seen before a step is left; None: time alone ends it."""
    reverse: bool = False
    sampled: float = 1.0
    """Share of requests whose predictions are read, 0..1."""

    @classmethod
    def of(cls, policy: RolloutPolicy, *, sticky: bool = False, sampled: float = 1.0) -> Self:
        """A rollout as the policy has it."""
        settings = JudgeSettings.of(policy, sticky=sticky)
        reverse = bool(policy.compare.reverse)
        plan, sought = policy.plan(), policy.detect.sought
        return cls(policy.gates, settings, plan, sought, reverse, sampled)

    @classmethod
    def constant(
        cls, weight_bp: int, gates: Sequence[Gate], settings: JudgeSettings | None = None
    ) -> Self:
        """One weight for ever: what tables of detection times are about."""
        plan = Plan((Step(weight_bp=weight_bp, hold_s=math.inf),))
        return cls(tuple(gates), settings or JudgeSettings(no_data_after_s=math.inf), plan)


@dataclass(frozen=True, slots=True)
class Point:
    """The traced run at one moment."""

    at_s: float
    weight_bp: int
    capital: float
    proof: float


@dataclass(slots=True)
class SimulatedRun:
    """How one simulated rollout went."""

    seed: int
    outcome: str = "undecided"
    """promoted | kept | rolled back | undecided."""
    at_s: float = 0.0
    sentence: str = ""
    bad: int = 0
    """Bad candidate answers that were counted."""
    requests: int = 0
    """Candidate answers that were counted."""
    exposed: int = 0
    """Requests that clients made to the candidate, answered or not."""
    bad_since: int = 0
    """Bad candidate answers since it regressed."""
    seconds_since: float = 0.0
    """From the first request the regressed candidate could have spoilt to the end."""
    proven_at_s: float | None = None
    timeline: list[tuple[float, int, str]] = field(default_factory=list)
    """(time, weight_bp, reason) of every move."""
    trace: list[Point] = field(default_factory=list)


def world_of(scenario: Scenario, judge: Judge, draw: np.random.Generator) -> World:
    """A timed world where latency can be seen (a limit, a time-out), else a counting one.

    Where requests differ in more than that, each of them is followed.
    """
    if scenario.followed:
        return FollowedWorld(scenario, judge, draw)
    latency = scenario.latency
    timed = latency is not None and (judge.thresholds_s or latency.hang)
    if scenario.users or not timed:
        return CountingWorld(scenario, draw, judge.thresholds_s, judge.tolerance)
    return TimedWorld(scenario, draw, judge.thresholds_s, judge.tolerance)


class _Rollout:
    """The moving parts of one run."""

    def __init__(
        self, setup: Setup, scenario: Scenario, seed: int, *, trace: bool, worlds: Worlds
    ) -> None:
        self.setup, self.scenario, self.tracing = setup, scenario, trace
        self.judge = Judge(setup.gates, setup.settings, scenario.baseline(), 0.0)
        self.world = worlds(scenario, self.judge, np.random.default_rng(seed))
        needs = {need for gate in setup.gates for need in gate.needs}
        read, self.feeds = bool(needs & {Need.PREDICTIONS, Need.FED}), Need.FED in needs
        drawn = np.random.default_rng((seed, 1))  # of its own: other gates meet the same world
        self.predicted = Predicted(drawn, setup.sampled if read else 0.0, SegmentKeys(setup.gates))
        self.judging = Judging(np.random.default_rng((seed, 2)), setup.gates)
        self.state = begin(f"simulated-{seed}", "simulated", "v1", "v2", revision=1, now=0.0)
        self.run = SimulatedRun(seed)
        self.now = 0.0
        self.samples = 0
        self.exposed_since: float | None = None
        self.looks, self.stride = 0, 1

    def go(self) -> SimulatedRun:
        self._decide(0)  # the ramp's first weight, before the first request
        while self.now < self.scenario.duration_s and self.state.phase.live:
            split = split_for(self.state, self.setup.plan)
            exposed = split.candidate_bp + split.mirror_bp > 0
            if exposed and self.exposed_since is None and self.now >= self.scenario.change_at_s:
                self.exposed_since = self.now
            quiet = self.judge.capital < QUIET_CAPITAL and self._proof_far()
            self.world.round = self.state.round
            self.now = self.world.advance(self.now, split, self._next_look(), quiet=quiet)
            self._observe(self.world.take())
            self._decide(split.candidate_bp)
        return self._finished()

    def _proof_far(self) -> bool:
        return not self.setup.plan.steps[self.state.step].proof or self.judge.proven

    def _next_look(self) -> float:
        """The latest moment up to which nothing is due by the clock."""
        plan, state, now = self.setup.plan, self.state, self.now
        step = plan.steps[state.step]
        hold_s = plan.bake_s if state.phase is Phase.BAKING else step.hold_s
        few = FEW_REQUESTS / self.scenario.requests_per_s
        soon = max(1.0, few) if step.auto or step.proof else 60.0
        due = [now + soon, self.scenario.duration_s, state.step_since + hold_s]
        if plan.max_duration_s is not None:
            due.append(state.started + plan.max_duration_s)
        return min(t for t in due if t > now)

    def _observe(self, batch: Batch) -> None:
        for title in self.judge.due(self.now):
            self.judge.measure(title, self.judge.gates[title].fine(), self.now)
        before = self.judge.answers, self.judge.pairs, self.judge.bad
        if samples := self.predicted.of(batch):
            fed = tuple(self.predicted.fed(samples)) if self.feeds else ()
            batch = replace(batch, samples=samples, fed=fed)
        if verdicts := self.judging.of(batch):
            batch = replace(batch, verdicts=verdicts)
        self.judge.observe(batch, self.now)
        weight = split_for(self.state, self.setup.plan).candidate_bp
        answers, pairs = self.judge.answers - before[0], self.judge.pairs - before[1]
        self.samples += answers if weight else pairs
        if self.exposed_since is not None:
            self.run.bad_since += self.judge.bad - before[2]
        if self.run.proven_at_s is None and self.judge.proven:
            self.run.proven_at_s = self.now

    def _decide(self, weight_bp: int) -> None:
        step = self.setup.plan.steps[self.state.step]
        expecting = weight_bp > 0 or step.mirror_bp > 0
        action = self.judge.tick(self.now, expecting=expecting, ramping=step.auto)
        event = Observed(
            action=action,
            sentence=self.judge.judgement().sentence if action is Action.ROLLBACK else "",
            samples=self.samples,
            proven=self.judge.proven,
            auto_weight_bp=self.judge.auto_weight_bp if step.auto else None,
            cap_bp=self.judge.cap.bp,
            cap_reason=self.judge.cap.reason,
            round=self.judge.cap.round,
            unproven=self._unproven() if action is Action.CONTINUE else "",
        )
        if self.tracing:
            self._trace(weight_bp)
        self._follow(decide(self.state, self.setup.plan, event, self.now))
        if self.state.phase is Phase.AWAITING_APPROVAL:
            approved = Promote(actor="simulation", reason="approvals are given at once")
            self._follow(decide(self.state, self.setup.plan, approved, self.now))

    def _unproven(self) -> str:
        setup = self.setup
        if setup.detect is None:
            return ""
        place = place_of(
            self.state, setup.plan, seen=self.samples, reverse=setup.reverse,
            judged=self.judge.answers + self.judge.pairs,
        )  # fmt: skip
        return lacking(self.judge, self.state, setup.plan, place, setup.detect)

    def _follow(self, state: Rollout) -> None:
        if state is self.state:
            return
        if (state.step, state.phase) != (self.state.step, self.state.phase):
            self.samples = 0
        self.state = state
        weight_bp = split_for(state, self.setup.plan).candidate_bp
        self.run.timeline.append((self.now, weight_bp, state.reason))

    def _trace(self, weight_bp: int) -> None:
        self.looks += 1
        if self.looks % self.stride:
            return
        judge, trace = self.judge, self.run.trace
        trace.append(Point(self.now, weight_bp, judge.capital, judge.promotion.capital))
        if len(trace) >= TRACE_MAX:
            del trace[1::2]
            self.stride *= 2

    def _finished(self) -> SimulatedRun:
        run, judge = self.run, self.judge
        names = {Phase.ROLLED_BACK: "rolled back", Phase.COMPLETED: "promoted"}
        run.outcome = names.get(self.state.phase, "undecided")
        if run.outcome == "promoted" and self.setup.plan.ending.value == "keep":
            run.outcome = "kept"
        run.at_s, run.sentence = self.now, self.state.reason
        run.bad, run.requests = judge.bad, judge.answers + judge.pairs
        run.exposed = self.world.exposed
        run.seconds_since = self.now - (self.exposed_since or 0.0)
        return run


Worlds = Callable[["Scenario", Judge, np.random.Generator], World]
"""Makes the world of a run."""


def run_once(
    setup: Setup, scenario: Scenario, seed: int, *, trace: bool = False, worlds: Worlds = world_of
) -> SimulatedRun:
    """One rollout; the same seed gives the same run."""
    return _Rollout(setup, scenario, seed, trace=trace, worlds=worlds).go()
