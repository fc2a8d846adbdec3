"""The beginning of an exchange: which route, and which version; or the router's own answer.

The choice is made at the head, wherever it can be. Else its client's quota is looked at, the bound
of its body, and the body itself where the choice depends on it: that is collected first, up to a
bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.core.wire.outcomes import Outcome
from router.http1.messages import VIA
from router.proxy.assign import assign, at_once, place
from router.proxy.cached import take_cached
from router.proxy.inputs import METHODS, wrong
from router.proxy.matching import NO_DOCUMENT, BodyDocument
from router.proxy.quota import wait_s
from router.proxy.record import answer_options, look_again, record, refuse
from router.proxy.replies import BODY_SIZE, NO_ROUTE, OVERLOAD, QUOTA, Refusal, unwanted
from router.proxy.serving import Assignment, Destination
from router.proxy.shaping import asking
from router.proxy.stage import Stage

if TYPE_CHECKING:
    from router.core.wire.protection import InputsEntry
    from router.proxy.exchange import Exchange
    from router.proxy.serving import ServedQuota
    from router.proxy.upload import Upload


def begin(exchange: Exchange) -> None:
    """Find the route; collect the body first where the choice depends on it."""
    plane, head = exchange.plane, exchange.head
    serving = plane.serving
    plane.exchanges.add(exchange)
    choice: Assignment | None = None
    known: Destination | None = None
    if serving.reviews and look_again(exchange):
        return
    if head.size > 0:
        known = serving.places.get(head) or place(serving, head)
        route, now = (known.route, known.at_once) if known is not None else (None, False)
        choice = known.choice if known is not None else None
    else:
        route = serving.index.find(head)
        now = route is not None and (
            (route.simple and head.max_forwards < 0) or at_once(route, head)
        )
    why = unwanted(head) if head.kinds & VIA else None
    if route is None or why is not None:
        refuse(exchange, why or NO_ROUTE)
        return
    exchange.route = route
    if len(plane.exchanges) > serving.in_flight:
        refuse(exchange, OVERLOAD)
    elif now:
        if (quota := route.quota) is not None:
            # Most have paid already. This is `wait_s` again, but for finding out who it is.
            payer, paid = known.payer if known is not None else b"", plane.paid
            if left := paid.get(payer):
                paid[payer] = left - 1
            elif _over_quota(exchange, quota):
                return
        exchange.take(choice or assign(route, head, NO_DOCUMENT), exchange.arrived)
    else:
        _look(exchange, choice)


def _look(exchange: Exchange, choice: Assignment | None) -> None:
    """Choose now, or collect the body first; ``choice``: what this head always leads to."""
    route, head = exchange.route, exchange.head
    quota = route.quota
    if route.entry.answers is not None:
        exchange.head = asking(head)
    if quota is not None and not route.needs_body and _over_quota(exchange, quota):
        return
    if too_large(exchange):
        refuse(exchange, BODY_SIZE)
    elif head.max_forwards == 0:
        answer_options(exchange)
    elif not route.needs_body:
        exchange.take(choice or assign(route, head, NO_DOCUMENT))
    elif not exchange.uploaded and exchange.size < route.entry.buffer_bytes:
        exchange.stage = Stage.COLLECTING
        exchange.go_on()
    else:
        _choose_by_body(exchange)


def _over_quota(exchange: Exchange, quota: ServedQuota) -> bool:
    """Count the request for its client; True: it was refused, and that was all."""
    due_s = wait_s(exchange.client, exchange.head, quota, exchange.route.counts)
    if due_s:
        refuse(exchange, QUOTA._replace(retry_after_s=due_s))
    return due_s > 0


def too_large(exchange: Exchange) -> bool:
    """Whether its body is, or says that it will be, more than the route accepts."""
    limit = exchange.route.entry.body_limit_bytes
    return bool(limit) and max(exchange.head.length, exchange.size) > limit


def collected(exchange: Exchange, upload: Upload) -> None:
    """More of a body is here that the choice depends on."""
    if upload.crowded(exchange.plane.serving.limits.buffers_bytes):
        refuse(exchange, OVERLOAD)
    elif exchange.uploaded or exchange.size >= exchange.route.entry.buffer_bytes:
        _choose_by_body(exchange)


def _choose_by_body(exchange: Exchange) -> None:
    """The route, then its version, where one or the other looks into the body.

    The table may be another than at the head: only the one in force may choose.
    """
    head = exchange.head
    coding = head.get(b"content-encoding") or b""
    document = BodyDocument(exchange.whole(), coding, exchange.route.entry.buffer_bytes)
    route = exchange.plane.serving.index.find_with(head, document)
    if route is None:
        refuse(exchange, NO_ROUTE)
        return
    exchange.route = route
    quota = route.quota
    if quota is not None and _over_quota(exchange, quota):
        return
    if too_large(exchange):
        refuse(exchange, BODY_SIZE)
    elif (inputs := route.entry.inputs) is not None and _wrong(exchange, inputs, document):
        return
    elif route.renames and not _nameable(exchange, document):
        route.counts.dirty = True
        route.counts.unnamed += 1
        exchange.take(Assignment(route.stable, False))
    elif (cache := route.entry.cache) is not None:
        take_cached(exchange, assign(route, head, document), cache, _given)
    else:
        exchange.take(assign(route, head, document))


def _given(exchange: Exchange, data: bytes, status: int, keep: bool) -> None:
    """An answer of the cache: no version has anything to do with it, so no attempt ends."""
    exchange.client.write(data)
    record(exchange, Outcome.OK, status)
    exchange.client.done(keep)


def _nameable(exchange: Exchange, document: BodyDocument) -> bool:
    """Whether a model's name can be put into its body, or has no place there.

    Where it cannot, one version would be asked in the name of another; so it is no evidence.
    """
    if exchange.uploaded and not exchange.size:
        return True
    media = (exchange.head.get(b"content-type") or b"json").partition(b";")[0].strip().lower()
    if not media.endswith(b"json"):
        return True
    whole = exchange.uploaded and exchange.size <= exchange.route.entry.buffer_bytes
    return whole and isinstance(document.value, dict)


def _wrong(exchange: Exchange, inputs: InputsEntry, document: BodyDocument) -> bool:
    """Whether no version has to answer this; True: that was all, or stable or people answer."""
    route = exchange.route
    if exchange.head.method not in METHODS:
        return False
    why = wrong(inputs, route.payload_of(exchange.head.path), document)
    if not why:
        return False
    route.counts.dirty = True
    if inputs.to_stable:
        route.counts.inputs_to_stable += 1
        exchange.take(Assignment(route.stable, False))
    elif inputs.people >= 0:
        route.counts.inputs_to_review += 1
        exchange.take(Assignment(route.versions[inputs.people], False))
    else:
        route.counts.inputs_refused += 1
        refuse(exchange, Refusal(422, "inputs", why))
    return True
