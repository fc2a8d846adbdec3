"""Requests that wait for a person: nobody is asked, and the client hears that it was taken.

A version with ``person: true`` and no endpoints has a :class:`Desk` in place of a pool. What it
gives is an ordinary connection to the exchange, with no socket behind it: when the request is
complete, the answer is ``202`` with the request's id (RFC 9110 section 15.3.3), by which the
person's answer is told later (``POST /api/v1/truth``). Copies go out as for any version.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

from router.core.wire.endpoint import EndpointEntry
from router.upstream.connection import Connection, Endpoint
from router.upstream.failure import Failure
from router.upstream.pool import Pool
from router.upstream.waiter import Unavailable

if TYPE_CHECKING:
    from router.core.wire.table import VersionEntry
    from router.http1 import Peer, RequestHead
    from router.upstream.connection import Receiver
    from router.upstream.names import Names
    from router.upstream.sockets import Sockets

HEAD: Final = (
    b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%b"
)


class OnDesk(Connection):
    """One request on the desk; used once."""

    __slots__ = ("_id",)

    def start(  # noqa: PLR0917 - as in Connection
        self,
        receiver: Receiver,
        head: RequestHead,
        body: bytes,  # noqa: ARG002 - it is for the person
        last: bool,
        peer: Peer,  # noqa: ARG002 - likewise
        request_id: bytes,
        trace: bytes = b"",  # noqa: ARG002 - likewise
        extra: bytes = b"",  # noqa: ARG002 - likewise
        host: bytes = b"",  # noqa: ARG002 - likewise
    ) -> None:
        """See Connection; nothing is sent anywhere."""
        self.receiver = receiver
        self.parser.expect(head.method == b"HEAD")
        self._id = request_id
        self.write(b"", last=last)

    def write(self, piece: bytes, *, last: bool) -> None:  # noqa: ARG002 - as above
        """More of the request; the answer comes in a turn of its own, as from a socket."""
        if last:
            asyncio.get_running_loop().call_soon(self._answer)

    def _answer(self) -> None:
        if self.receiver is not None:
            said = json.dumps({"request_id": self._id.decode("latin-1")}).encode() + b"\n"
            self.data_received(HEAD % (len(said), said))

    def discard(self) -> None:
        """There is nothing to close."""
        self.closed = True

    def pause_reading(self) -> None:
        """The answer is one small piece."""

    def resume_reading(self) -> None:
        """As above."""

    def _finish(self) -> None:
        self.pool.ended(self)
        self.discard()


class Desk(Pool):
    """See the module."""

    def __init__(
        self,
        entry: VersionEntry,
        *,
        connect_s: float,
        sockets: Sockets | None = None,
        names: Names | None = None,
    ) -> None:
        super().__init__(entry, connect_s=connect_s, sockets=sockets, names=names)
        self._place = Endpoint(EndpointEntry("", 0))

    def acquire(
        self,
        waiter: object,  # noqa: ARG002 - nobody waits
        avoid: Endpoint | None = None,  # noqa: ARG002 - there is one place
        now: float = 0.0,  # noqa: ARG002 - nothing grows old
    ) -> Connection:
        """One more request on the desk. Raises Unavailable beyond ``in_flight``."""
        if self.in_flight >= self.entry.in_flight:
            raise Unavailable(Failure.QUEUE_FULL)
        self._begin(self._place)
        return OnDesk(self, self._place)
