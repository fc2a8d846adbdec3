"""Load headers of versions (ORCA): asked for, kept for the report, and not passed on.

See :mod:`router.core.usage.orca`. Nothing is parsed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from router.core.usage.orca import ASKS, HEADER, TEXT_MAX
from router.proxy.cookies import without_own

if TYPE_CHECKING:
    from router.http1 import RequestHead, ResponseHead
    from router.proxy.attempt import Attempt
    from router.proxy.serving import ServedRoute
    from router.upstream.connection import Endpoint

FORMAT: Final = ASKS.partition(b":")[0]


def asking(head: RequestHead) -> bytes:
    """The line that asks for it; empty where the client asked by itself."""
    return ASKS if head.get(FORMAT) is None else b""


def for_client(
    head: ResponseHead, asked: RequestHead, route: ServedRoute, attempt: Attempt
) -> ResponseHead:
    """An answer's head as the client gets it, on a route that keeps lines of it back."""
    if route.own_cookie:
        head = without_own(head, route.own_cookie, attempt.version.stats)
    return load_taken(head, asked, attempt.endpoint) if route.loads else head


def load_taken(head: ResponseHead, asked: RequestHead, endpoint: Endpoint | None) -> ResponseHead:
    """Remember what the endpoint says; the head as the client gets it."""
    said = head.get(HEADER)
    if said is None:
        return head
    if endpoint is not None:
        endpoint.load, endpoint.dirty = said[: TEXT_MAX + 1], True
    if asked.get(FORMAT) is not None:
        return head
    return head.but([field for field in head.fields if field.low != HEADER])
