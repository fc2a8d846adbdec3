"""What a request asks about: the values of a field in all rows of its body, by payload."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from router.core.payloads.answer import Unreadable, mapping, rows

MISSING: Final = object()
"""In the place of a value that a row does not have."""

ReadValues = Callable[[Any, str], list[Any]]


def values_of(payload: str, document: Any, path: str) -> list[Any]:
    """One value a row, :data:`MISSING` where there is none. Raises Unreadable: not of the payload.

    ``path`` is dotted, and of a V2 input its name.
    """
    return READABLE[payload](document, path)


def _one_or_many(document: Any, path: str) -> list[Any]:
    many = document if isinstance(document, list) else [document]
    return [_at(row, path) for row in many]


def _v1(document: Any, path: str) -> list[Any]:
    """TensorFlow Serving: rows are ``instances``, columns are ``inputs``."""
    top = mapping(document, "the top")
    if "instances" in top:
        return [_at(row, path) for row in rows(top["instances"], "instances")]
    return _columns(top.get("inputs"), path)


def _mlflow(document: Any, path: str) -> list[Any]:
    """``/invocations``: records, a split frame, instances or inputs."""
    top = mapping(document, "the top")
    if "dataframe_records" in top:
        return [_at(row, path) for row in rows(top["dataframe_records"], "dataframe_records")]
    if "dataframe_split" in top:
        frame = mapping(top["dataframe_split"], "dataframe_split")
        names = rows(frame.get("columns"), "dataframe_split.columns")
        data = rows(frame.get("data"), "dataframe_split.data")
        place = names.index(path) if path in names else -1
        return [_cell(row, place) for row in data]
    return _v1(document, path)


def _cell(row: Any, place: int) -> Any:
    cells = rows(row, "dataframe_split.data")
    return cells[place] if 0 <= place < len(cells) else MISSING


def _columns(inputs: Any, path: str) -> list[Any]:
    if isinstance(inputs, list):
        return [_at(row, path) for row in inputs]
    column = _at(mapping(inputs, "inputs"), path)
    return column if isinstance(column, list) else [column]


def _open_inference(document: Any, path: str) -> list[Any]:
    """Every value of the tensor of that name."""
    inputs = rows(mapping(document, "the top").get("inputs"), "inputs")
    for one in inputs:
        tensor = mapping(one, "inputs")
        if tensor.get("name") == path:
            return list(_flat(rows(tensor.get("data"), f"{path}.data")))
    return [MISSING]


def _flat(data: list[Any]) -> Iterator[Any]:
    for value in data:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def _at(row: Any, path: str) -> Any:
    """The value at a dotted path; a name with dots in it is found as well."""
    if not isinstance(row, dict):
        raise Unreadable("expected rows that are objects, with a name for each value")
    if path in row:
        return row[path]
    value: Any = row
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return MISSING
        value = value[name]
    return value


READABLE: Final[dict[str, ReadValues]] = {
    "v1": _v1,
    "mlflow": _mlflow,
    "open_inference_v2": _open_inference,
    "openai": _one_or_many,
    "json": _one_or_many,
}
"""Payloads whose requests can be read."""
