"""What goes out, read by somebody else: h11 must see the message that the corpus says was sent."""

from __future__ import annotations

import h11
import pytest

from router.http1 import (
    CHUNKED,
    RequestParser,
    ResponseParser,
    body_piece,
    request_head,
    response_head,
)
from tests.http1.corpus import ANSWERS, REQUESTS, Case
from tests.http1.wire import PEER, Recorder, parse_request


def read_by_h11(connection, raw):
    """Start event, body and how it was framed."""
    connection.receive_data(raw)
    start = connection.next_event()
    while isinstance(start, h11.InformationalResponse):
        start = connection.next_event()
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(b"")
        elif isinstance(event, h11.EndOfMessage):
            assert not event.headers, "trailers are dropped"
            return start, body
        else:
            body += event.data


@pytest.mark.parametrize("case", [c for c in REQUESTS if c.seen], ids=lambda c: c.name)
def test_requests_as_h11_reads_them(case: Case):
    recorder = Recorder()
    parser = RequestParser(recorder)
    try:
        parser.feed(case.raw)
    except Exception:  # noqa: BLE001 - its kind is the corpus test's business
        assert case.status
    for head, seen in zip(recorder.heads, case.seen, strict=False):
        raw = request_head(head, host=b"backend:80", peer=PEER, request_id=b"i")
        raw += body_piece(head.framing, seen.body, complete=True)
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=100_000)
        start, body = read_by_h11(connection, raw)
        assert start.method + b" " + start.target == seen.start
        assert body == seen.body
        assert connection.trailing_data == (b"", False)
        names = [name for name, _ in start.headers]
        assert names.count(b"host") == 1
        assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
        assert (b"transfer-encoding" in names) == (head.framing == CHUNKED)
        assert not {b"connection", b"keep-alive", b"te", b"upgrade", b"expect"} & set(names)


@pytest.mark.parametrize("minor", [0, 1])
@pytest.mark.parametrize("case", [c for c in ANSWERS if c.seen and not c.status],
                         ids=lambda c: c.name)  # fmt: skip
def test_answers_as_h11_reads_them(case: Case, minor):
    recorder = Recorder()
    parser = ResponseParser(recorder)
    parser.expect(to_head=case.to_head)
    parser.feed(case.raw)
    if case.eof:
        parser.feed_eof()
    head, seen = recorder.heads[-1], recorder.seen[-1]
    if head.status < 200:
        pytest.skip("the final answer is still to come")
    method = b"HEAD" if case.to_head else b"GET"
    request, _ = parse_request(b"%b / HTTP/1.%d\r\nHost: x\r\n\r\n" % (method, minor))
    out, framing, keep = response_head(head, request, keep_alive=True)
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target=b"/", headers=[(b"Host", b"x")]))
    connection.send(h11.EndOfMessage())
    start, body = read_by_h11(connection, out + body_piece(framing, seen.body, complete=True))
    assert (b"%d" % start.status_code, body) == (seen.start, seen.body)
    if not minor:
        assert b"transfer-encoding" not in [name for name, _ in start.headers]
        assert not keep
