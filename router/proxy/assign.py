"""Which version answers: a pin where allowed, then the rules, then the split.

The split is drawn by a real coin per request, or by the hash of the sticky key; only these draws
are evidence. A pin or a rule forces the arm and is counted for display alone.
"""

from __future__ import annotations

import random
import secrets
import time
from typing import TYPE_CHECKING

from router.core.outcomes import FULL_BP
from router.core.table import StickyKind
from router.core.traffic import bucket_of
from router.proxy.cookies import set_cookie_line, sign, verified
from router.proxy.matching import body_field, body_matches, cookie_of
from router.telemetry.recorder import unit_of

if TYPE_CHECKING:
    from router.core.table import Sticky
    from router.http1 import RequestHead
    from router.proxy.serving import Route, Version

KEY_BYTES_MAX = 1_024
"""A longer sticky key is hashed all the same; only this much of it."""

_PIN = b"x-rampway-pin"
_coin = random.random
"""A coin per request. Not for secrets, and it must not be predictable by position either: round
robin would break the independence the tests rest on."""


class Assignment:
    """A version, and how it was chosen.

    ``drawn``: by coin or hash, at the split's weights: evidence. ``unit``: the user's name in
    evidence on sticky routes. ``cookie``: a Set-Cookie line to give the client.
    """

    __slots__ = ("cookie", "drawn", "unit", "version")

    def __init__(
        self, version: Version, *, drawn: bool, unit: int = 0, cookie: bytes = b""
    ) -> None:
        self.version = version
        self.drawn = drawn
        self.unit = unit
        self.cookie = cookie


def assign(route: Route, head: RequestHead, body: bytes) -> Assignment:
    """The version for a request; ``body`` is what is buffered where the route looks into it."""
    if route.pins and (pinned := head.get(_PIN)) is not None:
        version = route.pins.get(pinned)
        if version is not None:
            return Assignment(version, drawn=False)
    if route.rules is not None:
        ruled = _ruled(route, head, body)
        if ruled is not None:
            return Assignment(ruled, drawn=False)
    sticky = route.entry.sticky
    if sticky is not None:
        return _by_key(route, sticky, head, body)
    return Assignment(route.draw(int(_coin() * FULL_BP)), drawn=True)


def _ruled(route: Route, head: RequestHead, body: bytes) -> Version | None:
    assert route.rules is not None  # noqa: S101 - the caller has looked
    if not route.body_fields:
        target = route.rules.find(head)
        return route.versions[target.rule.version] if target is not None else None
    for target in route.rules.all(head):
        if body_matches(target.match.body, body):
            return route.versions[target.rule.version]
    return None


def _by_key(route: Route, sticky: Sticky, head: RequestHead, body: bytes) -> Assignment:
    if sticky.kind is StickyKind.COOKIE:
        return _by_cookie(route, sticky, head)
    if sticky.kind is StickyKind.HEADER:
        key = head.get(sticky.name.encode())
    else:
        text = body_field(body, sticky.name)
        key = text.encode() if text is not None else None
    if not key:
        # Without a key: a coin, and a unit of its own, so that it counts once.
        unit = random.getrandbits(64)
        return Assignment(route.draw(int(_coin() * FULL_BP)), drawn=True, unit=unit)
    key = key[:KEY_BYTES_MAX]
    return Assignment(route.draw(bucket_of(key)), drawn=True, unit=unit_of(key))


def _by_cookie(route: Route, sticky: Sticky, head: RequestHead) -> Assignment:
    now = time.time()
    rollout = route.entry.rollout_id
    value = cookie_of(head, sticky.name)
    key = verified(sticky, rollout, value, now) if value is not None else None
    cookie = b""
    if key is None:
        key = secrets.token_urlsafe(12).replace(".", "_")
        cookie = set_cookie_line(sticky, sign(sticky, rollout, key, now))
    raw = key.encode()
    return Assignment(route.draw(bucket_of(raw)), drawn=True, unit=unit_of(raw), cookie=cookie)
