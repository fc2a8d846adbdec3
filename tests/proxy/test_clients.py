"""Plain clients work through the router unchanged."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import shutil
import time

import aiohttp
import httpx
import pytest
import requests

from tests.proxy.rig import TIMEOUTS, Rig, replace, route, version
from tests.proxy.scripted import Scripted, answers, body_of, ok

SIZES = (0, 1, 100_000, 20_000_000)
ENTRY_TIMEOUTS = replace(TIMEOUTS, response_s=20.0, body_s=20.0)


def digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


async def service(peer):
    """What a prediction service might answer, by path; a POST is answered with its digest."""
    while True:
        asked = await peer.request()
        path = asked.line.split(b" ")[1]
        if path == b"/204":
            await peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif path == b"/304":
            await peer.send(b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n')
        elif path == b"/stream":
            await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for number in range(5):
                await asyncio.sleep(0.06)
                await peer.send(b"5\r\nt-%d;\n\r\n" % number)
            await peer.send(b"0\r\n\r\n")
        elif path.startswith(b"/size/"):
            answer = ok(body_of(int(path[6:])))
            await peer.send(answer[: answer.index(b"\r\n\r\n") + 4] if asked.method == b"HEAD"
                            else answer)  # fmt: skip
        else:
            await peer.send(ok(digest(asked.body)))


@pytest.fixture
async def base():
    async with (
        Scripted(service) as backend,
        Rig(route(version("v1", backend), timeouts=ENTRY_TIMEOUTS)) as rig,
    ):
        yield f"http://127.0.0.1:{rig.plane.port}"


def pieces(body):
    for start in range(0, len(body) or 1, 65_536):
        yield body[start : start + 65_536]


async def test_aiohttp(base):
    async def chunked(body):
        for piece in pieces(body):
            yield piece

    async with aiohttp.ClientSession() as session:
        for size in SIZES:
            body = body_of(size)
            async with session.post(f"{base}/x", data=body) as answer:
                assert await answer.read() == digest(body)
            async with session.post(f"{base}/x", data=chunked(body)) as answer:
                assert await answer.read() == digest(body)
            async with session.get(f"{base}/size/{size}") as answer:
                assert await answer.read() == body
        async with session.head(f"{base}/size/100") as answer:
            assert (answer.status, answer.headers["Content-Length"]) == (200, "100")
        for status in (204, 304):
            async with session.get(f"{base}/{status}") as answer:
                assert (answer.status, await answer.read()) == (status, b"")
        async with session.get(f"{base}/stream") as answer:
            seen = [line async for line in answer.content]
        assert seen == [b"t-%d;\n" % number for number in range(5)]


async def test_httpx(base):
    async def chunked(body):
        for piece in pieces(body):
            yield piece

    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        for size in SIZES:
            body = body_of(size)
            assert (await client.post(f"{base}/x", content=body)).content == digest(body)
            assert (await client.post(f"{base}/x", content=chunked(body))).content == digest(body)
            assert (await client.get(f"{base}/size/{size}")).content == body
        assert (await client.head(f"{base}/size/100")).headers["content-length"] == "100"
        assert [(await client.get(f"{base}/{s}")).status_code for s in (204, 304)] == [204, 304]
        async with client.stream("GET", f"{base}/stream") as answer:
            assert [line async for line in answer.aiter_lines()] == [f"t-{n};" for n in range(5)]


async def test_requests(base):
    def talk():
        with requests.Session() as session:
            session.trust_env = False
            for size in SIZES:
                body = body_of(size)
                assert session.post(f"{base}/x", data=body).content == digest(body)
                assert session.post(f"{base}/x", data=pieces(body)).content == digest(body)
                assert session.get(f"{base}/size/{size}").content == body
            assert session.head(f"{base}/size/100").headers["Content-Length"] == "100"
            assert [session.get(f"{base}/{s}").status_code for s in (204, 304)] == [204, 304]
            with session.get(f"{base}/stream", stream=True) as answer:
                assert list(answer.iter_lines()) == [b"t-%d;" % n for n in range(5)]

    await asyncio.to_thread(talk)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl(base, tmp_path):
    async def curl(*args):
        child = await asyncio.create_subprocess_exec(
            "curl", "--silent", "--show-error", "--fail", "--noproxy", "*", *args,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out = (await child.communicate())[0]
        assert child.returncode == 0, args
        return out

    for size in SIZES:
        body = body_of(size)
        file = tmp_path / str(size)
        file.write_bytes(body)
        at = f"@{file}"
        assert await curl("--data-binary", at, f"{base}/x") == digest(body)  # Expect: 100-continue
        assert await curl("--data-binary", at, "-H", "Transfer-Encoding: chunked",
                          f"{base}/x") == digest(body)  # fmt: skip
        assert await curl("-0", "--data-binary", at, f"{base}/x") == digest(body)
        assert await curl(f"{base}/size/{size}") == body
    assert b"Content-Length: 100" in await curl("--head", f"{base}/size/100")
    assert await curl("-w", "%{http_code}", f"{base}/204") == b"204"
    assert (await curl("-N", f"{base}/stream")).count(b";") == 5
    assert (await curl(f"{base}/x", f"{base}/x")) == digest(b"") * 2  # one connection, twice


async def test_each_piece_of_a_stream_is_passed_on_at_once(base):
    """The first byte of each piece within 50 ms of its being sent."""
    async with aiohttp.ClientSession() as session, session.get(f"{base}/stream") as answer:
        arrivals = [time.monotonic() async for _ in answer.content]
    gaps = [later - earlier for earlier, later in itertools.pairwise(arrivals)]
    assert len(gaps) == 4
    assert min(gaps) > 0.02  # not collected
    assert sorted(gaps)[1] < 0.06 + 0.05


async def test_who_speaks_http2_or_grpc_is_told_where_that_is_spoken():
    async with Scripted(answers(ok())) as backend, Rig(route(version("v1", backend))) as rig:
        client = await rig.client()
        await client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
        said = await client.answer()
        assert said.status == 505
        assert b"HTTP/2 and gRPC are not spoken here: write engine: envoy" in said.body
        await client.ended()
    assert backend.peers == []
