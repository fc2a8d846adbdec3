"""Rows of requests and answers: the unit in which predictions are read.

A body is read by its route's payload into at most :data:`ROWS_MAX` rows with what the policy
declares; further rows are not looked at. Rows of one request are not independent (one client, one
batch): whoever bets on them bets once a request, weighted by the share of its rows.

=================== ============================== ==========================================
payload             a request's rows               an answer's rows
=================== ============================== ==========================================
v1, tensorflow      ``instances``; ``inputs``      ``predictions``; ``outputs``
open_inference_v2   ``shape[0]`` of ``inputs``     ``shape[0]`` of ``outputs``
open_inference_grpc the same                       the same
tensorflow_grpc     ``shape[0]`` of ``inputs``     ``shape[0]`` of ``outputs``
mlflow              the four JSON forms, CSV       ``predictions``: list, dict or scalar
json                a list, lines (NDJSON), else   the same
                    one, or the elements of a list
                    that declared paths cross
csv                 lines                          lines
openai              the request                    choices, items of output or data
=================== ============================== ==========================================

A value that is not there is MISSING, which is not null. Reading ends in rows, or raises Unreadable
(not of the payload) or Beyond (nobody's fault), within the bounds of ``make test-fuzz``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from router.core.foreign import ANSWER
from router.core.payloads import PAYLOADS
from router.core.payloads.answer import Answer, Beyond, Leaf
from router.core.payloads.paths import MISSING
from router.core.payloads.tables import ANSWERS, REQUESTS, Table

__all__ = [
    "MISSING",
    "NOTHING",
    "BodyRow",
    "Declared",
    "answer_rows",
    "class_of",
    "leaf_name",
    "number_of",
    "request_rows",
]  # fmt: skip

ROWS_MAX: Final = 1_024
"""Rows of one body that are read."""
CELLS_MAX: Final = 20_000
"""Values of one body that are read: of many features fewer rows."""
CLASS_CHARS_MAX: Final = 64
"""A longer text is told from others by its beginning."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a policy says of a route's predictions (`predictions:`), without policy types.

    Paths are those of a row, such as ``label``, ``scores[1]``, and of V2 the name of a tensor.
    """

    label: str = ""
    """Path of the predicted class or value; empty: none."""
    score: str = ""
    """Path of a number; of a list of numbers its last is the score."""
    id: str = ""
    """Path of what a row is known by."""
    classes: tuple[str, ...] = ()
    """Known labels as :func:`class_of` writes them; none: any."""
    range: tuple[float, float] | None = None
    """Lowest and highest score."""
    features: tuple[tuple[str, str], ...] = ()
    """Path in a request's row, and numeric | categorical | auto."""

    @property
    def answer_paths(self) -> tuple[str, ...]:
        """What is looked for in answers."""
        return tuple(path for path in (self.label, self.score, self.id) if path)

    @property
    def request_paths(self) -> tuple[str, ...]:
        """What is looked for in requests."""
        return tuple(path for path, _ in self.features)


NOTHING: Final = Declared()
"""A policy without `predictions`."""


@dataclass(frozen=True, slots=True)
class BodyRow:
    """One row of a request (features) or of an answer (the rest); values as JSON has them."""

    features: dict[str, object] = field(default_factory=dict)
    """Every declared feature; MISSING where the row has none."""
    label: Any = MISSING
    """A list of one value is that value, as of a tensor of shape [n, 1]."""
    score: Any = MISSING
    """Of a list its last value; null, text, NaN and infinities stay what they are."""
    id: Any = MISSING
    values: dict[str, Leaf] = field(default_factory=dict)
    """Of an openai answer: ``content``, ``finish_reason``, ``refusal`` and the like by path."""


def request_rows(payload: str, body: bytes, declared: Declared) -> list[BodyRow]:
    """Rows of a request; ``body`` without a coding (``payloads.unpacked``).

    Raises:
        Unreadable: not of the payload.
        Beyond: requests of this payload are not read.
    """
    read = REQUESTS.get(payload)
    if read is None:
        raise Beyond(f"requests of {payload} are not read")
    names = declared.request_paths
    if len(body) > ANSWER.bytes_max:
        raise Beyond(f"requests of more than {ANSWER.bytes_max:,} bytes are not read")
    table = read(body, names)
    count = _most(table.rows, len(names))
    columns = [table.column(name, count) for name in names]
    if not columns:
        return [BodyRow() for _ in range(count)]
    return [BodyRow(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]


def answer_rows(payload: str, body: bytes, declared: Declared) -> list[BodyRow]:
    """Rows of an answer; ``body`` without a coding. Raises Unreadable and Beyond, as above."""
    read = ANSWERS.get(payload)
    if read is None:
        return list(_choices(PAYLOADS[payload].read(body), declared))
    table = read(body, declared.answer_paths)
    count = _most(table.rows, 3)
    return [
        BodyRow({}, _label(label), _score(score), identity)
        for label, score, identity in zip(
            _column(table, declared.label, count),
            _column(table, declared.score, count),
            _column(table, declared.id, count),
            strict=True,
        )
    ]


def _most(rows: int, columns: int) -> int:
    return min(rows, ROWS_MAX, CELLS_MAX // max(columns, 1))


def _column(table: Table, path: str, count: int) -> list[Any]:
    return table.column(path, count) if path else [MISSING] * count


def _label(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _score(value: Any) -> Any:
    return value[-1] if isinstance(value, list) and value else value


# --- answers without rows of their own ------------------------------------------------------------

_PLACE: Final = re.compile(r"[a-z_]+\[(\d+)\]\.?(.*)", re.DOTALL)


def _choices(answer: Answer, declared: Declared) -> Iterator[BodyRow]:
    """Each choice, or item of what was answered, with what it says by path."""
    found: dict[int, dict[str, Leaf]] = {}
    for path, value in answer.leaves.items():
        place = _PLACE.fullmatch(path)
        number, name = (int(place[1]), place[2]) if place else (0, path)
        if number in found or len(found) < ROWS_MAX:
            found.setdefault(number, {})[name] = value
    for values in found.values():
        label, score, identity = (
            values.get(_bare(path), MISSING) if path else MISSING
            for path in (declared.label, declared.score, declared.id)
        )
        yield BodyRow({}, label, score, identity, values)


def _bare(path: str) -> str:
    """``choices.content`` and ``choices[].content`` are the content of a choice."""
    first, _, rest = path.partition(".")
    return rest if rest and first.removesuffix("[]") in {"choices", "output", "data"} else path


_LISTS: Final = {"v1": "predictions", "tensorflow": "predictions", "mlflow": "predictions",
                 "openai": "choices", "tensorflow_grpc": "outputs"}  # fmt: skip
_PLACES: Final = re.compile(r"\[-?\d*\]")


def leaf_name(payload: str, path: str) -> str:
    """A row's path as the field of a whole answer, without places: what `compare` names."""
    name = _PLACES.sub("", path).strip(".")
    list_name = _LISTS.get(payload, "")
    tops = (list_name, "outputs", "output", "data")
    if not list_name or any(name == top or name.startswith(f"{top}.") for top in tops):
        return name
    return f"{list_name}.{name}" if name else list_name


# --- values ---------------------------------------------------------------------------------------


def class_of(value: Any) -> str:
    """A label as a short text, alike for 1, 1.0 and "1"; of what is no label its kind."""
    if isinstance(value, str):
        return value[:CLASS_CHARS_MAX]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return str(int(value))
    if isinstance(value, int | float):
        return f"{value:.6g}" if isinstance(value, float) else str(value)[:CLASS_CHARS_MAX]
    if value is MISSING:
        return "(missing)"
    return "(null)" if value is None else "(list)" if isinstance(value, list) else "(object)"


def number_of(value: Any) -> float | None:
    """A finite number as such (true and false are 1 and 0); None for all else."""
    if not isinstance(value, int | float):
        return None
    number = float(value)
    return number if math.isfinite(number) else None
