"""What to write instead, for the slips that people make most.

A rule looks at one refused value (:class:`RefusedValue`) and gives the text to write, or nothing;
the first that speaks is heard. What a hint proposes is accepted when it is written: the tests
apply it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from router.config import schema
from router.config.problems import Path
from router.config.source import Document, resolve
from router.core.quantities import DURATION_PATTERN, SHARE_PATTERN, SIZE_PATTERN

TRUTH: Final = {
    "on": "true", "yes": "true", "y": "true", "off": "false", "no": "false", "n": "false",
}  # fmt: skip
_LOOSE: Final = re.compile(r"(?P<number>[0-9]+(?:[.,][0-9]+)?)\s*(?P<unit>[A-Za-z%]*)\Z")
_DURATION_WORDS: Final = {
    "ms": "ms msec msecs millis millisecond milliseconds",
    "s": "s sec secs second seconds",
    "m": "m min mins minute minutes",
    "h": "h hr hrs hour hours",
    "d": "d day days",
}
_SIZE_WORDS: Final = {
    "B": "b byte bytes", "KiB": "k ki kib", "MiB": "m mi mib", "GiB": "g gi gib",
    "KB": "kb", "MB": "mb", "GB": "gb",
}  # fmt: skip
_CURLY: Final = dict.fromkeys(map(ord, "\u201c\u201d\u201e\u201f\u2033"), '"') | dict.fromkeys(
    map(ord, "\u2018\u2019\u201a\u201b\u2032"), "'"
)
_STRATEGY: Final = "strategy: {canary: {steps: [{weight: 5%, hold: 10m}]}}"


@dataclass(frozen=True, slots=True)
class RefusedValue:
    """A value that was refused, with what its place in a policy may hold."""

    path: Path
    value: Any
    written: Any
    """As it stands in the file: "1.10", where the value is 1.1."""
    patterns: frozenset[str]
    types: frozenset[str]

    @property
    def key(self) -> str:
        """The last named part of its path."""
        return next((str(part) for part in reversed(self.path) if isinstance(part, str)), "")

    @property
    def number(self) -> bool:
        """Whether it is a number."""
        return isinstance(self.value, int | float) and not isinstance(self.value, bool)

    @property
    def text(self) -> str:
        """It, if it is text; else empty."""
        return self.value if isinstance(self.value, str) else ""


def hint(document: Document, path: Path, value: Any) -> str:
    """What to write at `path` instead of `value`; empty where nobody knows."""
    parts = list(schema.parts(path))
    refused = RefusedValue(
        path,
        value,
        document.plain.get(path, value),
        frozenset(str(part.get("pattern", "")) for part in parts),
        frozenset(str(part.get("type", "")) for part in parts),
    )
    return next((found for rule in RULES if (found := rule(refused))), "")


def _curly(refused: RefusedValue) -> str:
    straight = refused.text.translate(_CURLY)
    return f"write straight quotes: {straight}" if straight != refused.text else ""


def _address(refused: RefusedValue) -> str:
    """`listen: 8080` and `listen: :8080`, as other servers take it."""
    if refused.key != "listen":
        return ""
    port = re.fullmatch(r":?([0-9]{1,5})", str(refused.written))
    if port is None:
        return ""
    return (
        f"write 127.0.0.1:{port[1]}, or 0.0.0.0:{port[1]} for everybody who can reach this machine"
    )


def _endpoint(refused: RefusedValue) -> str:
    if refused.key == "endpoints" and re.fullmatch(r"[\w.-]+(:[0-9]+)?/?", refused.text):
        return f"write http://{refused.text.rstrip('/')}"
    return ""


def _share(refused: RefusedValue) -> str:
    if SHARE_PATTERN not in refused.patterns:
        return ""
    if refused.number and isinstance(refused.value, float) and 0 < refused.value < 1:
        percent = f"{refused.value * 100:.4f}".rstrip("0").rstrip(".")
        return f"add the unit: {percent}% for a part of {refused.written}, or {refused.written}%"
    if refused.number:
        return f"add the unit: {refused.written}%"
    found = _LOOSE.match(refused.text.strip())
    if found and found["unit"].lower() in ("", "%", "percent", "pct", "p"):
        number = found["number"].replace(",", ".")
        if float(number) > 100:
            return "write at most 100%"
        return f"write {number}%" if f"{number}%" != refused.text else ""
    return ""


def _duration(refused: RefusedValue) -> str:
    if DURATION_PATTERN not in refused.patterns:
        return ""
    if refused.number:
        return f"add a unit: {refused.written}s or {refused.written}m"
    return _loose(refused.text, _DURATION_WORDS)


def _size(refused: RefusedValue) -> str:
    if SIZE_PATTERN not in refused.patterns:
        return ""
    if refused.number:
        return f"add a unit: {refused.written}KiB or {refused.written}B"
    return _loose(refused.text, _SIZE_WORDS)


def _loose(text: str, words: dict[str, str]) -> str:
    """`2min`, `2 M`, `64k` in the units that are taken."""
    found = _LOOSE.match(text.strip())
    if found is None:
        return ""
    unit = next(
        (unit for unit, names in words.items() if found["unit"].lower() in names.split()), ""
    )
    loose = f"{found['number'].replace(',', '.')}{unit}"
    return f"write {loose}" if unit and loose != text.strip() else ""  # it is wrong for its size


def _truth(refused: RefusedValue) -> str:
    word = TRUTH.get(refused.text.lower(), "")
    return f"write {word}" if word and "boolean" in refused.types else ""


def _mapping(refused: RefusedValue) -> str:
    """`rescue: true` for a part that has only defaults."""
    if "object" in refused.types and refused.value in (True, "true", "on", "yes", "default"):
        return f"write {refused.key}: {{}} to have its defaults"
    if "object" in refused.types and refused.value is None:
        return f"write {refused.key}: {{}}, or remove the key"
    return ""


def _quotes(refused: RefusedValue) -> str:
    if refused.types == {"string"} and (refused.number or isinstance(refused.value, bool)):
        return f'put it in quotes: "{refused.written}"'
    if refused.types & {"integer", "number"} and isinstance(resolve(refused.text), int | float):
        return "write it without quotes"
    return ""


def _list(refused: RefusedValue) -> str:
    if "array" not in refused.types:
        return ""
    if refused.text:
        return f"write it as a list: [{refused.text}]"
    if isinstance(refused.value, dict) and refused.key == "routes":
        return "begin each route with - name: in a line of its own"
    if isinstance(refused.value, dict):
        return "begin each entry with - in a line of its own"
    if refused.value is None and refused.key == "routes":
        return "write at least one route; `rampway schema` and configs/ have examples"
    return ""


def _path(refused: RefusedValue) -> str:
    if refused.key == "path" and refused.text and not refused.text.startswith("/"):
        return f"write /{refused.text}"
    return ""


def _strategy(refused: RefusedValue) -> str:
    if refused.key != "strategy":
        return ""
    if isinstance(refused.value, dict) and len(refused.value) > 1:
        return f"keep one of {', '.join(map(str, refused.value))}"
    return f"for example {_STRATEGY}"


RULES: Final[tuple[Callable[[RefusedValue], str], ...]] = (
    _curly,
    _address,
    _endpoint,
    _share,
    _duration,
    _size,
    _truth,
    _strategy,
    _mapping,
    _quotes,
    _list,
    _path,
)
