"""A request's head as it is kept, to be sent once more much later: what the client said, and who.

Its lines stand as they came. Fields that hold a credential keep their name alone: that they were
there is known, what they said is not. What the router read from the connection stands in a field
of its own, which no client can send and which goes nowhere.
"""

from __future__ import annotations

import contextlib
from typing import Final

from router.core.wire.credentials import CREDENTIALS
from router.http1.framing import FramingError
from router.http1.headers import Peer
from router.http1.messages import HOST, INTERNAL, RequestHead
from router.http1.parser import RequestParser
from router.http1.reader import MessageHandler

CLIENT: Final = b"x-rampway-client"
"""The field: address, scheme, and 1 where it is a proxy of ours."""
SECRETS: Final = frozenset(name.encode() for name in CREDENTIALS)


class _Heads(MessageHandler):
    """Takes the one head of a parser."""

    head: RequestHead | None = None

    def on_request(self, head: RequestHead, _body: bytes, _complete: bool, /) -> None:
        """The one."""
        self.head = head

    def on_body(self, piece: bytes, complete: bool, /) -> None:
        """A head has none."""


def kept_head(head: RequestHead, peer: Peer, secrets: frozenset[bytes] = SECRETS) -> bytes:
    """``head`` as bytes, empty line included; ``secrets``: lower-case names without their values.

    The names of :data:`SECRETS` never have theirs.
    """
    lines = [b"%b %b HTTP/1.%d\r\n" % (head.method, head.target, head.minor)]
    if head.host:
        lines.append(b"Host: %b\r\n" % head.host)
    for field in head.fields:
        if field.kind & (HOST | INTERNAL):
            continue
        hidden = field.low in secrets or field.low in SECRETS
        lines.append(b"%b: \r\n" % field.name if hidden else field.line)
    lines.append(b"%b: %b %b %d\r\n\r\n" % (CLIENT, peer.address, peer.scheme, peer.trusted))
    return b"".join(lines)


def read_head(kept: bytes) -> tuple[RequestHead, Peer]:
    """What :func:`kept_head` has kept. Raises ValueError where it is something else."""
    taken = _Heads()
    with contextlib.suppress(FramingError):
        RequestParser(taken).feed(kept)
    parts = (taken.head.get(CLIENT) or b"").split(b" ") if taken.head is not None else []
    if taken.head is None or len(parts) != 3:
        raise ValueError("expected the head of a request that the router has kept")
    address, scheme, trusted = parts
    return taken.head, Peer(address, scheme=scheme, trusted=trusted == b"1")
