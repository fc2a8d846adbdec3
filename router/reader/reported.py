"""The report of a route as JSON: what it has, and what the page reads of it.

Shares are 0..1, times seconds; ``None`` is what nothing tells.
"""

from __future__ import annotations

from typing import NamedTuple, TypedDict


class LoggedRow(NamedTuple):
    """What reports read of one row of the log; named as its columns."""

    time: float
    version: str
    role: str
    segment: str
    features: str
    prediction: float | str | None
    score: float | None
    latency_s: float
    error: str
    label: float | str | None
    label_time: float | None
    correct: int | None
    rating: float | None
    value: float | None
    accepted: int | None


# --- of one version ----------------------------------------------------------------------------


class SoftwareFigures(TypedDict):
    """Requests and failures."""

    predictions: int
    failed: int
    failed_share: float | None
    p50_s: float | None
    p95_s: float | None


class OutputFigures(TypedDict):
    """What was said."""

    predictions: int
    unreadable: int
    missing: int
    score_mean: float | None
    score_p05: float | None
    score_p95: float | None
    classes: dict[str, int]
    """The most frequent ones."""


class ModelFigures(TypedDict):
    """How right it was, of what has a truth."""

    labelled: int
    accuracy: float | None
    auc: float | None
    mae: float | None
    kappa: float | None
    rating_mean: float | None


class BusinessFigures(TypedDict):
    """What it brought."""

    told: int
    value_mean: float | None
    value_sum: float


class TrustFigures(TypedDict):
    """Whether people took it."""

    told: int
    accepted_share: float | None


class VersionFigures(TypedDict):
    """All of it but what was asked and said."""

    software: SoftwareFigures
    model: ModelFigures
    business: BusinessFigures
    trust: TrustFigures


class SegmentFigures(VersionFigures):
    """The same in one segment."""

    version: str
    segment: str


class StretchFigures(VersionFigures):
    """The same in one stretch of time, with what was said."""

    outputs: OutputFigures


class InputFigures(TypedDict):
    """One feature as it was asked."""

    missing_share: float | None
    numbers: int
    mean: float | None
    least: float | None
    most: float | None
    different_texts: int


# --- of the route ------------------------------------------------------------------------------


class TruthLag(TypedDict):
    """How late truths came."""

    truths: int
    p50_s: float | None
    p95_s: float | None


class DataQuality(TypedDict):
    """What was asked and said, by feature and by version."""

    inputs: dict[str, InputFigures]
    outputs: dict[str, OutputFigures]


class ModelPerformance(TypedDict):
    """How well the versions did."""

    versions: dict[str, VersionFigures]
    segments: list[SegmentFigures]
    truth_lag: TruthLag


class ReportedDecision(TypedDict):
    """An entry of the journal."""

    at: float
    action: str
    actor: str
    weight_bp: int
    reason: str


ReportedStretch = TypedDict(
    "ReportedStretch",
    {"from": float, "versions": dict[str, StretchFigures], "segments": list[SegmentFigures]},
)
"""A part of the time, and when it begins."""

RouteReport = TypedDict(
    "RouteReport",
    {
        "route": str, "from": float, "to": float, "data_quality": DataQuality,
        "model_performance": ModelPerformance, "over_time": list[ReportedStretch],
        "timeline": list[ReportedDecision],
    },
)  # fmt: skip
"""All of it; the timeline is the router's, and empty where none answers."""
