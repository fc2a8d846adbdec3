"""What an answer says, in one shape for all protocols: paths and leaves.

Two answers that say the same must read the same. So ids, timestamps, the order of keys and outputs,
and the nesting of tensors do not appear here; values do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

Leaf = str | float | bool | None

DEPTH_MAX = 32
"""Levels of nesting that are read; deeper answers are unreadable, never a stack overflow."""
LEAVES_MAX = 20_000
"""Values of one answer that are read."""


class Unreadable(Exception):  # noqa: N818 - reads as the finding it is
    """The body is not an answer of this protocol; the text says what was expected where."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Leaves by path, such as ``predict_proba[0,1]`` or ``choices[0].message.content``."""

    leaves: dict[str, Leaf]
    vectors: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Rows of three or more numbers, by path: class scores and rankings."""


class Payload(Protocol):
    """One protocol: how to read an answer's body."""

    def read(self, body: bytes) -> Answer:
        """What ``body`` says. Raises Unreadable."""


def document(body: bytes) -> Any:
    """The JSON document in ``body``; NaN and Infinity stay numbers, duplicates keep the last.

    Raises:
        Unreadable: no JSON, or nested too deeply.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"expected JSON, got {len(body)} bytes that are none") from error


def mapping(value: Any, where: str) -> dict[str, Any]:
    """``value`` if it is an object. Raises Unreadable."""
    if not isinstance(value, dict):
        raise Unreadable(f"expected an object at {where}, got {kind(value)}")
    return value


def rows(value: Any, where: str) -> list[Any]:
    """``value`` if it is a list. Raises Unreadable."""
    if not isinstance(value, list):
        raise Unreadable(f"expected a list at {where}, got {kind(value)}")
    return value


def kind(value: Any) -> str:
    """JSON's word for the type of a value."""
    if value is None:
        return "null"
    names = {dict: "object", list: "list", str: "text", bool: "boolean"}
    return names.get(type(value), "number")


def flattened(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Leaf]]:
    """Every leaf of a JSON value with its path. Raises Unreadable below DEPTH_MAX."""
    if depth > DEPTH_MAX:
        raise Unreadable(f"expected at most {DEPTH_MAX} levels of nesting")
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flattened(inner, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from flattened(inner, f"{path}[{index}]", depth + 1)
    else:
        yield path, value


def answer_of(value: Any, path: str = "") -> Answer:
    """A JSON value as an answer; lists of three or more numbers are vectors too."""
    leaves: dict[str, Leaf] = {}
    for place, leaf in flattened(value, path):
        if len(leaves) >= LEAVES_MAX:
            raise Unreadable(f"expected at most {LEAVES_MAX} values")
        leaves[place] = leaf
    return Answer(leaves, dict(_vectors(value, path)))


def _vectors(value: Any, path: str) -> Iterator[tuple[str, tuple[float, ...]]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _vectors(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        if len(value) >= 3 and all(type(item) in (int, float) for item in value):
            yield path, tuple(map(float, value))
            return
        for index, inner in enumerate(value):
            yield from _vectors(inner, f"{path}[{index}]")
