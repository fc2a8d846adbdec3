"""A connection to a database of SQL, as :mod:`router.reader.sql_book` and readers of it want it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol


class SqlCursor(Protocol):
    """What a statement has found or done."""

    @property
    def description(self) -> Any:
        """Its columns, each with the name first."""

    @property
    def rowcount(self) -> int:
        """Rows that it changed."""

    def fetchone(self) -> Any:
        """The first row, or None."""

    def fetchall(self) -> list[Any]:
        """All of them."""

    def __iter__(self) -> Iterator[Any]:
        """One after the other."""


class SqlLink(Protocol):
    """A connection, as sqlite3 has it; places of values are question marks."""

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> SqlCursor:
        """One statement."""

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Any:
        """One for each row of values."""

    def close(self) -> None:
        """Let go of it."""
