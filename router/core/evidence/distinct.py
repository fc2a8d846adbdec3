"""Which users have already had their first bad outcome: a fixed number of bits.

On sticky routes the user is the unit of the coin, so only the first bad outcome of each user is
evidence: a single user with an error storm would otherwise convict a version (83 % false rollbacks
in simulation instead of 0.2 %). Users share :data:`BUCKETS` buckets, and the first bad outcome of a
*bucket* counts. A collision drops a user whatever the arm, so it costs power and never validity;
with 26 000 users already seen to fail, one in ten new ones is dropped.
"""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

BUCKETS = 1 << 18
"""Buckets for users, one bit each: 32 KiB a test."""


class DistinctUnits:
    """A set of 64-bit user hashes, folded into :data:`BUCKETS` buckets."""

    __slots__ = ("_bits", "_text")

    def __init__(self) -> None:
        """Nobody has failed yet."""
        self._bits = bytearray(BUCKETS // 8)
        self._text = ""
        """The last snapshot; empty: somebody came since."""

    def add(self, units: Iterable[int]) -> int:
        """How many of ``units`` were new; they are remembered."""
        return len(self.new(units))

    def new(self, units: Iterable[int]) -> list[int]:
        """Those of ``units`` who were new, in their order; they are remembered."""
        bits, new = self._bits, []
        for unit in units:
            byte, mask = (unit % BUCKETS) >> 3, 1 << (unit & 7)
            if not bits[byte] & mask:
                bits[byte] |= mask
                new.append(unit)
        if new:
            self._text = ""
        return new

    def __contains__(self, unit: int) -> bool:
        """Whether somebody of the user's bucket is remembered."""
        return bool(self._bits[(unit % BUCKETS) >> 3] & 1 << (unit & 7))

    def strangers(self, units: Iterable[int]) -> list[int]:
        """Those of ``units`` of whose bucket nobody is remembered."""
        bits = self._bits
        return [unit for unit in units if not bits[(unit % BUCKETS) >> 3] & 1 << (unit & 7)]

    def join(self, other: DistinctUnits) -> None:
        """Remember everybody whom the other one does."""
        both = int.from_bytes(self._bits) | int.from_bytes(other._bits)
        self._bits, self._text = bytearray(both.to_bytes(BUCKETS // 8)), ""

    def snapshot(self) -> str:
        """Compressed text; a few bytes while few users failed.

        Evidence is kept four times a second: most sets are then as they were, and of users who lie
        at random nothing repeats but empty bytes, so nothing else is looked for.
        """
        if not self._text:
            packer = zlib.compressobj(1, strategy=zlib.Z_RLE)
            packed = packer.compress(self._bits) + packer.flush()
            self._text = base64.b64encode(packed).decode("ascii")
        return self._text

    def restore(self, text: str) -> None:
        """Take over a snapshot. Raises ValueError if it is not one."""
        try:
            bits = zlib.decompress(base64.b64decode(text, validate=True))
        except zlib.error as error:
            raise ValueError(f"damaged set of users: {error}") from error
        if len(bits) != BUCKETS // 8:
            raise ValueError(f"expected {BUCKETS // 8} bytes of users, got {len(bits)}")
        self._bits, self._text = bytearray(bits), text
