"""What is not proven yet: the gates of a judge that still lack their sample at a place of a plan.

Time alone promotes nobody. A step, a switch or a bake is left when every gate that can learn there
has had the sample with which a candidate failing `detect` would have been convicted in 90 % of
cases (:mod:`router.core.gates.sample`), and at least one answer of the candidate was judged. A gate
that learns from a coin is asked where both versions answer, one that learns from pairs where
requests are copied, any other wherever the candidate answers or gets copies. Samples are those of
the whole attempt: what a step has shown need not be shown again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from router.core.causes import holders
from router.core.gates.sample import NEVER, Detect
from router.core.position import Position
from router.core.rollout.plan import Ending, Plan
from router.core.rollout.rollout import Phase, Rollout
from router.core.rollout.traffic import split_for
from router.core.words import FULL_BP, count

if TYPE_CHECKING:
    from router.core.gates.gate import Gate
    from router.core.judge import Judge


@dataclass(frozen=True, slots=True)
class Missing:
    """One gate that has not had enough yet."""

    gate: str
    seen: int
    wanted: int
    """Outcomes in all; 0: the gate has not begun."""
    what: str = "answer"

    def sentence(self) -> str:
        """``error_rate has 40 of 328 answers``."""
        if not self.wanted:
            return f"{self.gate} waits for more of stable's past answers to fix its thresholds"
        if self.wanted >= NEVER:
            return f"{self.gate} cannot see {self.what}s at this share"
        return f"{self.gate} has {self.seen:,} of {count(self.wanted, self.what)}"


def missing(judge: Judge, place: Position, detect: Detect) -> Iterator[Missing]:
    """The gates that have not had enough yet at ``place``, in the policy's order."""
    for title, gate in judge.gates.items():
        if not gate.holds or not gate.bets or not place.teaches(gate):
            continue
        what = gate.unit or _unit(gate)
        state = judge.states.get(title)
        if state is None:
            yield Missing(title, 0, 0, what)
            continue
        sample = state.sample(detect, place.weight_bp)
        seen = min(sample.seen, place.judged)  # who left without an answer has seen nothing
        if seen < sample.wanted:
            yield Missing(title, seen, sample.wanted, what)


def _unit(gate: Gate) -> str:
    return "compared pair" if gate.paired else "labelled prediction" if gate.late else "answer"


def place_of(
    rollout: Rollout, plan: Plan, *, seen: int, judged: int, reverse: bool = False
) -> Position:
    """Where a live rollout is; ``seen`` and ``judged`` as in :class:`Position`."""
    split, last = split_for(rollout, plan), rollout.step + 1 == len(plan.steps)
    whole = last or leads_to_all(rollout, plan)
    return Position(split.candidate_bp, split.mirror_bp, reverse, seen, judged, whole)


def leads_to_all(rollout: Rollout, plan: Plan) -> bool:
    """Whether behind this position the candidate has all traffic, or is stable."""
    if Phase.BAKING in (rollout.phase, rollout.paused_from):
        return True
    if rollout.step + 1 == len(plan.steps):
        return plan.ending is Ending.PROMOTE
    return plan.steps[rollout.step + 1].weight_bp == FULL_BP


def lacking(judge: Judge, rollout: Rollout, plan: Plan, place: Position, detect: Detect) -> str:
    """What keeps a rollout in ``place``; a plan that keeps stable ends by its time all the same."""
    if plan.ending is Ending.KEEP and rollout.step + 1 == len(plan.steps):
        return ""
    return unproven(judge, place, detect)


def unproven(judge: Judge, place: Position, detect: Detect) -> str:
    """Why ``place`` may not be left, in a sentence; empty when it may.

    A silent place (a preview without copies) can prove nothing: it is left for more traffic freely,
    but for all traffic only when something was judged before, or a gate that asks outside passed.
    """
    gates = [one.sentence() for one in missing(judge, place, detect)]
    if gates:
        return f"not enough yet: {'; '.join(gates)}"
    if place.silent:
        if not place.last or place.judged or _asked_outside(judge):
            return ""
        return "not enough yet: nothing judges the candidate before it has all traffic"
    if not place.seen:
        return "not enough yet: no answer of the candidate was judged here"
    return ""


def holding(judge: Judge) -> Iterator[str]:
    """Every gate that holds the rollout where it is, with its sentence."""
    if judge.capital >= judge.settings.hold_level and (leader := judge.leader):
        yield f"{leader}: {judge.states[leader].sentence()}"
    for title, sentence in holders(judge):
        yield f"{title}: {sentence}"


def _asked_outside(judge: Judge) -> bool:
    """Whether a gate outside has passed; one that has not holds the rollout by itself."""
    return any(state.approved and not state.dry_run for state in judge.states.values())
