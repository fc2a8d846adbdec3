"""Batch traffic on its way: who can wait, and which of it a candidate gets before a coin is thrown.

What goes ahead of the coin was not drawn, so it is counted as a pinned request is: the totals of
`guard` have it, and nothing that compares. The rest of the batch is drawn like all requests, at the
same weight, so a route with `priority` has one coin, as others do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.core.rollout.traffic import bucket_of
from router.proxy.coin import coin

if TYPE_CHECKING:
    from router.core.wire.protection import BatchEntry
    from router.http1 import RequestHead


class ServedBatch:
    """Which requests of a route are batch traffic."""

    __slots__ = ("_header", "_salt", "_values", "ahead_bp")

    def __init__(self, entry: BatchEntry, salt: bytes) -> None:
        """``salt``: of the coins of users, on a sticky route."""
        self.ahead_bp = entry.ahead_bp
        self._header = entry.header.encode()
        self._values = frozenset(value.encode() for value in entry.values)
        self._salt = salt

    def __repr__(self) -> str:
        return f"<ServedBatch {self._header!r} {sorted(self._values)} {self.ahead_bp} bp ahead>"

    def names(self, head: RequestHead) -> bool:
        """Whether this request is batch traffic."""
        value = head.get(self._header)
        return value is not None and value.strip().lower() in self._values

    def goes(self, key: bytes) -> bool:
        """Whether one of it is the candidate's without a draw; ``key``: whose it is, or empty."""
        return (bucket_of(key, self._salt) if key else coin()) < self.ahead_bp
