"""Whose request it is: the sticky key that it carries, and the user's name in evidence."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

from router.core.wire.table import StickyKind
from router.proxy.cookies import verified
from router.proxy.matching import cookie_of
from router.telemetry.recorder import unit_of

if TYPE_CHECKING:
    from router.core.wire.table import RouteEntry
    from router.http1 import RequestHead
    from router.proxy.matching import BodyDocument

KEY_BYTES_MAX: Final = 1_024
"""A longer sticky key is hashed all the same; only this much of it."""


def key_in(entry: RouteEntry, head: RequestHead, document: BodyDocument) -> bytes:
    """The sticky key that a request carries; empty without one. ``document``: its body."""
    sticky = entry.sticky
    if sticky is None:
        return b""
    if sticky.kind is StickyKind.HEADER:
        return (head.get(sticky.name.encode()) or b"")[:KEY_BYTES_MAX]
    if sticky.kind is StickyKind.COOKIE:
        value = cookie_of(head, sticky.name)
        key = verified(sticky, entry.rollout_id, value, time.time()) if value else None
        return key.encode() if key else b""
    return (document.field(sticky.name) or "").encode()[:KEY_BYTES_MAX]


def unit_in(entry: RouteEntry, head: RequestHead, document: BodyDocument) -> int:
    """Whose request it is, where no draw has said it; without a key nobody else's."""
    key = key_in(entry, head, document)
    return unit_of(key) if key else random.getrandbits(64) | 1
