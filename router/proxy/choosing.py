"""What is looked at before a version is chosen, where a request cannot be sent on at once.

Its client's quota, the bound of its body, and the body itself where the route or the version
depends on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.proxy.assign import assign
from router.proxy.buffers import whole
from router.proxy.matching import NO_DOCUMENT, BodyDocument
from router.proxy.quota import over_quota
from router.proxy.replies import BODY_SIZE, NO_ROUTE, answer_options, refuse

if TYPE_CHECKING:
    from router.proxy.assign import Assignment
    from router.proxy.exchange import Exchange


def look(exchange: Exchange, choice: Assignment | None) -> None:
    """Choose now, or collect the body first; ``choice``: what this head always leads to."""
    route, head = exchange.route, exchange.head
    quota = route.entry.quota
    if quota is not None and not route.needs_body and over_quota(exchange, quota):
        return
    if too_large(exchange):
        refuse(exchange, BODY_SIZE)
    elif head.max_forwards == 0:
        answer_options(exchange)
    elif not route.needs_body:
        exchange.take(choice or assign(route, head, NO_DOCUMENT))
    elif not exchange.uploaded and exchange.size < route.entry.buffer_bytes:
        exchange.collect()
    else:
        choose_by_body(exchange)


def choose_by_body(exchange: Exchange) -> None:
    """The route, then its version, where one or the other looks into the body.

    The table may be another than at the head: only the one in force may choose.
    """
    head = exchange.head
    coding = head.get(b"content-encoding") or b""
    document = BodyDocument(whole(exchange), coding, exchange.route.entry.buffer_bytes)
    route = exchange.plane.serving.index.find_with(head, document)
    if route is None:
        refuse(exchange, NO_ROUTE)
        return
    exchange.route = route
    quota = route.entry.quota
    if quota is not None and over_quota(exchange, quota):
        return
    if too_large(exchange):
        refuse(exchange, BODY_SIZE)
    else:
        exchange.take(assign(route, head, document))


def too_large(exchange: Exchange) -> bool:
    """Whether its body is, or says that it will be, more than the route accepts."""
    limit = exchange.route.entry.body_limit_bytes
    return bool(limit) and max(exchange.head.length, exchange.size) > limit
