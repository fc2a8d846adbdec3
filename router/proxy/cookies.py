"""The sticky cookie: it carries a key, never a version, and cannot be made by clients.

Value: ``key.expiry.signature``, the signature an HMAC-SHA256 over key, expiry and the rollout's id.
The version follows from the key's hash and the weights in force, so a cookie can never lead to a
version with weight 0 or one that was rolled back, however old or cleverly obtained it is.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from router.core.signature import signer
from router.core.wire.table import StickyEntry

if TYPE_CHECKING:
    from router.http1 import ResponseHead
    from router.telemetry.versions import VersionStats


def sign(sticky: StickyEntry, rollout_id: str, key: str, now: float) -> str:
    """A cookie value that holds ``key`` until ``now + max_age_s`` (wall clock seconds)."""
    expiry = int(now) + sticky.max_age_s
    return f"{key}.{expiry}.{_mac(sticky.secret, rollout_id, key, expiry)}"


def verified(sticky: StickyEntry, rollout_id: str, value: str, now: float) -> str | None:
    """The key in a cookie value, or None when it is not ours, expired or of another rollout."""
    parts = value.split(".")
    if len(parts) != 3 or not parts[1].isascii() or not parts[1].isdigit() or len(parts[1]) > 12:
        return None
    key, expiry, mac = parts[0], int(parts[1]), parts[2]
    expected = _mac(sticky.secret, rollout_id, key, expiry)
    if not hmac.compare_digest(expected.encode(), mac.encode()) or expiry < now:
        return None
    return key


def set_cookie_line(sticky: StickyEntry, value: str) -> bytes:
    """The ready Set-Cookie line."""
    return (
        f"Set-Cookie: {sticky.name}={value}; Max-Age={sticky.max_age_s}; {sticky.attributes}\r\n"
    ).encode()


def without_own(head: ResponseHead, name: bytes, stats: VersionStats) -> ResponseHead:
    """An answer without Set-Cookie lines of the sticky cookie, which is the router's; counts them.

    A version that could set the cookie could give all its users one key, and so one version. A
    leading ``=`` is a cookie without a name to some clients, who send the rest back as it is.
    """
    own = name and [value for value in head.get_all(b"set-cookie") if _is_named(value, name)]
    if not own:
        return head
    stats.own_cookies += len(own)
    return head.but([f for f in head.fields if f.low != b"set-cookie" or f.value not in own])


def _is_named(value: bytes, name: bytes) -> bool:
    """Whether a Set-Cookie value makes a client send ``name=...`` (RFC 6265 section 5.2)."""
    pair = value.partition(b";")[0].lstrip(b" \t=")
    return pair.partition(b"=")[0].rstrip(b" \t") == name


def _mac(secret: str, rollout_id: str, key: str, expiry: int) -> str:
    message = f"{rollout_id}\n{key}\n{expiry}".encode()
    return signer(secret).digest(message).hex()[:32]
