"""``${NAME}``, ``${NAME:-default}`` and ``${file:PATH}`` in the scalars of a parsed policy.

Expansion happens after parsing, scalar by scalar, so a value can never add keys to a policy, and
every problem keeps its line and column. What came from elsewhere is never shown in a message.
An unquoted scalar is typed after expansion (``workers: ${WORKERS:-2}`` is a number); a quoted one,
and one with ``${file:...}``, stays text. ``$${`` stands for a literal ``${``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from router.config.problems import Path, PolicyError, Problem
from router.config.source import Document, resolve

FILE_BYTES_MAX: Final = 65_536
"""Largest file that ``${file:...}`` reads; secrets and certificates' names are short."""

REFERENCE: Final = re.compile(r"\$\$\{|\$\{([^}]*)\}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

ReadFile = Callable[[str], bytes]
"""Reads at most FILE_BYTES_MAX + 1 bytes of a file; raises OSError."""


class Expansion:
    """Expands one document in place and remembers the files it read."""

    def __init__(
        self, document: Document, environment: Mapping[str, str], read_file: ReadFile
    ) -> None:
        self.document = document
        self.environment = environment
        self.read_file = read_file
        self.files: dict[str, str] = {}
        """Content digest of every file that was read, by path as written."""
        self.problems: list[Problem] = []

    def run(self) -> None:
        """Expand every scalar. Raises PolicyError with all references that cannot be resolved."""
        seen: set[int] = set()
        self.document.value = self._walk(self.document.value, (), seen)
        if self.problems:
            raise PolicyError(self.problems)

    def _walk(self, value: Any, path: Path, seen: set[int]) -> Any:
        if isinstance(value, str):
            return self._scalar(value, path)
        if isinstance(value, dict | list):
            # A value repeated by an alias is the same object: it is expanded where it stands first.
            if id(value) in seen:
                return value
            seen.add(id(value))
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, inner in list(items):
                value[key] = self._walk(inner, (*path, key), seen)
        return value

    def _scalar(self, text: str, path: Path) -> Any:
        if "\0" in text:  # no path, name or URL may have one, and each library says so differently
            return self._fail(path, "expected text without NUL characters, got one")
        if "${" not in text:
            return text
        plain = path in self.document.plain and "${file:" not in text
        self.document.expanded[path] = text
        value = REFERENCE.sub(lambda found: self._reference(found, path), text)
        return resolve(value) if plain else value

    def _reference(self, found: re.Match[str], path: Path) -> str:
        if found[1] is None:
            return "${"
        if found[1].startswith("file:"):
            return self._file(found[1].removeprefix("file:"), path)
        name, has_default, default = found[1].partition(":-")
        if not _NAME.match(name):
            hint = "write ${NAME}, ${NAME:-default} or ${file:PATH}; $${ for a literal ${"
            return self._fail(path, f"expected a variable name in {found[0]}, got {name!r}", hint)
        value = self.environment.get(name)
        if has_default and not value:  # as in a shell: :- also replaces an empty value
            return default
        if value is None:
            return self._fail(path, f"expected the environment variable {name}, got nothing",
                              f"set it, or write ${{{name}:-default}}")  # fmt: skip
        return value

    def _file(self, name: str, path: Path) -> str:
        try:
            data = self.read_file(name)
            text = data.decode().rstrip("\r\n")
        except (OSError, ValueError) as error:  # ValueError: no name of a file, or no text
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            return self._fail(
                path,
                f"expected the readable file {name}, got: {reason}",
                "create it, or correct its name, which begins in the policy's folder",
            )
        if len(data) > FILE_BYTES_MAX:
            return self._fail(
                path, f"expected a file of at most {FILE_BYTES_MAX:,} bytes, got more"
            )
        self.files[name] = hashlib.sha256(data).hexdigest()
        return text

    def _fail(self, path: Path, message: str, hint: str = "") -> str:
        self.problems.append(self.document.problem(path, message, hint))
        return ""
