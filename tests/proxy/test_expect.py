"""``expect: pass``: the version says whether a body is wanted that its client holds back."""

from __future__ import annotations

import asyncio

import pytest

from router.core.wire.table import StickyEntry, StickyKind
from router.http1 import CONTINUE
from router.proxy import deadlines
from tests.proxy.rig import RESCUE, Rig, rollout, route, version
from tests.proxy.scripted import OK, Scripted

HELD = b"POST /x HTTP/1.%d\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n"
REFUSED = b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n"


async def willing(peer):
    """Says that it wants the body, and answers behind it."""
    while True:
        asked = await peer.head()
        await peer.send(CONTINUE)
        asked.body = await peer.reader.readexactly(3)
        await peer.send(OK)


def refusing(status):
    async def serve(peer):
        await peer.head()
        await peer.send(REFUSED % status)
        peer.log[-1].body = await peer.reader.read()

    return serve


async def test_the_version_says_go_on_and_its_client_hears_it_once():
    async with (
        Scripted(willing) as backend,
        Rig(route(version("v1", backend), expect_passed=True)) as rig,
    ):
        client = await rig.client()
        for _ in range(2):
            await client.send(HELD % 1)
            assert (await client.answer()).status == 100
            await client.send(b"abc")
            assert (await client.answer()).status == 200
        client.close()
        first, second = backend.requests
        assert (first.get(b"expect"), first.body, second.body) == (b"100-continue", b"abc", b"abc")
        await rig.settled()
        rig.count()
        assert rig.outcomes == {("v1", "stable", "OK"): 2}
        assert len(backend.peers) == 1, "the connection is used again"


@pytest.mark.parametrize("status", [401, 413, 500])
async def test_a_refusal_reaches_the_client_before_its_body_is_sent(status):
    async with (
        Scripted(refusing(status)) as backend,
        Rig(route(version("v1", backend), expect_passed=True)) as rig,
    ):
        client = await rig.client()
        await client.send(HELD % 1)
        answer = await client.answer()
        assert (answer.status, answer.headers[b"connection"]) == (status, b"close")
        assert await client.ended() == b"", "where its body would begin, nobody knows"
        await rig.settled()
        assert backend.requests[0].body == b""
        rig.count()
        outcome = "SERVER_ERROR" if status >= 500 else "OK"
        assert rig.outcomes == {("v1", "stable", outcome): 1}


async def test_a_version_that_says_nothing_gets_the_body_all_the_same(monkeypatch):
    monkeypatch.setattr(deadlines, "SILENT_S", 0.05)

    async def deaf(peer):
        await peer.request()
        await peer.send(OK)

    async with (
        Scripted(deaf) as backend,
        Rig(route(version("v1", backend), expect_passed=True)) as rig,
    ):
        client = await rig.client()
        await client.send(HELD % 1)
        assert (await client.answer()).status == 100
        await client.send(b"abc")
        assert (await client.answer()).status == 200
        client.close()
        assert backend.requests[0].body == b"abc"


async def test_stable_is_asked_anew_where_the_candidate_refuses():
    async with Scripted(willing) as good, Scripted(refusing(503)) as bad:
        entry = rollout(good, bad, 10_000, rescue=RESCUE, expect_passed=True)
        async with Rig(entry) as rig:
            client = await rig.client()
            await client.send(HELD % 1)
            assert (await client.answer()).status == 100
            await client.send(b"abc")
            answer = await client.answer()
            assert (answer.status, answer.headers[b"x-rampway-version"]) == (200, b"v1")
            client.close()
            assert good.requests[0].body == b"abc"


async def test_a_client_that_does_not_wait_is_told_nothing_twice():
    async with (
        Scripted(willing) as backend,
        Rig(route(version("v1", backend), expect_passed=True)) as rig,
    ):
        client = await rig.client()
        whole = await client.ask(HELD % 1 + b"abc")
        assert whole.status == 200, "no 100: the body came with its head"
        assert backend.requests[0].get(b"expect") is None
        client.close()
        old = await rig.client()
        await old.send(HELD % 0)
        await asyncio.sleep(0)
        await old.send(b"abc")
        assert (await old.answer()).status == 200
        assert backend.requests[1].get(b"expect") is None, "HTTP/1.0 has no such word"
        old.close()


@pytest.mark.parametrize("passed", [False, True])
async def test_a_body_that_the_choice_depends_on_is_asked_for_at_once(passed):
    sticky = StickyEntry(StickyKind.BODY, "id") if passed else None

    async def plain(peer):
        await peer.request()
        await peer.send(OK)

    async with (
        Scripted(plain) as backend,
        Rig(route(version("v1", backend), expect_passed=passed, sticky=sticky)) as rig,
    ):
        client = await rig.client()
        await client.send(HELD % 1)
        assert (await client.answer()).status == 100
        await client.send(b"abc")
        assert (await client.answer()).status == 200
        assert backend.requests[0].get(b"expect") is None
        client.close()
