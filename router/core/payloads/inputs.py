"""What a request asks about: the values of a field in all rows of its body, by payload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from router.core.payloads.answer import Unreadable, mapping, rows
from router.core.payloads.paths import MISSING
from router.core.payloads.tables import Items, Table, instances_table, mlflow_table
from router.core.payloads.tensors import flat

__all__ = ["MISSING", "READABLE", "values_of"]


def values_of(payload: str, document: Any, path: str) -> list[Any]:
    """One value a row, :data:`MISSING` where there is none. Raises Unreadable: not of the payload.

    ``path`` is dotted, and of a V2 input its name. ``document`` is the body as JSON.
    """
    return READABLE[payload](document, path)


def _one_or_many(document: Any) -> Table:
    return Items(document if isinstance(document, list) else [document])


def _named(table_of: Callable[[Any], Table]) -> Callable[[Any, str], list[Any]]:
    def values(document: Any, path: str) -> list[Any]:
        table = table_of(document)
        if isinstance(table, Items) and not all(isinstance(row, dict) for row in table.items):
            raise Unreadable("expected rows that are objects, with a name for each value")
        return table.column(path)

    return values


def _open_inference(document: Any, path: str) -> list[Any]:
    """Every value of the tensor of that name."""
    inputs = rows(mapping(document, "the top").get("inputs"), "inputs")
    for one in inputs:
        tensor = mapping(one, "inputs")
        if tensor.get("name") == path:
            return list(flat(rows(tensor.get("data"), f"{path}.data")))
    return [MISSING]


READABLE: Final[dict[str, Callable[[Any, str], list[Any]]]] = {
    "v1": _named(instances_table),
    "tensorflow": _named(instances_table),
    "mlflow": _named(mlflow_table),
    "open_inference_v2": _open_inference,
    "openai": _named(_one_or_many),
    "json": _named(_one_or_many),
}
"""Payloads whose requests can be read as JSON, before they are answered."""
