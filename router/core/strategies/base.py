"""What a strategy is, and the YAML of the plateaus that most of them share."""

from abc import ABC, abstractmethod
from typing import Annotated, Any, Literal, TypedDict

from pydantic import Field, SerializerFunctionWrapHandler, StrictInt, model_serializer

from router.core.quantities import BasisPoints, Name, Seconds
from router.core.rollout.plan import Approval as PlanApproval
from router.core.rollout.plan import Default, Plan
from router.core.rollout.plan import Step as PlanStep
from router.core.spec import ShortFor, Spec


class Strategy(Spec, ABC):
    """How a candidate takes over: settings as written in YAML, and the plan they stand for."""

    @abstractmethod
    def plan(self) -> Plan:
        """The same settings as steps. Pure: the same strategy gives the same plan for ever."""


class Until(Spec):
    """What must have been seen before a step ends, besides the time of its hold."""

    samples: Annotated[StrictInt, Field(ge=0, le=10**9)]
    """Candidate answers judged in this step (compared pairs while only mirroring). 0 lets it end
    unproven, by its hold alone, before the gates have had enough."""


class ApprovalPolicy(Spec):
    """A person must promote before the rollout goes on."""

    deadline: Seconds | None = None
    """How long to wait for a person; absent waits for ever."""
    then: Default = Default.HOLD
    """What happens when the deadline passes: `hold` (go on waiting), `abort` or `promote`."""
    by: Annotated[tuple[Name, ...], Field(max_length=64)] = ()
    """Names of the tokens that may promote this step, or raise its weight; absent: whoever may give
    orders. Anybody who may give orders may still pause, abort and roll back."""


class MirrorShare(Spec):
    """Which of the requests that stable answers are copied; `50%` is short for its share."""

    share: BasisPoints
    """Share of them that are copied, whose answers clients never see; 0% copies none."""
    unit: Literal["request", "user"] = "request"
    """What the coin is thrown for. With `user` all requests of a chosen user are copied, and none
    of another one's, so that a model which remembers its users sees whole histories; needs
    `sticky`, and each user's first pair is the one that counts as evidence."""

    @property
    def by_user(self) -> bool:
        """Whether whole users are copied."""
        return self.unit == "user"

    @model_serializer(mode="wrap")
    def _short(self, told: SerializerFunctionWrapHandler) -> Any:
        """As people write it, and as routers before `unit` did."""
        whole = told(self)
        return whole if self.by_user else whole["share"]


Mirrored = Annotated[MirrorShare, ShortFor("share")]


class StepPolicy(Spec):
    """One plateau; it ends when its hold, its samples and its approval are all satisfied.

    A step without `weight` keeps the weight before it. A step with neither `weight` nor `mirror`
    keeps the mirror too: it only waits, as in ``- {approval: {deadline: 4h}}``.
    """

    weight: BasisPoints | None = None
    """Share of requests the candidate answers, in steps of 0.01%; absent keeps the last weight."""
    mirror: Mirrored | None = None
    """Share of stable's requests copied to the candidate, whose answers clients never see; or
    `{share: 10%, unit: user}`: of its users."""
    hold: Seconds = 0.0
    """How long the step lasts at least."""
    until: Until | None = None
    """Data that must have been seen before the step ends."""
    approval: ApprovalPolicy | None = None
    """A person must promote this step; asked for once its hold and its samples are there."""
    label: str = Field(default="", max_length=40)
    """A word for people, shown in the plan and on the dashboard."""

    def after(self, previous: PlanStep) -> PlanStep:
        """The plan's step for this one when `previous` comes before it."""
        waits = self.weight is None and self.mirror is None
        return PlanStep(
            weight_bp=previous.weight_bp if self.weight is None else self.weight,
            **(_copying(previous) if waits else copied(self.mirror)),
            hold_s=self.hold,
            **asked(self.until),
            approval=approved(self.approval),
            label=self.label,
        )


class StepCopies(TypedDict, total=False):
    """What a YAML ``mirror`` says of a step of the plan."""

    mirror_bp: int
    mirror_users: bool


def copied(mirror: MirrorShare | None) -> StepCopies:
    """The plan's form of a YAML ``mirror``."""
    return {"mirror_bp": mirror.share, "mirror_users": mirror.by_user} if mirror else {}


def _copying(step: PlanStep) -> StepCopies:
    return {"mirror_bp": step.mirror_bp, "mirror_users": step.mirror_users}


class StepEnd(TypedDict, total=False):
    """What a YAML ``until`` says of a step of the plan."""

    until_samples: int
    blind: bool


def asked(until: Until | None) -> StepEnd:
    """The plan's form of a YAML ``until``."""
    return {"until_samples": until.samples, "blind": not until.samples} if until else {}


def approved(approval: ApprovalPolicy | None) -> PlanApproval | None:
    """The plan's form of a YAML approval."""
    return PlanApproval(approval.deadline, approval.then, approval.by) if approval else None
