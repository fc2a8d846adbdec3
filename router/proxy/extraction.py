"""Clients that ask as those do who copy a model: counted where a version has answered them."""

from __future__ import annotations

import hashlib
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Final

import xxhash

from router.core.foreign import ANSWER
from router.core.payloads import PAYLOADS, Beyond, Unreadable, unpacked
from router.proxy.pairing import coding_of
from router.proxy.quota import client_key
from router.telemetry.extraction import count

if TYPE_CHECKING:
    from router.core.wire.protection import ExtractionEntry
    from router.http1 import RequestHead, ResponseHead
    from router.proxy.serving import ServedRoute
    from router.proxy.shared import ClientSide

_IPV4: Final = frozenset(b"0123456789.")
DIGITS: Final = 16
"""Hex digits of a digest that people see; the value itself may be a secret."""


def watch(  # noqa: PLR0917 - a request and its answer
    client: ClientSide, request: RequestHead, asked: bytes, route: ServedRoute,
    head: ResponseHead, body: bytes,
) -> None:  # fmt: skip
    """Book a request that is answered.

    Args:
        client: Whose connection it came by.
        request: Its head.
        asked: Its body, or its target where it has none; empty: it was too large to be kept.
        route: The route that watches.
        head: The answer's.
        body: The answer's, empty where it is not whole yet.
    """
    clients = route.clients
    if clients is None or not asked:
        return
    about = clients.about
    key = client_key(client, request, about.header.encode())
    known = clients.find(key) or clients.meet(key, name_of(key, about.header))
    secret = client.plane.quotas.secret  # or inputs could be made that all look like one
    read = count(known, xxhash.xxh64_intdigest(asked, secret))
    if read and about.score and body and head.status // 100 == 2:
        near = _near(about, route.payload_of(request.path), body, coding_of(head))
        known.answers += near is not None
        known.near += bool(near)


def _near(about: ExtractionEntry, payload: str, body: bytes, coding: str) -> bool | None:
    """Whether a score of this answer is close to the threshold; None: it has none."""
    reader = PAYLOADS.get(payload)
    if reader is None:
        return None
    try:
        leaves = reader.read(unpacked(body, coding, ANSWER.bytes_max)).leaves
    except (Beyond, Unreadable):
        return None
    below = (f"{about.score}.", f"{about.score}[")
    found = [leaves[path] for path in leaves if path == about.score or path.startswith(below)]
    scores = [score for score in found if isinstance(score, int | float)]
    if not scores:
        return None
    return any(abs(score - about.threshold) <= about.within for score in scores)


def name_of(key: bytes, header: str) -> str:
    """A client for people, from its key: an address, or the digest of what it says of itself."""
    value = key[1:]
    if key.startswith(b"h"):
        return f"{header} sha256:{hashlib.sha256(value).hexdigest()[:DIGITS]}"
    if not set(value) <= _IPV4 and len(value) == 8:
        return f"{IPv6Address(value + bytes(8))}/64"
    return value.decode("latin-1")
