"""The picture in the README: what `make demo` printed, as an SVG of a terminal.

make demo | tee demo.out && .venv/bin/python tests/tidy/picture.py demo.out docs/demo.svg
"""

import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 100
STYLES = [
    (r"^ok ", "green"),
    (r"^MISSING", "bold red"),
    (r"rollback|rolled_back|taken back", "bold red"),
    (r"advance:|bake:|complete:", "green"),
    (r"^\s+[\d.]+ s\s+\d\. ", "bold cyan"),
    (r"clients:", "dim"),
]


def styled(line):
    """One line, cut to the width, coloured by what it says."""
    short = line if len(line) <= WIDTH else line[: WIDTH - 3] + "..."
    style = next((style for pattern, style in STYLES if re.search(pattern, line)), "")
    return Text(short, style=style)


def main(source, target):
    console = Console(record=True, width=WIDTH, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    for line in Path(source).read_text().splitlines():
        console.print(styled(line))
    svg = console.export_svg(title="make demo")
    # Web fonts would be fetched from elsewhere by whoever looks at the page.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    Path(target).write_text(svg)


if __name__ == "__main__":
    main(*sys.argv[1:3])
