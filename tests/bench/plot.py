"""The picture of a run: CPU per request, one bar a target."""

from html import escape

WIDTH, BAR, GAP, LEFT = 720, 22, 8, 190


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
