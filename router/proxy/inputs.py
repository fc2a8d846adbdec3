"""Requests that no version should have to answer: of another type, out of range, incomplete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from router.core.payloads.answer import Unreadable
from router.core.payloads.inputs import MISSING, asked

if TYPE_CHECKING:
    from router.core.wire.protection import InputsEntry
    from router.proxy.matching import BodyDocument

CELLS_MAX: Final = 100_000
"""Rows of a body times what is declared of each, 25 ms of a worker's loop. A body has room for
10,000 values, so only one whose rows lack most of what is declared can be beyond."""

METHODS: Final = frozenset((b"POST", b"PUT", b"PATCH"))
"""Those with a body to look into."""
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "number": (int, float),
    "text": (str,),
    "boolean": (bool,),
    "list": (list,),
    "object": (dict,),
}
_SAYS: Final = {
    "number": "a number", "text": "text", "boolean": "true or false", "list": "a list",
    "object": "an object",
}  # fmt: skip


def wrong(inputs: InputsEntry, payload: str, document: BodyDocument) -> str:
    """What is wrong with a body, in words of the policy alone; empty: nothing.

    A body that cannot be read is wrong, or what cannot be read would be the way around this.
    """
    value = document.value
    if document.unread or value is None:
        return f"expected a body of payload {payload} that fits the route's buffer"
    names = len(inputs.required) + len(inputs.types) + len(inputs.ranges)
    try:
        table = asked(payload, value)
        if table.rows * names > CELLS_MAX:
            return f"expected at most {CELLS_MAX // names} rows"
        for path in inputs.required:
            if any(one is MISSING or one is None for one in table.column(path, CELLS_MAX)):
                return f"{path}: expected a value"
        for path, kind in inputs.types:
            if not all(_is(one, kind) for one in table.column(path, CELLS_MAX)):
                return f"{path}: expected {_SAYS[kind]}"
        for path, low, high in inputs.ranges:
            if not all(_within(one, low, high) for one in table.column(path, CELLS_MAX)):
                return f"{path}: expected a number from {low:g} to {high:g}"
    except Unreadable:
        return f"expected a body of payload {payload}, with a name for each value"
    return ""


def _is(value: Any, kind: str) -> bool:
    if value is MISSING or value is None:
        return True
    return type(value) in _TYPES[kind]


def _within(value: Any, low: float, high: float) -> bool:
    if value is MISSING or value is None:
        return True
    return type(value) in _TYPES["number"] and low <= value <= high
