"""A plan: what every strategy becomes. The machine knows steps, not strategies.

A strategy (canary, blue-green, shadow, ...) is a pure function from its policy to a
:class:`Plan`. Two plans with the same steps behave the same, whatever they were called.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from router.core.words import FULL_BP


class Ending(StrEnum):
    """What completing a plan means."""

    PROMOTE = "promote"  # the candidate becomes stable
    KEEP = "keep"  # stable stays (a shadow that only watched, an experiment that ended)


class Default(StrEnum):
    """What an approval does by itself when its deadline passes."""

    ABORT = "abort"
    PROMOTE = "promote"
    HOLD = "hold"


class OnInconclusive(StrEnum):
    """What happens when ``max_duration`` passes without a decision."""

    HOLD = "hold"
    PROMOTE = "promote"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Approval:
    """A person must promote this step; ``deadline_s`` None waits for ever."""

    deadline_s: float | None = None
    then: Default = Default.HOLD
    by: tuple[str, ...] = ()
    """Who may: names of tokens; empty: whoever may give orders."""


@dataclass(frozen=True, slots=True)
class Bandit:
    """Shares of a step follow rewards: how often they may move, and what every version keeps."""

    every_s: float
    floor_bp: int


@dataclass(frozen=True, slots=True)
class Step:
    """One plateau of a rollout.

    The step is done when *all* of its conditions hold: ``hold_s`` have passed in it, at least
    ``until_samples`` candidate answers (or compared pairs, for a pure mirror step) were judged in
    it, its gates have had enough (unless ``blind``), the candidate is ready, ``approval`` was
    given, and no gate holds. Weights and mirrors are basis points.
    """

    weight_bp: int = 0
    mirror_bp: int = 0
    hold_s: float = 0.0
    until_samples: int = 0
    approval: Approval | None = None
    blind: bool = False
    """The policy lets it end although its gates have not had enough (``until: {samples: 0}``)."""
    auto: bool = False
    """The evidence-driven ramp chooses the weight, up to ``weight_bp``."""
    proof: bool = False
    """Leaving this step needs the promotion gates' proof (non-inferiority), not only time."""
    also: tuple[str, ...] = ()
    """Further versions that get the candidate's copies, for display only."""
    others: tuple[tuple[str, int], ...] = ()
    """Further versions that answer, with their shares; they are shown, never judged."""
    bandit: Bandit | None = None
    """The shares of the candidate and of ``others`` follow rewards."""
    label: str = ""
    """What people call it ("preview", "switch"); empty for plain weights."""
    mirror_users: bool = False
    """Whole users are copied, not requests one by one."""

    def __post_init__(self) -> None:
        """Refuse what no split can express; the policy loader says it better and first."""
        if not 0 <= self.weight_bp <= FULL_BP or not 0 <= self.mirror_bp <= FULL_BP:
            raise ValueError(f"step shares must be within 0..10000 bp, got {self}")
        if self.weight_bp + sum(bp for _, bp in self.others) > FULL_BP:
            raise ValueError(f"step shares exceed the whole, got {self}")

    def with_candidate(self, name: str) -> Step:
        """The same step where ``name``, if it is one of ``others``, is the candidate instead."""
        if name not in dict(self.others):
            return self
        others = tuple(one for one in self.others if one[0] != name)
        return replace(self, weight_bp=dict(self.others)[name], others=others)


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole of a rollout: steps in order, then a bake at the last weight, then the ending."""

    steps: tuple[Step, ...]
    ending: Ending = Ending.PROMOTE
    bake_s: float = 0.0
    max_duration_s: float | None = None
    """Time from start (pauses excluded) after which ``on_inconclusive`` decides; None: never."""
    on_inconclusive: OnInconclusive = OnInconclusive.HOLD
    back_s: float = 0.0
    """Time over which an abort or a rollback by a person returns traffic to stable; 0: at once."""
    back_by_gates: bool = False
    """Whether a rollback that nobody ordered takes ``back_s`` as well."""
    strategy: str = "canary"
    """Name for people; the machine never looks at it."""

    def __post_init__(self) -> None:
        """A plan without steps would complete before it began."""
        if not self.steps:
            raise ValueError("a plan needs at least one step")
