"""The report as one page without any reference to another file, drawn with the kit of all pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final, Literal

from router.core.words import duration
from router.drawing import style
from router.drawing.plot import Legend, LinearAxis, Plot, Tick, unbroken
from router.reader.reported import (
    ReportedDecision,
    RouteReport,
    SegmentFigures,
    StretchFigures,
    TruthLag,
    VersionFigures,
)

PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Rampway: {title}</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<style>{css}
body{{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;
background:var(--bg);color:var(--ink)}}table{{border-collapse:collapse;margin:1rem 0}}
td,th{{padding:.25rem .7rem;border-bottom:1px solid var(--rule);text-align:right}}
td:first-child,th:first-child{{text-align:left}}.plots{{display:grid;gap:1rem;
grid-template-columns:repeat(auto-fit,minmax(22rem,1fr))}}</style></head><body>
{body}</body></html>
"""

_Place = tuple[float, float]
_Pick = Callable[[StretchFigures], float | None]
_Course = Sequence[tuple[float, Mapping[str, float | None]]]
"""Where each stretch begins, and each version's figure in it."""

_Part = Literal["software", "model", "business", "trust"]

_OVER_TIME: Final[Sequence[tuple[str, str, _Pick, bool]]] = (
    ("Requests", "Predictions in each stretch.", lambda v: v["software"]["predictions"], False),
    ("Failures", "Share that failed.", lambda v: v["software"]["failed_share"], False),
    ("Latency", "95 % were faster, seconds.", lambda v: v["software"]["p95_s"], False),
    ("Score", "Mean score.", lambda v: v["outputs"]["score_mean"], False),
    ("Accuracy", "Of what has a truth.", lambda v: v["model"]["accuracy"], True),
    ("Value", "Mean of what predictions brought.", lambda v: v["business"]["value_mean"], False),
    ("Trust", "Share that people took.", lambda v: v["trust"]["accepted_share"], True),
)  # fmt: skip


def render(report: RouteReport) -> str:
    """The page."""
    quality, performance = report["data_quality"], report["model_performance"]
    versions = performance["versions"]
    lag = performance["truth_lag"]
    parts = [
        f"<h1>{escape(report['route'])}</h1>",
        f"<p>{_time(report['from'])} to {_time(report['to'])}</p>",
        "<h2>Model performance</h2><h3>Software</h3>",
        _table(versions, "software"), "<h3>Model</h3>", _table(versions, "model"),
        f"<p>{_lag(lag)}</p><h3>Business</h3>", _table(versions, "business"),
        "<h3>Trust</h3>", _table(versions, "trust"), "<h3>By segment</h3>",
        _segments(performance["segments"]), "<h3>Over time</h3>", _plots(report),
        "<h2>Data quality</h2><h3>Inputs</h3>", _rows(quality["inputs"]),
        "<h3>Outputs</h3>", _rows(quality["outputs"]),
        "<h2>Decisions</h2>", _timeline(report["timeline"]),
    ]  # fmt: skip
    return PAGE.format(title=escape(report["route"]), css=style.CSS, body="\n".join(parts))


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _lag(lag: TruthLag) -> str:
    if lag["p50_s"] is None or lag["p95_s"] is None:
        return "No truth has come yet."
    half, most = duration(lag["p50_s"]), duration(lag["p95_s"])
    return f"Truths came after {half}, 95 % within {most} ({lag['truths']:,})."


SHARES: Final = frozenset({"failed_share", "accuracy", "accepted_share", "missing_share"})
"""Figures that people read as percent."""
SEGMENTS_DRAWN: Final = 6
"""Segments with a picture of their own, those with most predictions."""


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(k))}: {v:,}" for k, v in value.items())
    if name in SHARES:
        return f"{value:.1%}" if value >= 0.1 else f"{value:.2%}"
    if name.endswith("_s"):
        return duration(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}".rstrip("0").rstrip(".")


def _headed(name: str) -> str:
    """A column's name: ``p95``, whose unit stands with each figure."""
    return escape(name.removesuffix("_s").replace("_", " "))


def _table(versions: Mapping[str, VersionFigures], part: _Part) -> str:
    return _rows({name: one[part] for name, one in versions.items()})


def _rows(rows: Mapping[str, Mapping[str, object]]) -> str:
    if not rows:
        return "<p>Nothing.</p>"
    names = list(next(iter(rows.values())))
    head = "".join(f"<th>{_headed(name)}</th>" for name in ["", *names])
    body = "".join(
        f"<tr><td>{escape(name)}</td>{''.join(f'<td>{_shown(n, one[n])}</td>' for n in names)}</tr>"
        for name, one in rows.items()
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _segments(segments: Sequence[SegmentFigures]) -> str:
    return _rows({
        f"{one['segment']}: {one['version']}": {
            "predictions": one["software"]["predictions"],
            "failed_share": one["software"]["failed_share"], **one["model"],
            "value_mean": one["business"]["value_mean"],
            "accepted_share": one["trust"]["accepted_share"],
        }
        for one in segments
    })  # fmt: skip


def _timeline(entries: Iterable[ReportedDecision]) -> str:
    rows = "".join(
        f"<tr><td>{_time(one['at'])}</td><td>{escape(one['action'])}</td>"
        f"<td>{one['weight_bp'] / 100:g} %</td><td>{escape(one['reason'])}</td></tr>"
        for one in entries
    )
    return f"<table>{rows}</table>" if rows else "<p>None is known.</p>"


def _plots(report: RouteReport) -> str:
    drawn = "".join(
        _plot(report, title, caption, [
            (stretch["from"], {name: pick(one) for name, one in stretch["versions"].items()})
            for stretch in report["over_time"]
        ], share=share)
        for title, caption, pick, share in _OVER_TIME
    )  # fmt: skip
    return f'<div class="plots">{drawn}{"".join(_by_segment(report))}</div>'


def _by_segment(report: RouteReport) -> Iterable[str]:
    """Accuracy over time in each of the largest segments."""
    sizes: dict[str, int] = {}
    for one in report["model_performance"]["segments"]:
        seen = one["software"]["predictions"]
        sizes[one["segment"]] = sizes.get(one["segment"], 0) + seen
    for segment in sorted(sizes, key=lambda name: -sizes[name])[:SEGMENTS_DRAWN]:
        course = [
            (stretch["from"], {
                part["version"]: part["model"]["accuracy"]
                for part in stretch["segments"] if part["segment"] == segment
            })
            for stretch in report["over_time"]
        ]  # fmt: skip
        yield _plot(report, f"Accuracy, {segment}", "Of what has a truth.", course, share=True)


def _plot(report: RouteReport, title: str, caption: str, course: _Course, *, share: bool) -> str:
    begin, end = report["from"], report["to"]
    names = sorted({name for _, figures in course for name in figures})
    lines: dict[str, list[_Place]] = {name: [] for name in names}
    for at, figures in course:
        for name, value in figures.items():
            if value is not None:
                lines[name].append((at, float(value)))
    most = 1.0 if share else max((y for line in lines.values() for _, y in line), default=1.0) or 1
    step = (end - begin) / len(course)
    plot = Plot(
        title, caption, LinearAxis(begin, end), LinearAxis(0.0, most),
        [Tick(begin, _time(begin)[5:16]), Tick(end, _time(end)[5:16])],
        [Tick(part * most, f"{part * most:.3g}") for part in (0.0, 0.5, 1.0)],
        [Legend(f"v{n % 5}", name) for n, name in enumerate(names)],
    )  # fmt: skip
    for n, name in enumerate(names):
        for run in unbroken(lines[name], 1.5 * step):
            plot.line(run, f"v{n % 5}", name)
    return plot.render()
