"""Lines: documents one a line (NDJSON), and comma-separated values (RFC 4180)."""

from __future__ import annotations

import csv
import re
from typing import Any, Final

from router.core.foreign import ANSWER, Bounds, Unreadable, read

_BLANK: Final = re.compile(rb"\s*+")


def json_lines(body: bytes) -> list[Any] | None:
    """One object or list a line; None where the body is no such lines. Raises Unreadable."""
    if len(body) > ANSWER.bytes_max or body.lstrip()[:1] not in (b"{", b"["):
        return None
    if body.count(b"\n") > ANSWER.values_max:
        raise Unreadable(f"expected at most {ANSWER.values_max:,} lines")
    lines = [line for line in body.split(b"\n") if line.strip()]
    if len(lines) < 2:
        return None
    found = read(b"[" + b",".join(lines) + b"]", _WIDER)
    return found if all(isinstance(one, dict | list) for one in found) else None


_WIDER: Final = Bounds(ANSWER.bytes_max + 3, ANSWER.values_max, ANSWER.depth_max + 1)
"""Lines as one list: with its brackets, and a comma for a missing line end."""


def csv_lines(body: bytes) -> list[list[str]]:
    """The lines that are not empty. Raises Unreadable."""
    if len(body) > ANSWER.bytes_max:
        raise Unreadable(f"expected at most {ANSWER.bytes_max:,} bytes of CSV, got {len(body):,}")
    try:
        text = body.decode().removeprefix("\ufeff")
        if text.count(",") + text.count("\n") + text.count("\r") > ANSWER.values_max:
            raise Unreadable(f"expected at most {ANSWER.values_max:,} values")
        kept = (line + "\n" for line in text.split("\n"))
        lines = [line for line in csv.reader(kept, strict=True) if line]
    except (UnicodeDecodeError, csv.Error):
        raise Unreadable("expected CSV in UTF-8") from None
    if not lines:
        raise Unreadable("expected lines of CSV, got none")
    return lines


def cell(text: str) -> Any:
    """A number as such, nothing as null, else text."""
    if not text:
        return None
    if text[0] not in _STARTS or len(text) > _DIGITS_MAX:
        return text
    try:
        return float(text)
    except ValueError:
        return text


_STARTS: Final = frozenset("+-.0123456789nNiI")
_DIGITS_MAX: Final = 40
"""A longer number is text."""
