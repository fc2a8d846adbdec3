"""Answers that say less: numbers rounded, fields left out."""

from __future__ import annotations

import json
import math
from typing import Any

from router.core.foreign import Bounds, read


def shaped(body: bytes, digits: int | None, drop: frozenset[str], bounds: Bounds) -> bytes:
    """JSON that says what ``body`` does but for this.

    Args:
        body: JSON without a coding.
        digits: Decimal places that numbers keep; None: all.
        drop: Names of fields that are left out, and of V2 outputs (objects with that ``name``).
        bounds: What may be read.

    Raises:
        Unreadable: no JSON, or beyond the bounds.
    """
    return json.dumps(
        _less(read(body, bounds), digits, drop), ensure_ascii=False, separators=(",", ":")
    ).encode()


def _less(value: Any, digits: int | None, drop: frozenset[str]) -> Any:
    if isinstance(value, float):
        return round(value, digits) if digits is not None and math.isfinite(value) else value
    if isinstance(value, list):
        return [_less(one, digits, drop) for one in value if not _is_named(one, drop)]
    if isinstance(value, dict):
        return {key: _less(one, digits, drop) for key, one in value.items() if key not in drop}
    return value


def _is_named(value: Any, drop: frozenset[str]) -> bool:
    name = value.get("name") if isinstance(value, dict) else None
    return isinstance(name, str) and name in drop
