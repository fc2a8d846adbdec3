"""Bodies as rows: what one request asks about, and what its answer says, by payload.

A row is one thing that is predicted: an instance of V1, a place of the first axis of a tensor, a
record or a line, a choice of a language model. Its values are found by path, which is dotted and
may end in places of lists: ``user.age``, ``predict_proba[1]``, and ``[0]`` where rows are lists.

Whatever the bytes are, the outcome is a table or Unreadable, within the bounds of
:mod:`router.core.foreign`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from router.core.payloads.answer import LEAVES_MAX, Unreadable, document, mapping, rows
from router.core.payloads.binary_tensors import Tail, split
from router.core.payloads.calls import (
    infer_answer,
    infer_request,
    predict_answer,
    predict_request,
)
from router.core.payloads.paths import MISSING, Part, at, spread, walk
from router.core.payloads.paths import parts as parts_of
from router.core.payloads.tensors import Tensor, tensor
from router.core.payloads.texts import cell, csv_lines, json_lines


class Table(Protocol):
    """Rows of one body."""

    @property
    def rows(self) -> int:
        """How many."""

    def column(self, path: str, most: int) -> list[Any]:
        """One value a row of the first ``most``, MISSING where there is none.

        Many declared paths of many rows would cost far more than the bytes that have them.
        """


@dataclass(frozen=True, slots=True)
class Items:
    """Rows that lie behind each other."""

    items: Sequence[Any]
    under: tuple[str, ...] = ()
    """Names that a path may begin with, which say where the rows are."""

    @property
    def rows(self) -> int:
        """See Table."""
        return len(self.items)

    def column(self, path: str, most: int) -> list[Any]:
        """See Table."""
        inner = inside(path, self.under)
        return [at(item, inner) for item in self.items[:most]]


@dataclass(frozen=True, slots=True)
class Columns:
    """Values of all rows beside each other, by name."""

    columns: dict[str, list[Any]]
    rows: int
    under: tuple[str, ...] = ()

    def column(self, path: str, most: int) -> list[Any]:
        """See Table; a column of another length belongs to no row."""
        inner = inside(path, self.under)
        values = self.columns.get(inner)
        steps: tuple[Part, ...] = ()
        if values is None:
            first, *more = parts_of(inner) or ("",)
            values, steps = self.columns.get(str(first)), tuple(more)
        if values is None or len(values) != self.rows:
            return [MISSING] * min(self.rows, most)
        values = values[:most]
        return [walk(value, steps) for value in values] if steps else values


@dataclass(frozen=True, slots=True)
class Crossed:
    """One JSON document: one row, or as many as the lists have that the paths cross."""

    document: Any
    rows: int = 1

    def column(self, path: str, most: int) -> list[Any]:
        """See Table; what is outside of the lists belongs to every row."""
        length, values = spread(self.document, path, most)
        if length == self.rows:
            return values
        return [values[0] if length is None else MISSING] * min(self.rows, most)


def inside(path: str, under: tuple[str, ...]) -> str:
    """``path`` without a name in front that says where rows are: ``predictions.label``."""
    for name in under:
        if path == name:
            return ""
        if path.startswith(name) and path[len(name)] in ".[":
            return path[len(name) :].removeprefix("[]").removeprefix(".")
    return path


# --- JSON without a protocol, and CSV -------------------------------------------------------------


def loose(body: bytes, paths: Sequence[str]) -> Table:
    """A JSON document, a list of rows, or lines of documents."""
    try:
        value = document(body)
    except Unreadable:
        lines = json_lines(body)
        if lines is None:
            raise
        return Items(lines)
    return document_table(value, paths)


def document_table(value: Any, paths: Sequence[str]) -> Table:
    """Rows of a JSON value: its elements, or one, or those of the lists that ``paths`` cross."""
    if isinstance(value, list):
        return Items(value)
    lengths = {length for path in paths if (length := spread(value, path, 0)[0]) is not None}
    if len(lengths) > 1:
        raise Unreadable("expected lists of one length in what is declared")
    return Crossed(value, lengths.pop() if lengths else 1)


def separated(body: bytes, paths: Sequence[str]) -> Table:
    """CSV, with a line of names if one of ``paths`` is in it; numbers are read as such."""
    lines = csv_lines(body)
    named = {inside(path, ("predictions",)) for path in paths} & set(lines[0])
    if not named:
        return Items([[cell(value) for value in line] for line in lines])
    names, *data = lines
    if any(len(line) != len(names) for line in data):
        raise Unreadable("expected as many values in each line as there are names")
    columns = {
        name: [cell(line[place]) for line in data]
        for place, name in enumerate(names)
        if name in named
    }
    return Columns(columns, len(data), ("predictions",))


# --- protocols ------------------------------------------------------------------------------------


def _instances(value: Any, names: tuple[str, str]) -> Table:
    """Rows under one name, or columns under the other."""
    top = mapping(value, "the top")
    for name in names:
        if name in top:
            return _under(top[name], name)
    raise Unreadable(f"expected {names[0]} or {names[1]} at the top")


def _under(value: Any, name: str, *, bare: bool = False) -> Table:
    if isinstance(value, list):
        return Items(value, (name,))
    if isinstance(value, dict):
        lengths = {len(one) for one in value.values() if isinstance(one, list)}
        if len(lengths) != 1:
            return Items([value], (name,))
        (count,) = lengths
        lists = {k: one if isinstance(one, list) else [one] * count for k, one in value.items()}
        return Columns(lists, count, (name,)) if len(lists) * count <= LEAVES_MAX else _too_many()
    if bare:
        return Items([value], (name,))
    raise Unreadable(f"expected a list at {name}")


def instances_table(value: Any) -> Table:
    """TensorFlow Serving: rows are ``instances``, columns are ``inputs``."""
    return _instances(value, ("instances", "inputs"))


def _v1_request(body: bytes, _paths: Sequence[str]) -> Table:
    return instances_table(document(body))


def _v1_answer(body: bytes, _paths: Sequence[str]) -> Table:
    return _instances(document(body), ("predictions", "outputs"))


def _mlflow_request(body: bytes, paths: Sequence[str]) -> Table:
    if body.lstrip()[:1] != b"{":
        return separated(body, paths)
    return mlflow_table(document(body))


def mlflow_table(value: Any) -> Table:
    """``/invocations``: records, a split frame, instances or inputs; else one row of anything."""
    top = mapping(value, "the top")
    if "dataframe_records" in top:
        return Items(rows(top["dataframe_records"], "dataframe_records"))
    if "dataframe_split" in top:
        frame = mapping(top["dataframe_split"], "dataframe_split")
        names = rows(frame.get("columns"), "dataframe_split.columns")
        data = rows(frame.get("data"), "dataframe_split.data")
        places = {name: place for place, name in enumerate(names) if isinstance(name, str)}
        return Columns(
            {name: [_placed(row, place) for row in data] for name, place in places.items()},
            len(data),
        ) if len(places) * len(data) <= LEAVES_MAX else _too_many()  # fmt: skip
    if "instances" in top or "inputs" in top:
        return instances_table(top)
    return Items([top])  # the unwrapped form for language models


def _too_many() -> Table:
    raise Unreadable(f"expected at most {LEAVES_MAX} values")


def _placed(row: Any, place: int) -> Any:
    cells = rows(row, "dataframe_split.data")
    return cells[place] if place < len(cells) else MISSING


def _mlflow_answer(body: bytes, _paths: Sequence[str]) -> Table:
    top = mapping(document(body), "the top")
    if "predictions" not in top:
        raise Unreadable("expected predictions at the top")
    return _under(top["predictions"], "predictions", bare=True)


def _tensors(body: bytes, key: str) -> Table:
    text, behind = split(body)
    tail = Tail(behind)
    listed = rows(mapping(document(text), "the top").get(key), key)
    table = _beside(
        tensor(mapping(one, f"{key}[{place}]"), tail, f"{key}[{place}]")
        for place, one in enumerate(listed)
    )
    tail.end()
    return table


def _beside(tensors: Iterable[Tensor], under: tuple[str, ...] = ()) -> Table:
    """Tensors as columns, whose rows are the places of the first axis."""
    columns = {one.name: _by_row(one.shape, one.data) for one in tensors}
    return Columns(columns, max(map(len, columns.values()), default=0), under)


def _by_row(shape: list[int], data: list[Any]) -> list[Any]:
    """One value a row where a row has one, else the list of its values, row-major."""
    if not shape or not shape[0]:
        return data
    width = len(data) // shape[0]
    if width == 1:
        return data
    return [data[start : start + width] for start in range(0, len(data), width or 1)]


def _v2_request(body: bytes, _paths: Sequence[str]) -> Table:
    return _tensors(body, "inputs")


def _v2_answer(body: bytes, _paths: Sequence[str]) -> Table:
    return _tensors(body, "outputs")


ReadTable = Callable[[bytes, Sequence[str]], Table]
"""A body without a coding, and the paths that will be asked for. Raises Unreadable."""

REQUESTS: Final[dict[str, ReadTable]] = {
    "v1": _v1_request,
    "tensorflow": _v1_request,
    "mlflow": _mlflow_request,
    "open_inference_v2": _v2_request,
    "open_inference_grpc": lambda body, _: _beside(infer_request(body)),
    "tensorflow_grpc": lambda body, _: _beside(predict_request(body), ("inputs",)),
    "openai": loose,
    "json": loose,
    "csv": separated,
}
"""Payloads whose requests can be read."""

ANSWERS: Final[dict[str, ReadTable]] = {
    "v1": _v1_answer,
    "tensorflow": _v1_answer,
    "mlflow": _mlflow_answer,
    "open_inference_v2": _v2_answer,
    "open_inference_grpc": lambda body, _: _beside(infer_answer(body)),
    "tensorflow_grpc": lambda body, _: _beside(predict_answer(body), ("outputs",)),
    "json": loose,
    "csv": separated,
}
"""Payloads whose answers have rows of their own; of others each choice is one."""
