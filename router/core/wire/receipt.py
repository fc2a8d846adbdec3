"""The receipt of a prediction: what must be known when the truth about it arrives days later.

The router does not remember requests. It gives the client a signed note of how each one was routed,
and whoever learns the truth sends the note back with it. So the label meets the version that made
the prediction and the weight of the moment of routing, however late and in whatever order labels
come, and nothing has to be kept in between.

    MAC.issued.revision.weight.arm.unit.nonce.route/version        numbers in hexadecimal

Where clients must not know their version it is encrypted, and the text is padded, so that it says
nothing but the route it is about:

    MAC.~.issued.nonce.sealed.route/-       sealed: the whole of the above, in base64 (RFC 4648 5)

The MAC is the first 128 bits of HMAC-SHA256 over the rest (RFC 2104 section 5 allows to truncate a
256-bit MAC to half of it). The nonce makes the receipts of two predictions two, so that the same
one can be refused the second time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

RECEIPT_CHARS_MAX: Final = 500
"""A longer text is no receipt: two names of at most 63 characters (a segment's route name a few
more), eight numbers and the MAC, padded and in base64."""
PADDED_CHARS: Final = 256
"""An encrypted receipt has this length before it is encrypted, whatever it says."""

HIDDEN: Final = "~"
"""Begins what is encrypted."""

_MAC_CHARS: Final = 32
_FIELDS: Final = 7


class Chosen(StrEnum):
    """How the version was chosen."""

    CANDIDATE = "c"  # drawn, the rollout's candidate
    STABLE = "s"  # drawn, the rollout's stable version
    OTHER = "o"  # drawn, another version of a split
    FORCED = "f"  # by pin, rule or rescue, or without a coin: display only


@dataclass(frozen=True, slots=True)
class Receipt:
    """One request as it was routed."""

    route: str
    version: str
    revision: int
    """Of the table's entry that routed it."""
    weight_bp: int
    """The candidate's share between candidate and stable in that coin; 0 without a coin."""
    arm: Chosen
    issued: int
    """Wall clock, whole seconds since 1970."""
    unit: int = 0
    """64-bit hash of the user on sticky routes; 0 elsewhere."""
    nonce: int = 0
    """Any number of at most 64 bits that no other receipt has."""


class BadReceipt(ValueError):  # noqa: N818 - reads as what it is
    """A text that this router did not make, or not with this secret."""


def sealed(receipt: Receipt, secret: str, *, hidden: bool = False) -> str:
    """The receipt as text, signed; ``hidden``: encrypted too."""
    r = receipt
    content = (
        f"{r.issued:x}.{r.revision:x}.{r.weight_bp:x}.{r.arm.value}.{r.unit:x}.{r.nonce:x}"
        f".{r.route}/{r.version}"
    )
    if hidden:
        padded = content.ljust(PADDED_CHARS).encode()
        closed = base64.urlsafe_b64encode(_mixed(padded, r.nonce, secret)).decode().rstrip("=")
        content = f"{HIDDEN}.{r.issued:x}.{r.nonce:016x}.{closed}...{r.route}/-"
    return f"{_mac(content, secret)}.{content}"


def route_of(text: str) -> str:
    """The route that a text claims to be about, to find its secret; nothing is verified yet.

    Raises BadReceipt.
    """
    return _names(text)[0]


def opened(text: str, secret: str) -> Receipt:
    """The receipt in a text that was sealed with ``secret``. Raises BadReceipt."""
    route, version = _names(text)
    mac, _, content = text.partition(".")
    if not hmac.compare_digest(mac.encode(), _mac(content, secret).encode()):
        raise BadReceipt("the signature is not ours")
    if content.startswith(HIDDEN):
        _, _, mixing, closed, _ = content.split(".", 4)
        padded = base64.urlsafe_b64decode(closed + "=" * (-len(closed) % 4))
        content = _mixed(padded, int(mixing, 16), secret).decode().rstrip()
        version = content.rpartition("/")[2]
    issued, revision, weight_bp, arm, unit, nonce = content.split(".", _FIELDS - 1)[:-1]
    return Receipt(
        route, version, int(revision, 16), int(weight_bp, 16), Chosen(arm), int(issued, 16),
        int(unit, 16), int(nonce, 16),
    )  # fmt: skip


def mark_of(text: str) -> int:
    """What tells a verified receipt from every other one: the first 64 bits of its MAC."""
    return int(text[:16], 16)


def _names(text: str) -> tuple[str, str]:
    parts = text.split(".", _FIELDS)
    if len(text) > RECEIPT_CHARS_MAX or not text.isascii() or len(parts) != _FIELDS + 1:
        raise BadReceipt("this is no receipt")
    route, slash, version = parts[-1].partition("/")
    if not (route and slash and version) or len(parts[0]) != _MAC_CHARS:
        raise BadReceipt("this is no receipt")
    return route, version


def _mac(content: str, secret: str) -> str:
    return hmac.digest(secret.encode(), content.encode(), hashlib.sha256).hex()[:_MAC_CHARS]


def _mixed(text: bytes, nonce: int, secret: str) -> bytes:
    """``text`` xored with HMAC-SHA256 in counter mode; twice is nothing (NIST SP 800-38A, 6.5)."""
    key = hmac.digest(secret.encode(), b"receipts are encrypted with this", hashlib.sha256)
    blocks = range(-(-len(text) // hashlib.sha256().digest_size))
    stream = b"".join(hmac.digest(key, b"%x.%x" % (nonce, n), hashlib.sha256) for n in blocks)
    mixed = int.from_bytes(text, "big") ^ int.from_bytes(stream[: len(text)], "big")
    return mixed.to_bytes(len(text), "big")
