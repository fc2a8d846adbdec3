"""A request body that arrives in pieces: what is kept of it, and whether more is wanted.

Bodies are kept for a choice or a replay. Each route bounds what one request keeps (`buffer`,
`rescue.buffer`); `limits.buffers` bounds what all requests of a worker keep together. What comes
with its head in one read is there anyway, and has no upload.
"""

from __future__ import annotations


class KeptBytes:
    """Bytes that the requests of a worker keep together."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes = 0


class Upload:
    """One body on its way."""

    __slots__ = ("_account", "_charged", "_tail", "continued", "held", "kept", "since")

    def __init__(self, account: KeptBytes, now: float) -> None:
        self._account = account
        self._charged = 0
        self._tail: bytearray | None = None
        self.kept = True
        """All of it is kept, so far."""
        self.held = False
        """The version reads slower than the client sends."""
        self.continued = False
        """The client was told that its body is wanted."""
        self.since = now
        """When the present wait for more of it began."""

    def keep(self, piece: bytes) -> None:
        """One more piece.

        Into an array, which grows in place: bodies may come byte by byte, and one joined anew with
        each piece, or kept as a list of them, costs many times what it weighs.
        """
        if self._tail is None:
            self._tail = bytearray()
        self._tail += piece
        self._charged += len(piece)
        self._account.bytes += len(piece)

    def behind(self, body: bytes) -> bytes:
        """``body`` with what came since."""
        if self._tail is not None:
            body, self._tail = b"".join((body, self._tail)), None
        return body

    def crowded(self, most: int) -> bool:
        """Whether this body, with all the others, is more than the worker may keep."""
        return self._charged > 0 and self._account.bytes > most

    def forget(self) -> None:
        """It is kept no longer."""
        self.kept = False
        self._tail = None
        self.give_back()

    def give_back(self) -> None:
        """Its bytes are out of the account: forgotten, or the request is over."""
        self._account.bytes -= self._charged
        self._charged = 0
