"""Response statuses as a policy names them: ``503`` or a whole class, ``5xx``."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from router.core.quantities import shown


def parse_status(value: object) -> int:
    """A status 400 to 599, or the class it stands for: ``5xx`` gives 5, 503 gives 503.

    That is how :class:`router.core.wire.table.RouteEntry` writes them. Raises ValueError for
    others: a status below 400 is an answer, whatever the caller thinks of it.
    """
    if isinstance(value, str) and re.fullmatch(r"[45]xx", value):
        return int(value[0])
    if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599:
        return value
    raise ValueError(f"expected a status from 400 to 599, 4xx or 5xx, got {shown(value)}")


def format_status(status: int) -> int | str:
    """The spelling that :func:`parse_status` reads: 5 → ``5xx``."""
    return f"{status}xx" if status < 10 else status


Status = Annotated[
    int,
    PlainValidator(parse_status),
    PlainSerializer(format_status, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 400, "maximum": 599},
                {"type": "string", "enum": ["4xx", "5xx"]},
            ]
        }
    ),
]
"""``5xx`` or ``503`` in YAML; 5 or 503 here."""


FAILURES = ("timeout", "connect", "schema")
"""No answer in time; refused, reset or malformed; an answer that is not of the route's payload."""


def parse_failure(value: object) -> int | str:
    """A status as in :func:`parse_status`, or one of :data:`FAILURES`."""
    if value in FAILURES:
        return str(value)
    try:
        return parse_status(value)
    except ValueError:
        raise ValueError(
            "expected 5xx, a status from 400 to 599, timeout, connect or schema, "
            f"got {shown(value)}"
        ) from None


def format_failure(failure: int | str) -> int | str:
    """The spelling that :func:`parse_failure` reads."""
    return format_status(failure) if isinstance(failure, int) else failure


FailureStatus = Annotated[
    int | str,
    PlainValidator(parse_failure),
    PlainSerializer(format_failure, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 400, "maximum": 599},
                {"type": "string", "enum": ["4xx", "5xx", *FAILURES]},
            ]
        }
    ),
]
"""A status or its class, or one of :data:`FAILURES`."""
