"""What is wrong with a policy, in the form that compilers and editors understand.

One line ``file:line:column: path: expected ..., got ...``, then the source line with a caret, then
a hint. All problems of a file are reported together. "expected" comes first, then what was found;
the hint says what to write instead.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

Path = tuple[str | int, ...]
"""Keys and list indexes from the top of the file to a value."""

PROBLEMS_MAX = 50
"""Problems shown of one file; beyond that the first ones are the useful ones."""

SNIPPET_CHARS_MAX = 120
PATH_PARTS_MAX = 16
"""The deepest path of a policy has eleven parts; a longer one is an attack or a slip."""


class Severity(StrEnum):
    """An error keeps a policy from being used; a warning is worth a second look."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where."""

    file: str
    mark: Mark
    path: str
    message: str
    hint: str = ""
    snippet: str = ""
    """The source line, without its secrets; empty when there is none to show."""
    severity: Severity = Severity.ERROR

    def headline(self) -> str:
        """The compiler line: ``file:line:column: path: message``."""
        where = f"{self.file}:{self.mark.line}:{self.mark.column}: "
        kind = "warning: " if self.severity is Severity.WARNING else ""
        path = f"{self.path}: " if self.path else ""
        return f"{where}{kind}{path}{self.message}"

    def render(self) -> str:
        """Headline, source line with caret, hint."""
        lines = [self.headline()]
        if self.snippet:
            start = max(0, self.mark.column - SNIPPET_CHARS_MAX // 2)
            shown = self.snippet[start : start + SNIPPET_CHARS_MAX]
            gutter = f"{self.mark.line:>5} | "
            caret = " " * (self.mark.column - 1 - start) + "^"
            lines += [f"{gutter}{shown}", f"{' ' * (len(gutter) - 2)}| {caret}"]
        if self.hint:
            lines.append(f"      hint: {self.hint}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, str | int]:
        """For the admin interface and ``-o json``."""
        return {
            "file": self.file,
            "line": self.mark.line,
            "column": self.mark.column,
            "path": self.path,
            "message": self.message,
            "hint": self.hint,
            "severity": self.severity.value,
        }


class PolicyError(Exception):
    """A policy that cannot be used, with every problem found in it.

    ``str()`` is the full report; ``problems`` is sorted by line.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda p: (p.mark.line, p.mark.column, p.path))
        super().__init__(render(self.problems))


def render(problems: Iterable[Problem]) -> str:
    """The report of many problems, at most :data:`PROBLEMS_MAX`."""
    listed = list(problems)
    shown = [problem.render() for problem in listed[:PROBLEMS_MAX]]
    if len(listed) > PROBLEMS_MAX:
        shown.append(f"... and {len(listed) - PROBLEMS_MAX} more")
    return "\n".join(shown)


def dotted(path: Path) -> str:
    """``routes[0].versions.v1.endpoints[1]``; a key with a dot is written ``versions["1.10"]``."""
    text = "" if len(path) <= PATH_PARTS_MAX else "..."
    for part in path[-PATH_PARTS_MAX:]:
        if isinstance(part, int):
            text += f"[{part}]"
        elif "." in part or not part:
            text += f'["{part}"]'
        else:
            text += f".{part}" if text else part
    return text


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that `word` was probably meant to be, or None."""
    names = list(known)
    folded = {name.lower().replace("-", "_"): name for name in names}
    if same := folded.get(_snake(word)):
        return same
    close = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def _snake(word: str) -> str:
    parts = "".join(f"_{c.lower()}" if c.isupper() else c for c in word)
    return parts.replace("-", "_").lstrip("_")
