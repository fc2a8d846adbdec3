"""YAML text to plain values, with the place of every key and value.

A policy file comes from people, from Git and sometimes from an attacker, so the reader is small and
strict. It takes libyaml's *events* and builds the values itself, which means that nothing is built
before its limits were checked, that no tag can construct anything, and that every value has its
place. The differences from `yaml.safe_load` are deliberate:

* keys are text as written: ``1.10:`` stays "1.10" and ``on:`` stays "on";
* booleans are true and false only (YAML 1.2); on, off, yes and no are text, and the decoder then
  says what to write;
* duplicate keys, tags, merge keys, second documents, tabs as indentation and control characters are
  problems, not surprises;
* sizes are bounded (the constants below), so a bomb costs milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Final

import yaml

from router.config.masking import without_passwords
from router.config.problems import Mark, Path, PolicyError, Problem, dotted
from router.config.syntax import LibraryFailure, mark_of, slip, too_deep

SIZE_BYTES_MAX: Final = 1_000_000
"""Largest policy file."""
DEPTH_MAX: Final = 32
"""Deepest nesting of lists and mappings."""
ALIASES_MAX: Final = 32
"""Most uses of anchors in one file."""
NODES_MAX: Final = 100_000
"""Most keys and values in one file, those that aliases repeat included: 2,000 large routes."""

_PROBLEMS_BEFORE_GIVING_UP: Final = 20
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029\ufeff\ufffe\uffff]")
_TAB_INDENT: Final = re.compile(r"^ *\t", re.MULTILINE)
_BREAK: Final = re.compile(r"\r\n|\r|\n")
_INT: Final = re.compile(r"[-+]?[0-9]{1,18}\Z")
_FLOAT: Final = re.compile(
    r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,4})?\Z"
)
_SPECIAL: Final[dict[str, bool | float | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".nan": float("nan"), ".NaN": float("nan"), ".NAN": float("nan"),
    ".inf": float("inf"), "-.inf": float("-inf"), ".Inf": float("inf"), "-.Inf": float("-inf"),
}  # fmt: skip


@dataclass(slots=True)
class Document:
    """A parsed file: its value, and where each part of it stands."""

    file: str
    text: str = ""
    value: Any = None
    keys: dict[Path, Mark] = field(default_factory=dict)
    values: dict[Path, Mark] = field(default_factory=dict)
    plain: dict[Path, str] = field(default_factory=dict)
    """Text of unquoted scalars as written: ``1.10`` where the value is 1.1."""
    expanded: dict[Path, str] = field(default_factory=dict)
    """Text as written (``${TOKEN}``) of scalars whose value came from elsewhere."""

    def problem(self, path: Path, message: str, hint: str = "", *, at_key: bool = False) -> Problem:
        """A problem at `path`, or at the nearest part of the file above it."""
        return self.at(self.mark(path, at_key=at_key), dotted(path), message, hint, secret(path))

    def at(
        self, mark: Mark, path: str, message: str, hint: str = "", hidden: bool = False
    ) -> Problem:
        """A problem at a place."""
        line = self._line(mark.line)
        snippet = line[: mark.column - 1] + "***" if hidden else without_passwords(line)
        return Problem(self.file, mark, path, message, hint, snippet)

    def _line(self, number: int) -> str:
        # Cut out on demand: a list of all lines of a hostile file would take 20 MB.
        breaks = chain([0], (found.end() for found in _BREAK.finditer(self.text)))
        start = next(islice(breaks, number - 1, None), len(self.text))
        ends = (self.text.find(end, start) for end in "\r\n")
        return self.text[start : min((end for end in ends if end >= 0), default=None)]

    def mark(self, path: Path, *, at_key: bool = False) -> Mark:
        """Where `path` stands; inside an alias or a missing part, the nearest place above."""
        first, second = (self.keys, self.values) if at_key else (self.values, self.keys)
        for length in range(len(path), -1, -1):
            if mark := first.get(path[:length]) or second.get(path[:length]):
                return mark
        return Mark(1, 1)


def secret(path: Path) -> bool:
    """Whether the value at `path` must never be shown."""
    return bool(path) and path[-1] in ("token", "secret", "salt")


def parse(data: bytes | str, file: str = "policy.yaml") -> Document:
    """The document in `data`. Raises PolicyError with every problem of the syntax."""
    document = Document(file)
    if len(data) > SIZE_BYTES_MAX:
        raise PolicyError(
            [
                document.at(
                    Mark(1, 1),
                    "",
                    _limit("a file", "bytes", SIZE_BYTES_MAX, len(data)),
                    "is it a policy? 2,000 large routes are smaller",
                )
            ]
        )
    text = _decoded(document, data)
    document.text = text
    if problems := list(_character_problems(document, text)):
        raise PolicyError(problems)
    reader = _Reader(document)
    try:
        document.value = reader.read(text)
    except yaml.MarkedYAMLError as error:
        reader.problems.append(_unreadable(document, error))
    if reader.problems:
        raise PolicyError(reader.problems)
    return document


def resolve(text: str) -> Any:
    """The value of an unquoted scalar in YAML 1.2's core schema."""
    if text in _SPECIAL:
        return _SPECIAL[text]
    if _INT.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text


def _limit(what: str, unit: str, limit: int, got: int | str) -> str:
    found = got if isinstance(got, str) else f"{got:,}"
    return f"expected {what} of at most {limit:,} {unit}, got {found}"


def _decoded(document: Document, data: bytes | str) -> str:
    if isinstance(data, str):
        return data
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before) - before.rfind(b"\n")
        message = f"expected UTF-8 text, got the byte 0x{data[error.start]:02x}"
        hint = "save the file as UTF-8"
        raise PolicyError([document.at(Mark(line, column), "", message, hint)]) from None


def _character_problems(document: Document, text: str) -> Iterator[Problem]:
    if found := _CONTROL.search(text):
        mark = mark_of(text, found.start())
        got = f"got the control character U+{ord(found[0]):04X}"
        yield document.at(mark, "", f"expected printable text, {got}")
    elif tab := _TAB_INDENT.search(text):
        mark = mark_of(text, tab.end() - 1)
        yield document.at(
            mark, "", "expected spaces as indentation, got a tab", "replace it by spaces"
        )


def _unreadable(document: Document, error: yaml.MarkedYAMLError) -> Problem:
    """What the library could not read, in our own words."""
    if (offset := too_deep(document.text, DEPTH_MAX + 1)) is not None:
        message = _limit("nesting", "levels", DEPTH_MAX, "more")
        return document.at(mark_of(document.text, offset), "", message)
    at = error.problem_mark or error.context_mark
    mark = Mark(at.line + 1, at.column + 1) if at else Mark(1, 1)
    place, message, hint = slip(
        LibraryFailure(document.text, mark, error.problem or "unreadable text")
    )
    return document.at(place, "", message, hint)


def _events(text: str) -> Iterator[Any]:
    return iter(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def _beyond(text: str) -> Any:
    """The event of the first value beyond :data:`NODES_MAX`; None if there is none.

    Counting events is four times cheaper than building what they say. What is too deep or cannot
    be read ends the count: the reader comes to it and tells it better.
    """
    nodes = depth = 0
    try:
        for event in _events(text):
            if isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            elif isinstance(event, yaml.NodeEvent) and not isinstance(event, yaml.AliasEvent):
                nodes += 1
                depth += isinstance(event, yaml.CollectionStartEvent)
                if nodes > NODES_MAX:
                    return event
                if depth > DEPTH_MAX + 1:
                    return None
    except yaml.YAMLError:
        pass
    return None


class _Stop(Exception):  # noqa: N818 - a jump out of the recursion, not an error
    """A limit was passed: reading on could be expensive."""


class _Reader:
    """Builds values from events. ``problems`` collects; only limits and syntax end the reading."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.aliases = 0
        self.nodes = 0
        self.events: Iterator[Any] = iter(())

    def read(self, text: str) -> Any:
        self.events = _events(text)
        value: Any = None
        documents = 0
        try:
            if len(text) > NODES_MAX and (event := _beyond(text)):
                self.too_many(event, ())
            for event in self.events:
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        self.stop(
                            event,
                            (),
                            "expected one document, got a second one after ---",
                            "remove the line; all routes stand under one routes:",
                        )
                elif isinstance(event, yaml.NodeEvent):
                    value = self.node(event, (), 0)
        except _Stop:
            return None
        return value

    def stop(self, event: Any, path: Path, message: str, hint: str = "") -> None:
        self.report(event, path, message, hint)
        raise _Stop

    def report(self, event: Any, path: Path, message: str, hint: str = "") -> None:
        self.problems.append(self.document.at(_mark(event), dotted(path), message, hint))
        if len(self.problems) >= _PROBLEMS_BEFORE_GIVING_UP:
            raise _Stop

    def count(self, event: Any, path: Path, nodes: int = 1) -> None:
        self.nodes += nodes
        if self.nodes > NODES_MAX:
            self.too_many(event, path)

    def too_many(self, event: Any, path: Path) -> None:
        self.stop(event, path, _limit("a policy", "values", NODES_MAX, "more"))

    def node(self, event: Any, path: Path, depth: int) -> Any:
        """The value that begins with `event`; its marks are kept under `path`."""
        self.document.values[path] = _mark(event)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, path)
        self.count(event, path)
        before = self.nodes
        if event.tag is not None:
            self.report(event, path, f"expected a plain value, got the tag {event.tag[:40]}",
                        "tags are not supported; remove it")  # fmt: skip
        if depth > DEPTH_MAX:
            self.stop(event, path, _limit("nesting", "levels", DEPTH_MAX, "more"))
        if isinstance(event, yaml.MappingStartEvent):
            value: Any = self.mapping(path, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self.sequence(path, depth)
        else:
            value = self.scalar(event, path)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, self.nodes - before + 1)
        return value

    def alias(self, event: Any, path: Path) -> Any:
        self.aliases += 1
        if self.aliases > ALIASES_MAX:
            self.stop(event, path, _limit("a file", "aliases", ALIASES_MAX, "more"))
        if event.anchor not in self.anchors:
            self.report(
                event,
                path,
                f"expected an anchor &{event.anchor} above, got none",
                "write the value out, or name it above",
            )
            return None
        value, size = self.anchors[event.anchor]
        self.count(event, path, size)
        return value

    def scalar(self, event: Any, path: Path) -> Any:
        if event.style:  # quoted or a block; plain scalars have an empty style
            return event.value
        self.document.plain[path] = event.value
        return resolve(event.value)

    def sequence(self, path: Path, depth: int) -> list[Any]:
        values: list[Any] = []
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            values.append(self.node(event, (*path, len(values)), depth + 1))
        return values

    def mapping(self, path: Path, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self.key(event, path)
            inside = (*path, key)
            if key in values:
                first = self.document.keys[inside].line
                self.report(event, inside, f"expected each key once, got a second {key!r}",
                            f"the first is in line {first}; one of the two must go")  # fmt: skip
            self.document.keys[inside] = _mark(event)
            values[key] = self.node(next(self.events), inside, depth + 1)
        return values

    def key(self, event: Any, path: Path) -> str:
        if isinstance(event, yaml.ScalarEvent):
            self.count(event, path)
            if event.value == "<<" and not event.style:
                hint = "write the keys out, or repeat the whole value with an alias"
                self.report(event, path, "expected a key, got the merge key <<", hint)
            if event.tag is not None:
                self.report(event, path, f"expected a plain key, got the tag {event.tag[:40]}")
            return str(event.value)
        self.stop(event, path, "expected text as a key, got a list, a mapping or an alias")
        return ""


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)
