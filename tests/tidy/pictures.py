"""docs/pictures/*.svg: one picture for each word of docs/concepts.md, drawn from the table below.

A picture is boxes and arrows on a grid of 40 by 28 pixels. It has its own background, so that it
reads the same on a dark page.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

CELL_X, CELL_Y = 40, 28
WIDTH, HEIGHT = 16, 6
INK, PAPER, QUIET = "#1b2733", "#ffffff", "#7a8794"
FILLS = {
    "": "#eef2f6", "stable": "#cfe3fb", "candidate": "#fde3b8", "bad": "#f8c9c6", "good": "#cdebd0",
}  # fmt: skip


@dataclass(frozen=True)
class Box:
    """A box with a word: left, top, width, height in cells."""

    x: float
    y: float
    w: float
    h: float
    text: str
    kind: str = ""

    def svg(self) -> str:
        """The box."""
        x, y = self.x * CELL_X, self.y * CELL_Y
        w, h = self.w * CELL_X, self.h * CELL_Y
        lines = self.text.split("\n")
        top = y + h / 2 - (len(lines) - 1) * 8 + 4
        words = "".join(
            f'<text x="{x + w / 2:g}" y="{top + 16 * n:g}" text-anchor="middle">'
            f"{escape(line)}</text>"
            for n, line in enumerate(lines)
        )
        return (
            f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="5"'
            f' fill="{FILLS[self.kind]}" stroke="{INK}"/>{words}'
        )


@dataclass(frozen=True)
class Arrow:
    """From a point to a point, with a word above its middle; dashed for a copy."""

    x: float
    y: float
    to_x: float
    to_y: float
    text: str = ""
    copy: bool = False

    def svg(self) -> str:
        """The arrow."""
        a, b = self.x * CELL_X, self.y * CELL_Y
        c, d = self.to_x * CELL_X, self.to_y * CELL_Y
        dash = ' stroke-dasharray="5 4"' if self.copy else ""
        word = (
            f'<text x="{(a + c) / 2:g}" y="{(b + d) / 2 - 6:g}" text-anchor="middle"'
            f' fill="{QUIET}">{escape(self.text)}</text>'
        )
        return (
            f'<line x1="{a:g}" y1="{b:g}" x2="{c:g}" y2="{d:g}" stroke="{INK}"{dash}'
            f' marker-end="url(#head)"/>{word if self.text else ""}'
        )


CLIENT = Box(0.3, 2, 2.2, 1.6, "client")
ROUTER = Box(5, 2, 2.4, 1.6, "Rampway")
V1 = Box(12, 0.6, 3.4, 1.5, "v1, stable", "stable")
V2 = Box(12, 3.8, 3.4, 1.5, "v2, candidate", "candidate")
ASK = Arrow(2.5, 2.8, 4.9, 2.8)
TO_V1 = (7.4, 2.5, 11.9, 1.4)
TO_V2 = (7.4, 3.1, 11.9, 4.5)

PICTURES: dict[str, tuple[str, tuple[Box | Arrow, ...]]] = {
    "route": (
        "A route: requests with one path go to one of its versions",
        (CLIENT, ROUTER, V1, V2, Arrow(2.5, 2.8, 4.9, 2.8, "/score"),
         Arrow(*TO_V1, "90 %"), Arrow(*TO_V2, "10 %")),
    ),
    "version": (
        "A version: one model on one or more endpoints",
        (ROUTER, Box(10, 0.3, 5.6, 5.2, "v2", "candidate"),
         Box(11, 0.8, 3.6, 1.2, "10.0.0.3:9000"), Box(11, 3.8, 3.6, 1.2, "10.0.0.4:9000"),
         Arrow(7.4, 2.5, 10.9, 1.4), Arrow(7.4, 3.1, 10.9, 4.4)),
    ),
    "step": (
        "Steps: copies first, then growing shares, then all",
        (Box(0.4, 4.6, 2.6, 0.9, "copies"), Box(3.4, 4.1, 2.6, 1.4, "1 %", "candidate"),
         Box(6.4, 3.1, 2.6, 2.4, "10 %", "candidate"), Box(9.4, 1.9, 2.6, 3.6, "50 %", "candidate"),
         Box(12.4, 0.4, 3.2, 5.1, "100 %\nbake", "candidate")),
    ),
    "gate": (
        "Gates: questions about the answers; the worst verdict counts",
        (Box(0.4, 2, 3, 1.6, "answers of\nv1 and v2"),
         Box(6, 0.3, 4, 1.2, "error_rate: pass", "good"),
         Box(6, 2.2, 4, 1.2, "latency: pending"), Box(6, 4.1, 4, 1.2, "agreement: fail", "bad"),
         Box(12.6, 2.1, 3, 1.4, "roll back", "bad"),
         Arrow(3.4, 2.6, 5.9, 1), Arrow(3.4, 2.8, 5.9, 2.8), Arrow(3.4, 3, 5.9, 4.6),
         Arrow(10, 4.6, 12.5, 3.2)),
    ),
    "evidence": (
        "Evidence: at 3 : 1 the share stops growing, at 100 : 1 the candidate is taken back",
        (Box(0.4, 4, 5, 1.3, "1 : 1   nothing known"), Box(5.8, 2.6, 4.4, 2.7, "3 : 1   hold"),
         Box(10.6, 0.5, 5, 4.8, "100 : 1   roll back", "bad")),
    ),
    "shadow": (
        "A shadow: the candidate gets copies, nobody gets its answers, both are compared",
        (CLIENT, ROUTER, V1, V2, ASK, Arrow(*TO_V1), Arrow(*TO_V2, "copy", copy=True),
         Box(8.2, 2.3, 2.6, 1, "compare")),
    ),
    "rescue": (
        "A rescue: the candidate fails, stable answers the client, the failure counts",
        (CLIENT, ROUTER, V1, Box(12, 3.8, 3.4, 1.5, "v2: 500", "bad"), ASK,
         Arrow(*TO_V2, "first"), Arrow(*TO_V1, "then")),
    ),
    "bake": (
        "A bake: the candidate answers everybody, stable is kept warm for a way back",
        (CLIENT, ROUTER, Box(12, 0.6, 3.4, 1.5, "v1, warm", "stable"), V2, ASK,
         Arrow(*TO_V2, "100 %")),
    ),
    "unit": (
        "A unit: a request where a coin is thrown each time, a user where the route is sticky",
        (Box(0.4, 0.5, 3, 1.3, "user ann"), Box(0.4, 3.9, 3, 1.3, "user bob"),
         Box(6, 0.5, 3.4, 1.3, "v1, always", "stable"),
         Box(6, 3.9, 3.4, 1.3, "v2, always", "candidate"),
         Arrow(3.4, 1.1, 5.9, 1.1), Arrow(3.4, 4.5, 5.9, 4.5),
         Box(11, 2, 4.6, 1.6, "two users:\ntwo units of evidence")),
    ),
}  # fmt: skip


def picture(name: str) -> str:
    """The SVG of a word."""
    title, parts = PICTURES[name]
    width, height = WIDTH * CELL_X, HEIGHT * CELL_Y
    body = "\n".join(part.svg() for part in parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
        f' height="{height}" role="img" font-family="system-ui, sans-serif" font-size="13"'
        f' fill="{INK}"><title>{escape(title)}</title>\n'
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7"'
        f' markerHeight="7" orient="auto"><path d="M0 0L10 5L0 10z" fill="{INK}"/></marker>'
        "</defs>\n"
        f'<rect width="{width}" height="{height}" fill="{PAPER}"/>\n{body}\n</svg>\n'
    )
