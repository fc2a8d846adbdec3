"""What one value is, for those who send values and for those who count them."""

from __future__ import annotations

import math
from typing import Final

NAME_CHARS_MAX: Final = 64
"""Of a category; what is longer is cut."""


def type_of(value: object) -> str:
    """missing, number, text or boolean; anything else is other. NaN and infinities are missing."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "number"
    if isinstance(value, float):
        return "number" if math.isfinite(value) else "missing"
    return "text" if isinstance(value, str) else "other"


def name_of(value: object) -> str:
    """How a category is called, in JSON as in a text file."""
    if isinstance(value, bool):
        value = "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 3 and 3.0 are one category
    return str(value)[:NAME_CHARS_MAX]


def number_of(value: object) -> float | None:
    """A finite number; None for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
