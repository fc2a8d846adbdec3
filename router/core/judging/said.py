"""What a judge answers: which of two is better, or by how much, and what it cost.

========================================= =======================================================
``{"better": "first"}``                   or ``second``, or ``tie``
``{"score": 0.4}``                        -1..1: by how much the first is better than the second
``{..., "usage": {"total_tokens": 310,``  what it cost, for the budget; both as they like
``"cost": 0.002}}``
an answer of OpenAI's API                 the last object in its message is one of the above
========================================= =======================================================

Anything else is no verdict. Whatever the bytes are, reading them raises nothing.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final, NamedTuple, TypeGuard

from router.core.foreign import Bounds, Unreadable, read

ANSWER_BYTES_MAX: Final = 65_536
"""A longer answer is no verdict."""
VERDICT: Final = Bounds(ANSWER_BYTES_MAX, 2_000, 16)
"""About a millisecond to read."""
TOKENS_MAX: Final = 10**9
COST_MAX: Final = 1e9
"""More than this, of one answer, is none that anybody means."""

_BETTER: Final = {"first": 1.0, "second": -1.0, "tie": 0.0}
_OBJECT: Final = re.compile(r"\{[^{}]{0,2000}\}")


class JudgeSaid(NamedTuple):
    """One answer."""

    first: float | None
    """By how much the first of two is better, -1..1; None: that is no verdict."""
    why: str = ""
    """Why it is none."""
    tokens: int = 0
    cost: float = 0.0


def said(body: bytes, *, chat: bool) -> JudgeSaid:
    """What ``body`` says; ``chat``: in the shape of OpenAI's API."""
    try:
        document = read(body, VERDICT)
    except Unreadable:
        return JudgeSaid(None, "its answer is no JSON, or too long")
    if not isinstance(document, dict):
        return JudgeSaid(None, "its answer is no JSON object")
    usage = document.get("usage")
    tokens, cost = _usage(usage) if isinstance(usage, dict) else (0, 0.0)
    verdict = _in_message(document) if chat else document
    first = _first(verdict) if isinstance(verdict, dict) else None
    why = "" if first is not None else "its answer has neither better nor score"
    return JudgeSaid(first, why, tokens, cost)


def _usage(usage: dict[str, object]) -> tuple[int, float]:
    tokens, cost = usage.get("total_tokens"), usage.get("cost")
    return int(_amount(tokens, TOKENS_MAX)), _amount(cost, COST_MAX)


def _amount(value: object, most: float) -> float:
    """A number from 0 to ``most``; 0 for whatever is none."""
    return min(max(float(value), 0.0), most) if _number(value) else 0.0


def _number(value: Any) -> TypeGuard[float]:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and math.isfinite(value)


def _in_message(document: Any) -> Any:
    """The last object that the model wrote; what it thought before stands before it."""
    try:
        content = document["choices"][0]["message"]["content"]
    except (LookupError, TypeError):
        return None
    if not isinstance(content, str):
        return None
    for text in reversed(_OBJECT.findall(content)):
        try:
            return read(text.encode(), VERDICT)
        except Unreadable:
            continue
    return None


def _first(verdict: dict[str, object]) -> float | None:
    better, score = verdict.get("better"), verdict.get("score")
    if isinstance(better, str):
        return _BETTER.get(better.strip().lower())
    if _number(score) and -1.0 <= score <= 1.0:
        return float(score)
    return None
