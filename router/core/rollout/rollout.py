"""The durable state of one plan being carried out. Traffic is derived from it, never stored.

All times are *rollout clock* seconds: a monotonic count kept by the control plane that stands
still while the router is down, so that a restart resumes a hold with what remained of it and a step
of the wall clock changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from router.core.rollout.plan import Plan


class Phase(StrEnum):
    """Where a rollout is. Only ``core/rollout/machine.py`` changes it."""

    PROGRESSING = "progressing"
    AWAITING_APPROVAL = "awaiting_approval"
    PAUSED = "paused"
    BAKING = "baking"
    COMPLETED = "completed"
    ABORTED = "aborted"
    ROLLED_BACK = "rolled_back"

    @property
    def live(self) -> bool:
        """Whether the rollout still moves by itself or waits for a person."""
        return self not in TERMINAL

    @property
    def health(self) -> str:
        """The four words of the field: Healthy, Progressing, Paused, Degraded."""
        return _HEALTH[self]


TERMINAL = frozenset({Phase.COMPLETED, Phase.ABORTED, Phase.ROLLED_BACK})

_HEALTH = {
    Phase.PROGRESSING: "Progressing",
    Phase.BAKING: "Progressing",
    Phase.AWAITING_APPROVAL: "Paused",
    Phase.PAUSED: "Paused",
    Phase.COMPLETED: "Healthy",
    Phase.ABORTED: "Degraded",
    Phase.ROLLED_BACK: "Degraded",
}


@dataclass(frozen=True, slots=True)
class Override:
    """A weight set by a person for a time; it ends by itself."""

    weight_bp: int
    until: float


@dataclass(frozen=True, slots=True)
class Rollout:
    """One candidate's way to 100 %, or back to 0."""

    id: str
    """Unique for ever, e.g. ``flight-delay-7``; the cohort offset is derived from it."""
    route: str
    stable: str
    candidate: str
    revision: int
    """Grows with every change that is written; fences stale writers and stale counts."""
    phase: Phase = Phase.PROGRESSING
    step: int = 0
    step_since: float = 0.0
    started: float = 0.0
    attempt: int = 1
    """1 for the first try; ``retry`` adds one."""
    paused_from: Phase | None = None
    paused_since: float | None = None
    stopped_since: float | None = None
    """When something outside stopped the clocks: a freeze, a closed window, nobody ready."""
    standing: bool = False
    """It waits at its start, without traffic, for a candidate that was never ready as yet."""
    approved: bool = False
    """The approval of the present step was given."""
    auto_weight_bp: int | None = None
    """Weight chosen by the evidence-driven ramp in an ``auto`` step."""
    shares: tuple[tuple[str, int], ...] | None = None
    """Shares by version (stable has the rest) that rewards chose in a ``bandit`` step."""
    override: Override | None = None
    cap_bp: int | None = None
    """The most that the candidate has while there is evidence against it (a trial, the brake)."""
    capped_at_s: float | None = None
    """Age of the position when that became less than planned; None: it is not less."""
    capped_s: float = 0.0
    """For how long it was less before that, in this position (see core/rollout/capped)."""
    round: int = 0
    """Of the evidence: what is drawn is told with it, and users count anew in a new one."""
    ended: float | None = None
    back_bp: int = 0
    """Share from which the candidate's traffic returns to stable in steps since ``ended``; 0: it
    returned at once."""
    reason: str = "started"
    """The sentence that led here."""
    line: str = ""
    """The same in one line that a person would say; the decision's (see core/spoken)."""
    actor: str = "router"

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary with one key a field."""
        override = self.override
        return {name: getattr(self, name) for name in self.__slots__} | {
            "phase": self.phase.value,
            "paused_from": self.paused_from.value if self.paused_from else None,
            "override": [override.weight_bp, override.until] if override else None,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The inverse of :meth:`to_json`. Raises KeyError, TypeError or ValueError on damage."""
        fields = dict(data)
        fields["phase"] = Phase(fields["phase"])
        fields["paused_from"] = Phase(p) if (p := fields.get("paused_from")) else None
        if (shares := fields.get("shares")) is not None:
            fields["shares"] = tuple((str(name), int(bp)) for name, bp in shares)
        fields["override"] = Override(*o) if (o := fields.get("override")) else None
        return cls(**fields)


def step_age_s(rollout: Rollout, now: float) -> float:
    """Seconds spent in the present step in which its clock ran."""
    return max(_running_until(rollout, now) - rollout.step_since, 0.0)


def age_s(rollout: Rollout, now: float) -> float:
    """Seconds since it began in which nothing stopped its clocks; what ``max_duration`` bounds."""
    if Phase.AWAITING_APPROVAL in (rollout.phase, rollout.paused_from):
        return max(rollout.step_since - rollout.started, 0.0)
    return max(_running_until(rollout, now) - rollout.started, 0.0)


def _running_until(rollout: Rollout, now: float) -> float:
    return min(s for s in (rollout.paused_since, rollout.stopped_since, now) if s is not None)


def remaining_s(rollout: Rollout, plan: Plan, now: float) -> float:
    """Seconds of hold (or bake) left in the present step; 0 when time is not what it waits for."""
    if rollout.phase in TERMINAL:
        return 0.0
    baking = Phase.BAKING in (rollout.phase, rollout.paused_from)
    wanted = plan.bake_s if baking else plan.steps[rollout.step].hold_s
    return max(wanted - step_age_s(rollout, now), 0.0)


def begin(
    rollout_id: str, route: str, stable: str, candidate: str, *, revision: int, now: float,
    unready: str = "",
) -> Rollout:  # fmt: skip
    """A new rollout at its first step; of a candidate that is not ready yet it stands there."""
    return Rollout(
        rollout_id, route, stable, candidate, revision, step_since=now, started=now,
        standing=bool(unready), reason=f"rollout of {candidate} beside {stable} started",
    )  # fmt: skip


def moved(rollout: Rollout, **changes: Any) -> Rollout:
    """A copy with ``changes`` and the next revision: no two states of a rollout share one."""
    return replace(rollout, revision=rollout.revision + 1, **changes)
