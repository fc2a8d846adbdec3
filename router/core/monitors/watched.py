"""What monitors see of one sampled request: the values of its rows, bounded, no bodies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from router.core.monitors.settings import LABEL, ROWS_MAX, SCORE
from router.core.monitors.values import NAME_CHARS_MAX, type_of
from router.core.payloads import Beyond, Unreadable, unpacked
from router.core.predictions.rows import MISSING, Declared, answer_rows, request_rows

NOTHING: Final[list[Any]] = []
"""In place of a list or an object, which is a value of another type."""


@dataclass(frozen=True, slots=True)
class Watched:
    """Rows of a request, and of its answer; null where a row has no value."""

    rows: tuple[tuple[Any, ...], ...] = ()
    """Features in the order in which they are declared."""
    answers: tuple[tuple[Any, ...], ...] = ()
    """Label and score."""

    def features(self, declared: Declared) -> list[Mapping[str, object]]:
        """Each row by names."""
        names = declared.request_paths
        return [dict(zip(names, row, strict=False)) for row in self.rows]

    def outputs(self) -> list[Mapping[str, object]]:
        """The same of answers."""
        return [dict(zip((LABEL, SCORE), row, strict=False)) for row in self.answers]


Body = tuple[bytes, str]
"""As it was sent, and its Content-Encoding."""


def watched(payload: str, declared: Declared, request: Body, answer: Body | None) -> Watched:
    """Read both bodies; no answer: there was no good one.

    Whatever the bytes are, it does not raise: what cannot be read has no rows.
    """
    return Watched(_requests(payload, declared, request), _answers(payload, declared, answer))


def _requests(payload: str, declared: Declared, body: Body) -> tuple[tuple[Any, ...], ...]:
    if not declared.features:
        return ()
    try:
        rows = request_rows(payload, unpacked(*body), declared)
    except (Unreadable, Beyond):
        return ()
    return tuple(
        tuple(_value(row.features.get(name)) for name in declared.request_paths)
        for row in rows[:ROWS_MAX]
    )


def _answers(payload: str, declared: Declared, body: Body | None) -> tuple[tuple[Any, ...], ...]:
    if body is None or not (declared.label or declared.score):
        return ()
    try:
        rows = answer_rows(payload, unpacked(*body), declared)
    except (Unreadable, Beyond):
        return ()
    return tuple((_value(row.label), _value(row.score)) for row in rows[:ROWS_MAX])


def _value(value: Any) -> Any:
    """As it may travel."""
    if value is MISSING:
        return None
    kind = type_of(value)
    if kind == "text":
        return value[:NAME_CHARS_MAX]
    if kind == "number" and isinstance(value, int) and abs(value) >= 2**63:
        return NOTHING
    return None if kind == "missing" else NOTHING if kind == "other" else value
