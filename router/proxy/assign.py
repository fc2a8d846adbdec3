"""Which version answers: a pin where allowed, then the rules, then the split.

The split is drawn by a real coin per request, or by the hash of the sticky key; only these draws
are evidence. A pin or a rule forces the arm and is counted for display alone.
"""

from __future__ import annotations

import random
import secrets
import time
from typing import TYPE_CHECKING

from router.core.rollout.traffic import bucket_of
from router.core.wire.table import StickyKind
from router.http1.messages import CHUNKED
from router.proxy.coin import coin
from router.proxy.cookies import set_cookie_line, sign, verified
from router.proxy.keys import KEY_BYTES_MAX, key_in
from router.proxy.matching import NO_DOCUMENT, body_matches, cookie_of
from router.proxy.quota import named
from router.proxy.serving import Assignment, Destination
from router.telemetry.recorder import unit_of

if TYPE_CHECKING:
    from router.core.wire.table import StickyEntry
    from router.http1 import RequestHead
    from router.proxy.ahead import ServedBatch
    from router.proxy.matching import BodyDocument
    from router.proxy.serving import ServedRoute, ServedVersion, Serving

PLACES_MAX = 1_024
"""Heads whose place is remembered with a table; all are forgotten when there are more."""

_PIN = b"x-rampway-pin"


def at_once(route: ServedRoute, head: RequestHead) -> bool:
    """The version can be chosen now: no body to be awaited, no bound to be looked at."""
    if route.asks or not head.max_forwards:
        return False
    limit = route.entry.body_limit_bytes
    return not limit or (head.framing != CHUNKED and head.length <= limit)


def place(serving: Serving, head: RequestHead) -> Destination | None:
    """The place of a head that its parser remembers, from now on; None: no route takes it."""
    route = serving.index.find(head)
    if route is None:
        return None
    now = at_once(route, head)
    choice = None if route.needs_body else assign(route, head, NO_DOCUMENT)
    if len(serving.places) >= PLACES_MAX:
        serving.places.clear()
    fixed = choice if choice is not None and choice.fixed else None
    payer = named(head, route.quota) if route.quota is not None else b""
    placed = serving.places[head] = Destination(route, now, fixed, payer)
    return placed if choice is fixed else Destination(route, now, choice, payer)


def assign(route: ServedRoute, head: RequestHead, document: BodyDocument) -> Assignment:
    """The version for a request; ``document`` is the body, where the route looks into it."""
    if route.pins and (pinned := head.get(_PIN)) is not None:
        version = route.pins.get(pinned)
        if version is not None:
            return Assignment(version, False)
    if route.rules is not None:
        ruled = _ruled(route, head, document)
        if ruled is not None:
            return Assignment(ruled, False)
    if route.batch is not None and (ahead := _ahead(route, route.batch, head, document)):
        return ahead
    if route.key_header:
        key = head.get(route.key_header)
        return _by_key(route, key) if key else _by_coin(route)
    sticky = route.entry.sticky
    if sticky is None:
        if route.sole is not None:
            return Assignment(route.sole, True)
        return Assignment(route.draw.at(coin()), True, fixed=False)
    if sticky.kind is StickyKind.COOKIE:
        return _by_cookie(route, sticky, head)
    return _by_body(route, sticky, document)


def _ahead(
    route: ServedRoute, batch: ServedBatch, head: RequestHead, document: BodyDocument
) -> Assignment | None:
    """Where batch traffic goes that is not drawn; None: it is drawn like the rest."""
    if not batch.ahead_bp or route.candidate is None or not batch.names(head):
        return None
    key = key_in(route.entry, head, document)
    if not batch.goes(key):
        return None
    return Assignment(route.candidate, False, fixed=bool(key and route.key_header))


def _ruled(route: ServedRoute, head: RequestHead, document: BodyDocument) -> ServedVersion | None:
    if route.rules is None:
        return None
    if not route.body_fields:
        target = route.rules.find(head)
        return route.versions[target.rule.version] if target is not None else None
    for target in route.rules.all(head):
        if body_matches(target.match.body, document):
            return route.versions[target.rule.version]
    return None


def _by_coin(route: ServedRoute) -> Assignment:
    """On a sticky route, without a key: a coin, and a unit of its own, so that it counts once."""
    unit = random.getrandbits(64)
    return Assignment(route.draw.at(coin()), True, unit, fixed=False)


def _by_key(route: ServedRoute, key: bytes) -> Assignment:
    if len(key) > KEY_BYTES_MAX:
        key = key[:KEY_BYTES_MAX]
    return Assignment(route.draw.at(bucket_of(key, route.salt)), True, unit_of(key))


def _by_body(route: ServedRoute, sticky: StickyEntry, document: BodyDocument) -> Assignment:
    """By a field of the body; that it cannot be read is counted, for its user may change arms."""
    text = document.field(sticky.name)
    if text:
        return _by_key(route, text.encode())
    choice = _by_coin(route)
    if document.unread:
        stats = choice.version.stats
        stats.unread_keys += 1
        stats.dirty = True
    return choice


def _by_cookie(route: ServedRoute, sticky: StickyEntry, head: RequestHead) -> Assignment:
    now = time.time()
    rollout = route.entry.rollout_id
    value = cookie_of(head, sticky.name)
    key = verified(sticky, rollout, value, now) if value is not None else None
    cookie = b""
    if key is None:
        key = secrets.token_urlsafe(12).replace(".", "_")
        cookie = set_cookie_line(sticky, sign(sticky, rollout, key, now))
    raw = key.encode()
    return Assignment(route.draw.at(bucket_of(raw, route.salt)), True, unit_of(raw), cookie, False)
