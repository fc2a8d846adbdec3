"""A reference file read: ``python -m router.reader.reference FILE``, started by control.

The features come as JSON on standard input (``{"features": [[name, kind], ...], "by": name,
"segments": number}``), the profiles of all rows and of each segment go out on standard output; what
cannot be read is told there as ``{"error": ...}``. A process of its own, one for each reading: a
training file is large, and of somebody else. Its memory is bounded by
:data:`KEPT_ROWS` rows, drawn fairly from all of them.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import resource
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypedDict

from router.core.monitors.profile import SignalKind, kind_of, profiled
from router.core.monitors.values import name_of

KEPT_ROWS: Final = 50_000
"""Rows that a profile is made of."""
ROWS_MAX: Final = 20_000_000
MEMORY_BYTES_MAX: Final = 3 << 30
FIELD_CHARS_MAX: Final = 1 << 20
NOTHING: Final = frozenset({"", "na", "nan", "null", "none", "n/a"})
"""Texts of a CSV file that are no value, in any case of letters."""

ReferenceRow = Sequence[Any]


class ReferenceRead(TypedDict):
    """What the process says: profiles as :meth:`Profile.to_json` has them, by feature."""

    rows: int
    profiles: dict[str, object]
    parts: dict[str, dict[str, object]]
    """Of each segment."""


class UnusableError(Exception):
    """Why a file is no reference, for people."""


def read(
    path: Path, features: Sequence[tuple[str, str]], by: str = "", segments: int = 0
) -> ReferenceRead:
    """A file's rows and profiles.

    ``by``: the feature of the segments, the most frequent ``segments`` of them. Raises
    UnusableError, OSError.
    """
    typed = path.suffix == ".parquet"
    names = [name for name, _ in features]
    rows = _parquet(path, names) if typed else _csv(path, names)
    kept, count = _drawn(rows)
    if not count:
        raise UnusableError("has no rows")
    kinds = [
        kind_in([row[index] for row in kept], kind, typed=typed)
        for index, (_, kind) in enumerate(features)
    ]
    parts: dict[str, list[ReferenceRow]] = {}
    if by:
        for row in kept:
            parts.setdefault(name_of(row[names.index(by)]), []).append(row)
    most = sorted(parts, key=lambda name: -len(parts[name]))[:segments]
    return {
        "rows": count, "profiles": _profiles(kept, names, kinds, typed=typed),
        "parts": {name: _profiles(parts[name], names, kinds, typed=typed) for name in most},
    }  # fmt: skip


def _profiles(
    rows: Sequence[ReferenceRow], names: Sequence[str], kinds: Sequence[SignalKind], *, typed: bool
) -> dict[str, object]:
    """Of each column of these rows."""
    made: dict[str, object] = {}
    for index, (name, how) in enumerate(zip(names, kinds, strict=True)):
        values = [row[index] for row in rows]
        if not typed:
            values = [_number(v) if how == "numeric" else v for v in values]
        made[name] = profiled(how, values, typed=typed).to_json()
    return made


def kind_in(values: Sequence[Any], kind: str, *, typed: bool) -> SignalKind:
    """A declared kind, or what the column's values are."""
    if kind in ("numeric", "categorical"):
        return "numeric" if kind == "numeric" else "categorical"
    return kind_of(values if typed else [_number(v) for v in values])


def _number(text: str | None) -> float | str | None:
    """A text of digits as a number; another text stays what it is, which is another type."""
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return text


def _csv(path: Path, names: list[str]) -> Iterator[ReferenceRow]:
    csv.field_size_limit(FIELD_CHARS_MAX)
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        lines = csv.reader(file)
        try:
            head = next(lines, [])
            places = _places(head, names)
            for line in lines:
                if line:
                    yield [_text(line[p]) if p < len(line) else None for p in places]
        except csv.Error as error:
            raise UnusableError(f"line {lines.line_num}: {error}") from None


def _places(head: list[str], names: list[str]) -> list[int]:
    missing = [name for name in names if name not in head]
    if missing:
        raise UnusableError(
            f"has no column {', '.join(missing)}; it has {', '.join(head[:40]) or 'none'}"
        )
    return [head.index(name) for name in names]


def _text(cell: str) -> str | None:
    cell = cell.strip()
    return None if cell.lower() in NOTHING else cell


def _parquet(path: Path, names: list[str]) -> Iterator[ReferenceRow]:
    try:
        from pyarrow import ArrowException  # noqa: PLC0415 - an extra
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415 - likewise
    except ImportError:
        raise UnusableError(
            "is Parquet, which needs pyarrow: pip install 'rampway[parquet]', or use CSV"
        ) from None
    try:
        file = ParquetFile(path)
        _places(list(file.schema_arrow.names), names)
        for batch in file.iter_batches(columns=names):
            columns = [batch.column(name).to_pylist() for name in names]
            yield from zip(*columns, strict=True)
    except ArrowException as error:
        raise UnusableError(f"is no Parquet file: {str(error)[:200]}") from None


def _drawn(rows: Iterable[ReferenceRow]) -> tuple[list[ReferenceRow], int]:
    """A fair sample (Vitter 1985), the same for the same file."""
    kept: list[ReferenceRow] = []
    count = 0
    for count, row in enumerate(rows, 1):
        if len(kept) < KEPT_ROWS:
            kept.append(row)
        elif (place := (count * 0x9E3779B97F4A7C15 >> 17 & 0xFFFFFFFF) % count) < KEPT_ROWS:
            kept[place] = row
        if count >= ROWS_MAX:
            break
    return kept, count


def main() -> None:
    """The command of the process."""
    os.nice(5)
    with contextlib.suppress(ValueError, OSError):  # a smaller bound is in force already
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    try:
        asked = json.load(sys.stdin)
        features = [(name, kind) for name, kind in asked["features"]]
        told = read(Path(sys.argv[1]), features, asked["by"], asked["segments"])
    except (UnusableError, OSError) as error:
        text = error.strerror if isinstance(error, OSError) else str(error)
        json.dump({"error": f"{sys.argv[1]}: {text}"}, sys.stdout)
    except Exception as error:  # noqa: BLE001 - foreign bytes: a sentence, never a traceback
        text = f"{sys.argv[1]}: cannot be read ({type(error).__name__})"
        json.dump({"error": text}, sys.stdout)
    else:
        json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
