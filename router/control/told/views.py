"""What people see: the types of every answer about routes and rollouts.

The control plane makes them; JSON and the OpenAPI document follow from them, the command line
decodes them, and tests hold the page against them. :mod:`.compared` and :mod:`.answers` have the
others. Shares are basis points, times seconds; ``None`` is what is not known or does not apply.
"""

from __future__ import annotations

from typing import Any

from router.control.told.compared import ShadowBrief
from router.control.told.given import CacheUse, TableUse
from router.control.told.view import View

# --- a version -------------------------------------------------------------------------------


class WindowView(View, frozen=True, kw_only=True):
    """What was counted of a version in the last minute."""

    requests: int
    requests_per_s: float
    errors: int
    error_ratio: float
    p50_s: float | None
    p99_s: float | None
    window_s: float
    """How much of a minute that is."""


class EndpointView(View, frozen=True, kw_only=True):
    """An endpoint as the workers see it, together."""

    endpoint: str
    healthy: bool
    """In every worker."""
    ejected: bool
    """In at least one."""
    in_flight: int
    open_connections: int
    last_error: str


class UsageView(View, frozen=True, kw_only=True):
    """What a version says that it uses, and what its answers cost."""

    signals: dict[str, float]
    """Mean over its endpoints: memory (bytes), cpu (cores), gpu and gpu_memory (0..1), queue."""
    endpoints: int
    """That have ever reported."""
    trouble: str
    """Why one of them does not; empty."""
    answers: int
    """Of the present attempt, whose tokens were read."""
    tokens_in: int
    tokens_out: int
    per_request: float | None
    """What a request costs on average, with its tokens; None where it has no price."""


class VersionView(WindowView, frozen=True, kw_only=True):
    """One version: what it answered, its copies and its endpoints."""

    in_flight: int
    shadow: WindowView | None
    """Its copies; None without any."""
    endpoints: list[EndpointView]
    usage: UsageView | None = None
    """None where nobody asks it."""
    cache: CacheUse | None = None
    """None where no cache has to do with it."""
    table: TableUse | None = None
    """None where it has none, or nobody has asked it yet."""


# --- the judge -------------------------------------------------------------------------------


class CountsView(View, frozen=True, kw_only=True):
    """Bad ones of all that were judged."""

    bad: int
    total: int


class GateView(View, frozen=True, kw_only=True):
    """One gate at one moment, with the sentence that the journal has too."""

    name: str
    gate: str
    verdict: str
    """pass | pending | inconclusive | error | fail."""
    sentence: str
    evidence: float
    """Against the candidate, ``x : 1``."""
    limit: float | None
    """At which this gate alone takes it back; None where it does not bet."""
    candidate: CountsView
    stable: CountsView
    dry_run: bool
    lacks: str = ""
    """What it has not had enough of yet, such as ``error_rate has 40 of 328 answers``; empty: it
    has had the sample that a candidate failing `detect` would have been convicted by."""


class EvidenceView(View, frozen=True, kw_only=True):
    """All gates together."""

    capital: float
    limit: float


# --- a rollout -------------------------------------------------------------------------------


class OverrideView(View, frozen=True, kw_only=True):
    """A weight that a person set for a while."""

    weight_bp: int
    remaining_s: float


class ApprovalView(View, frozen=True, kw_only=True):
    """A step that waits for a person."""

    remaining_s: float | None
    then: str
    """What happens then: abort | promote | hold."""


class RewardView(View, frozen=True, kw_only=True):
    """What feedback earned a version."""

    count: int
    mean: float | None


class BanditView(View, frozen=True, kw_only=True):
    """What moves the shares, with its warning."""

    every_s: float
    floor_bp: int
    rewards: dict[str, RewardView]
    warning: str


class FeedbackView(View, frozen=True, kw_only=True):
    """What labels said about a version since the process began."""

    right: int
    wrong: int
    rewards: int
    mean_reward: float | None


class ApprovalRule(View, frozen=True, kw_only=True):
    """A person must promote a step."""

    deadline_s: float | None
    """None: it waits for ever."""
    then: str
    """What happens then: abort | promote | hold."""
    by: list[str]
    """Who may: names of tokens; empty: whoever may give orders."""


class BanditRule(View, frozen=True, kw_only=True):
    """Shares of a step follow rewards."""

    every_s: float
    floor_bp: int
    """What every version keeps."""


class StepView(View, frozen=True, kw_only=True):
    """One plateau: it is done when all of its conditions hold."""

    weight_bp: int
    mirror_bp: int
    mirror_users: bool
    """Whole users are copied, not single requests."""
    hold_s: float
    until_samples: int
    approval: ApprovalRule | None
    blind: bool
    """It ends although its gates have not had enough, as the policy says."""
    auto: bool
    """Evidence chooses the weight, up to ``weight_bp``."""
    proof: bool
    """Leaving it needs the proof that the candidate is no worse."""
    also: list[str]
    """Further versions that get copies."""
    others: dict[str, int]
    """Further versions that answer, with their shares."""
    bandit: BanditRule | None
    label: str
    """What people call it; empty for plain weights."""


class PlanView(View, frozen=True, kw_only=True):
    """The plan that it is carried out by."""

    strategy: str
    ending: str
    bake_s: float
    max_duration_s: float | None
    steps: list[StepView]


class RolloutView(View, frozen=True, kw_only=True):
    """The durable position of a rollout with everything that is measured."""

    id: str
    route: str
    stable: str
    candidate: str
    serving_stable: str
    """Who is stable now; the candidate, once it was promoted."""
    strategy: str
    phase: str
    paused_from: str | None
    health: str
    step: int
    """1-based."""
    steps: int
    plan: PlanView
    weight_bp: int
    """Commanded share of the candidate."""
    measured_bp: int | None
    """Its share of the last minute's drawn requests."""
    shares_bp: dict[str, int]
    """Commanded, by version."""
    bandit: BanditView | None
    mirror_bp: int
    batch_bp: int | None = None
    """The candidate's share of batch traffic; None where `priority` names none."""
    remaining_s: float
    samples: int
    until_samples: int
    revision: int
    attempt: int
    reason: str
    line: str
    """The same as a person would say it."""
    decided_at: float | None
    """Wall time of the decision that led here; None where an older router made it."""
    actor: str
    age_s: float
    override: OverrideView | None
    approval: ApprovalView | None
    action: str | None
    """What the judge asks for now; None once it has ended."""
    sentence: str
    gates: list[GateView]
    evidence: EvidenceView | None
    versions: dict[str, VersionView]
    in_flight: dict[str, int]
    draining: dict[str, int]
    """Under way at versions that get nothing new."""
    feedback: dict[str, FeedbackView]
    generation: int
    """Of the table in force."""
    writing: bool
    """A step up is on its way to the disk."""
    unsaved: bool
    """Something in force is not on the disk."""
    waits_for: str
    next_advance_at: float | None
    """The earliest wall time at which it may advance; None where no clock decides that."""
    through_at: float | None
    """Wall time at which a candidate as good as stable is through, at the last minute's traffic;
    None: it has ended, there is no traffic, or never like this."""
    risks: list[str]
    """What passes unseen, and which ways to all traffic nothing judges; in words."""
    shadow: ShadowBrief | None
    """The shadow in brief; the whole of it is an answer of its own."""
    notes: list[str]


class OfferedRollout(RolloutView, frozen=True, kw_only=True):
    """A rollout's status with the commands that are possible now."""

    commands: list[str]


# --- its course --------------------------------------------------------------------------------


class VersionHistory(View, frozen=True, kw_only=True):
    """One version's curves, a value for each of the history's times."""

    requests_per_s: list[float | None]
    error_ratio: list[float | None]
    """Where several points became one: the larger."""
    p50_s: list[float | None]
    p99_s: list[float | None]
    """Where several points became one: the larger."""


class HistoryView(View, frozen=True, kw_only=True):
    """What plots show. Columns have the length of ``at``, or none; shares and rates are 0..1."""

    route: str
    rollout: str
    """That it began with; empty: none was there."""
    attempt: int
    every_s: float
    """Between two points; it doubles when the history is full, and all points are new then."""
    at: list[float]
    """Wall times, seconds since 1970."""
    share: list[float | None]
    """The candidate's, as commanded."""
    measured: list[float | None]
    """Its share of what both versions answered since the last point."""
    mirrored: list[float | None]
    evidence: list[float | None]
    """All gates together against the candidate, ``x : 1``."""
    proof: list[float | None]
    """For promoting it."""
    difference: list[float | None]
    """Failures of the candidate less those of stable."""
    low: list[float | None]
    high: list[float | None]
    """The band that holds the difference at every look, 95 %."""
    agreement: list[float | None]
    gates: dict[str, list[float | None]]
    """Evidence of each gate that bets."""
    versions: dict[str, VersionHistory]
    evidence_limit: float | None
    """At which it is taken back."""
    hold_level: float | None
    margin: float | None
    """By which it may be worse, and be promoted."""
    proof_limit: float | None


# --- monitors --------------------------------------------------------------------------------


class SignalView(View, frozen=True, kw_only=True):
    """A feature of requests, or the label or score of answers, beside its reference."""

    name: str
    segment: str
    """Value of the feature that tells segments apart; empty: of all together."""
    output: bool
    """Of answers (stable's)."""
    learnt: bool
    """It has a reference."""
    sizes: dict[str, float]
    """How far it is off, by check: PSI of the distribution, else shares of rows."""
    text: str
    """Its distribution at the last look."""
    limit_in_s: float | None
    """When PSI reaches the limit at the present speed; None where nothing grows."""


class AlarmView(View, frozen=True, kw_only=True):
    """One change."""

    signal: str
    check: str
    cause: str
    """data drift | reference unlike traffic | candidate drift | concept drift."""
    course: str
    """sudden | gradual | temporary | over | from the start."""
    since: float
    """Wall time."""
    until: float | None
    accepted: bool
    sentence: str


class MonitorsView(View, frozen=True, kw_only=True):
    """What `monitors:` of a route sees."""

    reference: str
    """A file, or the past."""
    trouble: str
    """Why the reference could not be read; empty."""
    requests: int
    """Sampled requests that were counted."""
    alarms: list[AlarmView]
    over: list[AlarmView]
    """The last ones that ended."""
    signals: list[SignalView]


# --- a route ---------------------------------------------------------------------------------


class AttentionView(View, frozen=True, kw_only=True):
    """Why somebody should look at a route."""

    kind: str
    """taken_back | approval | held | gate | note"""
    line: str


class RouteSummary(View, frozen=True, kw_only=True):
    """One line of the list of routes."""

    name: str
    match: dict[str, Any]
    """As the policy has it, without defaults."""
    stable: str
    candidate: str | None
    strategy: str | None
    phase: str | None
    health: str
    weight_bp: int
    shares_bp: dict[str, int]
    revision: int
    frozen: str
    """By whom and until when nothing grows, as a sentence; empty: it is not frozen."""
    reason: str
    line: str
    """The same as a person would say it."""
    decided_at: float | None
    """Wall time of that decision."""
    notes: list[str]
    step: int
    """1-based; 0 without a rollout."""
    steps: int
    since: float | None
    """Wall time of its last move to a step or an end, seconds since 1970."""
    requests_per_s: float
    """Of all versions, a few seconds ago."""
    error_ratio: float
    attention: AttentionView | None


class ProblemView(View, frozen=True, kw_only=True):
    """A mistake in the policy file."""

    message: str
    hint: str = ""
    file: str = ""
    line: int = 0
    """From 1, as the column; 0: it has no place."""
    column: int = 0
    path: str = ""
    """Of keys, such as ``routes.0.match``."""
    severity: str = "error"


class PolicyView(View, frozen=True, kw_only=True):
    """The policy file: what is in force, and what is on the disk and is not."""

    file: str
    ok: bool
    """The last reading was accepted."""
    digest: str
    accepted_at: float
    """Wall time, seconds since 1970."""
    text: str
    """In force, without its secrets."""
    pending: list[str]
    """Lines of a unified diff from the text in force to the file's, where that was refused."""
    report: str
    """What is wrong with the file, as ``rampway check`` prints it."""
    problems: list[ProblemView]
    notes: list[str]


class AcceptedView(View, frozen=True, kw_only=True):
    """What became of it."""

    accepted: int
    """Changes of data that hold nobody any more."""


class AcknowledgedView(View, frozen=True, kw_only=True):
    """What became of it."""

    acknowledged: bool
    """False: there was nothing to see, or somebody had seen it."""


class RoutesView(View, frozen=True, kw_only=True):
    """All routes, in the order of matching."""

    routes: list[RouteSummary]


class RouteView(RouteSummary, frozen=True, kw_only=True):
    """Everything about one route."""

    versions: dict[str, VersionView]
    feedback: dict[str, FeedbackView]
    rollout: RolloutView | None
    monitors: MonitorsView | None = None
