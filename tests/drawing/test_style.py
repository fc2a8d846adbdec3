"""The drawing kit: its scales and its vendored files."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files

from router.drawing.plot import Legend, LinearAxis, LogAxis, Plot, Tick
from router.drawing.style import CSS

VENDORED = files("router.drawing") / "vendored"


def test_vendored_files_are_those_of_the_notices():
    rows = re.findall(
        r"^\| ([\w.-]+) \|.*\| ([0-9a-f]{64}) \|$",
        (VENDORED / "NOTICES.md").read_text(),
        re.MULTILINE,
    )
    assert {name for name, _ in rows} == {"preact-htm.js", "uplot.js", "uplot.css"}
    for name, digest in rows:
        assert hashlib.sha256((VENDORED / name).read_bytes()).hexdigest() == digest, name


def test_a_plot_is_one_figure_whose_text_cannot_be_markup():
    plot = Plot(
        "<b>", "how", LinearAxis(0, 10), LogAxis(1, 100), y_ticks=[Tick(10, "10 : 1", "limit")],
        legend=[Legend("v0", "v<1>")],
    )  # fmt: skip
    plot.line([(0, 1), (10, 100)], "v0")
    drawn = plot.render()
    assert "<b>" not in drawn
    assert "v&lt;1&gt;" in drawn
    assert 'points="0.0,1000.0 1000.0,0.0"' in drawn


def test_every_colour_has_a_dark_one():
    first, _, rest = CSS.partition("@media(prefers")
    light, dark = (set(re.findall(r"(--[\w-]+):#", part)) for part in (first, rest))
    assert light - {"--vx"} == dark
    assert {"--good", "--bad", "--hold", "--v0"} <= light
