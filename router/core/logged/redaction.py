"""What must be kept nowhere: fields by name, wherever they stand in a body."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from router.core.foreign import ANSWER, Unreadable, read

_PARTS: Final = re.compile(r"[.\[\]]+")


def names_field(path: str, names: frozenset[str]) -> bool:
    """Whether a path leads through a redacted field: ``user.email`` does for ``email``."""
    return path in names or not names.isdisjoint(_PARTS.split(path))


def without(body: bytes, names: frozenset[str]) -> bytes | None:
    """A JSON body without the redacted fields; None if it cannot be read, and so not be kept.

    Left out are the fields of objects, V2 tensors of that ``name``, and columns of split tables
    (``{"columns": [...], "data": [[...]]}``). Without names the body is what came.
    """
    if not names or not body:
        return body
    try:
        document = read(body, ANSWER)
    except Unreadable:
        return None
    return json.dumps(_less(document, names), ensure_ascii=False, separators=(",", ":")).encode()


def _less(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, list):
        return [_less(one, names) for one in value if not _named(one, names)]
    if isinstance(value, dict):
        kept = {key: _less(one, names) for key, one in value.items() if key not in names}
        return _columns(kept, names)
    return value


def _named(value: Any, names: frozenset[str]) -> bool:
    name = value.get("name") if isinstance(value, dict) else None
    return isinstance(name, str) and name in names


def _columns(table: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    columns, data = table.get("columns"), table.get("data")
    if not isinstance(columns, list) or not isinstance(data, list):
        return table
    kept = [n for n, name in enumerate(columns) if not (isinstance(name, str) and name in names)]
    if len(kept) == len(columns):
        return table
    rows = [[row[n] for n in kept if n < len(row)] for row in data if isinstance(row, list)]
    return {**table, "columns": [columns[n] for n in kept], "data": rows}
