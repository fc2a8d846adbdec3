"""What people see of data, and of how right predictions were.

The pages *Data quality* and *Model performance* show it. Shares are 0..1, times seconds; ``None``
is what is not known or does not apply.
"""

from __future__ import annotations

from router.control.told.view import View
from router.control.told.views import AlarmView

# --- model performance -----------------------------------------------------------------------


class FigureView(View, frozen=True, kw_only=True):
    """A figure with its band: 95 % of one look, not of every look as a gate's evidence is."""

    value: float
    low: float | None
    high: float | None
    count: int
    """Predictions that it is made of."""


class CourseView(View, frozen=True, kw_only=True):
    """The same over time, a value for each of ``PerformanceView.at``."""

    value: list[float | None]
    low: list[float | None]
    high: list[float | None]
    count: list[int | None]


class VersionPerformanceView(View, frozen=True, kw_only=True):
    """One version; its copies, which nobody was served, stand apart as ``NAME (copies)``."""

    predictions: int
    labelled: int
    """Of them that have a truth."""
    covered: float | None
    """The same as a share."""
    lag_p50_s: float | None
    """How long after the prediction its truth came."""
    lag_p95_s: float | None
    unreadable: int
    missing: int
    """Answers without the declared label and score."""
    classes: dict[str, int]
    """The most frequent labels that it said."""
    metrics: dict[str, FigureView]
    """accuracy | auc | mae | business | trust, as the gates are called; failed, nulls, score."""
    course: dict[str, CourseView]
    covered_course: list[float | None]


class SegmentPerformanceView(View, frozen=True, kw_only=True):
    """One version in one segment."""

    segment: str
    version: str
    predictions: int
    metrics: dict[str, FigureView]


class InputView(View, frozen=True, kw_only=True):
    """A feature as one version was asked it."""

    missing_share: float | None
    numbers: int
    mean: float | None
    least: float | None
    most: float | None
    different_texts: int


class PerformanceView(View, frozen=True, kw_only=True):
    """How well the versions of a route did, as the prediction log has it."""

    route: str
    file: str
    """The log."""
    span_s: float
    """That was asked for."""
    since: float
    until: float
    whole: bool
    """Every prediction of that time was read; else a sample, spread evenly over each stretch."""
    read: int
    """Predictions that were read."""
    took_s: float
    at: list[float]
    """Wall times of the middles of the stretches."""
    versions: dict[str, VersionPerformanceView]
    segments: list[SegmentPerformanceView]
    inputs: dict[str, dict[str, InputView]]
    """By feature, then version."""


# --- data quality ----------------------------------------------------------------------------


class CheckView(View, frozen=True, kw_only=True):
    """One question of one signal at the last look."""

    check: str
    """distribution | nulls | type | outside."""
    size: float
    limit: float
    chance: float
    """How likely so large a change is by chance: chi-square, and Kolmogorov-Smirnov of numbers."""
    cyclic: bool
    """It is what this hour of the season brings."""
    text: str


class ArmView(View, frozen=True, kw_only=True):
    """What one arm was asked, or answered, since the attempt began."""

    rows: int
    nulls: float
    type: float
    outside: float
    psi: float
    """From the reference, less what chance gives."""
    cells: list[float]
    """Shares of its values."""


class SignalCourseView(View, frozen=True, kw_only=True):
    """The looks so far, the last season's. Columns have the length of ``at``."""

    at: list[float]
    """Wall times."""
    psi: list[float]
    jensen_shannon: list[float]
    ks: list[float | None]
    """Kolmogorov-Smirnov; None where PSI was below half of its limit or values are no numbers."""
    nulls: list[float]
    type: list[float]
    outside: list[float]


class DataSignalView(View, frozen=True, kw_only=True):
    """A feature of requests, or the label or score of answers."""

    name: str
    segment: str
    output: bool
    kind: str
    """numeric | categorical; empty while the first values come."""
    learnt: bool
    checks: list[CheckView]
    jensen_shannon: float | None
    ks: float | None
    chance: float | None
    limit_in_s: float | None
    psi_at: list[float]
    psi: list[float]
    """Its course in brief."""


class SignalDetailView(View, frozen=True, kw_only=True):
    """Everything about one signal."""

    name: str
    segment: str
    cells: list[str]
    """What each cell holds: a range of numbers, or a category."""
    reference: list[float]
    """Shares of values, likewise below."""
    now: list[float]
    """The last window."""
    arms: dict[str, ArmView]
    """stable and candidate, since the attempt began; empty without one."""
    course: SignalCourseView


class DataView(View, frozen=True, kw_only=True):
    """What `monitors:` of a route sees, signal by signal."""

    route: str
    watched: bool
    """The route has `monitors`."""
    reference: str
    """A file, or the past."""
    trouble: str
    requests: int
    window_s: float
    slot_s: float
    """Between two looks."""
    alarms: list[AlarmView]
    over: list[AlarmView]
    signals: list[DataSignalView]
    chosen: SignalDetailView | None
    """The one that was asked for."""
