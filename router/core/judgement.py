"""What a policy decides about deciding, and what a judge answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from router.core.evidence import Ramp
from router.core.gates.verdict import Counts, GateReport, Verdict
from router.core.words import FULL_BP, count, odds

if TYPE_CHECKING:
    from router.core.judge import Judge
    from router.core.policy.rollout import RolloutPolicy
    from router.core.rollout.events import Action


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """What a policy decides about deciding. Rates are probabilities 0..1, times in seconds."""

    false_rollback_rate: float = 0.01
    hold_level: float = 3.0
    min_bad: int = 2
    max_bad_responses: int | None = None
    margin: float = 0.01
    risk: float = 0.05
    no_data_after_s: float = 600.0
    no_data_aborts: bool = False
    max_duration_s: float | None = None
    warm_up_requests: int = 0
    warm_up_s: float = 0.0
    sticky: bool = False
    pairs_share: float = 0.5
    """What of a gate that lives on draws and on pairs is bet on pairs, see :func:`pairs_share`."""
    ramp: Ramp = field(default_factory=Ramp)

    @classmethod
    def of(cls, policy: RolloutPolicy, *, sticky: bool, ramp: Ramp | None = None) -> Self:
        """The settings that a rollout policy spells out."""
        return cls(
            false_rollback_rate=policy.alpha,
            hold_level=policy.hold_level,
            min_bad=policy.min_bad_responses,
            max_bad_responses=policy.max_bad_responses,
            margin=policy.proof.margin / FULL_BP,
            risk=policy.proof.risk / FULL_BP,
            no_data_after_s=policy.on_no_data.after,
            no_data_aborts=policy.on_no_data.then == "abort",
            max_duration_s=policy.max_duration,
            warm_up_requests=policy.warm_up.requests,
            warm_up_s=policy.warm_up.time,
            sticky=sticky,
            pairs_share=pairs_share(policy),
            ramp=ramp or Ramp(budget=policy.ramp_budget),
        )


MIRRORED_SHARE: Final = 0.9
"""On pairs, where requests are copied and a coin decides as well: a pair says as much as several
draws, and a tenth on these costs the pairs 2 % of their labels."""


def pairs_share(policy: RolloutPolicy) -> float:
    """What of a gate's capital is bet on pairs, by what the plan makes; settled in advance."""
    steps = policy.plan().steps
    mirrored = bool(policy.compare.reverse) or any(step.mirror_bp for step in steps)
    drawn = any(0 < step.weight_bp < FULL_BP for step in steps)
    if mirrored:
        return MIRRORED_SHARE if drawn else 1.0
    return 0.0 if drawn else 0.5


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer at one moment, with everything that made it."""

    action: Action
    sentence: str
    capital: float
    """Combined evidence against the candidate, ``x : 1``."""
    limit: float
    """Combined evidence at which it is rolled back: 1 / alpha."""
    proven: bool
    """The candidate was proven not worse than stable by the margin."""
    reports: tuple[GateReport, ...]
    """One a gate, then the promotion's."""
    auto_weight_bp: int
    """Weight that the evidence-driven ramp asks for."""
    plain: str = ""
    """What asks for the action as a person would say it; ``{stable}`` stands for its name."""


def promotion_report(judge: Judge) -> GateReport:
    """How far the proof is, as a gate's report."""
    proof, s = judge.promotion, judge.settings
    seen = count(proof.requests, "candidate request")
    if (limits := proof.band.limits) is not None:
        seen += f"; candidate minus stable {limits} (95 %, at every look)"
    return GateReport(
        "promotion",
        Verdict.PASS if judge.proven else Verdict.PENDING,
        f"not worse than stable + {s.margin * 100:g} pp: evidence {odds(proof.best)}, needed "
        f"{odds(1 / s.risk)}, after {seen}",
        proof.best, 1.0 / s.risk, Counts(judge.bad, judge.answers),
    )  # fmt: skip
