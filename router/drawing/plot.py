"""A small drawing kit: scales, marks and a frame, to SVG that stays sharp at any width.

The drawing is stretched to the width of the page (`preserveAspectRatio="none"`, lines keep their
width), while all text is HTML beside it, placed in percent: so a phone shows the same plot with
letters of full size.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

SIZE = 1000
"""Width and height of every drawing in its own units."""

PlotPlace = tuple[float, float]


@dataclass(frozen=True, slots=True)
class LinearAxis:
    """An axis from `low` to `high`; values outside are drawn at its ends."""

    low: float
    high: float

    def place(self, value: float) -> float:
        """0 (low) to 1 (high)."""
        span = self.high - self.low
        return min(max((value - self.low) / span, 0.0), 1.0) if span else 0.0


@dataclass(frozen=True, slots=True)
class LogAxis:
    """A logarithmic axis from `low` to `high`, both above 0."""

    low: float
    high: float

    def place(self, value: float) -> float:
        """0 (low) to 1 (high)."""
        inside = min(max(value, self.low), self.high)
        return math.log(inside / self.low) / math.log(self.high / self.low)


Axis = LinearAxis | LogAxis


@dataclass(frozen=True, slots=True)
class Tick:
    """A value with its label; `css` may make it a limit line."""

    value: float
    label: str
    css: str = ""


@dataclass(frozen=True, slots=True)
class Legend:
    """One word of the legend with the class that colours its swatch."""

    css: str
    text: str


@dataclass(slots=True)
class Plot:
    """One drawing under construction.

    Attributes:
        title: what is shown; the reader's question, answered by the caption.
        caption: one sentence of how to read it.
        marks: SVG elements so far, later ones on top.
        notes: HTML placed over the drawing.
    """

    title: str
    caption: str
    x: Axis
    y: Axis
    x_ticks: Sequence[Tick] = ()
    y_ticks: Sequence[Tick] = ()
    legend: Sequence[Legend] = ()
    height: str = "13rem"
    marks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def at(self, point: PlotPlace) -> PlotPlace:
        """A data point in drawing units."""
        return self.x.place(point[0]) * SIZE, (1 - self.y.place(point[1])) * SIZE

    def line(self, points: Iterable[PlotPlace], css: str, tip: str = "") -> None:
        """A line through the points; fewer than two draw nothing."""
        places = [self.at(point) for point in points]
        if len(places) > 1:
            self._mark(f'<polyline class="line {css}" points="{_points(places)}"', tip, "polyline")

    def area(
        self, upper: Sequence[PlotPlace], lower: Sequence[PlotPlace], css: str, tip: str = ""
    ) -> None:
        """The surface between two lines of the same x values."""
        if len(upper) > 1:
            places = [self.at(point) for point in (*upper, *reversed(lower))]
            self._mark(f'<polygon class="area {css}" points="{_points(places)}"', tip, "polygon")

    def dot(self, point: PlotPlace, css: str, tip: str = "") -> None:
        """A round dot; HTML, since a stretched circle would be none."""
        left, top = self.at(point)
        self.notes.append(
            f'<i class="dot {css}" style="left:{left / 10:.2f}%;top:{top / 10:.2f}%" '
            f'title="{escape(tip)}"></i>'
        )

    def band(self, begin: float, end: float, css: str, label: str = "", tip: str = "") -> None:
        """A vertical band behind everything, with a label at its top."""
        left, right = self.x.place(begin), self.x.place(end)
        self.marks.append(
            f'<rect class="band {css}" x="{left * SIZE:.1f}" y="0" '
            f'width="{(right - left) * SIZE:.1f}" height="{SIZE}"/>'
        )
        if label:
            self.notes.append(
                f'<b class="act" style="left:{(left + right) * 50:.2f}%" '
                f'title="{escape(tip)}">{escape(label)}</b>'
            )

    def upright(self, at: float, css: str, tip: str = "") -> None:
        """A vertical line at one x value."""
        left = self.x.place(at) * SIZE
        self._mark(
            f'<line class="upright {css}" x1="{left:.1f}" x2="{left:.1f}" y1="0" y2="{SIZE}"',
            tip,
            "line",
        )

    def label(self, point: PlotPlace, text: str, css: str = "") -> None:
        """Text at a data point, leaning towards the middle of the plot."""
        left, top = self.at(point)
        side = "left" if left < SIZE / 2 else "right"
        place = f"left:{left / 10:.2f}%" if side == "left" else f"right:{100 - left / 10:.2f}%"
        self.notes.append(
            f'<span class="note {side} {css}" style="{place};top:{top / 10:.2f}%">'
            f"{escape(text)}</span>"
        )

    def render(self) -> str:
        """The figure as HTML."""
        rows = "".join(
            _tick(f"y {tick.css}", "top", 1 - self.y.place(tick.value), tick.label)
            for tick in self.y_ticks
        )
        columns = "".join(
            _tick("x", "left", self.x.place(tick.value), tick.label) for tick in self.x_ticks
        )
        words = "".join(
            f'<li><i class="swatch {entry.css}"></i>{escape(entry.text)}</li>'
            for entry in self.legend
        )
        return (
            f"<figure><figcaption><h3>{escape(self.title)}</h3><p>{escape(self.caption)}</p>"
            f'</figcaption><div class="plot" style="height:{self.height}">'
            f'<svg viewBox="0 0 {SIZE} {SIZE}" preserveAspectRatio="none" role="img" '
            f'aria-label="{escape(self.title)}">{self._grid()}{"".join(self.marks)}</svg>'
            f'{rows}{columns}{"".join(self.notes)}</div><ul class="legend">{words}</ul></figure>'
        )

    def _grid(self) -> str:
        lines = []
        for tick in self.y_ticks:
            top = (1 - self.y.place(tick.value)) * SIZE
            lines.append(
                f'<line class="grid {tick.css}" x1="0" x2="{SIZE}" y1="{top:.1f}" y2="{top:.1f}"/>'
            )
        return "".join(lines)

    def _mark(self, opening: str, tip: str, tag: str) -> None:
        title = f"<title>{escape(tip)}</title>" if tip else ""
        self.marks.append(f"{opening}>{title}</{tag}>")


def unbroken(points: Sequence[PlotPlace], gap: float) -> list[list[PlotPlace]]:
    """Points in runs without a gap in x: a line must not bridge a time without data."""
    found: list[list[PlotPlace]] = []
    for point in points:
        if found and point[0] - found[-1][-1][0] <= gap:
            found[-1].append(point)
        else:
            found.append([point])
    return found


def _tick(css: str, side: str, share: float, label: str) -> str:
    place = f"{side}:{share * 100:.2f}%"
    return f'<span class="tick {css}" style="{place}">{escape(label)}</span>'


def _points(places: Iterable[PlotPlace]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
