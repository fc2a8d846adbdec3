"""A table of answers in one file, which is looked into where it lies.

A worker finds a key by its hash, with two small reads of what the system has in memory: no parsing,
no query, no other process. It is not mapped: one cut short under a mapping ends the process.
Whoever makes a new one puts it in the place of the old one by a rename.

    head      magic, time of the data, rows, slots, place of the index     (40 bytes)
    records   length of key, length of answer (4 bytes each), key, answer
    index     slots of (hash of the key, place of its record); 0: free

Numbers are little-endian. What a damaged file says is nothing, never an exception.
"""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final

import xxhash

from router.core.table_head import HEAD, MAGIC

SLOT: Final = struct.Struct("<QQ")
LENGTHS: Final = struct.Struct("<II")
KEY_BYTES_MAX: Final = 1_024
ANSWER_BYTES_MAX: Final = 1_048_576
PROBES_MAX: Final = 256
"""Slots looked at for one key; half of all are free, so that more is a damaged index."""
AHEAD_BYTES: Final = 4_096
"""Of an answer that are read with its key."""
ROWS_MAX: Final = 50_000_000
"""Rows of one table; the index of so many takes 1.6 GB while it is made."""


class TableError(Exception):
    """It is no table, or cannot be made; the text says why."""


class TableFile:
    """One table, open for looking."""

    def __init__(self, path: Path) -> None:
        """Raises TableError."""
        try:
            self._file = path.open("rb", buffering=0)
            size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise TableError(f"{path}: {error.strerror}") from None
        head = self._read(0, HEAD.size)
        if len(head) < HEAD.size:
            raise TableError(f"{path}: is no table")
        magic, self.as_of, self.rows, self._slots, self._index = HEAD.unpack(head)
        whole = self._index + self._slots * SLOT.size == size and self.as_of == self.as_of
        if magic != MAGIC or not whole or self._slots <= self.rows:
            raise TableError(f"{path}: is no table, or not all of it")

    def __repr__(self) -> str:
        return f"<TableFile {self.rows:,} rows>"

    def close(self) -> None:
        """Let go of it."""
        self._file.close()

    def _read(self, place: int, size: int) -> bytes:
        """So many bytes, fewer where they are not there."""
        try:
            return os.pread(self._file.fileno(), size, place)
        except (OSError, OverflowError, ValueError):  # ValueError: closed, or a place that is none
            return b""

    def get(self, key: bytes) -> bytes | None:
        """The answer under a key, or None."""
        wanted = xxhash.xxh64_intdigest(key)
        place = wanted % self._slots
        for _ in range(PROBES_MAX):
            slot = self._read(self._index + place * SLOT.size, SLOT.size)
            found, record = SLOT.unpack(slot) if len(slot) == SLOT.size else (0, 0)
            if not record:
                return None
            if found == wanted and (answer := self._answer(record, key)) is not None:
                return answer
            place = (place + 1) % self._slots
        return None

    def _answer(self, record: int, key: bytes) -> bytes | None:
        begin = self._read(record, LENGTHS.size + len(key) + AHEAD_BYTES)
        if len(begin) < LENGTHS.size:
            return None
        keys, answers = LENGTHS.unpack_from(begin)
        end = LENGTHS.size + keys
        if begin[LENGTHS.size : end] != key or answers > ANSWER_BYTES_MAX:
            return None
        answer = begin[end : end + answers]
        if len(answer) < answers:
            answer += self._read(record + end + len(answer), answers - len(answer))
        return answer if len(answer) == answers else None


def write_table(path: Path, rows: Iterable[tuple[str, bytes]], as_of: float) -> int:
    """Make a table of keys and answers; of a key given twice the last one counts.

    Args:
        path: Replaced when the table is whole.
        rows: Any number up to :data:`ROWS_MAX`.
        as_of: Time of the data, seconds since 1970.

    Returns:
        How many rows it has.

    Raises:
        TableError: a key or an answer is too long, or the disk failed.
    """
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with fresh.open("w+b") as file:
            count = _write(file, rows, as_of)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise TableError(f"{path}: {error.strerror}") from None
    finally:
        fresh.unlink(missing_ok=True)
    return count


def _write(file: BinaryIO, rows: Iterable[tuple[str, bytes]], as_of: float) -> int:
    file.write(bytes(HEAD.size))
    records: dict[bytes, int] = {}
    place = HEAD.size
    for key, answer in rows:
        name = key.encode()
        if not name or len(name) > KEY_BYTES_MAX or len(answer) > ANSWER_BYTES_MAX:
            raise TableError(
                f"row {len(records) + 1}: expected a key of 1 to {KEY_BYTES_MAX:,} bytes and an "
                f"answer of at most {ANSWER_BYTES_MAX:,}, got {len(name):,} and {len(answer):,}"
            )
        records[name] = place
        if len(records) > ROWS_MAX:
            raise TableError(f"expected at most {ROWS_MAX:,} rows")
        place += file.write(LENGTHS.pack(len(name), len(answer)) + name + answer)
    slots = max(2 * len(records), 2)
    index = array("Q", bytes(SLOT.size * slots))
    for name, record in records.items():
        digest = xxhash.xxh64_intdigest(name)
        at = digest % slots
        while index[2 * at + 1]:
            at = (at + 1) % slots
        index[2 * at], index[2 * at + 1] = digest, record
    if struct.pack("=H", 1) != struct.pack("<H", 1):
        index.byteswap()
    file.write(index.tobytes())
    file.seek(0)
    file.write(HEAD.pack(MAGIC, as_of, len(records), slots, place))
    return len(records)
