"""The prediction log in one SQLite file, apart from the store: no decision waits for it.

WAL with ``synchronous=NORMAL``: a stroke that was committed survives the end of the process, not
necessarily that of the power. ``secure_delete`` overwrites what is deleted.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import ClassVar, Final

from router.reader.book import EARLY_MAX, BookError
from router.reader.sql_book import SqlBook
from router.reader.sql_layout import ADDED, SQLITE

BUSY_MS: Final = 2_000
"""How long a stroke waits for somebody else's, such as ``log forget``, milliseconds."""
CACHE_KIB: Final = 32_768
"""Pages kept in memory, KiB."""
WAL_BYTES_MAX: Final = 16 * 1024 * 1024
"""Size that the write-ahead file is cut back to."""
GIVE_BACK: Final = "PRAGMA incremental_vacuum(10000); PRAGMA wal_checkpoint(PASSIVE);"
"""Pages that are free go back to the system. As a script: `execute` would take one step, a page."""


class SqliteBook(SqlBook):
    """See the module and :class:`router.reader.book.Book`."""

    errors: ClassVar[tuple[type[Exception], ...]] = (sqlite3.Error,)
    begin: ClassVar[str] = "BEGIN IMMEDIATE"

    def __init__(self, path: Path, *, early_max: int = EARLY_MAX) -> None:
        """Open the file, or create it. Raises BookError."""
        self.path = path
        try:
            self._file = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1000)
            for pragma in (
                "auto_vacuum = INCREMENTAL", "journal_mode = WAL", "synchronous = NORMAL",
                "secure_delete = ON", "temp_store = MEMORY", f"cache_size = -{CACHE_KIB}",
                f"journal_size_limit = {WAL_BYTES_MAX}",
            ):  # fmt: skip
                self._file.execute(f"PRAGMA {pragma}").fetchall()
            self._upgrade()
            self._file.executescript(SQLITE)
            path.chmod(0o600)  # it holds what people asked
            super().__init__(self._file, early_max=early_max)
        except (sqlite3.Error, OSError) as error:
            raise BookError(f"{path}: {error}") from None

    def __repr__(self) -> str:
        return f"<SqliteBook {self.path}>"

    def _upgrade(self) -> None:
        """A file of an earlier router: no place for what people answer, numbers kept elsewhere."""
        known = [name for _, name, *_ in self._file.execute("PRAGMA table_info(truths)")]
        if known and "answer" not in known:
            self._file.execute("ALTER TABLE truths ADD COLUMN answer")
        had = {name for _, name, *_ in self._file.execute("PRAGMA table_info(predictions)")}
        for name, statement in ADDED if had else ():
            if name not in had:
                self._file.execute(statement)
        sequence = "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"
        if self._file.execute(sequence).fetchone():
            self._file.execute(
                "INSERT INTO meta SELECT 'posted', seq FROM sqlite_sequence "
                "WHERE name = 'posted' ON CONFLICT DO NOTHING"
            )

    def _version(self) -> int:
        return self._number("PRAGMA data_version")

    def _give_back(self) -> None:
        self._file.executescript(GIVE_BACK)

    def _scrub(self) -> None:
        """Deleted bytes are zeros already; what moved about and what the WAL has goes too."""
        self._file.execute("VACUUM")
        busy, *_ = self._file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise sqlite3.OperationalError("somebody reads the file; try again")

    def _size(self) -> int:
        pages, free, size = (
            self._number(f"PRAGMA {name}") for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size
