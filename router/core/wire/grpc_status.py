"""What a gRPC status says in the words of HTTP, so that one policy judges both.

The table is that of google/rpc/code.proto (its comments name the HTTP mapping of each code).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

HTTP_OF: Final = (
    200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
)  # fmt: skip
"""By code: OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS,
PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED,
INTERNAL, UNAVAILABLE, DATA_LOSS, UNAUTHENTICATED."""


def http_of(code: int) -> int:
    """The HTTP status of a gRPC status; 500 for one that nobody has defined."""
    return HTTP_OF[code] if 0 <= code < len(HTTP_OF) else 500


def failing_calls(statuses: Iterable[int]) -> tuple[int, ...]:
    """The gRPC codes whose HTTP status is among ``statuses``; a class is written by its hundred."""
    wanted = frozenset(statuses)
    return tuple(
        code for code, status in enumerate(HTTP_OF) if status in wanted or status // 100 in wanted
    )
