"""What is wrong with YAML that cannot be read, in the words of somebody who looks at the file.

The library names the place where *it* gave up, in the words of its grammar; the slip is often lines
above. Each rule of :data:`RULES` knows one slip that people make and finds where it was made; the
first that recognises it speaks. What none recognises is told in the library's words, with a hint
all the same. Rules look only at text around the place and are linear in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from router.config.problems import Mark

LINES_BACK_MAX: Final = 400
"""How many lines above the place are looked at for the indentation of its neighbours."""
SHOWN_CHARS_MAX: Final = 40

_TOKEN: Final = re.compile(
    r"""(?<![^\s\[{,:(])"(?:[^"\\]|\\.)*+(?:"|\Z)"""
    r"""|(?<![^\s\[{,:(])'[^']*+(?:'|\Z)|(?<!\S)\#[^\n]*+|[\[{\]}]""",
    re.DOTALL,
)
_ODD_BLANK: Final = re.compile(r"[ ]*([\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000])")
_KEY: Final = re.compile(r"(?P<blank> *(?:- +)*)(?P<key>[^\s:#][^:#]*?):(?P<rest>\s.*|)$")
_CLOSES: Final = {"[": "]", "{": "}"}
_HINT: Final = "put text with brackets, colons, # or % in quotes; compare the lines above"

Slip = tuple[Mark, str, str]
"""Where, what was expected and found, what to write instead."""


@dataclass(frozen=True, slots=True)
class LibraryFailure:
    """Where the library gave up, and the text around it."""

    text: str
    mark: Mark
    problem: str
    """The library's own words, such as "did not find expected key"."""

    def line(self, number: int) -> str:
        """A line of the file, counted from 1; empty beyond its ends."""
        return self.lines(number, number + 1)[0]

    def lines(self, first: int, last: int) -> list[str]:
        """Lines `first` up to, not including, `last`."""
        found = self.text.splitlines()[max(first - 1, 0) : max(last - 1, 0)]
        return found or [""]

    def offset(self) -> int:
        """Of the place in the text."""
        start = -1
        for _ in range(self.mark.line - 1):
            start = self.text.find("\n", start + 1)
            if start < 0:
                return len(self.text)
        return start + self.mark.column


def slip(failure: LibraryFailure) -> Slip:
    """The slip behind a failure."""
    for rule in RULES:
        if found := rule(failure):
            return found
    return failure.mark, f"expected valid YAML, got: {failure.problem}", _HINT


def too_deep(text: str, levels_max: int) -> int | None:
    """The offset of the bracket that opens one level too many; None if there is none.

    The library reads a kilobyte ahead of its events, so it may meet its own bound of brackets
    (1,000 in some releases) before the reader has seen the first.
    """
    depth = 0
    for found in _TOKEN.finditer(text):
        if found[0] in _CLOSES:
            depth += 1
            if depth > levels_max:
                return found.start()
        elif found[0] in "]}":
            depth -= 1
    return None


def mark_of(text: str, offset: int) -> Mark:
    """Line and column of an offset, counted from 1."""
    return Mark(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


def _odd_blank(failure: LibraryFailure) -> Slip | None:
    """A no-break space, pasted from a web page, looks like indentation and is none."""
    first = max(failure.mark.line - 3, 1)
    for number, line in enumerate(failure.lines(first, failure.mark.line + 1), first):
        if found := _ODD_BLANK.match(line):
            name = f"U+{ord(found[1]):04X} ({unicodedata.name(found[1]).lower()})"
            message = f"expected spaces as indentation, got the character {name}"
            return Mark(number, found.end()), message, "replace it by spaces"
    return None


def _unclosed(failure: LibraryFailure) -> Slip | None:
    """A quote or bracket that was opened and is missing its other half."""
    opened: list[tuple[int, str]] = []
    end = failure.offset()
    for found in _TOKEN.finditer(failure.text):
        part = found[0]
        if found.start() >= end:
            break
        if part[0] in "\"'" and _ends_late(failure, found):
            return _open_quote(failure, found)
        if part in _CLOSES:
            opened.append((found.start(), part))
        elif part in "]}" and opened:
            opened.pop()
    if not opened:
        return None
    start, bracket = opened[-1]
    place = mark_of(failure.text, start)
    got = failure.text[end : end + 1]
    if got not in ("]", "}"):
        got = f"line {failure.mark.line}"
        if place.line == failure.mark.line:
            return None
    message = f"expected {_CLOSES[bracket]} to close this {bracket}, got {got}"
    return place, message, f"add {_CLOSES[bracket]} where the value ends"


def _ends_late(failure: LibraryFailure, quoted: re.Match[str]) -> bool:
    """Whether a text of several lines ends where the trouble is, or never."""
    if len(quoted[0]) < 2 or quoted[0][-1] != quoted[0][0]:
        return True
    return "\n" in quoted[0] and mark_of(failure.text, quoted.end()).line == failure.mark.line


def _open_quote(failure: LibraryFailure, quoted: re.Match[str]) -> Slip:
    quote = quoted[0][0]
    never = quoted.end() >= len(failure.text.rstrip())
    end = "the end of the file" if never else f"line {mark_of(failure.text, quoted.end()).line}"
    place = mark_of(failure.text, quoted.start())
    message = f"expected {quote} to close this {quote} in its own line, got {end}"
    return place, message, f"add {quote} where the text ends"


def _indentation(failure: LibraryFailure) -> Slip | None:
    """A line that stands between the columns of its neighbours."""
    line = failure.line(failure.mark.line)
    indent = len(line) - len(line.lstrip(" "))
    levels = dict(_levels(failure))
    if not levels or indent in levels or not line.strip():
        return None
    number, above = next(_above(failure))
    if levels.get(max(levels)) == number and indent > max(levels) and _opens(above):
        return None
    near = min(levels, key=lambda level: (abs(level - indent), -level))
    wanted = " or ".join(", ".join(str(level) for level in sorted(levels)).rsplit(", ", 1))
    message = f"expected {wanted} spaces before {_shown(line.strip())}, got {indent}"
    return Mark(failure.mark.line, indent + 1), message, f"{near} spaces, as in line {levels[near]}"


def _levels(failure: LibraryFailure) -> Iterator[tuple[int, int]]:
    """The indentations that a line here may have, each with a line that has it."""
    least = None
    for number, line in _above(failure):
        text = line.lstrip(" ")
        indent = len(line) - len(text)
        inner = indent + len(text) - len(re.sub(r"\A(?:- +)+", "", text))
        for level in {inner, indent}:
            if least is None or level < least:
                yield level, number
        least = indent if least is None else min(least, indent)
        if least == 0:
            return


def _opens(line: str) -> bool:
    """Whether what belongs to a line stands below it, deeper."""
    return re.sub(r"(?<!\S)#.*", "", line).rstrip().endswith((":", "-"))


def _above(failure: LibraryFailure) -> Iterator[tuple[int, str]]:
    """The lines above the place that say something, the nearest first, with their numbers."""
    first = max(failure.mark.line - LINES_BACK_MAX, 1)
    for number, line in reversed(list(enumerate(failure.lines(first, failure.mark.line), first))):
        if line.strip(" ") and line.lstrip(" ")[0] != "#":
            yield number, line


def _missing_dash(failure: LibraryFailure) -> Slip | None:
    """An entry of a list without its dash, told at the entry or at the line behind it."""
    number = failure.mark.line
    if "':'" in failure.problem:
        number, entry = next(_above(failure), (0, ""))
        before = next(_above(replace(failure, mark=Mark(number, 1))), (0, ""))[1]
        if not re.match(r" *[{\[]", entry) or not before.startswith(_blanks(entry) + "- "):
            return None
    elif "'-' indicator" not in failure.problem:
        return None
    line = failure.line(number)
    message = f"expected - before the next entry of this list, got {_shown(line.strip())}"
    return Mark(number, len(_blanks(line)) + 1), message, f"write - {line.strip()}"


def _blanks(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" "))]


def _no_colon(failure: LibraryFailure) -> Slip | None:
    """`name` or `name:value` where `name: value` was meant."""
    if "':'" not in failure.problem and "mapping values" not in failure.problem:
        return None
    for number in (failure.mark.line, failure.mark.line - 1):
        text = failure.line(number).strip().removeprefix("- ")
        if not text or _KEY.match(text) or text[0] in "#[{\"'&*!|>%@`-":
            continue
        key, colon, value = text.partition(":")
        right = f"{key}: {value.strip()}" if colon else f"{text}: ..."
        column = len(failure.line(number)) - len(failure.line(number).lstrip()) + 1
        place = Mark(max(number, 1), column)
        return place, f"expected a key, a colon and a blank, got {_shown(text)}", f"write {right}"
    return None


def _second_colon(failure: LibraryFailure) -> Slip | None:
    if "mapping values" not in failure.problem:
        return None
    found = _KEY.match(failure.line(failure.mark.line))
    if found is None or failure.mark.column <= found.start("rest"):
        return None
    value = found["rest"].strip()
    return failure.mark, "expected one key and one value, got a second colon", _quoted(value)


def _reference(failure: LibraryFailure) -> Slip | None:
    """`${NAME:-5}%` between braces: the braces of the reference are taken for YAML's."""
    line = failure.line(failure.mark.line)
    found = re.search(r"""(?<!["'\w])[^\s,\[{"']*\$\{[^}\n]*\}[^\s,\]}]*""", line)
    if found is None:
        return None
    place = Mark(failure.mark.line, found.start() + 1)
    return place, "expected quotes around a reference between brackets", _quoted(found[0])


def _reserved(failure: LibraryFailure) -> Slip | None:
    if "cannot start any token" not in failure.problem:
        return None
    rest = failure.line(failure.mark.line)[failure.mark.column - 1 :]
    value = re.split(r"[,\]}]|\s#", rest)[0].strip()
    return failure.mark, f"expected a value that does not begin with {rest[:1]}", _quoted(value)


def _lone(failure: LibraryFailure) -> Slip | None:
    """A sign of YAML's where a value was meant."""
    line = failure.line(failure.mark.line)
    column = failure.mark.column - 1
    if "alphabetic or numeric" in failure.problem:
        column -= 1
    elif "node content" not in failure.problem and "mapping keys" not in failure.problem:
        return None
    got = line[max(column, 0) :].strip()[:1]
    place = Mark(failure.mark.line, max(column, 0) + 1)
    return (place, f"expected a value, got {got}", _quoted(got)) if got else None


def _after_value(failure: LibraryFailure) -> Slip | None:
    """Something behind a value that was complete."""
    if "did not find expected key" not in failure.problem:
        return None
    rest = failure.line(failure.mark.line)[failure.mark.column - 1 :].strip()
    if not rest:
        return None
    hint = "remove it" if rest[0] in "]}" else "put the whole value in one pair of quotes"
    return failure.mark, f"expected nothing behind the value, got {_shown(rest)}", hint


def _list_in_line(failure: LibraryFailure) -> Slip | None:
    if "block sequence entries" not in failure.problem:
        return None
    hint = "begin each entry in a line of its own, or write [one, two]"
    return failure.mark, "expected a list to begin in a line of its own, got -", hint


def _tight_colon(failure: LibraryFailure) -> Slip | None:
    """`{weight:5%}`: between brackets too, a colon is one only with a blank behind it."""
    if "unexpected ':'" not in failure.problem:
        return None
    return failure.mark, "expected a blank behind this colon", "write a blank behind the colon"


def _comma(failure: LibraryFailure) -> Slip | None:
    if "',' or" not in failure.problem:
        return None
    rest = failure.line(failure.mark.line)[failure.mark.column - 1 :].strip()
    message = f"expected a comma between two entries, got {_shown(rest) if rest else 'nothing'}"
    return failure.mark, message, "add a comma, or put the whole value in quotes"


RULES: Final[tuple[Callable[[LibraryFailure], Slip | None], ...]] = (
    _odd_blank,
    _unclosed,
    _reference,
    _reserved,
    _lone,
    _indentation,
    _missing_dash,
    _second_colon,
    _no_colon,
    _after_value,
    _list_in_line,
    _tight_colon,
    _comma,
)
"""The slips that are known, the most certain first."""


def _quoted(value: str) -> str:
    quote = "'" if '"' in value else '"'
    return f"put it in quotes: {quote}{value}{quote}"


def _shown(text: str) -> str:
    cut = text if len(text) <= SHOWN_CHARS_MAX else text[: SHOWN_CHARS_MAX - 3] + "..."
    return f"'{cut}'"
