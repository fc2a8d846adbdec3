"""Paths inside JSON as policies write them: ``user.id``, ``proba[1]``, ``rows[].label``, ``[0]``.

``[]`` stands for every element of a list; a name that meets a list stands for every element too.
"""

from __future__ import annotations

import re
from functools import lru_cache
from types import EllipsisType
from typing import Any, Final

MISSING: Final = object()
"""In the place of a value that is not there."""
EACH: Final = ...
"""Every element of a list."""
Part = str | int | EllipsisType
"""A name, a place in a list (negative: from its end), or each."""

_PART: Final = re.compile(r"\[(-?\d{0,6})\]|([^.\[]+)")


@lru_cache(maxsize=4_096)
def parts(path: str) -> tuple[Part, ...]:
    """The steps of a path; none for the empty one, which is the whole."""
    return tuple(
        name or (int(place) if place.strip("-") else EACH) for place, name in _PART.findall(path)
    )


def at(value: Any, path: str) -> Any:
    """The value at a path, or MISSING; a name with dots in it is found as well."""
    if isinstance(value, dict) and path in value:
        return value[path]
    return walk(value, parts(path))


def walk(value: Any, steps: tuple[Part, ...]) -> Any:
    """The value after these steps, or MISSING."""
    for step in steps:
        if isinstance(step, str):
            if not isinstance(value, dict) or step not in value:
                return MISSING
            value = value[step]
        elif (
            not isinstance(value, list)
            or not isinstance(step, int)
            or not -len(value) <= step < len(value)
        ):
            return MISSING
        else:
            value = value[step]
    return value


def spread(value: Any, path: str, most: int) -> tuple[int | None, list[Any]]:
    """Elements of the list that the path crosses (None: it crosses none), and the first values.

    One value an element, at most ``most`` of them, or the one value.
    """
    if isinstance(value, dict) and path in value:
        return None, [value[path]]
    steps = parts(path)
    for place, step in enumerate(steps):
        if isinstance(value, list) and not isinstance(step, int):
            rest = steps[place + 1 :] if step is EACH else steps[place:]
            return len(value), [walk(one, rest) for one in value[:most]]
        value = walk(value, (step,))
    return None, [value]
