"""A simulation for people (text), programs (JSON) and browsers (one self-contained HTML page)."""

from __future__ import annotations

import html
import json
import math
from typing import TYPE_CHECKING

from router.core.wire.histogram import quantile
from router.core.words import FULL_BP, duration, percent, rate
from router.simulation.result import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from router.simulation.result import SimulationResult, Spread
    from router.simulation.run import Point
    from router.simulation.scenario import LatencyModel, Scenario

WIDTH, HEIGHT, MARGIN = 720.0, 200.0, 46.0
"""Size of a plot and of the room for its labels, in SVG units."""

RIGHT = WIDTH - 58.0
"""Where curves end; the names of limits stand to the right of it."""

BAR_MAX = 40.0
LABELS_MAX = 16
"""Widest bar, and the number of bars up to which each has a label."""

EVIDENCE_FROM, EVIDENCE_TO = 0.01, 1_000.0
"""Ends of the logarithmic axis of evidence."""


def render_text(result: SimulationResult) -> str:
    """A page of plain text."""
    lines = [f"{title}: {value}" for title, value in _facts(result)]
    timeline = [
        f"  {duration(at) or '0s':>8}  {percent(bp):>6}  {reason}"
        for at, bp, reason in result.runs[0].timeline
    ]
    return "\n".join([*lines, "", f"run with seed {result.runs[0].seed}:", *timeline]) + "\n"


def render_json(result: SimulationResult) -> str:
    """The same numbers as a JSON document."""
    return json.dumps(result.to_json(), indent=2, allow_nan=False) + "\n"


def render_html(result: SimulationResult) -> str:
    """One page without any reference to another file."""
    first = result.runs[0]
    rows = "".join(
        f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in _facts(result)
    )
    timeline = "".join(
        f"<tr><td>{duration(at)}</td><td>{percent(bp)}</td><td>{html.escape(text)}</td></tr>"
        for at, bp, text in first.timeline
    )
    alpha = result.setup.settings.false_rollback_rate
    plots = (
        _plot(
            "Traffic of the candidate", first.trace, [(lambda p: p.weight_bp / FULL_BP, "weight")],
            lambda share: share, ticks=[(s / 4, f"{s * 25} %") for s in range(5)], steps=True,
        ),
        _plot(
            "Evidence (log scale): against the candidate, and for promoting it", first.trace,
            [(lambda p: p.capital, "against"), (lambda p: p.proof, "for")], _evidence_height,
            ticks=[(e, f"{e:g} : 1") for e in (0.01, 0.1, 1.0, 10.0, 100.0, 1_000.0)],
            limits=[
                (result.setup.settings.hold_level, "hold"), (1.0 / alpha, "roll back"),
                (1.0 / result.setup.settings.risk, "proof"),
            ],
        ),
        _histogram(result),
    )  # fmt: skip
    return _PAGE.format(
        rows=rows, timeline=timeline, plots="".join(plots), seed=first.seed,
        sentence=html.escape(first.sentence),
    )  # fmt: skip


def _facts(result: SimulationResult) -> list[tuple[str, str]]:
    """What there is to say, in order: (title, value)."""
    s = result.scenario
    change = f" from {duration(s.change_at_s)} on" if s.change_at_s else ""
    arms = f"{s.users:,} users" if s.users else "requests"
    outcomes = ", ".join(
        f"{name} {result.share(name) * 100:.3g} %" for name in OUTCOMES if result.share(name)
    )
    world = f"{s.requests_per_s:.4g} requests/s, {arms} assigned, {duration(s.duration_s)} at most"
    false = (
        f"{result.false_rollbacks * 100:.3g} % of {len(result.equal):,} runs of an equal candidate "
        f"(promised at most {result.setup.settings.false_rollback_rate * 100:g} %)"
    )
    return [
        ("world", world),
        ("stable", f"bad in {rate(s.stable_rate)}"),
        ("candidate", f"bad in {rate(s.candidate_rate)}{change}"),
        *([("latency", _latency(s.latency))] if s.latency else []),
        *([("besides", besides)] if (besides := "; ".join(_besides(s))) else []),
        ("gates", ", ".join(gate.title for gate in result.setup.gates)),
        ("runs", f"{len(result.runs):,}: {outcomes}"),
        ("proven not worse", f"{result.proven * 100:.3g} % of them"),
        ("bad answers before rollback", _spread(result.bad, lambda v: f"{v:.0f}")),
        ("time to rollback", _spread(result.seconds, duration)),
        ("false rollbacks", false),
        ("time to promote an equal candidate", _spread(result.promotion, duration)),
        ("time to prove it not worse", _spread(result.proof, duration)),
    ]


def _besides(s: Scenario) -> Iterator[str]:
    """What else is different from the usual world."""
    if s.failures_s is not None:
        yield f"failures take {duration(s.failures_s)}"
    if s.together > 1:
        yield f"{s.together} requests fail with one cause in the mean"
    if s.patience_s is not None:
        yield f"clients leave after {duration(s.patience_s)}"
    if s.refuses:
        yield f"the candidate refuses {rate(s.refuses)}, or answers with nothing"
    if s.pinned:
        yield f"{rate(s.pinned)} are sent to the candidate by pins or rules"
    if s.bursts is not None:
        yield f"{s.bursts.per_day:.3g} outages a day, of both"


def _latency(latency: LatencyModel) -> str:
    """``median 100ms; candidate 1.3 times slower``."""
    past = "as in the log, " if latency.past else ""
    stable = f"{past}median {duration(quantile(latency.buckets(10_000), 0.5))}"
    if latency.hang:
        return f"{stable}; the candidate never answers"
    if latency.tail_share:
        return f"{stable}; {rate(latency.tail_share)} take {duration(latency.tail_s)} more"
    candidate = f"{latency.factor:g} times stable's" if latency.factor != 1 else "as fast"
    return f"{stable}; candidate {candidate}"


def _spread(spread: Spread, text: Callable[[float], str]) -> str:
    if math.isnan(spread.median):
        return "never"
    return f"median {text(spread.median)}, p95 {text(spread.p95)}"


# --- pictures -------------------------------------------------------------------------------


def _evidence_height(evidence: float) -> float:
    """0..1 on the logarithmic axis."""
    inside = min(max(evidence, EVIDENCE_FROM), EVIDENCE_TO)
    return math.log(inside / EVIDENCE_FROM) / math.log(EVIDENCE_TO / EVIDENCE_FROM)


def _x(at: float, end: float) -> float:
    return MARGIN + (RIGHT - MARGIN) * at / end


def _y(height: float) -> float:
    return HEIGHT - 24 - (HEIGHT - 44) * height


def _plot(
    title: str, trace: Sequence[Point], curves: Sequence[tuple[Callable[[Point], float], str]],
    height: Callable[[float], float], *, ticks: Sequence[tuple[float, str]],
    limits: Sequence[tuple[float, str]] = (), steps: bool = False,
) -> str:  # fmt: skip
    """Curves over time, with labelled ticks, and dashed limits."""
    end = max((p.at_s for p in trace), default=0.0) or 1.0
    parts = [_text(MARGIN, 14, title, "title")]
    for value, label in ticks:
        y = _y(height(value))
        parts.append(_line(MARGIN, y, RIGHT, y, "grid") + _text(2, y + 3, label, "label"))
    for value, label in limits:
        y = _y(height(value))
        parts.append(_line(MARGIN, y, RIGHT, y, "limit"))
        parts.append(_text(RIGHT + 4, y + 3, label, "label"))
    for number, (value_of, name) in enumerate(curves):
        points: list[str] = []
        before = None
        for p in trace:
            y = _y(height(value_of(p)))
            if steps and before is not None:
                points.append(f"{_x(p.at_s, end):.1f},{before:.1f}")
            points.append(f"{_x(p.at_s, end):.1f},{y:.1f}")
            before = y
        parts.append(f'<polyline class="c{number}" points="{" ".join(points)}">')
        parts.append(f"<title>{name}</title></polyline>")
        if len(curves) > 1:
            parts.append(_text(RIGHT - 60 * (len(curves) - number), 14, name, f"label k{number}"))
    parts += [
        _text(_x(quarter, 4), HEIGHT - 8, duration(end * quarter / 4) if quarter else "0", "at")
        for quarter in range(5)
    ]
    return _svg(parts)


def _histogram(result: SimulationResult) -> str:
    """How many bad answers each rolled back run needed."""
    needed = [run.bad_since for run in result.runs if run.outcome == "rolled back"]
    if not needed:
        return ""
    width = max(math.ceil(max(needed) / 30), 1)
    counts: dict[int, int] = {}
    for n in needed:
        counts[n // width] = counts.get(n // width, 0) + 1
    parts = [_text(MARGIN, 14, "Bad candidate answers before the rollback, by run", "title")]
    bins = max(counts) + 1
    room = min((RIGHT - MARGIN) / bins, BAR_MAX)
    most = max(counts.values())
    for ticked in sorted({most, most // 2} - {0}):
        y = _y(ticked / most)
        parts.append(_line(MARGIN, y, RIGHT, y, "grid"))
        parts.append(_text(2, y + 3, f"{ticked} runs", "label"))
    for bin_, count in sorted(counts.items()):
        y = _y(count / most)
        x, tall = MARGIN + bin_ * room, _y(0.0) - y
        parts.append(
            f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{room * 0.85:.1f}" '
            f'height="{tall:.1f}"><title>{count} of {len(needed)}</title></rect>'
        )
        if bins <= LABELS_MAX or bin_ % 5 == 0:
            parts.append(_text(x + room * 0.42, HEIGHT - 8, str(bin_ * width), "at"))
    return _svg(parts)


def _svg(parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img">{"".join(parts)}</svg>'


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{html.escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Rampway simulation</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b2430; background: #fff; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
th, td {{ text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top; }}
th {{ font-weight: 600; }}
svg {{ width: 100%; margin: 1rem 0; background: #f7f8fa; border-radius: 6px; }}
.title {{ font-size: 12px; font-weight: 600; }} .label, .at {{ font-size: 9px;
  fill: #5b6675; }} .at {{ text-anchor: middle; }} .k0 {{ fill: #0b57d0; }} .k1 {{ fill: #188038; }}
.grid {{ stroke: #dfe3e8; }} .limit {{ stroke: #b3261e; stroke-dasharray: 4 3; }}
polyline {{ fill: none; stroke-width: 1.6; }} .c0 {{ stroke: #0b57d0; }} .c1 {{ stroke: #188038; }}
.bar {{ fill: #0b57d0; }}
</style></head><body>
<h1>Rampway simulation</h1>
<table>{rows}</table>
<h2>The run with seed {seed}</h2>
<p>{sentence}</p>
{plots}
<table><tr><th>time</th><th>weight</th><th>what happened</th></tr>{timeline}</table>
</body></html>
"""
