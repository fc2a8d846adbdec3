"""The opening handshake of a WebSocket, read so that nobody can take it for anything else.

A tunnel is bytes that no parser looks at any more. Where one side believes in it and the other does
not, what a client sends as frames is read as requests: smuggling. So nothing is a handshake that
does not say all of RFC 6455 section 4.2.1 exactly once, and no answer opens a tunnel that does not
prove by `Sec-WebSocket-Accept` that it read the same handshake (section 4.2.2).
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha1
from typing import Final

from router.http1.messages import NO_BODY, RequestHead, ResponseHead

VERSION: Final = b"13"
"""The one that RFC 6455 defines."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile(rb"[A-Za-z0-9+/]{21}[AQgw]==").fullmatch
"""16 bytes in base64, in their one spelling (RFC 4648 section 3.5)."""
_CONTROL: Final = b"sec-websocket-"


def offers_websocket(head: RequestHead) -> bool:
    """Whether a request names WebSocket among the protocols that it would rather speak."""
    offers = b",".join(head.get_all(b"upgrade")).lower().split(b",")
    return b"websocket" in [offer.strip(b" \t").partition(b"/")[0] for offer in offers]


def handshake_flaw(head: RequestHead) -> str:
    """Why a request that offers WebSocket is no handshake; empty for a sound one."""
    if head.method != b"GET" or not head.minor:
        return "a WebSocket handshake is a GET of HTTP/1.1"
    if head.framing != NO_BODY:
        return "a WebSocket handshake has no body"
    if b"upgrade" not in head.named:
        return "a WebSocket handshake says Connection: Upgrade"
    if [value.lower() for value in head.get_all(b"upgrade")] != [b"websocket"]:
        return "a WebSocket handshake asks for websocket and for nothing else"
    if any(name.startswith(_CONTROL) for name in head.named):
        return "a WebSocket handshake's own fields are not named in Connection"
    keys = head.get_all(b"sec-websocket-key")
    if len(keys) != 1 or _KEY(keys[0]) is None:
        return "a WebSocket handshake has one Sec-WebSocket-Key of 16 bytes in base64"
    return ""


def known_version(head: RequestHead) -> bool:
    """Whether a handshake is of the version there is; otherwise 426 (RFC 6455 section 4.4)."""
    return head.get_all(b"sec-websocket-version") == [VERSION]


def accepts(head: RequestHead, answer: ResponseHead) -> bool:
    """Whether a 101 answer accepts this handshake: the protocol, the key, and what was offered.

    RFC 6455 section 4.1: a subprotocol or an extension that was not asked for is none.
    """
    key = b"".join(head.get_all(b"sec-websocket-key"))
    proof = b64encode(sha1(key + _GUID, usedforsecurity=False).digest())
    return (
        answer.minor == 1
        and b"upgrade" in answer.named
        and not any(name.startswith(_CONTROL) for name in answer.named)
        and [value.lower() for value in answer.get_all(b"upgrade")] == [b"websocket"]
        and answer.get_all(b"sec-websocket-accept") == [proof]
        and _asked(head, answer, b"sec-websocket-protocol")
        and _asked(head, answer, b"sec-websocket-extensions")
        and len(answer.get_all(b"sec-websocket-protocol")) <= 1
    )


def _asked(head: RequestHead, answer: ResponseHead, name: bytes) -> bool:
    return _names(answer, name) <= _names(head, name)


def _names(head: RequestHead | ResponseHead, name: bytes) -> set[bytes]:
    """What a field lists, without parameters."""
    listed = b",".join(head.get_all(name)).split(b",")
    return {one.partition(b";")[0].strip(b" \t") for one in listed} - {b""}
