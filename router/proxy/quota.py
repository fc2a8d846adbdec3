"""Quotas: how much one client may ask of a route.

Asked before a version is chosen, so that a refused request is evidence for nobody, and before its
body is read, where the choice does not need it. Who floods is slowed as well: the connection that
was answered 429 is not answered again for a moment, or its client would take from all others what
the refusals cost. Connections of `trusted_proxies` carry many clients and go on at once.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Final

from router.core.wire.outcomes import LANES
from router.telemetry.recorder import unit_of

if TYPE_CHECKING:
    from router.http1 import RequestHead
    from router.link.quotas import QuotaArea
    from router.proxy.serving import ServedQuota
    from router.proxy.shared import ClientSide, Shared
    from router.telemetry.routes import RouteStats

KEY_BYTES_MAX: Final = 1_024
"""Of a header's value; what follows makes no other client."""
_LANE: Final = LANES - 1
HOPS_MAX: Final = 16
"""Addresses of an X-Forwarded-For that are looked at, from the last one on."""


def wait_s(client: ClientSide, head: RequestHead, quota: ServedQuota, counts: RouteStats) -> int:
    """Count a request for its client; seconds after which it may ask again, 0: it may now."""
    plane: Shared[Any] = client.plane
    value = head.get(quota.header) if quota.header else None
    if value:
        key = quota.by_header + value[:KEY_BYTES_MAX]
    else:
        key = quota.prefix + client_key(client, head, b"")
    paid = plane.paid
    if left := paid.get(key):
        paid[key] = left - 1
        return 0
    return _asked(client, quota, counts, key)


def named(head: RequestHead, quota: ServedQuota) -> bytes:
    """The client that the quota's header names; empty where it is the address's."""
    value = head.get(quota.header) if quota.header else None
    return quota.by_header + value[:KEY_BYTES_MAX] if value else b""


def _asked(client: ClientSide, quota: ServedQuota, counts: RouteStats, key: bytes) -> int:
    """Count in the area of all workers: one request, or some of a large quota ahead."""
    area: QuotaArea = client.plane.quotas
    entry = quota.entry
    terms = entry.interval_ns, entry.slack_ns, entry.per_day
    many = quota.ahead = quota.ahead or area.ahead(*terms)
    forgotten = area.forgotten
    due_s = area.wait_s(key, *terms, many)
    if many > 1:
        if due_s:
            due_s = area.wait_s(key, *terms)
        else:
            area.pay(key, many - 1)
    if due_s or forgotten != area.forgotten:
        counts.dirty = True
        counts.quota_forgotten += area.forgotten - forgotten
    if due_s:
        counts.quota_refused += 1
        client.rest()
    return due_s


def client_key(client: ClientSide, head: RequestHead, header: bytes) -> bytes:
    """Who asks: the value of the header, or the address. The two never mean the same client."""
    if header:
        value = head.get(header)
        if value:
            return b"h" + value[:KEY_BYTES_MAX]
    peer = client.peer
    address = _forwarded(client, head) if peer.trusted else peer.address
    return b"a" + grouped(address)


def seen(client: ClientSide, head: RequestHead, callers: bytearray) -> int:
    """Mark that a client was seen; a hash of its address, as `trusted_proxies` tell it, never 0."""
    who = client.who or unit_of(client_key(client, head, b"")) or 1
    callers[who & _LANE] = 1
    return who


def _forwarded(client: ClientSide, head: RequestHead) -> bytes:
    """The last address of X-Forwarded-For that no trusted proxy has: what they all vouch for."""
    hops = b",".join(head.get_all(b"x-forwarded-for")).rsplit(b",", HOPS_MAX)
    for hop in reversed(hops[-HOPS_MAX:]):
        address = hop.strip(b" \t")
        if not client.is_trusted(address.decode("latin-1")):
            return address or client.peer.address
    return client.peer.address


@lru_cache(maxsize=4_096)
def grouped(address: bytes) -> bytes:
    """An address as one client has it: IPv6 by its /64, an IPv4 address in IPv6 as itself."""
    if b":" not in address:
        return address
    try:
        parsed = ip_address(address.decode("latin-1").partition("%")[0])
    except ValueError:
        return address[:KEY_BYTES_MAX]
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped).encode()
        return parsed.packed[:8]
    return address
