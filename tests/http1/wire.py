"""A handler that writes down what a parser says, for the tests of this package."""

from __future__ import annotations

from router.http1 import MessageHandler, Peer, RequestParser, ResponseParser
from router.http1.messages import FRAMING_NAMES
from tests.http1.corpus import Seen

PEER = Peer(b"192.0.2.7")


class Recorder(MessageHandler):
    """Collects complete messages in `seen`, their heads in `heads`; serves both parsers."""

    def __init__(self):
        self.seen = []
        self.heads = []
        self.open = None
        self.calls = 0

    def on_request(self, head, body, complete):
        self._begin(head.method + b" " + head.target, head, body, complete)

    def on_response(self, head, body, complete):
        self._begin(b"%d" % head.status, head, body, complete)

    def on_interim(self, head):
        self.heads.append(head)
        self.seen.append(Seen(b"%d" % head.status))

    def on_body(self, piece, complete):
        assert piece or complete, "an empty piece says nothing"
        self.calls += 1
        start, framing, body = self.open
        self._end(start, framing, body + piece, complete)

    def _begin(self, start, head, body, complete):
        assert self.open is None, "a message within a message"
        self.calls += 1
        self.heads.append(head)
        self._end(start, FRAMING_NAMES[head.framing], body, complete)

    def _end(self, start, framing, body, complete):
        self.open = None if complete else (start, framing, body)
        if complete:
            self.seen.append(Seen(start, framing, body))


def pairs_of(head):
    """All fields as (name, value) pairs."""
    return [(field.name, field.value) for field in head.fields]


def parse_request(raw, **limits):
    """The head and body of one complete request."""
    recorder = Recorder()
    RequestParser(recorder, **limits).feed(raw)
    (seen,) = recorder.seen
    return recorder.heads[0], seen.body


def parse_response(raw, *, to_head=False, eof=False):
    """The head and body of one complete answer."""
    recorder = Recorder()
    parser = ResponseParser(recorder)
    parser.expect(to_head=to_head)
    parser.feed(raw)
    if eof:
        parser.feed_eof()
    return recorder.heads[-1], recorder.seen[-1].body
