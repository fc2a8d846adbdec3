"""Strangers who begin a TLS handshake and never finish it, or begin many at once."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl

import pytest

from router.admin import handshakes
from router.admin.handshakes import AdminHandshakes
from router.core.policy.server import Admin
from tests.admin.conftest import SECRETS, TOKENS, running
from tests.admin.test_connections import ORDER
from tests.admin.test_tls import certificate


def hello():
    """What a client sends first."""
    out = ssl.MemoryBIO()
    made = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="a")
    with contextlib.suppress(ssl.SSLWantReadError):
        made.do_handshake()
    return out.read()


def trusting():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _ordered(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting())
    token = f"Authorization: Bearer {SECRETS['operator']}\r\n".encode()
    writer.write(ORDER + token + b'\r\n{"dry_run":true }')
    line = await asyncio.wait_for(reader.readline(), 10)
    writer.transport.abort()
    return int(line.split()[1])


@pytest.fixture
async def site(tmp_path):
    policy = Admin(listen="127.0.0.1:0", tokens=TOKENS, tls=certificate(tmp_path, "one"))
    async with running(policy) as made:
        yield made


async def _strangers(port, count, sent):
    held = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        held.append((reader, writer))
    return held


@pytest.mark.parametrize(
    "sent", [b"", hello()[:20], hello()], ids=["silent", "half a hello", "a hello"]
)
async def test_strangers_who_never_finish_do_not_keep_an_order_out(site, sent, monkeypatch):
    monkeypatch.setattr(handshakes, "WAITING_MAX", 40)
    port = site.server.port
    held = await _strangers(port, 120, sent)
    assert [await _ordered(port) for _ in range(15)] == [200] * 15
    (server,) = site.server._servers
    assert len(server) <= 40
    for reader, _ in held[:60]:  # the oldest gave way
        with contextlib.suppress(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 30)
    for _, writer in held:
        writer.transport.abort()


@pytest.mark.parametrize(
    "sent", [b"", hello()[:20], b"GET / HTTP/1.1\r\n\r\n"], ids=["silent", "half", "plain"]
)
async def test_a_handshake_has_its_time(site, sent, monkeypatch):
    monkeypatch.setattr(handshakes, "HANDSHAKE_S", 0.2)
    ((reader, writer),) = await _strangers(site.server.port, 1, sent)
    with contextlib.suppress(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 30)
    writer.transport.abort()
    assert await _ordered(site.server.port) == 200
    (server,) = site.server._servers
    async with asyncio.timeout(30):
        while len(server):
            await asyncio.sleep(0.01)


async def test_many_that_begin_at_once_take_their_turns(site, monkeypatch):
    begun, most = 0, 0
    original = AdminHandshakes._shake

    async def shake(self, one):
        nonlocal begun, most
        begun += 1
        most = max(most, begun)
        await original(self, one)

    async def turns():
        nonlocal begun
        while True:
            begun = 0
            await asyncio.sleep(0)

    monkeypatch.setattr(AdminHandshakes, "_shake", shake)
    held = await _strangers(site.server.port, 60, b"")
    await asyncio.sleep(0.05)
    watch = asyncio.create_task(turns())
    first = hello()
    for _, writer in held:
        writer.write(first)
    for reader, _ in held:
        assert await asyncio.wait_for(reader.readexactly(5), 10)  # the server's part
    assert await _ordered(site.server.port) == 200
    watch.cancel()
    assert 1 < most <= 8
    for _, writer in held:
        writer.transport.abort()


async def test_without_descriptors_it_accepts_again_later(monkeypatch):
    monkeypatch.setattr(handshakes, "ACCEPT_PAUSE_S", 0.05)

    class Full:
        """A listening socket while there are no file descriptors."""

        refusals = 2

        def __init__(self, bound):
            self.bound = bound

        def __getattr__(self, name):
            return getattr(self.bound, name)

        def accept(self):
            if self.refusals:
                self.refusals -= 1
                raise OSError(errno.EMFILE, "too many open files")
            return self.bound.accept()

    bound = socket.create_server(("127.0.0.1", 0))
    served = AdminHandshakes(Full(bound), trusting, asyncio.Protocol)
    served.listen(5)
    reader, writer = await asyncio.open_connection(*bound.getsockname())
    async with asyncio.timeout(30):
        while not len(served):
            await asyncio.sleep(0.01)
    served.close()
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    assert len(served) == 0
    writer.transport.abort()
