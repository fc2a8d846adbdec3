"""The prediction log in a schema of a PostgreSQL database, by psycopg (extra ``postgres``).

The statements are those of :class:`router.reader.sql_book.SqlBook`. Only what PostgreSQL does in
its own way is here: places of values, kinds of values, one writer by an advisory lock, and a
connection that may be lost and is opened anew by the keeper.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from json import loads
from typing import Any, ClassVar, Final

import psycopg
from psycopg.types.json import Jsonb, set_json_loads

from router.core.databases import named
from router.core.logged.prediction import COLUMNS
from router.core.logged.prediction import LoggedPrediction as Row
from router.core.logged.truth import FACTS
from router.reader.book import EARLY_MAX, BookError
from router.reader.sql_book import SqlBook
from router.reader.sql_layout import POSTGRES

WRITER: Final = 0x52616D70
"""Of the advisory lock that the one writer of a schema holds, with the schema's own number."""
CONNECT_S: Final = 3
"""Within which a server must answer: whoever waits for the reader gives it 10 s."""
LIMITS: Final = (("statement_timeout", 5_000), ("lock_timeout", 2_000))
"""Milliseconds of a statement, and that a stroke waits for somebody else's (``log forget``)."""
SIZED_ROWS: Final = 1_000
"""The last rows, by whose mean the size of all is told."""
INDICES: Final = 1.6
"""Bytes on disk, with indices, a byte of a row."""
_PREDICTION: Final = COLUMNS.index("prediction")
_LABEL, _ANSWER = FACTS.index("label"), FACTS.index("answer")


class PostgresLink:
    """A connection, as :class:`router.reader.sql_link.SqlLink` wants it."""

    def __init__(self, url: str, *, unbounded: bool = False) -> None:
        """``unbounded``: nobody waits for it but a person. Raises psycopg.Error."""
        self.connection = psycopg.connect(
            url, autocommit=True, connect_timeout=CONNECT_S, application_name="rampway",
        )  # fmt: skip
        for name, most in () if unbounded else LIMITS:
            self.connection.execute(f"SET {name} = {most}".encode())
        set_json_loads(partial(loads, parse_int=float), self.connection)

    def __repr__(self) -> str:
        return f"<PostgresLink {self.connection!r}>"

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> psycopg.Cursor[Any]:
        """See SqlLink."""
        return self.connection.execute(_own(sql), [_sent(value) for value in values])

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> None:
        """See SqlLink."""
        with self.connection.cursor() as cursor:
            cursor.executemany(_own(sql), [[_sent(value) for value in row] for row in rows])

    def close(self) -> None:
        """See SqlLink."""
        self.connection.close()


@lru_cache(maxsize=256)
def _own(sql: str) -> bytes:
    """With its own places of values; no statement has a question mark elsewhere."""
    return sql.replace("%", "%%").replace("?", "%s").encode()


def _sent(value: Any) -> Any:
    """A text without the one character that PostgreSQL has no place for."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value


def _json(value: Any) -> Jsonb | None:
    return None if value is None else Jsonb(_sent(value))


class PostgresBook(SqlBook):
    """See the module and :class:`router.reader.book.Book`."""

    errors: ClassVar[tuple[type[Exception], ...]] = (psycopg.Error,)
    begin: ClassVar[str] = "BEGIN"

    def __init__(self, url: str, *, early_max: int = EARLY_MAX, writer: bool = True) -> None:
        """Open the schema that the URL leads to, with its tables. Raises BookError.

        ``writer``: whether it writes what is logged; there is one of these.
        """
        self._named = named(url)
        try:
            self._link = PostgresLink(url, unbounded=not writer)
            if writer and not self._alone():
                self._link.close()
                raise BookError(f"{self._named}: another router writes to this schema")
            if writer:
                self._link.connection.execute(POSTGRES.encode())
            super().__init__(self._link, early_max=early_max)
        except psycopg.Error as error:
            raise BookError(f"{self._named}: {error}".strip()) from None

    def __repr__(self) -> str:
        return f"<PostgresBook {self._named}>"

    def _alone(self) -> bool:
        found = self._link.execute(
            "SELECT pg_try_advisory_lock(?, (SELECT oid::int FROM pg_namespace "
            "WHERE nspname = current_schema()))", (WRITER,),
        ).fetchone()  # fmt: skip
        return bool(found and found[0])

    @property
    def lost(self) -> bool:
        """Whether the server has gone, or closed the connection."""
        return bool(self._link.connection.closed)

    def stored(self, row: Row) -> Sequence[Any]:
        """See SqlBook. A yes or no, which the log has as a whole number, is one again."""
        values: list[Any] = list(row.values())
        said = values[_PREDICTION]
        values[_PREDICTION] = _json(bool(said) if isinstance(said, int) else said)
        return values

    def kept(self, facts: Sequence[Any]) -> Sequence[Any]:
        """See SqlBook."""
        values = list(facts)
        for place in (_LABEL, _ANSWER):
            values[place] = _json(values[place])
        return values

    def _version(self) -> int:
        """Rows that were deleted, by whomever: only `log forget` does beside this one."""
        return self._number("SELECT coalesce(max(value), '0') FROM meta WHERE name = 'forgotten'")

    def _give_back(self) -> None:
        """The server's own vacuum uses it again."""

    def _scrub(self) -> None:
        """The tables are written anew; the server's write-ahead log keeps its own time."""
        for table in ("predictions", "truths", "bets", "answer_bets", "posted"):
            self._link.execute(f"VACUUM FULL {table}")
        self._link.execute(
            "INSERT INTO meta VALUES ('forgotten', '1') ON CONFLICT (name) "
            "DO UPDATE SET value = (meta.value::bigint + 1)::text"
        )

    def _size(self) -> int:
        """By the last rows: what the files have does not shrink when rows go."""
        (mean,) = self._link.execute(
            "SELECT coalesce(avg(pg_column_size(p.*)), 0)::float8 FROM "
            "(SELECT * FROM predictions ORDER BY id DESC LIMIT ?) AS p", (SIZED_ROWS,),
        ).fetchone() or (0.0,)  # fmt: skip
        return int(mean * INDICES * self._predictions)
