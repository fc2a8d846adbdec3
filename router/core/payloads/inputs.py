"""What a request asks about: the values of a field in all rows of its body, by payload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from router.core.payloads.answer import Unreadable, mapping, rows
from router.core.payloads.paths import MISSING
from router.core.payloads.tables import Items, Table, instances_table, mlflow_table
from router.core.payloads.tensors import flat

__all__ = ["MISSING", "READABLE", "asked"]


def asked(payload: str, document: Any) -> Table:
    """The rows of a body, which ``document`` is as JSON. Raises Unreadable: not of the payload.

    A path is dotted, and of a V2 input its name.
    """
    return READABLE[payload](document)


def _one_or_many(document: Any) -> Table:
    return _named(Items(document if isinstance(document, list) else [document]))


def _named(table: Table) -> Table:
    if isinstance(table, Items) and not all(isinstance(row, dict) for row in table.items):
        raise Unreadable("expected rows that are objects, with a name for each value")
    return table


@dataclass(frozen=True, slots=True)
class Tensors:
    """Inputs of V2; each is looked through for a name."""

    inputs: list[Any]

    @property
    def rows(self) -> int:
        """See Table: what is looked through for a path."""
        return len(self.inputs)

    def column(self, path: str, most: int) -> list[Any]:
        """Every value of the tensor of that name. Raises Unreadable."""
        for one in self.inputs:
            tensor = mapping(one, "inputs")
            if tensor.get("name") == path:
                return list(flat(rows(tensor.get("data"), f"{path}.data")))[:most]
        return [MISSING]


READABLE: Final[dict[str, Callable[[Any], Table]]] = {
    "v1": lambda document: _named(instances_table(document)),
    "tensorflow": lambda document: _named(instances_table(document)),
    "mlflow": lambda document: _named(mlflow_table(document)),
    "open_inference_v2": lambda document: Tensors(
        rows(mapping(document, "the top").get("inputs"), "inputs")
    ),
    "openai": _one_or_many,
    "json": _one_or_many,
}
"""Payloads whose requests can be read as JSON, before they are answered."""
