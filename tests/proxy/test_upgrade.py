"""WebSockets: a real client and a real service at both ends, and raw bytes where they would not."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from router.core.wire.endpoint import EndpointEntry
from router.core.wire.table import Mirror, StickyEntry, StickyKind, TunnelEntry, stable_only
from tests.proxy.rig import LIMITS, RESCUE, Rig, replace, request, rollout, route, until, version
from tests.proxy.scripted import Scripted, answers, ok

OPEN = TunnelEntry()
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
PROOF = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The pair of RFC 6455 section 1.3."""
OFFER = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
         f"Sec-WebSocket-Key: {KEY}"]  # fmt: skip
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: " + PROOF + b"\r\n\r\n"
)


class Service:
    """A WebSocket service that answers every message with its name and the message."""

    def __init__(self, name, **options):
        self.name = name
        self.options = options
        self.paths = []
        self.headers = []
        self.ended = 0
        self.open = set()

    async def __aenter__(self):
        self.server = await serve(self._talk, "127.0.0.1", 0, max_size=None, **self.options)
        port = next(iter(self.server.sockets)).getsockname()[1]
        self.endpoint = EndpointEntry("127.0.0.1", port)
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()

    async def _talk(self, socket):
        self.paths.append(socket.request.path)
        self.headers.append(socket.request.headers)
        self.open.add(socket)
        try:
            await socket.send(f"hello from {self.name}")
            async for message in socket:
                await socket.send(message if isinstance(message, bytes) else self.name + message)
        except websockets.ConnectionClosed:
            pass
        finally:
            self.open.discard(socket)
            self.ended += 1


def speaks(rig, path="/ws", **options):
    options.setdefault("max_size", None)
    return connect(f"ws://127.0.0.1:{rig.plane.port}{path}", **options)


def alone(service, **fields):
    return route(version("v1", service), tunnel=fields.pop("tunnel", OPEN), **fields)


async def test_messages_pass_both_ways_as_they_are():
    async with Service("v1") as service, Rig(alone(service)) as rig:
        async with speaks(rig, "/ws?q=1", compression=None) as client:
            assert await client.recv() == "hello from v1"
            for size in (0, 1, 125, 65_536, 3_000_000):
                blob = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
                await client.send(blob)
                assert await client.recv() == blob
            await client.send("?")
            assert await client.recv() == "v1?"
            pong = await client.ping()
            async with asyncio.timeout(30):
                await pong
            assert client.response.headers["X-Rampway-Version"] == "v1"
            assert client.response.headers["X-Request-Id"]
            assert len(rig.plane.tunnels) == 1
            assert not rig.plane.connections
            assert not rig.plane.exchanges
        assert client.close_code == 1000, "the closing handshake went through"
        await until(lambda: not rig.plane.tunnels and service.ended)
        assert service.paths == ["/ws?q=1"]
        assert service.headers[0]["X-Forwarded-For"] == "127.0.0.1"
        rig.count()
        assert rig.outcomes == {("v1", "stable", "OK"): 1}
        total = [one for one in rig.versions if one.version == "v1"]
        assert sum(one.classes[0] for one in total) == 1
        assert sum(sum(one.tunnel_ends.values()) for one in total) == 1
        assert total[-1].tunnels == 0
        assert sum(one.bytes_in for one in total) > 3_000_000
        assert sum(one.bytes_out for one in total) > 3_000_000
        pool = rig.plane.serving.routes[0].versions[0].pool
        assert (pool.in_flight, pool.open, pool.sockets.open) == (0, 0, 0)
        assert pool.endpoints[0].in_flight == pool.endpoints[0].open == 0


async def test_another_library_with_a_subprotocol_and_compression():
    async with Service("v1", subprotocols=["v2.kserve"]) as service, Rig(alone(service)) as rig:
        url = f"http://127.0.0.1:{rig.plane.port}/ws"
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, protocols=["v1.other", "v2.kserve"], compress=15) as client,
        ):
            assert client.protocol == "v2.kserve"
            assert client.compress
            assert (await client.receive_str()) == "hello from v1"
            await client.send_str("z" * 10_000)
            assert (await client.receive_str()) == "v1" + "z" * 10_000


async def test_the_version_is_chosen_at_the_handshake_and_kept():
    sticky = StickyEntry(StickyKind.HEADER, "x-user")
    async with Service("v1") as one, Service("v2") as two:
        entry = rollout(one, two, 5_000, tunnel=OPEN, sticky=sticky)
        async with Rig(entry) as rig:
            met = {}
            async with contextlib.AsyncExitStack() as stack:
                for user in range(40):
                    headers = {"X-User": f"u{user}"}
                    for _ in range(2):
                        client = await stack.enter_async_context(
                            speaks(rig, additional_headers=headers)
                        )
                        met.setdefault(user, set()).add((await client.recv())[-2:])
                assert all(len(names) == 1 for names in met.values())
                assert {name for names in met.values() for name in names} == {"v1", "v2"}
            rig.count()
            assert rig.arm("candidate")["ok"] + rig.arm("stable")["ok"] == 80
            assert rig.arm("candidate")["arrived"] == 2 * sum("v2" in m for m in met.values())


async def test_a_failed_handshake_counts_and_is_rescued():
    refuses = answers(ok(b"no", status=503))
    async with Service("v1") as stable, Scripted(refuses) as candidate:
        entry = rollout(stable, candidate, 10_000, tunnel=OPEN, rescue=RESCUE)
        async with Rig(entry) as rig:
            async with speaks(rig) as client:
                assert await client.recv() == "hello from v1"
                assert client.response.headers["X-Rampway-Version"] == "v1"
            await rig.settled()
            rig.count()
            assert rig.outcomes["v2", "candidate", "SERVER_ERROR"] == 1
            assert rig.outcomes["v1", "stable", "OK"] == 1
            assert rig.arm("candidate") == {"bad": 1, "arrived": 1}


async def test_an_answer_that_declines_passes_as_it_is():
    declines = answers(ok(b"who are you?", status=401))
    async with Scripted(declines) as backend, Rig(alone(backend)) as rig:
        client = await rig.client()
        for _ in range(3):  # and the client's connection goes on
            answer = await client.ask(method="GET", headers=OFFER)
            assert (answer.status, answer.body) == (401, b"who are you?")
        sent = backend.requests[0]
        assert sent.get(b"upgrade") == b"websocket"
        assert sent.get(b"connection") == b"Upgrade"
        assert sent.get(b"sec-websocket-key") == KEY.encode()
        assert not rig.plane.serving.routes[0].versions[0].pool.open, "none is used again"
        client.close()


async def test_copies_go_to_no_shadow():
    async with Service("v1") as stable, Scripted(answers(ok())) as shadow:
        entry = rollout(stable, shadow, 0, tunnel=OPEN, mirrors=(Mirror(1, 10_000),))
        async with Rig(entry) as rig:
            async with speaks(rig) as client:
                await client.recv()
            await rig.settled()
        assert not shadow.requests


async def raw(rig, headers, method="GET", behind=b""):
    client = await rig.client()
    await client.send(request(method=method, headers=headers) + behind)
    answer = await client.answer()
    return client, answer


def without(name):
    return [line for line in OFFER if not line.startswith(name)]


@pytest.mark.parametrize(
    ("headers", "method", "status", "why"),
    [
        (OFFER, "POST", 400, b"GET of HTTP/1.1"),
        ([*OFFER, "Content-Length: 3"], "GET", 400, b"no body"),
        ([*without("Connection"), "Connection: close"], "GET", 400, b"Connection: Upgrade"),
        (without("Connection"), "GET", 400, b"Connection: Upgrade"),
        ([*without("Upgrade"), "Upgrade: websocket, h2c"], "GET", 400, b"nothing else"),
        ([*OFFER, "Upgrade: h2c"], "GET", 400, b"nothing else"),
        (without("Sec-WebSocket-Key"), "GET", 400, b"Sec-WebSocket-Key"),
        ([*OFFER, f"Sec-WebSocket-Key: {KEY}"], "GET", 400, b"Sec-WebSocket-Key"),
        ([*without("Sec-WebSocket-Key"), "Sec-WebSocket-Key: YQ=="], "GET", 400, b"Key"),
        ([*without("Connection"), "Connection: Upgrade, Sec-WebSocket-Key"], "GET", 400, b"named"),
        ([*without("Sec-WebSocket-V"), "Sec-WebSocket-Version: 8"], "GET", 426, b"is 13"),
        (without("Sec-WebSocket-V"), "GET", 426, b"is 13"),
    ],
)
async def test_what_is_no_handshake_reaches_nobody(headers, method, status, why):
    async with Scripted(answers(SWITCHED)) as backend, Rig(alone(backend)) as rig:
        behind = b"abc" if "Content-Length: 3" in headers else b""
        client, answer = await raw(rig, headers, method, behind)
        assert answer.status == status
        assert why in answer.body
        if status == 426:
            assert answer.headers[b"upgrade"] == b"websocket"
            assert answer.headers[b"sec-websocket-version"] == b"13"
        assert not backend.requests
        assert not rig.plane.tunnels
        client.close()


@pytest.mark.parametrize(
    "answer",
    [
        SWITCHED.replace(PROOF, b"AAAA"),
        SWITCHED.replace(b"Sec-WebSocket-Accept: " + PROOF + b"\r\n", b""),
        SWITCHED.replace(b"websocket", b"h2c"),
        SWITCHED.replace(b"Upgrade: websocket\r\n", b""),
        SWITCHED.replace(b"Connection: Upgrade", b"Connection: close"),
        SWITCHED.replace(b"Connection: Upgrade\r\n", b""),
        SWITCHED.replace(b"Connection: Upgrade", b"Connection: Upgrade, Sec-WebSocket-Accept"),
        SWITCHED.replace(b"HTTP/1.1", b"HTTP/1.0"),
        SWITCHED.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: chat\r\n\r\n"),
        SWITCHED.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: x-mux\r\n\r\n"),
        SWITCHED.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n"),
        SWITCHED.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
        SWITCHED.replace(b" 101 ", b" 1011 "),
    ],
)
async def test_a_101_that_does_not_accept_it_is_no_tunnel(answer):
    """Nor is it a way to make a version's connection pass what another client sends as requests."""
    async with Scripted(answers(answer)) as backend, Rig(alone(backend)) as rig:
        client, got = await raw(rig, OFFER)
        assert got.status == 502
        assert not rig.plane.tunnels
        rig.count()
        assert rig.outcomes == {("v1", "stable", "MALFORMED"): 1}
        pool = rig.plane.serving.routes[0].versions[0].pool
        await until(lambda: not pool.open)
        assert pool.in_flight == 0
        client.close()


async def test_a_request_behind_the_handshake_is_never_tunnelled():
    async with Scripted(answers(SWITCHED)) as backend, Rig(alone(backend)) as rig:
        client, answer = await raw(rig, OFFER, behind=b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer.status == 400
        assert not rig.plane.tunnels
        assert len(backend.requests) == 1, "the handshake alone"
        rig.count()
        assert rig.outcomes == {("v1", "stable", "CLIENT_ABORT"): 1}
        client.close()


async def test_frames_in_the_very_packet_of_the_101():
    """In pieces of every size, too."""
    whole = SWITCHED + b"\x81\x02hi"
    for cut in (len(whole), len(SWITCHED), len(SWITCHED) - 1, len(SWITCHED) + 1, 5):

        async def script(peer, cut=cut):
            await peer.request()
            peer.writer.write(whole[:cut])
            await peer.writer.drain()
            await asyncio.sleep(0.02)
            peer.writer.write(whole[cut:])
            assert await peer.reader.readexactly(3) == b"yes"
            peer.writer.write(b"bye")
            peer.writer.close()

        async with Scripted(script) as backend, Rig(alone(backend)) as rig:
            client, answer = await raw(rig, OFFER)
            assert answer.status == 101
            assert answer.headers[b"sec-websocket-accept"] == PROOF
            assert await client.reader.readexactly(4) == b"\x81\x02hi"
            await client.send(b"yes")
            assert await client.ended() == b"bye", "what was sent before the end arrives"
            await until(lambda rig=rig: not rig.plane.tunnels)


async def test_without_the_key_it_is_answered_501():
    async with Service("v1") as service, Rig(alone(service, tunnel=None)) as rig:
        with pytest.raises(websockets.InvalidStatus) as caught:
            async with speaks(rig):
                pass
        assert caught.value.response.status_code == 501
        assert b"upgrade: websocket" in caught.value.response.body
        assert not service.paths


async def idles(rig, within_s=30.0):
    async with speaks(rig, ping_interval=None) as client:
        await client.recv()
        with pytest.raises(websockets.ConnectionClosed):
            async with asyncio.timeout(within_s):
                await client.recv()


def ends(rig):
    rig.count()
    return {how for one in rig.versions for how in one.tunnel_ends}


async def test_silence_and_age_end_it():
    for bounds, how in ((TunnelEntry(idle_s=0.3), "idle"), (TunnelEntry(age_s=0.3), "age")):
        async with Service("v1") as service, Rig(alone(service, tunnel=bounds)) as rig:
            await idles(rig)
            await until(lambda rig=rig: not rig.plane.tunnels)
            assert ends(rig) == {how}
            await until(lambda service=service: service.ended == 1)


async def test_bytes_are_bounded():
    async with Service("v1") as service, Rig(alone(service, tunnel=OPEN_SMALL)) as rig:
        async with speaks(rig, compression=None) as client:
            await client.recv()
            await client.send(b"x" * 40_000)
            assert len(await client.recv()) == 40_000
            await client.send(b"x" * 40_000)
            with pytest.raises(websockets.ConnectionClosed):
                await client.recv()
        assert ends(rig) == {"bytes"}


OPEN_SMALL = TunnelEntry(bytes_max=100_000)


async def test_a_side_that_does_not_read_stops_the_other():
    """Megabytes wait at their sender, not in the router."""
    async with (
        Service("v1") as service,
        Rig(alone(service)) as rig,
        speaks(rig, compression=None, max_queue=1) as client,
    ):
        await client.recv()
        sending = asyncio.create_task(client.send(b"x" * 50_000_000))
        await asyncio.sleep(0.2)
        (tunnel,) = rig.plane.tunnels
        for end in (tunnel.client, tunnel.version_end):
            assert end.transport.get_write_buffer_size() < 1_000_000
        async with asyncio.timeout(30):
            assert len(await client.recv()) == 50_000_000
            await sending


async def test_there_are_so_many_and_no_more():
    limits = replace(LIMITS, tunnels=2)
    async with Service("v1") as service, Rig(alone(service), limits=limits) as rig:
        async with speaks(rig), speaks(rig):
            with pytest.raises(websockets.InvalidStatus) as caught:
                async with speaks(rig):
                    pass
            assert caught.value.response.status_code == 503
            assert caught.value.response.headers["Retry-After"] == "1"
        await until(lambda: not rig.plane.tunnels)
        async with speaks(rig) as client:
            assert await client.recv()


async def test_tunnels_take_no_place_of_requests():
    async with Service("v1") as service:
        entry = route(version("v1", service, in_flight=1, connections=1), tunnel=OPEN)
        async with Rig(entry) as rig, speaks(rig) as one, speaks(rig) as two:
            assert await one.recv() == await two.recv() == "hello from v1"


@pytest.mark.parametrize("closing", [True, False])
async def test_taken_back(closing):
    """The candidate's end at once where the policy wants it; stable's never do."""
    async with Service("v1") as stable, Service("v2") as candidate:
        entry = rollout(stable, candidate, 5_000, tunnel=TunnelEntry(closing=closing))
        async with Rig(entry) as rig, contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(speaks(rig)) for _ in range(40)]
            said = [(await client.recv())[-2:] for client in clients]
            assert set(said) == {"v1", "v2"}
            rig.apply(replace(entry, weights_bp=(7_000, 3_000)))
            assert len(rig.plane.tunnels) == 40, "a smaller share takes nobody away"
            rig.apply(stable_only(entry))
            for client, name in zip(clients, said, strict=True):
                if closing and name == "v2":
                    with pytest.raises(websockets.ConnectionClosed):
                        async with asyncio.timeout(30):
                            await client.recv()
                else:
                    await client.send("?")
                    assert await client.recv() == f"{name}?"
            assert ends(rig) == ({"taken_back"} if closing else set())


async def test_a_version_that_left_the_policy_has_the_time_of_a_drain():
    limits = replace(LIMITS, drain_s=0.5)
    async with Service("v1") as one, Service("v2") as two:
        entry = rollout(one, two, 10_000, tunnel=OPEN)
        async with Rig(entry, limits=limits) as rig, speaks(rig) as client:
            assert await client.recv() == "hello from v2"
            rig.apply(alone(one))
            await client.send("?")
            assert await client.recv() == "v2?"
            with pytest.raises(websockets.ConnectionClosed):
                async with asyncio.timeout(30):
                    await client.recv()
            assert ends(rig) == {"gone"}


async def test_a_drain_waits_for_it_and_then_closes():
    async with Service("v1") as service, Rig(alone(service)) as rig:
        async with speaks(rig) as client:
            await client.recv()
            draining = asyncio.create_task(rig.plane.drain(10.0))
            await asyncio.sleep(0.1)
            await client.send("?")
            assert await client.recv() == "v1?"
        async with asyncio.timeout(30):
            assert await draining, "nothing was cut"
    async with Service("v1") as service, Rig(alone(service)) as rig, speaks(rig) as client:
        await client.recv()
        assert not await rig.plane.drain(0.3)
        with pytest.raises(websockets.ConnectionClosed):
            await client.recv()


async def test_a_version_that_dies_ends_it_for_its_client():
    async def script(peer):
        await peer.request()
        peer.writer.write(SWITCHED)
        await peer.reader.readexactly(1)
        peer.writer.transport.abort()

    async with Scripted(script) as backend, Rig(alone(backend)) as rig:
        client, answer = await raw(rig, OFFER)
        assert answer.status == 101
        await client.send(b"x")
        assert await client.ended() == b""
        await until(lambda: not rig.plane.tunnels)
        assert ends(rig) == {"version"}
        rig.count()
        assert rig.outcomes == {("v1", "stable", "OK"): 1}, "the handshake was good"
