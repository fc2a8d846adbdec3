"""Reading files whose size nobody has promised."""

from __future__ import annotations

from pathlib import Path


def read_at_most(path: str | Path, size_bytes: int) -> bytes:
    """The first `size_bytes` of a file: a device or a huge file cannot fill the memory."""
    with open(path, "rb") as file:  # noqa: PTH123 - a bounded read
        return file.read(size_bytes)
