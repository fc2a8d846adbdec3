"""R25, R26, R47, R50 through the real listener: what the backend saw is what was framed."""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from router.core.wire.table import ListenerLimits, MatchEntry, RouteEntry, TimeoutsEntry
from router.http1.messages import FRAMING_NAMES
from tests.http1.corpus import ANSWERS, REQUESTS
from tests.proxy.rig import Rig, request, route, version
from tests.proxy.scripted import OK, Scripted, answers, body_of, echo, ok
from tests.reliability.whole import promised

SEED = 20261121
LIMITS = ListenerLimits(body_bytes=64 * 1024 * 1024)  # what the corpus was written for
CUTS_DEFAULT, CUTS_NIGHTLY = 2, 40


def everything(backend) -> RouteEntry:
    """A route that even takes ``*``."""
    return route(version("v1", backend), match=MatchEntry(path="*"))


def pieces_of(raw: bytes, rng: random.Random | None) -> list[bytes]:
    if rng is None:
        return [raw]
    marks = sorted(rng.choices(range(len(raw) + 1), k=rng.randint(1, 6)))
    cuts = [raw[a:b] for a, b in zip([0, *marks], [*marks, len(raw)], strict=True)]
    return [piece for piece in cuts if piece]


async def converse(rig, case, rng):
    """Send a case as its client would; the final statuses it got, and whether it was cut off."""
    client = await rig.client()
    statuses = []
    try:
        for piece in pieces_of(case.raw, rng):
            await client.send(piece)
            if rng is not None:
                await asyncio.sleep(0)
        due = len(case.seen) + (case.status is not None)
        while len(statuses) < due:
            seen = case.seen[len(statuses)] if len(statuses) < len(case.seen) else None
            answer = await client.answer(to_head=seen is not None and seen.start[:5] == b"HEAD ")
            if answer.status == 0:
                break
            if answer.status >= 200:
                statuses.append(answer.status)
        if case.status is not None:
            assert await client.ended() == b"", "something behind the refusal"
    except ConnectionError:
        pass  # refused and closed while we were still sending
    finally:
        client.close()
    return statuses


def saw(requests):
    """Method, target, framing and body of what arrived, as an independent reader understood it."""
    told = []
    for one in requests:
        framing = "none"
        if one.get(b"transfer-encoding"):
            framing = "chunked"
        elif one.get(b"content-length") not in (None, b"0"):
            framing = "length"
        told.append((one.line.rsplit(b" ", 1)[0], framing, one.body))
    return told


def framed(case):
    """The same of what the corpus allows; an empty body framed by length is no body."""
    told = []
    for one in case.seen:
        framing = one.framing if one.body or one.framing == "chunked" else "none"
        told.append((one.start, framing, one.body))
    return told


def ours(case) -> bool:
    """Requests that the router itself answers: OPTIONS at the end of its forwards, WebSocket."""
    if b"upgrade: websocket" in case.raw.lower():
        return True  # see tests/proxy/test_spellings.py
    return any(b"max-forwards: 0" in case.raw.lower() and s.start[:7] == b"OPTIONS"
               for s in case.seen)  # fmt: skip


async def check_corpus(rig, backend, rngs):
    """Every case, for each way to cut it; what differed."""
    wrong = []
    for case in REQUESTS:
        for rng in rngs:
            before = len(backend.requests)
            statuses = await converse(rig, case, rng)
            await rig.settled()
            got = saw(one for one in backend.requests[before:] if one.whole)
            refusal = [case.status] if case.status else []
            if ours(case):
                continue
            expected = [200] * len(case.seen) + refusal
            if got != framed(case) or statuses != expected:
                wrong.append((case.name, "cut" if rng else "whole", statuses, got))
    return wrong


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "cuts", [CUTS_DEFAULT, pytest.param(CUTS_NIGHTLY, marks=pytest.mark.nightly)]
)
async def test_r25_every_case_of_the_corpus_through_the_listener(cuts):
    print("seed", SEED)
    rngs = [None, *[random.Random(SEED + n) for n in range(cuts)]]
    async with Scripted(answers(OK)) as backend, Rig(everything(backend), limits=LIMITS) as rig:
        wrong = await check_corpus(rig, backend, rngs)
    assert wrong == []
    assert len(REQUESTS) >= 300


async def ask_about(client, case):
    """The final answer to one request."""
    data = request(method="HEAD" if case.to_head else "GET")
    await client.send(data)
    while True:
        answer = await client.answer(to_head=case.to_head)
        if not 100 <= answer.status < 200:
            return answer


async def test_r17_r19_everything_backends_may_send():
    """One reading: it is passed on. None or two: 502, or a body that does not look complete."""
    present = []

    async def script(peer):
        case = None
        while case is None or not case.eof:
            await peer.request()
            case = present[0]
            await peer.send(case.raw)

    async with Scripted(script) as backend, Rig(everything(backend)) as rig:
        wrong = []
        for case in ANSWERS:
            present[:] = [case]
            client = await rig.client()
            answer = await ask_about(client, case)
            client.close()
            final = [seen for seen in case.seen if not seen.start.startswith(b"1")][:1]
            if final:
                body = b"" if case.to_head else final[0].body
                good = (answer.status, answer.body, answer.complete) == (
                    int(final[0].start), body, True,
                )  # fmt: skip
            else:
                good = answer.status in (502, 504) or not answer.complete
            if not good:
                wrong.append((case.name, answer))
            await rig.settled()
        assert wrong == []
        assert len(ANSWERS) >= 100


HOP_REQUEST = (
    b"Connection: X-Secret, keep-alive, Host, Content-Length\r\nX-Secret: 1\r\nKeep-Alive: 5\r\n"
    b"Proxy-Connection: keep-alive\r\nTE: trailers\r\nTrailer: X-Sum\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABk\r\nProxy-Authorization: Basic eDp5\r\nX-Kept: yes\r\n"
    b"Accept: a\r\nAccept: b\r\nVia: 1.0 before\r\nExpect: 100-continue\r\n"
    b"X-Rampway-Pin: v2\r\nX-Rampway-Shadow: 1\r\nX-Rampway-Version: v9\r\n"
)


async def test_r26_a_request_loses_what_was_meant_for_us():
    async with Scripted(echo) as backend, Rig(everything(backend)) as rig:
        await rig.ask(
            b"POST /x HTTP/1.1\r\nHost: example.org\r\n" + HOP_REQUEST
            + b"Content-Length: 3\r\n\r\nabc"
        )  # fmt: skip
        (got,) = backend.requests
    names = [name.lower() for name, _ in got.headers]
    for gone in (b"connection", b"x-secret", b"keep-alive", b"proxy-connection", b"te", b"trailer",
                 b"upgrade", b"http2-settings", b"proxy-authorization", b"expect",
                 b"x-rampway-pin", b"x-rampway-shadow", b"x-rampway-version"):  # fmt: skip
        assert gone not in names, gone
    assert (got.get(b"x-kept"), got.get(b"host"), got.get(b"content-length")) == (
        b"yes", b"example.org", b"3",
    )  # fmt: skip
    assert [v for n, v in got.headers if n == b"Accept"] == [b"a", b"b"]
    assert got.get(b"via") == b"1.0 before, 1.1 rampway"
    assert got.body == b"abc"


async def test_r26_an_answer_loses_what_was_meant_for_us():
    said = ok(
        b"ok", b"Connection: X-Secret", b"X-Secret: 1", b"Keep-Alive: timeout=5", b"Upgrade: h2c",
        b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"X-Rampway-Version: v9",
    )  # fmt: skip
    async with Scripted(answers(said)) as backend, Rig(everything(backend)) as rig:
        client = await rig.client()
        await client.send(request(method="GET"))
        raw = (await client.reader.readuntil(b"\r\n\r\n")).lower()
        client.close()
    for gone in (b"x-secret", b"keep-alive", b"upgrade", b"v9"):
        assert gone not in raw
    assert b"set-cookie: a=1\r\n" in raw
    assert b"set-cookie: b=2\r\n" in raw
    assert b"via: 1.1 rampway" in raw
    assert b"x-rampway-version: v1" in raw


async def test_r26_the_host_is_that_of_an_absolute_target():
    async with Scripted(echo) as backend, Rig(everything(backend)) as rig:
        await rig.ask(b"GET http://real.example/x?y HTTP/1.1\r\nHost: other.example\r\n\r\n")
        (got,) = backend.requests
    assert got.line == b"GET /x?y HTTP/1.1"
    assert got.get(b"host") == b"real.example"


async def test_r26_max_forwards_is_honoured_for_options():
    async with Scripted(answers(OK)) as backend, Rig(everything(backend)) as rig:
        last = await rig.ask(b"OPTIONS /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")
        assert (last.status, backend.requests) == (204, [])
        await rig.ask(b"OPTIONS /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n")
        assert backend.requests[0].get(b"max-forwards") == b"2"


async def test_r26_http_1_0_gets_neither_chunks_nor_interim_answers():
    chunked = (
        b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n0\r\n\r\n"
    )
    async with Scripted(answers(chunked)) as backend, Rig(everything(backend)) as rig:
        client = await rig.client()
        await client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        raw = await client.ended()
    assert raw.startswith(b"HTTP/1.1 200")
    assert b"chunked" not in raw
    assert raw.endswith(b"\r\n\r\nabc")
    assert b"Connection: close" in raw


async def test_r26_continue_is_ours_to_send():
    async with Scripted(echo) as backend, Rig(everything(backend)) as rig:
        client = await rig.client()
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                          b"Expect: 100-continue\r\n\r\n")  # fmt: skip
        assert (await client.answer()).status == 100
        await client.send(b"abc")
        assert (await client.answer()).body == b"abc"
        assert backend.requests[0].get(b"expect") is None
        client.close()


SPOOF = ("X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil",
         "Forwarded: for=203.0.113.9", "X-Real-IP: 203.0.113.9")  # fmt: skip


@pytest.mark.parametrize("trusted", [(), ("127.0.0.0/8",)], ids=["stranger", "our proxy"])
async def test_r47_where_a_request_comes_from(trusted):
    async with (
        Scripted(echo) as backend,
        Rig(everything(backend), trusted_proxies=trusted) as rig,
    ):
        await rig.ask(request(method="GET", headers=SPOOF))
        (got,) = backend.requests
    if trusted:
        assert got.get(b"x-forwarded-for") == b"203.0.113.9, 127.0.0.1"
        assert got.get(b"x-forwarded-proto") == b"https"
    else:
        assert got.get(b"x-forwarded-for") == b"127.0.0.1"
        assert got.get(b"x-forwarded-proto") == b"http"
        assert b"evil" not in b"".join(value for _, value in got.headers)
        assert got.get(b"forwarded") is None


async def test_r50_bodies_are_opaque_both_ways():
    bomb = gzip.compress(bytes(2_000_000))
    said = ok(bomb, b"Content-Encoding: gzip")
    async with Scripted(answers(said)) as backend, Rig(everything(backend)) as rig:
        answer = await rig.ask(request(body=bomb, headers=("Content-Encoding: gzip",)))
        assert answer.body == bomb
        assert answer.headers[b"content-encoding"] == b"gzip"
        assert backend.requests[0].body == bomb


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_r17_to_r30_hold_on_uvloop_too():
    """The same modules again on the loop that workers use; here they ran on the standard one."""
    pytest.importorskip("uvloop")
    modules = [str(Path(__file__).with_name(f"test_{name}.py"))
               for name in ("backends", "clients", "framing", "shadow")]  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not nightly", *modules]
    environment = os.environ | {"RAMPWAY_TEST_LOOP": "uvloop"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3_000:]


def test_the_names_of_framings_are_the_corpus_names():
    assert FRAMING_NAMES == ("none", "length", "chunked", "until_close")


async def test_r35_cpu_bombs_delay_nobody_for_long():
    """200,000 one-byte chunks, 10,000 header lines, 3,000 interim answers; others meanwhile."""
    bombs = {
        "chunks": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1\r\nx\r\n" * 200_000 + b"0\r\n\r\n",
        "fields": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
    }  # fmt: skip

    async def script(peer):
        while True:
            got = await peer.head()
            if got.method == b"POST":
                await peer.wait_gone()  # reading chunks well would be the test's own bomb
            if b"interims" in got.line:
                await peer.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 3_000)
            await peer.send(OK)

    async with (
        Scripted(script) as backend,
        Rig(replace(everything(backend), timeouts=TimeoutsEntry())) as rig,
    ):
        worst = {}
        for name in (*bombs, "interims"):
            data = bombs.get(name, request(method="GET", path="/interims"))
            bomber = await rig.client()
            sending = asyncio.create_task(bomber.send(data))
            other = await rig.client()
            times = []
            for _ in range(20):
                began = time.perf_counter()
                assert (await other.ask(method="GET")).status == 200
                times.append(time.perf_counter() - began)
            sending.cancel()
            bomber.close()
            other.close()
            worst[name] = max(times)
        print({name: f"{seconds * 1000:.0f} ms" for name, seconds in worst.items()})
        assert max(worst.values()) < promised(0.5)


async def test_bodies_of_all_sizes_and_framings_arrive_whole():
    sizes = (0, 1, 65_535, 65_536, 65_537, 3_000_000)
    async with Scripted(echo) as backend, Rig(everything(backend)) as rig:
        client = await rig.client()
        for size in sizes:
            for chunked in (False, True):
                answer = await client.ask(body=body_of(size), chunked=chunked)
                assert answer.body == body_of(size), (size, chunked)
        client.close()
        assert len(backend.peers) == 1
