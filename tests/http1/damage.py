"""Random damage to the corpus, and the property it must not break.

Used by the property tests and by the fuzz entry in `tests/fuzz`.
"""

from __future__ import annotations

from hypothesis import strategies as st

from router.http1 import FramingError, RequestParser, ResponseParser, body_piece
from router.http1.headers import (
    REQUEST_FIELDS,
    REQUEST_KINDS,
    RESPONSE_FIELDS,
    RESPONSE_KINDS,
    FieldCache,
)
from router.http1.messages import CHUNKED
from tests.http1.corpus import ANSWERS, REQUESTS
from tests.http1.wire import Recorder

BYTES_MAX = 1500
RAW_REQUESTS = [c.raw for c in REQUESTS if len(c.raw) < BYTES_MAX]
RAW_ANSWERS = [c.raw for c in ANSWERS if len(c.raw) < BYTES_MAX]
TOKENS = [
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\x00", b" ", b"\t", b"\x80", b"\x7f"),
    *(b":", b",", b";", b"0", b"5", b"chunked", b"HTTP/1.1", b"GET / ", b"0\r\n\r\n"),
    *(b"Host: x\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: x\r\n", b"Expect: x\r\n"),
]


@st.composite
def damaged(draw, raws):
    """Corpus messages joined, with bytes replaced, removed and inserted."""
    raw = b"".join(draw(st.lists(st.sampled_from(raws), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(raw)))
        removed = draw(st.integers(0, 4))
        raw = raw[:at] + draw(st.sampled_from(TOKENS) | st.binary(max_size=3)) + raw[at + removed :]
    return raw


def pieces_of(raw, marks):
    """The raw bytes cut at these places (any integers)."""
    marks = sorted(mark % (len(raw) + 1) for mark in marks)
    return [raw[a:b] for a, b in zip([0, *marks], [*marks, len(raw)], strict=True)]


def read_requests(pieces, *, fresh=False):
    """Complete requests, refusal, unfinished request; `fresh`: nothing was read before."""
    recorder = Recorder()
    fields = FieldCache(REQUEST_KINDS) if fresh else REQUEST_FIELDS
    parser = RequestParser(recorder, fields=fields)
    return _verdict(parser, recorder, pieces)


def read_answers(pieces, *, to_head, fresh=False):
    """The same of one answer, and whether the connection may be used again.

    Whole chunks are taken as a connection takes them, and once more like all other pieces.
    """
    fed, taken = (_read_answers(pieces, to_head, fresh, way) for way in (_feed, take))
    assert fed == taken, "a whole chunk is read otherwise"
    return fed


def _read_answers(pieces, to_head, fresh, way):
    recorder = Recorder()
    fields = FieldCache(RESPONSE_KINDS) if fresh else RESPONSE_FIELDS
    parser = ResponseParser(recorder, fields=fields)
    parser.expect(to_head=to_head)
    return _verdict(parser, recorder, pieces, way), parser.reusable


def take(parser, recorder, data):
    """Read bytes of an answer as a connection does."""
    if content := parser.whole_chunk(data):
        assert data == body_piece(CHUNKED, content, False)
        recorder.on_body(content, False)
    else:
        parser.feed(data)


def _feed(parser, _recorder, data):
    parser.feed(data)


def _verdict(parser, recorder, pieces, way=_feed):
    status = None
    try:
        for piece in filter(None, pieces):
            if not getattr(parser, "_due", True):
                parser.close()  # what a pool does with a connection that speaks out of turn
            way(parser, recorder, piece)
    except FramingError as error:
        status = error.status
    return recorder.seen, status, None if status else recorder.open
