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
import hmac
from binascii import b2a_hex
from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from router.core.signature import derived, signer

RECEIPT_CHARS_MAX: Final = 500
"""A longer text is no receipt: two names of at most 63 characters (a segment's route name a few
more), eight numbers and the MAC, padded and in base64."""
PADDED_CHARS: Final = 256
"""An encrypted receipt has this length before it is encrypted, whatever it says."""

HIDDEN: Final = "~"
"""Begins what is encrypted."""
MIXING: Final = b"receipts are encrypted with this"
"""Says what a secret's derived key is for."""

_MAC_BYTES: Final = 16
_MAC_CHARS: Final = 2 * _MAC_BYTES
_FIELDS: Final = 7
_DIGEST_BYTES: Final = 32


class Chosen(StrEnum):
    """How the version was chosen."""

    CANDIDATE = "c"  # drawn, the rollout's candidate
    STABLE = "s"  # drawn, the rollout's stable version
    OTHER = "o"  # drawn, another version of a split
    FORCED = "f"  # by pin, rule or rescue, or without a coin: display only


_ARMS: Final = {arm: arm.value.encode() for arm in Chosen}


class Receipt(NamedTuple):
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


class Seal:
    """Makes the receipts of one entry, on the way of every answer: what stays is made once."""

    __slots__ = ("_digest", "_middle", "_mix", "_route", "_tails")

    def __init__(
        self, route: str, revision: int, weight_bp: int, secret: str, *, hidden: bool = False
    ) -> None:  # fmt: skip
        self._route = route
        self._middle = b".%x.%x." % (revision, weight_bp)
        self._digest = signer(secret).digest
        self._mix = derived(secret, MIXING).digest if hidden else None
        self._tails: dict[str, bytes] = {}
        """By version."""

    def text(self, version: str, arm: Chosen, issued: int, unit: int, nonce: int) -> bytes:
        """The receipt, signed; where clients must not know their version, encrypted too."""
        tail = self._tails.get(version) or self._tail(version)
        content = b"%x%b%b.%x.%x%b" % (issued, self._middle, _ARMS[arm], unit, nonce, tail)
        if self._mix is not None:
            closed = base64.urlsafe_b64encode(
                _mixed(content.ljust(PADDED_CHARS), nonce, self._mix)
            ).rstrip(b"=")
            content = b"~.%x.%016x.%b...%b/-" % (issued, nonce, closed, self._route.encode())
        return b"%b.%b" % (b2a_hex(self._digest(content)[:_MAC_BYTES]), content)

    def _tail(self, version: str) -> bytes:
        made = self._tails[version] = f".{self._route}/{version}".encode()
        return made


def route_of(text: str) -> str:
    """The route that a text claims to be about, to find its secret; nothing is verified yet.

    Raises BadReceipt.
    """
    return _names(text)[0]


def opened(text: str, secret: str) -> Receipt:
    """The receipt in a text that was sealed with ``secret``. Raises BadReceipt."""
    route, version = _names(text)
    mac, _, content = text.partition(".")
    if not hmac.compare_digest(mac.encode(), _mac(content, secret)):
        raise BadReceipt("the signature is not ours")
    if content.startswith(HIDDEN):
        _, _, mixing, closed, _ = content.split(".", 4)
        padded = base64.urlsafe_b64decode(closed + "=" * (-len(closed) % 4))
        content = _mixed(padded, int(mixing, 16), derived(secret, MIXING).digest).decode().rstrip()
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


def _mac(content: str, secret: str) -> bytes:
    return b2a_hex(signer(secret).digest(content.encode())[:_MAC_BYTES])


def _mixed(text: bytes, nonce: int, digest: Callable[[bytes], bytes]) -> bytes:
    """``text`` xored with HMAC-SHA256 in counter mode; twice is nothing (NIST SP 800-38A, 6.5)."""
    blocks = range(-(-len(text) // _DIGEST_BYTES))
    stream = b"".join([digest(b"%x.%x" % (nonce, n)) for n in blocks])
    mixed = int.from_bytes(text, "big") ^ int.from_bytes(stream[: len(text)], "big")
    return mixed.to_bytes(len(text), "big")
