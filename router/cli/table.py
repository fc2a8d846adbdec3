"""``rampway table``: a file of answers that a version with `table` looks into."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from router.cli.exits import Exit, VerbFailed
from router.cli.log import table_errors, there
from router.cli.output import Format, Output
from router.cli.parse import Argument, Option
from router.cli.say import echo
from router.cli.show import emit
from router.cli.why import moment
from router.upstream.table_file import TableError, write_table

Rows = Iterator[tuple[str, bytes]]


def run(  # noqa: PLR0917 - its options
    source: Annotated[
        str, Argument("A .csv or .ndjson file with keys and answers; with --query a database.")
    ],
    target: Annotated[Path, Argument("The table: `table.file` of a version.")],
    key: Annotated[str, Option("Column, or field, of the key.")] = "key",
    answer: Annotated[str, Option("Column, or field, of the answer: JSON.")] = "answer",
    query: Annotated[
        str, Option("SELECT key, answer ... of a SQLite file or a postgresql:// URL.")
    ] = "",
    as_of: Annotated[
        str, Option("Time of the data (2026-11-27T10:00); absent: of the file, or now.")
    ] = "",
    output: Format = Output.TABLE,
) -> None:
    """Make a table of answers for a version: it takes the place of the old one when it is whole.

    A router looks into it a second later. Its age counts from the time of the data.
    """
    if query:
        there(source, "name the database, table DATABASE TARGET --query 'SELECT ...'")
        rows, made = _selected(source, query), time.time()
    else:
        path = Path(source)
        rows, made = _read(path, key, answer), _made(path)
    try:
        with table_errors(source):
            count = write_table(target, rows, moment(as_of) if as_of else made)
    except (TableError, ValueError, KeyError, csv.Error) as error:
        raise VerbFailed(Exit.USAGE, f"{source}: {error}") from None
    if output is Output.JSON:
        emit({"rows": count, "file": str(target)})
    else:
        echo(f"{count:,} answers in {target}")


def _made(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError as error:
        raise VerbFailed(Exit.USAGE, f"{path}: {error.strerror}") from None


def _read(path: Path, key: str, answer: str) -> Rows:
    with path.open(newline="", encoding="utf-8") as file:
        if path.suffix == ".csv":
            lines: Iterator[Mapping[str, Any]] = iter(csv.DictReader(file))
        elif path.suffix in {".ndjson", ".jsonl"}:
            lines = (json.loads(line) for line in file if line.strip())
        else:
            raise TableError("expected a name in .csv, .ndjson or .jsonl, or --query")
        for number, line in enumerate(lines, 1):
            if not isinstance(line, dict) or line.get(key) is None or line.get(answer) is None:
                raise TableError(f"row {number}: expected {key} and {answer}")
            yield text_of(line[key]), _answer(number, line[answer])


def _selected(place: str, query: str) -> Rows:
    from router.reader.export import reading  # noqa: PLC0415 - other sources start without it

    with reading(place) as db:
        for number, row in enumerate(db.execute(query), 1):
            if len(row) != 2 or None in row:
                raise TableError(f"row {number}: expected two values, key and answer")
            yield text_of(row[0]), _answer(number, row[1])


def text_of(key: Any) -> str:
    """A key as a request's field of the same value reads."""
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key)


def _answer(number: int, said: Any) -> bytes:
    """As JSON; a text is JSON already."""
    if not isinstance(said, str | bytes):
        return json.dumps(said, separators=(",", ":")).encode()
    try:
        json.loads(said)
    except ValueError:
        raise TableError(f"row {number}: expected JSON as the answer, got {said[:40]!r}") from None
    return said.encode() if isinstance(said, str) else said
