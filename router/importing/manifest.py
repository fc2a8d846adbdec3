"""Kubernetes manifests as input: several documents, and a record of what was understood.

Nothing of a manifest is dropped silently. A translator *takes* the values it understands; what it
did not take is listed in the result with its line, like everything that it wants to remark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from router.config.problems import Path, PolicyError, dotted
from router.config.source import Document, parse
from router.core.words import FULL_BP

_SEPARATOR = re.compile(r"^---(?:[ \t].*)?$", re.MULTILINE)
_ARGUMENTS = re.compile(r"\{\{\s*(?:args|inputs|steps|templates)\.[^{}]*\}\}")
"""Argo's own placeholders; a chart's begin with a dot or a function."""

DOCUMENTS_MAX = 200
"""Documents of one file; more is a rendered chart, of which the Rollout alone is wanted."""

PLATFORM = frozenset(
    {
        "replicas", "selector", "template", "workloadRef", "revisionHistoryLimit",
        "minReadySeconds", "progressDeadlineSeconds", "targetRef", "autoscalerRef", "ingressRef",
        "provider", "restartAt", "metricsServer", "upstreamRef", "revertOnDeletion",
    }
)  # fmt: skip
"""Keys of a spec that are about pods and meshes: the platform's business, not the router's."""


class Manifest:
    """One document, with what has been taken from it."""

    def __init__(self, document: Document, first_line: int) -> None:
        self.document = document
        self.first_line = first_line
        """Line of the whole file at which this document begins, counted from 0."""
        self.taken: set[Path] = set()
        self.notes: list[str] = []

    def get(self, *path: str | int, default: Any = None) -> Any:
        """The value at `path`, not marked as taken."""
        value = self.document.value
        for part in path:
            if isinstance(value, dict):
                value = value.get(str(part))
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return default
        return default if value is None else value

    def take(self, *path: str | int, default: Any = None) -> Any:
        """The value at `path` with everything below it, from now on understood."""
        self.taken.add(path)
        return self.get(*path, default=default)

    def text(self, *path: str | int, default: str = "") -> str:
        """:meth:`take` for text; a value that is something else is remarked on."""
        value = self.take(*path, default=default)
        if isinstance(value, str | int | float):
            return str(value)
        self.note(path, "is not text")
        return default

    def items(self, *path: str | int) -> list[Any]:
        """The list at `path`, or an empty one; its entries are to be taken one by one."""
        value = self.get(*path, default=[])
        return value if isinstance(value, list) else []

    def entries(self, *path: str | int) -> dict[str, Any]:
        """The mapping at `path`, or an empty one; its entries are to be taken one by one."""
        return mapping(self.get(*path))

    def line(self, path: Path) -> int:
        """Line in the whole file, from 1."""
        return self.first_line + self.document.mark(path, at_key=True).line

    def note(self, path: Path, remark: str) -> None:
        """Something people should know about the value at `path`."""
        self.taken.add(path)
        self.notes.append(f"line {self.line(path)}: {dotted(path)} {remark}")

    def untaken(self) -> Iterator[Path]:
        """The largest parts of the spec of which nothing was taken."""
        yield from self._untaken(self.get("spec"), ("spec",))

    def _untaken(self, value: Any, path: Path) -> Iterator[Path]:
        if any(path[: len(taken)] == taken for taken in self.taken):
            return
        inside = any(taken[: len(path)] == path for taken in self.taken)
        alone = not isinstance(value, dict | list) and value is not None
        if alone or (not inside and (len(path) > 1 or not isinstance(value, dict))):
            yield path
            return
        entries = value.items() if isinstance(value, dict) else enumerate(value or ())
        for key, inner in entries:
            yield from self._untaken(inner, (*path, key))


def mapping(value: Any) -> dict[str, Any]:
    """`value` where it is a mapping; anything else has no entries."""
    return value if isinstance(value, dict) else {}


def manifests(data: bytes | str, file: str) -> list[Manifest]:
    """All documents of a file. Raises PolicyError when it is not plain YAML."""
    text = data if isinstance(data, str) else parse_text(data, file)
    parts: list[tuple[int, str]] = []
    start = 0
    for separator in [*_SEPARATOR.finditer(text), None]:
        end = separator.start() if separator else len(text)
        parts.append((text.count("\n", 0, start), text[start:end]))
        start = separator.end() if separator else end
    if len(parts) > DOCUMENTS_MAX:
        problem = Document(file).problem(
            (), f"expected at most {DOCUMENTS_MAX} documents, got more"
        )
        raise PolicyError([problem])
    made = [Manifest(_parsed(part, file), first) for first, part in parts if part.strip()]
    return [manifest for manifest in made if isinstance(manifest.document.value, dict)]


def _parsed(text: str, file: str) -> Document:
    if "{{" in _ARGUMENTS.sub("", text):
        document = Document(file, text)
        message = "expected a Kubernetes manifest, got the template of a chart"
        raise PolicyError([document.problem((), message, "render it first: helm template ...")])
    return parse(text, file)


def parse_text(data: bytes, file: str) -> str:
    """The text of a file. Raises PolicyError if it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise PolicyError([Document(file).problem((), "expected UTF-8 text, got bytes")]) from None


def seconds_text(value: Any) -> str | None:
    """Their duration as ours: 30 and "30" are seconds there; "1h30m" is the same here."""
    text = str(value)
    if re.fullmatch(r"[0-9]+", text):
        return f"{text}s"
    return text if re.fullmatch(r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+", text) else None


def share_text(value: Any, whole: Any = 100.0) -> str | None:
    """Their percentage, of `whole`, as our share; None if it is none or finer than 0.01 %."""
    try:
        basis_points = round(float(str(value).removesuffix("%")) / float(whole) * FULL_BP, 6)
    except (ValueError, TypeError, ZeroDivisionError):
        return None
    if not 0 <= basis_points <= FULL_BP or basis_points != int(basis_points):
        return None
    return f"{int(basis_points) / 100:g}%"
