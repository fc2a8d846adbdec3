"""The opening handshake of a WebSocket, without sockets: pieces of every size, both readers."""

from __future__ import annotations

import pytest

from router.http1 import (
    DEFAULT_LIMITS,
    MessageHandler,
    RequestParser,
    UpstreamFramingError,
)
from router.http1.handshake import accepts, handshake_flaw, known_version, offers_websocket
from router.http1.switching import SwitchingParser
from router.http1.writer import SWITCH, switching_head

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
OFFER = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + b"\r\n"
    b"Sec-WebSocket-Protocol: chat, superchat\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
ACCEPT = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    b"Sec-WebSocket-Protocol: superchat\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n"
)


class Sink(MessageHandler):
    """Takes what a parser says."""

    def __init__(self):
        self.said = []

    def on_request(self, head, body, complete):
        self.said.append(("request", head, body, complete))

    def on_response(self, head, body, complete):
        self.said.append(("response", head.status, body, complete))

    def on_interim(self, head):
        self.said.append(("interim", head.status))

    def on_body(self, piece, complete):
        self.said.append(("body", piece, complete))

    def switch(self, head, behind):
        self.said.append(("switch", head, behind))


def offer(raw=OFFER):
    sink = Sink()
    RequestParser(sink).feed(raw)
    return sink.said[0][1]


def answers(*pieces, to=None):
    sink = Sink()
    parser = SwitchingParser(sink, DEFAULT_LIMITS, sink.switch)
    parser.expect()
    for piece in pieces:
        parser.feed(piece)
    assert not parser.reusable
    return sink.said


def test_the_pair_of_the_specification():
    head = offer()
    assert offers_websocket(head)
    assert not handshake_flaw(head)
    assert known_version(head)
    ((kind, answer, behind),) = answers(ACCEPT + b"\x81\x02hi")
    assert (kind, behind) == ("switch", b"\x81\x02hi")
    assert accepts(head, answer)
    sent = switching_head(answer, b"X-Request-Id: 7\r\n")
    assert sent.startswith(b"HTTP/1.1 101 Switching Protocols\r\nX-Request-Id: 7\r\n" + SWITCH)
    assert sent.endswith(b"\r\n\r\n")
    assert sent.lower().count(b"\r\nupgrade:") == sent.lower().count(b"\r\nconnection:") == 1


def test_in_pieces_of_every_size():
    whole = ACCEPT + b"\x81\x02hi"
    for cut in range(1, len(whole)):
        said = answers(whole[:cut], whole[cut:])
        assert said[0][0] == "switch"
        seen = said[0][2] + b"".join(part[1] for part in said[1:])
        assert b"\x81\x02hi".startswith(seen), "what comes later is no parser's any more"


def test_other_answers_are_answers():
    assert answers(b"HTTP/1.1 103 Early Hints\r\n\r\n", ACCEPT)[0] == ("interim", 103)
    declined = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"
    for _ in range(20):  # until it is a plain head
        assert answers(declined) == [("response", 401, b"no", True)]
    assert answers(b"HTTP/1.1 10") == []


@pytest.mark.parametrize(
    "raw",
    [
        ACCEPT.replace(b"Connection: Upgrade\r\n", b""),
        ACCEPT.replace(b"Upgrade: websocket\r\n", b""),
        ACCEPT.replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\n"),
        ACCEPT.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ACCEPT.replace(b"Upgrade: w", b"Upgrade : w"),
        ACCEPT.replace(b" 101 ", b" 1010 "),
        ACCEPT.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 40_000 + b"\r\n\r\n"),
    ],
)
def test_what_both_readers_do_not_take_for_a_switch_is_refused(raw):
    with pytest.raises(UpstreamFramingError):
        answers(raw)


def test_two_switches():
    """Behind the first there is no HTTP: whatever it is, the second is only bytes."""
    ((kind, _, behind),) = answers(ACCEPT + ACCEPT)
    assert (kind, behind) == ("switch", ACCEPT)


@pytest.mark.parametrize("accept", [b"", b"x", KEY])
def test_only_who_read_the_key_can_accept(accept):
    other = ACCEPT.replace(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", accept)
    ((_, answer, _),) = answers(other)
    assert not accepts(offer(), answer)


def test_offers():
    for value, offered in ((b"h2c", False), (b"h2c, WebSocket", True), (b"websocket/1", True)):
        assert offers_websocket(offer(OFFER.replace(b"WebSocket\r\n", value + b"\r\n"))) is offered
    assert not known_version(offer(OFFER.replace(b": 13", b": 7, 13")))
    flawed = offer(OFFER.replace(KEY, KEY[:-3] + b"R=="))  # bits behind the sixteenth byte
    assert "Sec-WebSocket-Key" in handshake_flaw(flawed)
