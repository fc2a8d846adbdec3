"""A WebSocket handshake: an exchange whose good answer is 101, after which it is a tunnel.

Which version it goes to, what its status says as evidence, and a rescue by stable are those of any
exchange. It is never copied to a shadow, and its connection carries no other request.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from router.core.wire.outcomes import Outcome
from router.http1.handshake import accepts, handshake_flaw, known_version, offers_websocket
from router.http1.writer import SWITCH, switching_head
from router.proxy.cookies import without_own
from router.proxy.exchange import Exchange
from router.proxy.faults import Again, Fault
from router.proxy.receipt import told_lines
from router.proxy.record import record, refuse
from router.proxy.replies import OVERLOAD, Refusal
from router.proxy.rescue import failed
from router.proxy.stage import Stage
from router.proxy.tracing import lines_of
from router.proxy.tunnel import Tunnel

if TYPE_CHECKING:
    from router.http1 import RequestHead, ResponseHead
    from router.proxy.attempt import Attempt
    from router.proxy.serving import Assignment
    from router.proxy.shared import ClientSide
    from router.upstream import Connection

NO_UPGRADE: Final = Refusal(
    501, "upgrade", "this route carries no WebSocket; its policy would say upgrade: websocket"
)
OTHER_VERSION: Final = Refusal(
    426, "upgrade", "the only version of WebSocket spoken here is 13",
    extra=SWITCH + b"Sec-WebSocket-Version: 13\r\n",
)  # fmt: skip
TOO_MANY: Final = OVERLOAD._replace(
    cause="tunnels", text="too many WebSockets are open; limits.tunnels bounds them"
)
EARLY: Final = Refusal(400, "framing", "bytes before the WebSocket handshake was answered")
NOT_ACCEPTED: Final = Fault(
    Outcome.MALFORMED, 502, Again.NEVER, "upgrade",
    "the version switched to another protocol than the WebSocket that was asked for",
)  # fmt: skip


def exchange_for(client: ClientSide, head: RequestHead, body: bytes, complete: bool) -> Exchange:
    """The exchange for a request with an Upgrade field: other offers than WebSocket are ignored."""
    kind = Handshake if offers_websocket(head) else Exchange
    return kind(client, head, body, complete)


class Handshake(Exchange):
    """See the module."""

    __slots__ = ()

    def take(self, choice: Assignment, now: float = 0.0) -> None:
        """As any exchange, if its route carries tunnels and there is room for one more."""
        why = self._why_not()
        if why is not None:
            refuse(self, why)
        else:
            super().take(choice, now)

    def _why_not(self) -> Refusal | None:
        plane = self.plane
        if self.route.entry.tunnel is None:
            return NO_UPGRADE
        if flaw := handshake_flaw(self.head):
            return Refusal(400, "upgrade", flaw)
        if not known_version(self.head):
            return OTHER_VERSION
        return TOO_MANY if len(plane.tunnels) >= plane.serving.limits.tunnels else None

    def forward(self, attempt: Attempt, connection: Connection, now: float) -> None:
        """Write the handshake anew."""
        self.stage = Stage.SENT
        attempt.connection = connection
        attempt.endpoint = connection.endpoint
        head = self.head
        trace = lines_of(self, self.plane.tracer)
        attempt.expect(now, self.route.response_s)
        connection.offer_switch(self.on_switch)
        lines, host = SWITCH, b""
        if (edit := attempt.version.edit) is not None:
            head, _, host, lines = edit.sent(self, head, b"", lines)
        connection.start(
            self, head, self.body, True, self.client.peer, self.id, trace, lines, host
        )  # fmt: skip

    def mirror(self) -> None:
        """Never: a shadow would be asked for a tunnel that nobody reads."""

    def on_switch(self, head: ResponseHead, behind: bytes, /) -> None:
        """The version answers 101: a tunnel, if both sides mean the same."""
        connection = self.attempt.connection
        if connection is None:  # let go of within this very read
            return
        if self.client.sent_ahead:
            self.client_broke(EARLY)
        elif not accepts(self.head, head):
            self.release()
            failed(self, NOT_ACCEPTED)
        else:
            self._switch(connection, head, behind)

    def _switch(self, connection: Connection, head: ResponseHead, behind: bytes) -> None:
        now = monotonic()
        attempt = self.attempt
        version = attempt.version
        tunnel = Tunnel(
            self.plane.tunnels, self.route.entry, version.name, version.pool, connection.endpoint,
            version.stats,
        )  # fmt: skip
        attempt.status = head.status
        attempt.first_byte_s = now - attempt.since
        self.stage = Stage.ANSWERING
        extra = b"".join((version.line, self.id, b"\r\n", self.cookie))
        if self.route.tells:
            extra += told_lines(self)
        answer = without_own(head, self.route.own_cookie, version.stats)
        self.client.write(switching_head(answer, extra))
        attempt.connection = None
        upstream = connection.detach()
        record(self, attempt.verdict, 0, now)
        tunnel.begin(self.client.detach(), upstream, behind)
