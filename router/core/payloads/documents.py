"""The payloads without a protocol: any JSON, lines of it, CSV, and bytes."""

from __future__ import annotations

import xxhash

from router.core.payloads.answer import Answer, Unreadable, answer_of, document
from router.core.payloads.texts import cell, csv_lines, json_lines


class Json:
    """Any JSON document, leaf by leaf, or one a line (NDJSON)."""

    def read(self, body: bytes) -> Answer:
        """Every leaf under its dotted path; lines as the elements of a list."""
        try:
            return answer_of(document(body))
        except Unreadable:
            lines = json_lines(body)
            if lines is None:
                raise
            return answer_of(lines)


class Csv:
    """Comma-separated values (RFC 4180)."""

    def read(self, body: bytes) -> Answer:
        """Every value as ``[line][column]``, numbers as such; a line of names is a line."""
        return answer_of([[cell(value) for value in line] for line in csv_lines(body)])


class Opaque:
    """Bytes: two answers are equal or they are not."""

    def read(self, body: bytes) -> Answer:
        """A digest of the body as its only leaf."""
        return Answer({"body": xxhash.xxh64_hexdigest(body)})
