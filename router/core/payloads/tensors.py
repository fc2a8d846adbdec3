"""Named tensors of the Open Inference Protocol V2, nested or flat, or behind the document."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, Final

from router.core.payloads.answer import Leaf, Unreadable, rows
from router.core.payloads.binary_tensors import Tail

AXES_MAX: Final = 16
"""Axes of a tensor."""


def tensor(one: dict[str, Any], tail: Tail, where: str) -> tuple[str, list[int], list[Leaf]]:
    """Name, shape and values, row-major. Raises Unreadable."""
    name, shape = one.get("name"), rows(one.get("shape"), f"{where}.shape")
    if not isinstance(name, str) or not all(type(n) is int and n >= 0 for n in shape):
        raise Unreadable(f"expected a name and a shape at {where}")
    if len(shape) > AXES_MAX:
        raise Unreadable(f"expected at most {AXES_MAX} axes at {where}, got {len(shape)}")
    data = tail.take(one, prod(shape), where)
    if data is None:
        data = list(flat(rows(one.get("data"), f"{where}.data")))
    if len(data) != prod(shape):
        raise Unreadable(f"expected {prod(shape)} values at {where}.data, got {len(data)}")
    return name, shape, data


def flat(data: list[Any], depth: int = 0) -> Iterator[Leaf]:
    """The values of nested lists, in their order. Raises Unreadable."""
    if depth > AXES_MAX:
        raise Unreadable(f"expected at most {AXES_MAX} axes")
    for value in data:
        if isinstance(value, list):
            yield from flat(value, depth + 1)
        elif isinstance(value, dict):
            raise Unreadable("expected values in data, got an object")
        else:
            yield value
