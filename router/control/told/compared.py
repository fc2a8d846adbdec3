"""What people see of requests that several versions answered.

Counts begin with the attempt; shares are 0 to 1.
"""

from __future__ import annotations

import msgspec

from router.control.told.view import View


class DistanceView(View, frozen=True, kw_only=True):
    """How far the two scores of a pair are apart."""

    pairs: int
    """That had both scores; without any the rest is None."""
    mean: float | None
    far_share: float | None
    """Further apart than ``far``."""
    far: float
    max: float | None


class PairsView(View, frozen=True, kw_only=True):
    """The pairs of one version in a line."""

    pairs: int
    """That teach something."""
    agreement: float | None
    """None before the first."""
    rows: int
    """Rows of requests that were compared."""
    agreed: int
    disagreed: int
    failed: int
    unusable: int
    refused: int = 0
    """Both refused alike, or said nothing: no prediction was compared."""
    stricter: int
    looser: int
    score: DistanceView
    unusable_because: dict[str, int]


class ShadowBrief(PairsView, frozen=True, kw_only=True):
    """The candidate's pairs in a line, and whether anything is wrong with them."""

    learning: bool
    """Noise is being learnt; nothing counts yet."""
    uncompared: int
    awaited: int
    """Answers of stable that are still to come."""
    alarm: str


class PositiveView(View, frozen=True, kw_only=True):
    """Share of positive answers."""

    pairs: int
    stable: float | None
    candidate: float | None


class QuantilesView(View, frozen=True, kw_only=True):
    """Of the time until an answer was whole, seconds."""

    p50_s: float | None
    p99_s: float | None


class AgreementView(View, frozen=True, kw_only=True):
    """Agreement in one segment."""

    segment: str
    pairs: int
    agreement: float


class DeliveryView(View, frozen=True, kw_only=True):
    """What became of the copies."""

    delivered: int
    failed: int
    dropped: dict[str, int]
    """By cause."""


class DifferenceView(View, frozen=True, kw_only=True):
    """One place where two answers differ."""

    path: str
    kind: str
    stable: str
    candidate: str
    """As text, cut; ``***`` where the policy keeps it from people."""
    decides: bool


class DisagreementView(View, frozen=True, kw_only=True):
    """One pair that disagreed."""

    request_id: str
    at: float
    """Wall time, seconds since 1970."""
    segment: str
    reverse: bool
    """The candidate served, stable got the copy."""
    direction: str
    score_distance: float | None
    differences: list[DifferenceView]


class TallyView(PairsView, frozen=True, kw_only=True):
    """Everything about one version's pairs."""

    evidence: bool
    """It is the candidate; others are only shown."""
    positive: PositiveView
    latency: dict[str, QuantilesView]
    """By arm: stable, candidate."""
    segments: list[AgreementView]
    delivery: DeliveryView
    worst: list[DisagreementView]
    """The furthest first."""


class NoisyField(View, frozen=True, kw_only=True):
    """How often a field differs between two answers of stable, and between the versions."""

    field: str
    raw: int
    noise: int
    silenced: bool


class NoiseView(View, frozen=True, kw_only=True):
    """What differs between two answers of stable decides nothing."""

    share_bp: int
    wanted: int
    """Pairs of each kind that it is learnt from; 0: nobody learns it."""
    learning: bool
    raw_pairs: int
    noise_pairs: int
    silenced: list[str]
    fields: list[NoisyField]


class SpentView(View, frozen=True, kw_only=True):
    """Of a judge's budget, today (UTC)."""

    calls: int
    calls_most: int
    tokens: int
    """As its answers say."""
    tokens_most: int | None
    cost: float
    cost_most: float | None
    used_up: str
    """What of it is spent; empty while it may be asked."""


class JudgeView(View, frozen=True, kw_only=True):
    """Whom a gate `judge` asks, and what he has said."""

    gate: str
    asked: int
    worse: int
    """Pairs in which the candidate's answer was called worse."""
    better: int
    alike: int
    """Ties, with the pairs of ``same``."""
    same: int
    """Pairs that say the same, of which nobody was asked."""
    unanswered: int
    first: int
    """Verdicts for the answer that stood first."""
    second: int
    place: str
    """That the judge likes a place, as a sentence; empty while it may be chance."""
    trouble: str
    """Why the last question got no verdict; empty: it got one."""
    left_alone: bool
    """Too many questions in a row got none: it is asked again in a while."""
    today: SpentView


class ShadowView(View, frozen=True, kw_only=True):
    """Everything that comparing has found."""

    route: str
    rollout: str
    live: bool
    stable: str
    candidate: str
    payload: str
    uncompared: int
    awaited: int
    alarm: str
    noise: NoiseView
    versions: dict[str, TallyView]
    """By name; second calls to stable under ``(stable)``."""
    judges: list[JudgeView] = msgspec.field(default_factory=list[JudgeView])
    """Whoever is asked outside which of two answers is better."""
