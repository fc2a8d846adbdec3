"""Named tensors of the Open Inference Protocol V2, nested or flat, or behind the document."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any, Final, NamedTuple

from router.core.payloads.answer import LEAVES_MAX, Leaf, Making, Unreadable, rows
from router.core.payloads.binary_tensors import Tail

AXES_MAX: Final = 16
"""Axes of a tensor."""
_INDEX_CHARS: Final = 2
"""Of each axis in a path, at least."""


class Tensor(NamedTuple):
    """A named tensor, its values row-major."""

    name: str
    shape: list[int]
    data: list[Leaf]


def add_tensor(making: Making, one: Tensor, *, nested: bool = False) -> None:
    """Every element as ``name[i,j]``; last axes of three or more numbers as vectors.

    ``nested``: as ``name[i][j]``, which a list of lists would be. Raises Unreadable.
    """
    name, shape, data = one
    if len(making.leaves) + len(data) > LEAVES_MAX:
        raise Unreadable(f"expected at most {LEAVES_MAX} values")
    making.spend(len(data) * (len(name) + _INDEX_CHARS * len(shape)))
    if not data:  # an axis is 0, and the others are any numbers
        return
    between = "][" if nested else ","
    for index, value in zip(product(*map(range, shape)), data, strict=True):
        place = f"[{between.join(map(str, index))}]" if shape or not nested else ""
        making.leaves[name + place] = value
    width = shape[-1] if shape else 0
    if width < 3 or not all(type(value) in (int, float) for value in data):
        return
    numbers = [float(value) for value in data if isinstance(value, int | float)]
    lines = product(*map(range, shape[:-1])) if nested else ((n,) for n in range(len(data)))
    for index, start in zip(lines, range(0, len(numbers), width), strict=False):
        place = f"[{between.join(map(str, index))}]" if index else ""
        making.vectors[name + place] = tuple(numbers[start : start + width])


def tensor(one: dict[str, Any], tail: Tail, where: str) -> Tensor:
    """One of a document, or behind it. Raises Unreadable."""
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
    return Tensor(name, shape, data)


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
