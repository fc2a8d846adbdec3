"""R11, R27-R30, R46: what clients do, and that nobody else pays for it."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys
import termios
import time
from dataclasses import replace
from pathlib import Path

import pytest

from router.core.wire.table import ListenerLimits, StickyEntry, StickyKind, TimeoutsEntry
from router.proxy.cookies import sign
from tests.proxy.rig import (
    LIMITS,
    Rig,
    request,
    rollout,
    route,
    until,
    version,
)
from tests.proxy.scripted import OK, Scripted, answers, body_of, echo, hangs, ok
from tests.reliability.whole import promised
from tests.waiting import for_ever

LONG = TimeoutsEntry(connect_s=2.0, response_s=30.0, body_s=30.0)
PATIENT = replace(LIMITS, header_timeout_s=30.0, body_timeout_s=30.0)


def fds() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def unsent(sock) -> int:
    return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def reset(client) -> None:
    """Leave with RST."""
    sock = client.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.transport.abort()


async def endless(peer):
    """Streams for ever."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await peer.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")


async def trickles(peer):
    """Streams a little for ever."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await peer.send(b"1\r\nx\r\n")
        await asyncio.sleep(0.02)


async def takes_nothing(peer):
    """Accepts, and reads only the head."""
    await peer.head()
    peer.reader._transport.pause_reading()
    await for_ever()


HALF_BODY = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + b"x" * 100
LEAVES = {
    "while the version thinks": (hangs, request(body=b"x")),
    "in the middle of the upload": (hangs, HALF_BODY),
    "in the middle of the answer": (trickles, request(body=b"x")),
    "with requests waiting behind": (hangs, request(body=b"x") * 3),
    "with more pipelined than is read": (hangs, request(body=b"x" * 30_000) * 4),
}


@pytest.mark.parametrize("leave", ["fin", "rst"])
@pytest.mark.parametrize("case", LEAVES)
async def test_r27_a_client_that_leaves_cancels_the_work(case, leave):
    script, data = LEAVES[case]
    async with (
        Scripted(script) as backend,
        Rig(route(version("v1", backend), timeouts=LONG), limits=PATIENT) as rig,
    ):
        client = await rig.client()
        client.writer.write(data)
        await until(lambda: backend.peers and rig.plane.exchanges)
        await asyncio.sleep(0.05)
        began = time.monotonic()
        if leave == "rst":
            reset(client)
        else:
            client.close()
        await until(lambda: not rig.plane.exchanges, promised(1.0))
        await asyncio.wait_for(backend.peers[0].gone.wait(), promised(1.0))
        assert time.monotonic() - began < promised(1.2)
        rig.count()
        assert rig.outcomes == {("v1", "stable", "CLIENT_ABORT"): 1}


@pytest.mark.parametrize("leave", ["fin", "rst"])
async def test_r27_a_client_that_is_not_being_read_from_is_missed_too(leave):
    """The version takes nothing, so reading has stopped and an end of stream goes unseen."""
    async with (
        Scripted(takes_nothing) as backend,
        Rig(route(version("v1", backend), timeouts=LONG), limits=PATIENT) as rig,
    ):
        client = await rig.client()
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000000\r\n\r\n")
        await until(lambda: rig.plane.exchanges)
        (downstream,) = rig.plane.connections
        # An end of stream travels behind the data: while the router's receive buffer is full nobody
        # could see it. So no more is sent than arrives.
        sock = client.writer.get_extra_info("socket")
        while downstream.reading:
            client.writer.write(bytes(65_536))
            await until(lambda: not unsent(sock) or not downstream.reading)
        if leave == "rst":
            reset(client)
        else:
            client.writer.transport.abort()
        await until(lambda: not rig.plane.exchanges, promised(1.2))
        rig.count()
        assert rig.outcomes == {("v1", "stable", "CLIENT_ABORT"): 1}


@pytest.mark.parametrize("aborts", [60, pytest.param(300, marks=pytest.mark.nightly)])
async def test_r27_nothing_leaks_after_many_aborts(aborts):
    async with (
        Scripted(hangs) as backend,
        Rig(route(version("v1", backend), timeouts=LONG), limits=PATIENT) as rig,
    ):
        before = fds()
        for number in range(aborts):
            client = await rig.client()
            await client.send(HALF_BODY if number % 2 else request(body=b"x"))
            if number % 3:
                await until(lambda: rig.plane.exchanges)
            (reset if number % 2 else type(client).close)(client)
        await until(lambda: not rig.plane.connections and not rig.plane.exchanges, promised(2.0))
        pool = rig.plane.serving.routes[0].stable.pool
        await until(lambda: not pool.in_flight, promised(2.0))
        pool.sweep(time.monotonic() + 60.0)  # connections whose client left too early to use them
        await until(lambda: not pool.open, promised(2.0))
        await until(lambda: fds() <= before, promised(2.0))
        rig.count()
        assert set(rig.outcomes) <= {("v1", "stable", "CLIENT_ABORT")}
        assert rig.versions[-1].in_flight == 0


async def test_r11_a_client_that_stops_reading_is_not_the_versions_fault():
    limits = replace(LIMITS, body_timeout_s=1.0)
    async with (
        Scripted(endless) as backend,
        Rig(route(version("v1", backend)), limits=limits) as rig,
    ):
        client = await rig.client()
        client.writer.transport.pause_reading()
        await client.send(request(body=b"x"))
        await until(lambda: rig.plane.exchanges)
        await until(lambda: not rig.plane.exchanges, promised(5.0))
        rig.count()
        assert rig.outcomes == {("v1", "stable", "CLIENT_ABORT"): 1}
        await asyncio.wait_for(backend.peers[0].gone.wait(), promised(1.0))
        client.close()


async def test_r11_what_enters_the_evidence():
    """Aborts, our own 4xx and shed requests enter no rate; 5xx, resets and timeouts do."""

    async def script(peer):
        while True:
            got = await peer.request()
            if b"/500" in got.line:
                await peer.send(ok(status=500))
            elif b"/404" in got.line:
                await peer.send(ok(status=404))
            elif b"/reset" in got.line:
                peer.reset()
                return
            elif b"/hang" in got.line:
                await peer.wait_gone()
                return
            else:
                await peer.send(OK)

    async with Scripted(echo) as stable, Scripted(script) as candidate:
        entry = rollout(stable, candidate, 10_000, body_limit_bytes=1_000)
        async with Rig(entry) as rig:
            for path in ("/ok", "/404", "/500", "/reset", "/hang"):
                await rig.ask(path=path, body=b"x")
            assert (await rig.ask(body=b"x" * 2_000)).status == 413
            assert (await rig.ask(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")).status == 400
            client = await rig.client()
            await client.send(request(path="/hang", body=b"x"))
            await until(lambda: rig.plane.exchanges)
            client.close()
            await rig.settled()
            rig.count()
            assert rig.arm("candidate") == {"arrived": 6, "ok": 2, "bad": 3, "left": 1}
            assert rig.rejected == {"body_size": 1, "framing": 1}
            assert rig.wakes >= 3


# --- limits ---------------------------------------------------------------------------------

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
SMALL = ListenerLimits(body_bytes=10_000, header_timeout_s=5.0, body_timeout_s=5.0)
OVER = {
    "start line": (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "header block": (HEAD + b"X: " + b"a" * 40_000 + b"\r\n\r\n", 431),
    "fields": (HEAD + b"X: y\r\n" * 200 + b"\r\n", 431),
    "declared body": (HEAD + b"Content-Length: 10001\r\n\r\n", 413),
    "chunked body": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"3e8\r\n%b\r\n" % (b"x" * 1000) * 11, 413,
    ),
    "trailers": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X-Y: z\r\n" * 1_500 + b"\r\n", 431,
    ),
    "a chunk's extension": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 5_000 + b"\r\nx\r\n0\r\n\r\n", 400,
    ),
    "all chunks' extensions": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;%b\r\nx\r\n" % (b"a" * 2_000) * 10, 400,
    ),
}  # fmt: skip


@pytest.mark.parametrize("segment", [0, 1_000])
@pytest.mark.parametrize("case", OVER)
async def test_r28_limits_answer_early(case, segment):
    data, status = OVER[case]
    async with (
        Scripted(hangs) as backend,
        Rig(route(version("v1", backend), timeouts=LONG), limits=SMALL) as rig,
    ):
        client = await rig.client()
        began = time.monotonic()
        try:
            for start in range(0, len(data), segment or len(data)):
                await client.send(data[start : start + (segment or len(data))])
                await asyncio.sleep(0)
        except ConnectionError:
            pass
        answer = await client.answer()
        assert answer.status == status
        assert time.monotonic() - began < promised(0.25)
        assert answer.headers[b"connection"] == b"close"
        assert await client.ended(promised(3.0)) == b""
        rig.count()
        assert not [key for key in rig.outcomes if key[2] != "CLIENT_ABORT"]


async def test_r28_a_routes_own_body_limit_and_both_framings():
    async with (
        Scripted(echo) as backend,
        Rig(route(version("v1", backend), body_limit_bytes=1_000)) as rig,
    ):
        assert (await rig.ask(body=b"x" * 1_000)).status == 200
        assert (await rig.ask(body=b"x" * 1_001)).status == 413
        assert (await rig.ask(body=b"x" * 1_001, chunked=True)).status == 413
        assert len(backend.requests) == 1


# --- slow clients -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slow", "stalled"), [(50, 30), pytest.param(500, 300, marks=pytest.mark.nightly)]
)
async def test_r29_slow_clients_are_gone_in_time_and_harm_nobody(slow, stalled):
    limits = replace(LIMITS, header_timeout_s=1.0, body_timeout_s=1.0)
    async with (
        Scripted(echo) as backend,
        Rig(route(version("v1", backend), timeouts=LONG), limits=limits) as rig,
    ):
        clients = []
        for number in range(slow + stalled):
            client = await rig.client()
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " if number < slow else HALF_BODY)
            clients.append(client)
        began = time.monotonic()
        answered = [asyncio.create_task(client.answer(within_s=60)) for client in clients]
        ordinary, worst = await rig.client(), 0.0
        while len(rig.plane.connections) > 1:
            asked = time.monotonic()
            assert (await ordinary.ask(body=b"x")).status == 200
            worst = max(worst, time.monotonic() - asked)
            for client, answer in zip(clients[:slow], answered[:slow], strict=True):
                if not answer.done():
                    client.writer.write(b"a")
            assert time.monotonic() - began < promised(3.0), rig.plane
            await asyncio.sleep(0.02)
        statuses = [answer.status for answer in await asyncio.gather(*answered)]
        assert set(statuses) <= {408, 0}
        assert statuses.count(408) > 0.9 * len(statuses)
        print(f"worst ordinary latency {worst * 1000:.0f} ms")
        assert worst < promised(0.25)
        rig.count()
        assert {key[2] for key in rig.outcomes} <= {"OK", "CLIENT_ABORT"}
        assert rig.rejected["header_timeout"] == slow
        for client in clients:
            client.close()


async def test_r29_a_drip_is_a_stall():
    """A byte now and then keeps no slot: the mean rate counts after the body timeout."""
    limits = replace(LIMITS, upload_bytes_per_s=1_000)
    async with (
        Scripted(hangs) as backend,
        Rig(route(version("v1", backend), timeouts=LONG), limits=limits) as rig,
    ):
        client = await rig.client()
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        asked = asyncio.create_task(client.answer())
        while not asked.done():
            client.writer.write(b"x" * 10)
            await asyncio.sleep(0.1)
        assert asked.result().status == 408
        client.close()


async def test_r29_an_idle_connection_is_closed():
    limits = replace(LIMITS, keep_alive_s=0.3)
    async with Scripted(echo) as backend, Rig(route(version("v1", backend)), limits=limits) as rig:
        client = await rig.client()
        assert (await client.ask(body=b"x")).status == 200
        assert await client.ended(promised(2.5)) == b""
        rig.count()
        assert rig.rejected == {}


async def test_a_slow_reader_gets_everything_even_of_a_connection_that_ends():
    """Closing waits for what is unsent; only a client that takes nothing at all is cut."""
    body = body_of(24_000_000)
    async with (
        Scripted(answers(ok(body))) as backend,
        Rig(route(version("v1", backend), timeouts=LONG), limits=PATIENT) as rig,
    ):
        client = await rig.client()
        await client.send(request(method="GET", headers=("Connection: close",)))
        got = await client.reader.readuntil(b"\r\n\r\n")
        assert b"Connection: close" in got
        await until(lambda: not rig.plane.exchanges or next(iter(rig.plane.connections)).choked)
        client.writer.transport.pause_reading()
        await asyncio.sleep(2.5)  # longer than a lingering close
        client.writer.transport.resume_reading()
        received = await client.reader.readexactly(len(body))
        assert received == body
        await rig.settled()
        rig.count()
        assert rig.outcomes == {("v1", "stable", "OK"): 1}


# --- pipelining ---------------------------------------------------------------------------------


async def test_r30_pipelined_requests_are_answered_in_order():
    async with Scripted(echo) as backend, Rig(route(version("v1", backend))) as rig:
        client = await rig.client()
        bodies = [b"%d" % number * (1 + number % 7 * 3_000) for number in range(200)]
        sending = asyncio.create_task(client.send(b"".join(request(body=b) for b in bodies)))
        for body in bodies:
            assert (await client.answer()).body == body
        await sending
        client.close()


@pytest.mark.parametrize(("allowed", "reads_on"), [(2, False), (3, True)])
async def test_r30_as_many_requests_are_read_ahead_as_the_policy_says(allowed, reads_on):
    """Three wait behind the one under way; a request that is not whole is none."""
    limits = replace(PATIENT, pipelined=allowed)
    answering = asyncio.Event()

    async def script(peer):
        while True:
            await peer.request()
            await answering.wait()
            await peer.send(OK)

    async with (
        Scripted(script) as backend,
        Rig(route(version("v1", backend), timeouts=LONG), limits=limits) as rig,
    ):
        client = await rig.client()
        (downstream,) = rig.plane.connections
        await client.send(request())
        await until(lambda: downstream.exchange is not None)
        await client.send(request() * 3 + request()[:-1])
        await until(lambda: downstream.parser.waiting == 3)
        assert downstream.transport.is_reading() is reads_on
        answering.set()
        await client.send(request()[-1:])
        for _ in range(5):
            assert (await client.answer()).status == 200
        assert downstream.transport.is_reading()
        client.close()


@pytest.mark.parametrize("count", [200, pytest.param(1_000, marks=pytest.mark.nightly)])
async def test_r30_a_client_that_pipelines_and_does_not_read_costs_little(count):
    """Further requests are not begun while the answers to earlier ones are not taken."""
    answer = ok(body_of(300_000))
    async with (
        Scripted(answers(answer)) as backend,
        Rig(route(version("v1", backend), timeouts=LONG), limits=PATIENT) as rig,
    ):
        client = await rig.client()
        client.writer.transport.pause_reading()
        client.writer.write(request(method="GET") * count)
        (downstream,) = rig.plane.connections
        await until(lambda: downstream.choked, 5)
        begun = len(backend.requests)
        await asyncio.sleep(0.2)
        assert len(backend.requests) == begun < count
        assert downstream.transport.get_write_buffer_size() < 1_000_000
        client.writer.transport.resume_reading()
        for _ in range(count):
            assert len((await client.answer()).body) == 300_000
        client.close()


async def test_a_held_client_is_always_resumed():
    """The version takes nothing, then answers early: the connection's next user must not hang."""

    async def script(peer):
        await peer.head()
        peer.reader._transport.pause_reading()
        await asyncio.sleep(0.2)
        await peer.send(ok(b"early", status=413))
        await for_ever()

    async with (
        Scripted(script) as backend,
        Rig(route(version("v1", backend), timeouts=LONG), limits=PATIENT) as rig,
    ):
        client = await rig.client()
        client.writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n")
        client.writer.write(bytes(20_000_000))
        answer = await client.answer()
        assert (answer.status, answer.body) == (413, b"early")
        assert await client.ended(promised(3.0)) == b""


# --- choosing a version -------------------------------------------------------------------------

COOKIE = StickyEntry(StickyKind.COOKIE, "cohort", secret="0123456789abcdef")
NOW = time.time()


def forged():
    """Cookies that no router made for this rollout."""
    good = sign(COOKIE, "rollout-1", "somebody", NOW)
    key, expiry, mac = good.split(".")
    other = replace(COOKIE, secret="another-secret-1")
    yield from (
        "", "x", "..", "a.b.c", good + "0", good[:-1], f"{key}.{expiry}", f"{key}.{expiry}.",
        f"{key}x.{expiry}.{mac}", f"{key}.{int(expiry) + 1}.{mac}", f"{key}.-1.{mac}",
        f"{key}.{'9' * 13}.{mac}", f"{key}.1e9.{mac}", f"{key}.{expiry}.{mac.upper()}x",
        sign(COOKIE, "rollout-0", "somebody", NOW), sign(other, "rollout-1", "somebody", NOW),
        sign(COOKIE, "rollout-1", "somebody", NOW - COOKIE.max_age_s - 10), "v2", "v2.9999999999.0",
        mac, "\x7f", "a" * 3_000,
    )  # fmt: skip


async def test_r46_cookies_that_are_not_ours_are_replaced():
    good = sign(COOKIE, "rollout-1", "somebody", NOW)
    async with (
        Scripted(answers(OK)) as stable,
        Scripted(answers(OK)) as candidate,
        Rig(rollout(stable, candidate, 5_000, sticky=COOKIE)) as rig,
    ):
        mine = await rig.ask(method="GET", headers=(f"Cookie: a=b; cohort={good}",))
        assert b"set-cookie" not in mine.headers
        tried = 0
        for value in forged():
            answer = await rig.ask(method="GET", headers=(f"Cookie: cohort={value}",))
            assert b"set-cookie" in answer.headers or answer.status == 400, value
            tried += 1
        assert tried >= 20


async def test_r46_no_header_or_cookie_reaches_a_version_without_weight():
    ours = [sign(COOKIE, "rollout-1", f"user-{n}", NOW) for n in range(20)]
    headers = ["X-Rampway-Pin: v2", "X-Rampway-Version: v2", "X-Rampway-Shadow: 1",
               "X-Version: v2", "x-rampway-pin: v2", "Cookie: cohort=v2"]  # fmt: skip
    headers += [f"Cookie: cohort={value}" for value in ours]
    async with Scripted(answers(OK)) as stable, Scripted(answers(OK)) as candidate:
        entry = rollout(stable, candidate, 0, sticky=COOKIE, pinnable=(1,), pin=False)
        async with Rig(entry) as rig:
            for header in headers:
                answer = await rig.ask(method="GET", headers=(header,))
                assert answer.headers[b"x-rampway-version"] == b"v1"
    assert candidate.requests == []
    for one in stable.requests:
        assert not [name for name, _ in one.headers if name.lower().startswith(b"x-rampway")]


async def test_r46_pins_where_the_policy_allows_them():
    async with Scripted(answers(OK)) as stable, Scripted(answers(OK)) as candidate:
        entry = rollout(stable, candidate, 0, pinnable=(1,), pin=True)
        async with Rig(entry) as rig:
            pinned = await rig.ask(method="GET", headers=("X-Rampway-Pin: v2",))
            assert pinned.headers[b"x-rampway-version"] == b"v2"
            for value in ("v1", "v3", "V2", ""):
                other = await rig.ask(method="GET", headers=(f"X-Rampway-Pin: {value}",))
                assert other.headers[b"x-rampway-version"] == b"v1"
            rig.count()
            assert all(cell.forced for cell in rig.cells), "a pin is no evidence of the split"
