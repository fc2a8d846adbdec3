"""The pictures of a run: CPU per request, one bar a target; and how cost follows growth."""

from html import escape
from math import log10

WIDTH, BAR, GAP, LEFT = 760, 22, 8, 230


def bars(rows):
    """An SVG of ``cpu_us`` per target, smallest first; Rampway stands out."""
    ordered = sorted(
        (item for item in rows.items() if item[1].get("cpu_us")), key=lambda item: item[1]["cpu_us"]
    )
    top = max(row["cpu_us"] for _, row in ordered)
    height = len(ordered) * (BAR + GAP) + 40
    style = 'font-family="sans-serif" font-size="13"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {style}>',
        '<text x="8" y="20" font-weight="bold">CPU per proxied request, µs (1 KB POST)</text>',
    ]
    for place, (name, row) in enumerate(ordered):
        y = 34 + place * (BAR + GAP)
        width = max(2.0, row["cpu_us"] / top * (WIDTH - LEFT - 130))
        figures = f"{row['cpu_us']:.1f} ({row['cpu_x']:.2f} x nginx)"
        fill = "#0b7285" if name.startswith("rampway") else "#adb5bd"
        lines += [
            f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{fill}"/>',
            f'<text x="{LEFT + width + 6:.1f}" y="{y + 15}">{figures}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


PANEL_WIDTH, PANEL_HEIGHT, COLUMNS = 330, 190, 2
GROWN = {
    "routes": ("cpu_us", "CPU µs per request, by routes"),
    "versions": ("cpu_us", "CPU µs per request, by versions"),
    "connections": ("cpu_us", "CPU µs per request, by busy connections"),
    "idle": ("cpu_us", "CPU µs per request, by idle connections"),
    "bodies": ("mb", "MB resident, by KB of each answer"),
    "users": ("us", "µs per bad answer, by users in evidence"),
    "journal": ("commit_ms", "ms per commit, by rows in the journal"),
}
"""Which figure of a series is drawn, over the logarithm of what grows."""


def curves(found):
    """An SVG with one small panel a series."""
    panels = [
        _panel(found[name], key, title, place)
        for place, (name, (key, title)) in enumerate(
            (name, drawn) for name, drawn in GROWN.items() if name in found
        )
    ]
    width, height = PANEL_WIDTH * COLUMNS, -(-len(panels) // COLUMNS) * PANEL_HEIGHT
    style = 'font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {style}>'
    return "\n".join([head, *panels, "</svg>", ""])


def _panel(rows, key, title, place):
    x0, y0 = place % COLUMNS * PANEL_WIDTH + 40, place // COLUMNS * PANEL_HEIGHT + 34
    width, height = PANEL_WIDTH - 80, PANEL_HEIGHT - 74
    sizes = [float(name.split()[0]) for name in rows]
    values = [row[key] for row in rows.values()]
    across = log10(sizes[-1] / sizes[0])
    points = [
        (x0 + log10(size / sizes[0]) / across * width, y0 + (1 - value / max(values)) * height)
        for size, value in zip(sizes, values, strict=True)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    marks = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#0b7285"/>'
        f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">{value:.3g}</text>'
        f'<text x="{x:.1f}" y="{y0 + height + 18}" text-anchor="middle">{escape(name)}</text>'
        for (x, y), value, name in zip(points, values, rows, strict=True)
    ]
    return "\n".join([
        f'<text x="{x0 - 32}" y="{y0 - 18}" font-weight="bold">{escape(title)}</text>',
        f'<path d="M{x0} {y0}v{height}h{width}" fill="none" stroke="#adb5bd"/>',
        f'<polyline points="{line}" fill="none" stroke="#0b7285" stroke-width="2"/>', *marks,
    ])  # fmt: skip
