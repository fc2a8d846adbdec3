"""Connections of the admin listener that never ask, or ask for ever."""

from __future__ import annotations

import asyncio
import time

import pytest

from router.admin import connections, server
from router.core.policy.server import Admin
from tests.admin.conftest import running


@pytest.fixture
async def quick(monkeypatch):
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 20)
    monkeypatch.setattr(server, "SWEEP_S", 0.05)
    monkeypatch.setattr(server, "BODY_S", 0.3)
    async with running(Admin(listen="127.0.0.1:0")) as made:
        yield made


async def _closed_after(reader):
    began = time.monotonic()
    async with asyncio.timeout(5):
        rest = await reader.read()
    return rest, time.monotonic() - began


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: loc", b"GET /healthz HTTP"])
async def test_a_head_that_never_ends_is_cut(quick, sent):
    reader, writer = await asyncio.open_connection("127.0.0.1", quick.server.port)
    writer.write(sent)
    rest, took_s = await _closed_after(reader)
    assert rest == b""
    assert 0.1 < took_s < 2
    writer.close()


async def test_a_kept_connection_has_the_same_time_for_its_next_head(quick):
    reader, writer = await asyncio.open_connection("127.0.0.1", quick.server.port)
    for _ in range(4):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " in await reader.readline()
        await reader.readuntil(b"}")
        await asyncio.sleep(0.12)
    writer.write(b"GET /hea")
    rest, took_s = await _closed_after(reader)
    assert (rest, took_s < 2) == (b"", True)
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
    assert b" 408 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()


async def test_there_are_so_many_and_no_more(quick):
    held = [await asyncio.open_connection("127.0.0.1", quick.server.port) for _ in range(20)]
    async with asyncio.timeout(5):
        while len(quick.server._runner.server.connections) < 20:
            await asyncio.sleep(0.005)
        reader, writer = await asyncio.open_connection("127.0.0.1", quick.server.port)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
    for _, one in held:
        one.close()
