"""What one read may do in one turn of the loop: a part of what was sent, then others are asked."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from router.http1 import MessageHandler, RequestParser, ResponseParser
from router.http1.chunks import CHUNKS_A_TURN
from router.http1.parser import REQUESTS_A_TURN
from router.proxy.exchange import Exchange
from router.proxy.upload import KeptBytes, Upload
from tests.proxy.rig import Rig, route, until, version
from tests.proxy.scripted import Scripted, echo

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = 200_000
READ_BYTES_MAX = 300_000
"""More than one read of either event loop."""
ONE_OR_SO = 2
"""Pieces of a turn: what was left of one read, and the next read."""


class Pieces(MessageHandler):
    """Takes what a parser hands on."""

    def __init__(self):
        self.pieces = []

    def on_request(self, _head, body, complete, /):
        self.pieces.append((body, complete))

    def on_body(self, piece, complete, /):
        self.pieces.append((piece, complete))

    on_response = on_request


def _request(handler):
    return RequestParser(handler), CHUNKED


def _answer(handler):
    parser = ResponseParser(handler)
    parser.expect()
    return parser, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("made", [_request, _answer])
@pytest.mark.parametrize("line", [b"1", b"01", b"1;ext"])
def test_chunks_beyond_a_turn_wait_for_the_next(made, line):
    handler = Pieces()
    parser, head = made(handler)
    body = bytes(i % 251 for i in range(3 * CHUNKS_A_TURN))
    chunks = b"".join(b"%b\r\n%c\r\n" % (line, one) for one in body)
    parser.feed(head + chunks[: len(chunks) // 2 + 1])
    turns = 1
    while parser.behind:
        parser.resume()
        turns += 1
    assert turns == 2
    parser.feed(chunks[len(chunks) // 2 + 1 :] + b"0\r\n\r\n")
    assert parser.behind
    parser.feed(b"")  # bytes that come all the same are kept behind the others
    while parser.behind:
        parser.resume()
    assert b"".join(piece for piece, _ in handler.pieces) == body
    assert [complete for _, complete in handler.pieces][-2:] == [False, True]
    assert max(len(piece) for piece, _ in handler.pieces) == CHUNKS_A_TURN


def test_what_comes_meanwhile_stands_behind_what_waits():
    for made in (_request, _answer):
        handler = Pieces()
        parser, head = made(handler)
        parser.feed(head + b"1\r\na\r\n" * (CHUNKS_A_TURN + 5))
        assert parser.behind
        parser.feed(b"1\r\nb\r\n0\r\n\r\n")
        assert parser.behind
        parser.resume()
        assert handler.pieces == [(b"a" * CHUNKS_A_TURN, False), (b"aaaaab", True)]


def test_the_end_of_an_answer_comes_behind_all_of_it():
    handler = Pieces()
    parser, head = _answer(handler)
    parser.feed(head + b"1\r\na\r\n" * 3_000 + b"0\r\n\r\n")
    assert parser.behind
    parser.feed_eof()
    assert sum(len(piece) for piece, _ in handler.pieces) == 3_000
    assert handler.pieces[-1][1]
    assert not parser.reusable


def test_pipelined_requests_beyond_a_turn_wait_for_the_next():
    handler = Pieces()
    parser = RequestParser(handler)
    parser.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * (REQUESTS_A_TURN + 3))
    assert len(handler.pieces) == REQUESTS_A_TURN
    parser.resume()
    assert (len(handler.pieces), parser.behind) == (REQUESTS_A_TURN + 3, False)


@asynccontextmanager
async def _longest(name, rig):
    """How often ``Exchange.name`` was called between two turns of the loop, at most.

    And how many bytes stood unread in a parser, at most.
    """
    seen = {"most": 0, "now": 0, "waiting": 0}
    original = getattr(Exchange, name)

    def counted(self, *given):
        seen["now"] += 1
        seen["most"] = max(seen["most"], seen["now"])
        return original(self, *given)

    async def turns():
        while True:
            seen["now"] = 0
            ends = [*rig.plane.connections, *(e.attempt.connection for e in rig.plane.exchanges)]
            unread = [end.parser.buffered_bytes for end in ends if end is not None]
            seen["waiting"] = max(seen["waiting"], *unread, 0)
            await asyncio.sleep(0)

    other = asyncio.create_task(turns())
    patch = pytest.MonkeyPatch()
    patch.setattr(Exchange, name, counted)
    try:
        yield seen
    finally:
        patch.undo()
        other.cancel()


async def test_a_client_s_tiny_chunks_arrive_whole_a_piece_a_turn():
    async with Scripted(echo) as site, Rig(route(version("v1", site))) as rig:
        async with _longest("on_upload", rig) as seen:
            client = await rig.client()
            await client.send(CHUNKED + b"1\r\nx\r\n" * CHUNKS + b"0\r\n\r\n")
            answer = await client.answer()
        assert (answer.status, answer.body) == (200, b"x" * CHUNKS)
        assert seen["most"] <= ONE_OR_SO
        assert seen["waiting"] <= READ_BYTES_MAX
        assert (await client.ask(CHUNKED + b"1\r\ny\r\n0\r\n\r\n")).body == b"y"
        client.close()


async def test_tiny_chunks_that_break_off_are_refused_in_whichever_turn():
    async with Scripted(echo) as site, Rig(route(version("v1", site))) as rig:
        client = await rig.client()
        await client.send(CHUNKED + b"1\r\nx\r\n" * 10_000 + b"what\r\n")
        assert (await client.answer()).status == 400
        client.close()
        await rig.settled()


opened = []


def tiny(chunks):
    """Answers in chunks of one byte, one after the other."""

    async def script(peer):
        opened.append(peer)
        while True:
            await peer.request()
            await peer.send(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                + b"1\r\nx\r\n" * chunks + b"0\r\n\r\n"
            )  # fmt: skip

    return script


def _begun(monkeypatch, then):
    """``then(exchange)`` when an answer has begun to go out."""
    original = Exchange.respond

    def respond(self, *given):
        original(self, *given)
        then(self)

    monkeypatch.setattr(Exchange, "respond", respond)


async def test_a_version_s_tiny_chunks_arrive_whole_a_piece_a_turn(monkeypatch):
    """Also to a client that stops reading and catches up meanwhile."""
    soon = asyncio.get_running_loop().call_soon
    _begun(monkeypatch, lambda one: (one.pause_download(), soon(one.resume_download)))
    async with Scripted(tiny(CHUNKS)) as site, Rig(route(version("v1", site))) as rig:
        client = await rig.client()
        opened.clear()
        for _ in range(2):
            async with _longest("on_body", rig) as seen:
                assert (await client.ask()).body == b"x" * CHUNKS
            assert seen["most"] <= ONE_OR_SO
            assert seen["waiting"] <= READ_BYTES_MAX
        assert len(opened) == 1
        client.close()


async def malformed(peer):
    """Many good chunks, then none."""
    await peer.request()
    await peer.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1\r\nx\r\n" * 10_000
        + b"what\r\n"
    )
    await peer.wait_gone()


async def test_a_version_s_chunks_that_break_off_cut_the_answer():
    async with Scripted(malformed) as site, Rig(route(version("v1", site))) as rig:
        client = await rig.client()
        answer = await client.ask()
        assert (answer.status, answer.complete) == (200, False)
        client.close()
        await rig.settled()


async def test_a_client_that_is_slow_within_a_read_leaves_the_connection_readable(monkeypatch):
    """Reading was stopped for the client, and the end of the answer was in the same read."""
    _begun(monkeypatch, Exchange.pause_download)
    async with Scripted(tiny(2 * CHUNKS_A_TURN)) as site, Rig(route(version("v1", site))) as rig:
        client = await rig.client()
        opened.clear()
        for _ in range(3):
            assert (await client.ask()).body == b"x" * 2 * CHUNKS_A_TURN
        assert len(opened) == 1
        client.close()


async def test_a_client_that_leaves_between_two_turns_leaves_nothing():
    async with Scripted(tiny(CHUNKS)) as site, Rig(route(version("v1", site))) as rig:
        client = await rig.client()
        await client.send(CHUNKED + b"1\r\nx\r\n" * 40_000)
        await until(lambda: bool(rig.plane.exchanges))
        client.close()
        await rig.settled()
        assert not any(one.parser.behind for one in rig.plane.connections)


async def test_requests_that_nobody_serves_are_answered_some_a_turn():
    """Answered at once, each would call for the next."""
    wanted = b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"
    async with Rig() as rig:
        async with _longest("__init__", rig) as seen:
            client = await rig.client()
            await client.send(wanted * 1_000)
            for _ in range(1_000):
                assert (await client.answer()).status == 404
        assert 1 < seen["most"] <= REQUESTS_A_TURN
        client.close()


def test_a_body_in_tiny_pieces_grows_in_place():
    account = KeptBytes()
    upload = Upload(account, 0.0)
    upload.keep(b"a")
    for _ in range(9):
        upload.keep(b"b")
    body = upload.behind(b"head")
    assert body == b"heada" + b"b" * 9
    assert upload.behind(body) is body
    assert account.bytes == 10
