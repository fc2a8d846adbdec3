"""Connections of the admin listener that never ask, or ask for ever."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

import pytest
from structlog.testing import capture_logs

from router.admin import bodies, connections, server
from router.core.policy.server import Admin
from tests.admin.conftest import SECRETS, TOKENS, running
from tests.reliability.whole import promised


@pytest.fixture
async def quick(monkeypatch):
    monkeypatch.setattr(connections, "HEAD_S", 0.5)
    monkeypatch.setattr(server, "SWEEP_S", 0.05)
    monkeypatch.setattr(bodies, "BODY_S", 0.3)
    async with running(Admin(listen="127.0.0.1:0")) as made:
        yield made


async def _closed_after(reader):
    began = time.monotonic()
    async with asyncio.timeout(30):
        rest = await reader.read()
    return rest, time.monotonic() - began


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: loc", b"GET /healthz HTTP"])
async def test_a_head_that_never_ends_is_cut(quick, sent):
    reader, writer = await asyncio.open_connection("127.0.0.1", quick.server.port)
    writer.write(sent)
    rest, took_s = await _closed_after(reader)
    assert rest == b""
    assert 0.1 < took_s < promised(2)
    writer.close()


async def test_a_kept_connection_has_the_same_time_for_its_next_head(quick, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_S", 1.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", quick.server.port)
    for _ in range(4):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " in await reader.readline()
        await reader.readuntil(b"}")
        await asyncio.sleep(0.29)
    writer.write(b"GET /hea")
    rest, took_s = await _closed_after(reader)
    assert (rest, took_s < promised(2)) == (b"", True)
    writer.close()


async def test_a_stream_of_events_is_not_idle(quick):
    async with quick.client.get(quick.server.url + "/api/v1/events") as answer:
        await answer.content.readuntil(b"\n\n")
        await asyncio.sleep(0.6)
        assert not answer.content.at_eof()


async def test_a_body_that_never_comes_is_408(quick):
    reader, writer = await asyncio.open_connection("127.0.0.1", quick.server.port)
    writer.write(
        b"POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 20\r\n\r\n{"
    )
    assert b" 408 " in await asyncio.wait_for(reader.readline(), 30)
    writer.close()


HEADLESS = b"GET /healthz HTTP/1.1\r\nHost: loc"
ORDER = (
    b"POST /api/v1/rollouts/flight-delay/rollback HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 17\r\n"
)


async def _held(port, count, sent=HEADLESS):
    held = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        held.append((reader, writer))
    return held


async def _status(port, sent):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    line = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    return int(line.split()[1]) if line else 0


async def test_four_hundred_silent_strangers_do_not_keep_an_order_out():
    async with running(Admin(listen="127.0.0.1:0", tokens=TOKENS)) as site:
        port = site.server.port
        token = f"Authorization: Bearer {SECRETS['operator']}\r\n".encode()
        order = ORDER + token + b'\r\n{"dry_run":true }'
        held = await _held(port, 400)
        assert [await _status(port, order) for _ in range(50)] == [200] * 50
        assert site.server._connections.open <= connections.STRANGERS_MAX
        for _, writer in held:
            writer.close()


async def test_the_oldest_stranger_without_a_head_gives_way_and_who_is_known_never_does(
    monkeypatch,
):
    monkeypatch.setattr(connections, "STRANGERS_MAX", 5)
    async with running(Admin(listen="127.0.0.1:0", tokens=TOKENS)) as site:
        port = site.server.port
        known = (
            b"GET /api/v1/session HTTP/1.1\r\nHost: localhost\r\n"
            b"Authorization: Bearer " + SECRETS["viewer"].encode() + b"\r\n\r\n"
        )
        mine = (await _held(port, 1, known))[0]
        assert b" 200 " in await mine[0].readline()
        held = await _held(port, 9)
        for reader, _ in held[:4]:
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 30) == b""
        assert not any(reader.at_eof() for reader, _ in held[4:])
        await mine[0].readuntil(b"}")
        mine[1].write(known)
        assert b" 200 " in await asyncio.wait_for(mine[0].readline(), 30)
        for _, writer in (*held, mine):
            writer.close()


async def test_where_all_are_known_there_is_room_for_orders_alone(monkeypatch):
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 3)
    monkeypatch.setattr(connections, "ORDERS_MAX", 2)
    async with running(Admin(listen="127.0.0.1:0")) as site:
        port = site.server.port
        listening = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
        held = await _held(port, 3, listening)
        for reader, _ in held:
            assert b" 200 " in await reader.readline()
        asked = b"GET /api/v1/routes HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert await _status(port, asked) == 503
        assert await _status(port, ORDER + b'\r\n{"dry_run":true }') == 200
        for _, writer in held:
            writer.close()


async def test_who_has_gone_waits_for_nothing():
    """A connection and its order's place are free as soon as the caller has gone."""
    async with running(Admin(listen="127.0.0.1:0")) as site:
        entered, left = asyncio.Event(), asyncio.Event()

        async def never(*_, **__):
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                left.set()

        site.controller.command = never
        [(_, writer)] = await _held(site.server.port, 1, ORDER + b'\r\n{"dry_run":false}')
        await asyncio.wait_for(entered.wait(), 30)
        writer.close()
        await asyncio.wait_for(left.wait(), 30)
        async with asyncio.timeout(30):
            while site.server._connections.open:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer hunter2\x01\r\n\r\n",
        b"GET /x?token=hunter2 HTTP/1.1 x\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00hunter2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: hunter2\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"hunter2" * 10_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_answered_and_told_in_our_words(quick, sent, caplog):
    with capture_logs() as lines:
        reader, writer = await asyncio.open_connection("127.0.0.1", quick.server.port)
        writer.write(sent)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    assert b"application/problem+json" in head
    assert b"aiohttp" not in head
    assert b"X-Content-Type-Options: nosniff" in head
    assert json.loads(body)["status"] == int(head.split()[1])
    assert len(lines) <= 1
    assert b"hunter2" not in answer
    assert "hunter2" not in str(lines) + caplog.text
    assert caplog.text == ""
