"""Every command that a page prints, and how to get it into a shell.

A fenced block without a language, or of a shell, is commands. A comment before it may say why it
is not run: ``<!-- not run: reason -->``. A picture is told from a shell by each line's first word.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")],
)
TYPED_ELSEWHERE = {
    "quickstart.md": "make test-newcomer",
    "watch-your-data.md": "make test-newcomer",
    "CHANGELOG.md": "names, not commands",
}
BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<why>[^>]+) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
INLINE = re.compile(r"`(rampway [a-z][^`]*)`")
SHELLS = ("", "sh", "bash")
SHELL_WORDS = ("rampway", "make", "curl", "kill", "pytest", "docker", "kubectl", "pip", "python")
"""What a line of a block starts with if it is a command."""


@dataclass(frozen=True)
class Printed:
    """One command as it stands on a page."""

    page: str
    text: str
    why_not: str = ""

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


def commands() -> list[Printed]:
    """Of all pages, each once a page, without the remark behind it."""
    found = []
    for page in PAGES:
        if page.name in TYPED_ELSEWHERE:
            continue
        blocks = [b for b in BLOCK.finditer(page.read_text()) if b["kind"] in SHELLS]
        for block in blocks:
            for line in joined(block["text"]):
                if line.split(" ")[0] in SHELL_WORDS:
                    name = str(page.relative_to(ROOT))
                    found.append(Printed(name, line, (block["why"] or "").strip()))
    return list(dict.fromkeys(found))


def inline() -> list[Printed]:
    """Of all pages, what stands between backquotes within a sentence."""
    return [
        Printed(str(page.relative_to(ROOT)), text)
        for page in PAGES
        for text in dict.fromkeys(INLINE.findall(" ".join(page.read_text().split())))
    ]


def joined(text: str) -> list[str]:
    """The lines of a block: remarks cut off, lines put together that belong together."""
    lines: list[str] = []
    for raw in re.sub(r"\\\n\s*", " ", text).splitlines():
        line = re.sub(r"\s{2,}(#.*|\S.*)$", "", raw.rstrip()) if " #" in raw else raw.rstrip()
        if lines and unbalanced(lines[-1]):
            lines[-1] += " " + line.strip()
        else:
            lines.append(line)
    return [line for line in lines if line and not line.startswith("#")]


def unbalanced(line: str) -> bool:
    """Whether a quotation mark is still open."""
    try:
        shlex.split(line)
    except ValueError:
        return True
    return False
