"""The log as a table for other programs: CSV, or Parquet where pyarrow is installed.

One row a prediction, of the view ``log``; each feature is a column ``feature.NAME``.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from router.core.databases import POSTGRES_URLS
from router.reader.book import BookError
from router.reader.keeper import open_book
from router.reader.sql_layout import ROWS
from router.reader.sql_link import SqlLink

BATCH_ROWS: Final = 10_000
"""Rows that are in memory at once."""
LATEST_MAX: Final = 1_000_000
"""Predictions of any route among which the newest of one are looked for."""
FAR_S: Final = 1e12
"""Later than every row, seconds since 1970."""
FEATURES_MAX: Final = 1_000
"""Columns of features; further names stay in ``features`` alone."""
BODIES: Final = ("request", "answer")

LogCell = str | int | float | bytes | None
"""What stands in one column of a row."""


@dataclass(frozen=True, slots=True)
class ExportScope:
    """Which rows. Times are seconds since 1970; ``until`` is not within."""

    route: str = ""
    since: float = 0.0
    until: float = float("inf")


@contextmanager
def reading(place: str) -> Iterator[SqlLink]:
    """The file, or the schema of a URL, for reading alone. Raises BookError."""
    errors: tuple[type[Exception], ...] = (sqlite3.Error,)
    try:
        if place.startswith(POSTGRES_URLS):
            book = open_book(place, writer=False)
            errors, link = book.errors, book.link
        else:
            link = sqlite3.connect(f"file:{place}?mode=ro", uri=True)
        with closing(link):
            yield link
    except errors as error:
        raise BookError(str(error).strip()) from None


def _own(place: str) -> tuple[str, str, str]:
    """Each feature of a row; what kind its value is; what kind a column of any kind has."""
    if place.startswith(POSTGRES_URLS):
        each = "jsonb_each(CAST(nullif(log.features, '') AS jsonb)) AS j(key, value)"
        return each, "jsonb_typeof(j.value)", "jsonb_typeof"
    return "json_each(log.features) j", "j.type", "typeof"


def rows(place: str, chosen: ExportScope, *, bodies: bool = False) -> Iterator[dict[str, LogCell]]:
    """Every row with the same keys, in order. Raises BookError."""
    with reading(place) as db:
        where, values = _where(chosen)
        names = [f"feature.{name}" for (name,) in db.execute(
            f"SELECT DISTINCT j.key FROM log, {_own(place)[0]} "  # noqa: S608 - of constants
            f"WHERE {where} AND log.features <> '' ORDER BY j.key LIMIT {FEATURES_MAX}", values,
        )]  # fmt: skip
        found = db.execute(f"SELECT * FROM log WHERE {where}", values)  # noqa: S608 - of constants
        columns = [name for name, *_ in found.description]
        for one in found:
            row: dict[str, LogCell] = dict(zip(columns, one, strict=True))
            features: dict[str, LogCell] = json.loads(str(row["features"] or "{}"))
            kept = {name: row[name] for name in columns if bodies or name not in BODIES}
            yield kept | {name: features.get(name[8:]) for name in names}


def _where(chosen: ExportScope) -> tuple[str, list[Any]]:
    where, values = "log.time >= ? AND log.time < ?", [chosen.since, min(chosen.until, FAR_S)]
    if chosen.route:
        return f"{where} AND log.route = ?", [*values, chosen.route]
    return where, values


def latest(
    place: str, chosen: ExportScope, most: int, *, request_id: str = "", bodies: bool = False
) -> list[dict[str, LogCell | dict[str, LogCell]]]:
    """The newest rows of a route among the last :data:`LATEST_MAX`, or those of one request.

    Raises BookError.
    """
    where = "route = ? AND time >= ? AND time < ?"
    values: list[Any] = [chosen.route, chosen.since, min(chosen.until, FAR_S)]
    with reading(place) as db:
        if request_id:
            where, values = f"request_id = ? AND {where}", [request_id, *values]
        else:
            (last,) = db.execute("SELECT max(id) FROM predictions").fetchone()
            where, values = f"id > ? AND {where}", [(last or 0) - LATEST_MAX, *values]
        found = db.execute(
            f"{ROWS} WHERE p.id IN (SELECT id FROM predictions WHERE {where} "  # noqa: S608 - of constants
            "ORDER BY id DESC LIMIT ?) ORDER BY p.id DESC", [*values, most],
        )  # fmt: skip
        columns = [name for name, *_ in found.description]
        return [_told(dict(zip(columns, one, strict=True)), bodies=bodies) for one in found]


def _told(row: dict[str, LogCell], *, bodies: bool) -> dict[str, LogCell | dict[str, LogCell]]:
    """As JSON has it: features by name, bodies as text."""
    told: dict[str, LogCell | dict[str, LogCell]] = {
        name: _text(value) if name in BODIES else value
        for name, value in row.items() if bodies or name not in BODIES
    }  # fmt: skip
    told["features"] = json.loads(str(row["features"] or "{}"))
    return told


def to_csv(place: str, target: Path, chosen: ExportScope, *, bodies: bool = False) -> int:
    """Write a CSV file with a head line (RFC 4180); how many rows."""
    count, writer = 0, None
    with target.open("w", newline="", encoding="utf-8") as file:
        for row in rows(place, chosen, bodies=bodies):
            if writer is None:
                writer = csv.DictWriter(file, list(row))
                writer.writeheader()
            writer.writerow({k: _text(v) for k, v in row.items()})
            count += 1
    return count


def to_parquet(place: str, target: Path, chosen: ExportScope, *, bodies: bool = False) -> int:
    """Write a Parquet file; how many rows. Raises ModuleNotFoundError without pyarrow.

    Predictions, labels and features are numbers where all of them are, else texts.
    """
    import pyarrow as pa  # noqa: PLC0415 - an extra
    import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

    count, writer, kinds, numeric = 0, None, None, _numeric(place, chosen)
    for batch in _batches(rows(place, chosen, bodies=bodies)):
        kinds = kinds or pa.schema([(name, _kind(pa, name, numeric)) for name in batch[0]])
        made = [{k: _text(v) if kinds.field(k).type == pa.string() else v for k, v in row.items()}
                for row in batch]  # fmt: skip
        writer = writer or pq.ParquetWriter(target, kinds)
        writer.write_table(pa.Table.from_pylist(made, kinds))
        count += len(batch)
    if writer is None:
        pq.write_table(pa.table({}), target)
    else:
        writer.close()
    return count


_REAL: Final = frozenset({"time", "weight", "score", "latency_s", "label_time", "rating", "value"})
_WHOLE: Final = frozenset({"row", "rows", "status", "revision", "unit", "correct", "accepted"})


def _numeric(place: str, chosen: ExportScope) -> frozenset[str]:
    """Columns of any kind that hold numbers alone."""
    where, values = _where(chosen)
    each, kind, kind_of = _own(place)
    with reading(place) as db:
        found = [f"feature.{name}" for name, texts in db.execute(
            f"SELECT j.key, sum(CASE WHEN {kind} IN ('integer', 'real', 'number', 'null') "  # noqa: S608 - of constants
            f"THEN 0 ELSE 1 END) FROM log, {each} WHERE {where} AND log.features <> '' "
            "GROUP BY j.key", values,
        ) if not texts]  # fmt: skip
        for name in ("prediction", "label"):
            (texts,) = db.execute(
                f"SELECT sum(CASE WHEN {kind_of}({name}) IN ('text', 'string') "  # noqa: S608 - of constants
                f"THEN 1 ELSE 0 END) FROM log WHERE {where}", values,
            ).fetchone()  # fmt: skip
            found += [] if texts else [name]
    return frozenset(found)


def _kind(pa: Any, name: str, numeric: frozenset[str]) -> Any:
    if name in _REAL or name in numeric:
        return pa.float64()
    return pa.int64() if name in _WHOLE else pa.binary() if name in BODIES else pa.string()


def _text(value: LogCell) -> str | None:
    if isinstance(value, bool):
        return str(int(value))  # as SQLite has it
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return None if value is None else str(value)


def _batches(found: Iterator[dict[str, LogCell]]) -> Iterator[list[dict[str, LogCell]]]:
    batch: list[dict[str, LogCell]] = []
    for row in found:
        batch.append(row)
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch
