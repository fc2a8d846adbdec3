"""What an answer says, in one shape for all protocols: paths and leaves.

Two answers that say the same must read the same. So ids, timestamps, the order of keys and outputs,
and the nesting of tensors do not appear here; values do.

Whatever the bytes are, reading them ends in an :class:`Answer` or in :class:`Unreadable`, within
50 ms of CPU and 10 MiB (``make test-fuzz``): the text is read by :mod:`router.core.foreign`, and
what is made of it is bounded here: a long key above many values is in the path of each of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from router.core.foreign import ANSWER, Unreadable, read

__all__ = [
    "Answer", "Beyond", "Leaf", "Payload", "Unreadable", "answer_of", "document", "mapping", "rows",
]  # fmt: skip

Leaf = str | float | bool | None

LEAVES_MAX = 20_000
"""Values of one answer that are read."""
PATHS_CHARS_MAX = 1_500_000
"""Characters of all paths of one answer together."""


class Beyond(Exception):  # noqa: N818 - reads as the finding it is
    """The router cannot read this, and that is nobody's fault; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Leaves by path, such as ``predict_proba[0,1]`` or ``choices[0].message.content``."""

    leaves: dict[str, Leaf]
    vectors: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Rows of three or more numbers, by path: class scores and rankings."""


class Payload(Protocol):
    """One protocol: how to read an answer's body."""

    def read(self, body: bytes) -> Answer:
        """What ``body`` says. Raises Unreadable, and Beyond where nobody is to blame."""


def document(body: bytes) -> Any:
    """The JSON document in ``body``; NaN and Infinity stay numbers, duplicates keep the last.

    Raises Unreadable: no JSON, or beyond :data:`router.core.foreign.ANSWER`.
    """
    return read(body, ANSWER)


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


def answer_of(value: Any, path: str = "") -> Answer:
    """A JSON value as an answer; lists of three or more numbers are vectors too.

    Raises Unreadable where more would be made of it than may be.
    """
    making = Making()
    making.add(value, path)
    return Answer(making.leaves, making.vectors)


class Making:
    """An answer while it is made, within its bounds."""

    __slots__ = ("_chars", "leaves", "vectors")

    def __init__(self) -> None:
        self.leaves: dict[str, Leaf] = {}
        self.vectors: dict[str, tuple[float, ...]] = {}
        self._chars = 0

    def add(self, value: Any, path: str) -> None:
        """Everything inside ``value``, a JSON value; its depth was bounded when it was read."""
        self.spend(len(path))
        if isinstance(value, dict):
            for key, inner in value.items():
                self.add(inner, f"{path}.{key}" if path else key)
        elif isinstance(value, list):
            if len(value) >= 3 and all(type(item) in _NUMBERS for item in value):
                self.vectors[path] = tuple(map(float, value))
            for index, inner in enumerate(value):
                self.add(inner, f"{path}[{index}]")
        elif len(self.leaves) >= LEAVES_MAX:
            raise Unreadable(f"expected at most {LEAVES_MAX} values")
        else:
            self.leaves[path] = value

    def spend(self, chars: int) -> None:
        """Account for the characters of a path. Raises Unreadable when there are too many."""
        self._chars += chars
        if self._chars > PATHS_CHARS_MAX:
            raise Unreadable("expected names that are shorter, or fewer values below them")


_NUMBERS = frozenset((int, float))
