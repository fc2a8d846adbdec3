"""Every bound of the wire format, with its unit in its name.

The defaults are those of careful servers: nginx allows 4 header buffers of 8 KiB, Envoy 60 KiB and
100 fields, HAProxy one 16 KiB buffer and 101 fields, Node 16 KiB. 32 KiB and 128 fields admit
every client we know of and still make a flood of headers cheap to refuse.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds a parser enforces. All inclusive: a message of exactly the bound is accepted."""

    head_bytes: int = 32 * 1024
    """Start line, fields and the empty line together. Beyond: 414 if the request line alone does
    not fit, else 431; 502 for an answer."""

    fields: int = 128
    """Header lines of one head. Beyond: 431; 502 for an answer."""

    leading_empty_lines: int = 4
    """Empty lines tolerated before a request line (RFC 9112 section 2.2 asks for one)."""

    body_bytes: int = 64 * 1024 * 1024
    """Content of one request. Beyond: 413, at once when the length is declared, at the chunk that
    passes the bound otherwise. Answers are streamed and not bounded."""

    chunk_line_bytes: int = 4 * 1024
    """One chunk-size line with its extensions. Beyond: 400."""

    chunk_extension_bytes: int = 16 * 1024
    """All chunk extensions of one body. Beyond: 400 (CVE-2023-39326 shape)."""

    trailer_bytes: int = 8 * 1024
    """The trailer section of a chunked body. Beyond: 431."""

    interim_responses: int = 8
    """1xx answers before the final one. Beyond: 502."""


DEFAULT_LIMITS = Limits()
