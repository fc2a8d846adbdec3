"""What the log says about a route in a stretch of time: counts and means, no payload.

Two parts, by the names that people know: *data quality* (inputs, outputs) and *model performance*
(software, model, business, trust), each by version and segment, and over time.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from router.core.logged.figures import auc, kappa, mae
from router.reader.export import ExportScope, reading
from router.reader.reported import (
    BusinessFigures,
    InputFigures,
    LoggedRow,
    ModelFigures,
    OutputFigures,
    RouteReport,
    SoftwareFigures,
    TrustFigures,
    VersionFigures,
)

STRETCHES: Final = 24
"""Of the time that is looked at."""
VALUES_MAX: Final = 50_000
"""Values of one version that quantiles, AUC and kappa are made of: the first ones."""
FEATURES_MAX: Final = 200
SEGMENTS_MAX: Final = 50
TOP: Final = 5
"""Most frequent values that are named."""

_READ: Final = (
    f"SELECT {', '.join(LoggedRow._fields)} FROM log "  # noqa: S608 - of constants
    "WHERE route = ? AND time >= ? AND time < ? ORDER BY time"
)


class Figures:
    """What is known of one version, in all, in one segment, or in one stretch."""

    def __init__(self) -> None:
        self.count = self.errors = self.unreadable = self.missing = 0
        self.seconds: list[float] = []
        self.scores: list[float] = []
        self.classes: Counter[str] = Counter()
        self.right = self.wrong = 0
        self.labels: list[tuple[Any, Any, float | None]] = []
        self.values: list[float] = []
        self.ratings: list[float] = []
        self.taken = self.refused = 0

    def add(self, row: LoggedRow) -> None:
        """One prediction."""
        self.count += 1
        self.errors += bool(row.error) and row.error != "unreadable"
        self.unreadable += row.error == "unreadable"
        said = row.prediction if row.prediction is not None else row.score
        self.missing += said is None and not row.error
        _keep(self.seconds, row.latency_s)
        if row.score is not None:
            _keep(self.scores, row.score)
        if row.prediction is not None and len(self.classes) < VALUES_MAX:
            self.classes[f"{row.prediction:g}" if isinstance(row.prediction, float)
                         else str(row.prediction)] += 1  # fmt: skip
        self._truth(row, said)

    def _truth(self, row: LoggedRow, said: float | str | None) -> None:
        label = row.label
        copy = row.role == "shadow"  # what people got, took and judged was another's
        right = bool(row.correct) if row.correct is not None and not copy else None
        if label is not None and said is not None:
            _keep(self.labels, (label, said, row.score))
            if right is None and isinstance(label, str) == isinstance(said, str):
                right = label == said
        if right is not None:
            self.right += right
            self.wrong += not right
        if copy:
            return
        if row.value is not None:
            _keep(self.values, row.value)
        if row.rating is not None:
            _keep(self.ratings, row.rating)
        if row.accepted is not None:
            self.taken += bool(row.accepted)
            self.refused += not row.accepted

    # --- as JSON ----------------------------------------------------------------------------------

    def software(self) -> SoftwareFigures:
        """Requests, failures, seconds."""
        return {
            "predictions": self.count, "failed": self.errors,
            "failed_share": _share(self.errors, self.count),
            "p50_s": _quantile(self.seconds, 0.5), "p95_s": _quantile(self.seconds, 0.95),
        }  # fmt: skip

    def outputs(self) -> OutputFigures:
        """What was said."""
        return {
            "predictions": self.count, "unreadable": self.unreadable, "missing": self.missing,
            "score_mean": _mean(self.scores), "score_p05": _quantile(self.scores, 0.05),
            "score_p95": _quantile(self.scores, 0.95),
            "classes": dict(self.classes.most_common(TOP)),
        }  # fmt: skip

    def area(self) -> tuple[float | None, int, int]:
        """AUC, of so many positives and negatives."""
        scored = [(bool(a), s) for a, _, s in self.labels if s is not None and isinstance(a, int)]
        yes = sum(positive for positive, _ in scored)
        return auc([p for p, _ in scored], [s for _, s in scored]), yes, len(scored) - yes

    def numbers(self) -> list[tuple[float, float]]:
        """Truths that are numbers, a yes or no among them, and what was said of each."""
        return [(float(a), float(b)) for a, b, _ in self.labels if _numbers(a, b)]

    def distances(self) -> list[float]:
        """From a truth that is a number and no yes or no."""
        known = [(a, b) for a, b, _ in self.labels if isinstance(a, float) and _numbers(b)]
        return [abs(a - b) for a, b in known]

    def model(self) -> ModelFigures:
        """How right it was, of what has a truth; None: nothing tells."""
        numbers = self.numbers()
        texts = [(str(a), str(b)) for a, b, _ in self.labels if not isinstance(a, float)]
        return {
            "labelled": self.right + self.wrong,
            "accuracy": _share(self.right, self.right + self.wrong),
            "auc": self.area()[0],
            "mae": mae([a for a, _ in numbers], [b for _, b in numbers]),
            "kappa": kappa([a for a, _ in texts], [b for _, b in texts]),
            "rating_mean": _mean(self.ratings),
        }

    def business(self) -> BusinessFigures:
        """What it brought."""
        return {"told": len(self.values), "value_mean": _mean(self.values),
                "value_sum": math.fsum(self.values)}  # fmt: skip

    def trust(self) -> TrustFigures:
        """Whether people took it."""
        told = self.taken + self.refused
        return {"told": told, "accepted_share": _share(self.taken, told)}

    def performance(self) -> VersionFigures:
        """All of it but what was asked and said."""
        return {"software": self.software(), "model": self.model(),
                "business": self.business(), "trust": self.trust()}  # fmt: skip


class Inputs:
    """One feature as it was asked."""

    def __init__(self) -> None:
        self.count = self.numbers = 0
        self.total = 0.0
        self.least, self.most = math.inf, -math.inf
        self.texts: Counter[str] = Counter()

    def add(self, value: Any) -> None:
        """One value."""
        self.count += value is not None
        if isinstance(value, int | float) and not isinstance(value, bool):
            self.numbers += 1
            self.total += value
            self.least, self.most = min(self.least, value), max(self.most, value)
        elif value is not None and (len(self.texts) < VALUES_MAX or str(value) in self.texts):
            self.texts[str(value)] += 1

    def to_json(self, of: int) -> InputFigures:
        """Counts; how often frequent texts are is told, and they are what was asked: by name."""
        known = self.numbers > 0
        return {
            "missing_share": _share(of - self.count, of), "numbers": self.numbers,
            "mean": self.total / self.numbers if known else None,
            "least": self.least if known else None, "most": self.most if known else None,
            "different_texts": len(self.texts),
        }  # fmt: skip


def report(place: str, route: str, chosen: ExportScope) -> RouteReport:
    """The report, yet without a timeline. Raises BookError; ValueError where nothing is logged."""
    everything: dict[str, Figures] = {}
    segments: dict[tuple[str, str], Figures] = {}
    features: dict[str, Inputs] = {}
    asked = 0
    lags: list[float] = []
    with reading(place) as db:
        begin, end = _span(db, route, chosen)
        stretches: list[dict[str, Figures]] = [{} for _ in range(STRETCHES)]
        parts: list[dict[tuple[str, str], Figures]] = [{} for _ in range(STRETCHES)]
        for row in map(LoggedRow._make, db.execute(_READ, (route, begin, end))):
            version = row.version + (" (copies)" if row.role == "shadow" else "")
            everything.setdefault(version, Figures()).add(row)
            stretch = min(int((row.time - begin) / (end - begin) * STRETCHES), STRETCHES - 1)
            stretches[stretch].setdefault(version, Figures()).add(row)
            part = (version, row.segment)
            if row.segment and (part in segments or len(segments) < SEGMENTS_MAX):
                segments.setdefault(part, Figures()).add(row)
                parts[stretch].setdefault(part, Figures()).add(row)
            if row.label_time is not None:
                _keep(lags, max(row.label_time - row.time, 0.0))
            if row.features:
                asked += 1
                _ask(features, json.loads(row.features))
    return {
        "route": route, "from": begin, "to": end,
        "data_quality": {
            "inputs": {name: one.to_json(asked) for name, one in sorted(features.items())},
            "outputs": {name: one.outputs() for name, one in sorted(everything.items())},
        },
        "model_performance": {
            "versions": {name: one.performance() for name, one in sorted(everything.items())},
            "segments": [
                {"version": version, "segment": segment, **one.performance()}
                for (version, segment), one in sorted(segments.items())
            ],
            "truth_lag": {"truths": len(lags), "p50_s": _quantile(lags, 0.5),
                          "p95_s": _quantile(lags, 0.95)},
        },
        "over_time": [
            {
                "from": begin + n * (end - begin) / STRETCHES,
                "versions": {
                    name: {**one.performance(), "outputs": one.outputs()}
                    for name, one in sorted(stretch.items())
                },
                "segments": [
                    {"version": version, "segment": segment, **one.performance()}
                    for (version, segment), one in sorted(part.items())
                ],
            }
            for n, (stretch, part) in enumerate(zip(stretches, parts, strict=True))
        ],
        "timeline": [],
    }  # fmt: skip


def _span(db: Any, route: str, chosen: ExportScope) -> tuple[float, float]:
    first, last = db.execute(
        "SELECT min(time), max(time) FROM predictions WHERE route = ? AND time >= ? AND time < ?",
        (route, chosen.since, min(chosen.until, 1e12)),
    ).fetchone()
    if first is None:
        raise ValueError(f"no prediction of {route} is logged in that time")
    return chosen.since or first, chosen.until if chosen.until < 1e12 else last + 1e-3


def _ask(features: dict[str, Inputs], asked: Mapping[str, Any]) -> None:
    for name, value in asked.items():
        if name in features or len(features) < FEATURES_MAX:
            features.setdefault(name, Inputs()).add(value)


def _keep(values: list[Any], value: Any) -> None:
    if len(values) < VALUES_MAX:
        values.append(value)


def _numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return math.fsum(known) / len(known) if known else None


def _quantile(values: Iterable[float], share: float) -> float | None:
    known = sorted(values)
    return known[min(int(share * len(known)), len(known) - 1)] if known else None
