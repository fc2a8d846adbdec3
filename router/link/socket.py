"""The socket between the control process and a worker, as asyncio sees it.

One end of a unix socketpair; both ends use the same class. Sending never waits: what does not fit
into the outbox is refused (``send`` answers False) and the caller decides what that means. A report
that was refused is merged into the next one; a table that was refused is replaced by a newer one,
since only the newest table matters.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final, Generic, cast

from router.link.frames import Frames, LinkError, MessageKinds, Spoken
from router.link.messages import KINDS, Message, Publish
from router.loops import net

OUTBOX_BYTES_MAX: Final = 33_554_432
"""Unsent bytes after which a message is refused; three tables of 1,000 routes with 50 versions."""

ORPHAN_GRACE_S: Final = 600.0
"""How long a worker whose link closed serves on before it drains and ends.

What it serves meanwhile it takes back by itself (``router.proxy.alone``). A new control process
ends it earlier, as soon as its own workers serve."""

OnClose = Callable[[str], None]


class Link(asyncio.Protocol, Generic[Spoken]):
    """One end of the link, on which ``kinds`` are spoken.

    ``on_message`` is called in the loop turn in which a message is complete; ``on_close`` once,
    with the reason, when the peer is gone or sent something that is no message.
    """

    def __init__(
        self,
        kinds: MessageKinds[Spoken],
        on_message: Callable[[Spoken], None],
        on_close: OnClose,
        *,
        outbox_max: int = OUTBOX_BYTES_MAX,
    ) -> None:
        self._kinds = kinds
        self._on_message = on_message
        self._on_close = on_close
        self._outbox_max = outbox_max
        self._frames = Frames(kinds)
        self._transport: asyncio.Transport | None = None
        self._parked: bytes | None = None
        self._reason = "closed by the peer"
        self.refused = 0
        """Messages refused because the outbox was full."""

    def __repr__(self) -> str:
        state = "closed" if self._transport is None else f"{self.outbox_bytes} B unsent"
        return f"<Link {state}, refused={self.refused}>"

    @property
    def open(self) -> bool:
        """Whether messages can still be sent."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def outbox_bytes(self) -> int:
        """Bytes handed to the link that the kernel has not taken yet."""
        unsent = self._transport.get_write_buffer_size() if self._transport else 0
        return unsent + len(self._parked or b"")

    def send(self, message: Spoken) -> bool:
        """Queue one message; False when the link is closed or its outbox is full."""
        if isinstance(message, Publish):
            return self.send_table(self._kinds.encode(message))
        return self._write(self._kinds.encode(message))

    def send_table(self, encoded: bytes) -> bool:
        """Queue an encoded :class:`Publish`; encoding once serves every worker.

        With a full outbox the table waits and a newer one takes its place: a worker that is behind
        needs the last table, not all of them. False only when the link is closed.
        """
        if not self.open:
            return False
        if self._parked is not None or not self._write(encoded):
            self._parked = encoded
        return True

    def send_amendment(self, encoded: bytes) -> bool:
        """Queue an encoded :class:`Amend`; False while a table waits, which it would overtake."""
        return self._parked is None and self._write(encoded)

    def close(self, reason: str = "closed here") -> None:
        """Send what is in the outbox, then close."""
        self._reason = reason
        if self._transport is not None:
            self._transport.close()

    def _write(self, data: bytes) -> bool:
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        unsent = transport.get_write_buffer_size()
        if unsent and unsent + len(data) > self._outbox_max:
            self.refused += 1
            return False
        transport.write(data)
        return True

    # --- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        # resume_writing then comes exactly when the outbox is empty: a parked table cannot be lost.
        transport.set_write_buffer_limits(high=0)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol: decode and hand on; a torn message closes the link."""
        try:
            messages = self._frames.feed(data)
        except LinkError as error:
            self.close(f"broken peer: {error}")
            return
        for message in messages:
            with net("link"):  # one message that cannot be handled must not cost the link
                self._on_message(message)

    def resume_writing(self) -> None:
        """Part of asyncio.Protocol: the outbox is empty, so a waiting table can go."""
        parked, self._parked = self._parked, None
        if parked is not None and not self._write(parked):
            self._parked = parked

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio.Protocol."""
        self._transport = None
        self._parked = None
        self._on_close(f"{self._reason}: {exc}" if exc else self._reason)


async def open_link(
    sock: socket.socket | int,
    on_message: Callable[[Message], None],
    on_close: OnClose,
    *,
    outbox_max: int = OUTBOX_BYTES_MAX,
) -> Link[Message]:
    """The link between control and a worker, on one end of its socketpair."""
    return await opened(sock, Link(KINDS, on_message, on_close, outbox_max=outbox_max))


async def opened(sock: socket.socket | int, link: Link[Spoken]) -> Link[Spoken]:
    """Run a link on one end of a socketpair, given as a socket or (in a worker) as its fd."""
    end = socket.socket(fileno=sock) if isinstance(sock, int) else sock
    end.setblocking(False)
    # A table of many routes should be handed to the kernel in one piece; the default is 208 KiB.
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: link, sock=end)
    return link
