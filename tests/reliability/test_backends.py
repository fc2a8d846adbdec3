"""What becomes of each way a backend can misbehave (one clean answer, one counted outcome)."""

from __future__ import annotations

import asyncio
import socketserver
import threading
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from router.core.wire.endpoint import EndpointEntry
from router.core.wire.table import OutlierEntry, StickyEntry, StickyKind
from router.proxy.stage import Stage
from tests.proxy.rig import LIMITS, RESCUE, TIMEOUTS, Rig, request, rollout, route, until, version
from tests.proxy.scripted import (
    OK,
    Scripted,
    answers,
    body_of,
    closed_port,
    closes,
    drips,
    echo,
    hangs,
    ok,
    resets,
    says,
)
from tests.reliability.whole import promised
from tests.waiting import for_ever

LENGTH_10 = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

# What the backend does, the status the client gets, how it is counted.
WITHOUT_AN_ANSWER = {
    "closes": (closes, 502, "RESET"),
    "resets": (resets, 502, "RESET"),
    "hangs": (hangs, 504, "TIMEOUT"),
    "drips a head for ever": (drips, 504, "TIMEOUT"),
    "half a status line": (says(b"HTTP/1.", then="eof"), 502, "RESET"),
    "half a head": (says(b"HTTP/1.1 200 OK\r\nA: b\r\n", then="eof"), 502, "RESET"),
    "garbage": (says(b"\x00\x01\x02 hello\r\n\r\n"), 502, "MALFORMED"),
    "another protocol": (says(b"SSH-2.0-OpenSSH_9.6\r\n"), 502, "MALFORMED"),
    "HTTP/2": (says(b"HTTP/2 200 OK\r\n\r\n"), 502, "MALFORMED"),
    "two lengths": (
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        502, "MALFORMED",
    ),
    "length and chunked": (
        says(CHUNKED[:-2] + b"Content-Length: 3\r\n\r\n0\r\n\r\n"),
        502, "MALFORMED",
    ),
    "negative length": (says(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), 502, "MALFORMED"),
    "bare LF": (says(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"), 502, "MALFORMED"),
    "huge head": (
        says(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 70_000 + b"\r\n\r\n"), 502, "MALFORMED",
    ),
    "unasked switch of protocols": (
        says(b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"),
        502, "MALFORMED",
    ),
    "first chunk malformed": (says(CHUNKED + b"xyz\r\n"), 502, "MALFORMED"),
}  # fmt: skip


@pytest.mark.parametrize("case", WITHOUT_AN_ANSWER)
async def test_r17_no_answer_becomes_one_clean_error(case):
    script, status, outcome = WITHOUT_AN_ANSWER[case]
    async with Scripted(script) as backend, Rig(route(version("v1", backend))) as rig:
        client = await rig.client()
        answer = await client.ask(body=b"x" * 10)
        assert (answer.status, answer.complete) == (status, True)
        assert answer.headers[b"content-type"] == b"application/problem+json"
        assert (await client.ask(path="/again", body=b"y")).status == status  # it lives on
        client.close()
        await rig.settled()
        rig.count()
        assert rig.outcomes == {("v1", "stable", outcome): 2}


async def test_r17_refused():
    async with Rig(route(version("v1", closed_port()))) as rig:
        assert (await rig.ask(body=b"x")).status == 502
        rig.count()
        assert rig.outcomes == {("v1", "stable", "REFUSED"): 1}


# What the backend sends before it breaks, and how the break is counted.
BROKEN_BODIES = {
    "length, closed": (LENGTH_10 + b"12345", "eof", "TRUNCATED"),
    "length, reset": (LENGTH_10 + b"12345", "reset", "TRUNCATED"),
    "length, stalled": (LENGTH_10 + b"12345", "hang", "TIMEOUT"),
    "chunked, closed between chunks": (CHUNKED + b"3\r\nabc\r\n", "eof", "TRUNCATED"),
    "chunked, closed inside a chunk": (CHUNKED + b"5\r\nabc", "eof", "TRUNCATED"),
    "chunked, closed before the last line": (CHUNKED + b"3\r\nabc\r\n0\r\n", "eof", "TRUNCATED"),
    "chunked, stalled": (CHUNKED + b"3\r\nabc\r\n", "hang", "TIMEOUT"),
}


@pytest.mark.parametrize("case", BROKEN_BODIES)
async def test_r18_a_broken_body_never_looks_complete(case):
    data, then, outcome = BROKEN_BODIES[case]
    async with (
        Scripted(says(data, then=then)) as backend,
        Rig(route(version("v1", backend))) as rig,
    ):
        answer = await rig.ask(body=b"x")
        assert (answer.status, answer.complete) == (200, False)
        await rig.settled()
        rig.count()
        assert rig.outcomes == {("v1", "stable", outcome): 1}


@pytest.mark.parametrize(
    "whole",
    [LENGTH_10 + b"0123456789", CHUNKED + b"a\r\n0123456789\r\n0\r\n\r\n"],
    ids=["length", "chunked"],
)
async def test_r18_cut_at_every_byte(whole):
    cuts = iter(range(len(whole)))

    async def script(peer):
        await peer.request()
        await peer.send(whole[: next(cuts)])

    async with Scripted(script) as backend, Rig(route(version("v1", backend))) as rig:
        for cut in range(len(whole)):
            answer = await rig.ask(body=b"x")
            assert answer.status == 502 or not answer.complete, f"cut at byte {cut}"


async def test_r18_http_1_0_client_learns_of_the_break_by_a_reset():
    script = says(CHUNKED + b"3\r\nabc\r\n", then="eof")
    async with Scripted(script) as backend, Rig(route(version("v1", backend))) as rig:
        client = await rig.client()
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(20):
                await client.reader.read()


async def test_bodies_by_every_framing_arrive_whole():
    cases = {
        "/length": ok(body_of(100)),
        "/chunked": CHUNKED + b"32\r\n" + body_of(50) + b"\r\n32;x=y\r\n" + body_of(100)[50:]
        + b"\r\n0\r\nX-Sum: no\r\n\r\n",
        "/close": b"HTTP/1.1 200 OK\r\n\r\n" + body_of(100),
        "/http10": b"HTTP/1.0 200 OK\r\n\r\n" + body_of(100),
    }  # fmt: skip

    async def script(peer):
        path = ""
        while path not in ("/close", "/http10"):
            path = (await peer.request()).line.split(b" ")[1].decode()
            await peer.send(cases[path])

    async with Scripted(script) as backend, Rig(route(version("v1", backend))) as rig:
        for path in cases:
            answer = await rig.ask(path=path, method="GET")
            assert (answer.status, answer.body, answer.complete) == (200, body_of(100), True), path
            assert b"x-sum" not in answer.headers
        rig.count()
        assert rig.outcomes == {("v1", "stable", "OK"): 4}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    ],
    ids=["HEAD", "204", "304"],
)
async def test_answers_without_body_keep_both_connections(asked, said):
    async with Scripted(answers(said)) as backend, Rig(route(version("v1", backend))) as rig:
        client = await rig.client()
        for _ in range(3):
            answer = await client.ask(method=asked)
            assert (answer.status, answer.body) == (int(said.split(b" ")[1]), b"")
        assert answer.headers.get(b"content-length") == (None if b"204" in said else b"5")
        assert len(backend.peers) == 1
        client.close()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHELLO"),
        ("GET", b"HTTP/1.1 204 No\r\n\r\nHELLO"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\n\r\nHELLO"),
        ("GET", OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
        ("GET", OK + b"surplus"),
    ],
    ids=["HEAD", "204", "304", "a second answer", "surplus"],
)
async def test_r19_bytes_behind_an_answer_reach_nobody(asked, said):
    async with Scripted(answers(said)) as backend, Rig(route(version("v1", backend))) as rig:
        client = await rig.client()
        for _ in range(3):
            answer = await client.ask(method=asked)
            assert answer.status == int(said.split(b" ")[1])
            assert answer.body in (b"", b"ok")
        assert len(backend.peers) == 3  # each was thrown away
        client.close()


async def test_r19_unasked_bytes_on_an_idle_connection_close_it():
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

    async def script(peer):
        while True:
            await peer.request()
            await peer.send(OK)
            await asyncio.sleep(0.02)
            await peer.send(evil)

    async with Scripted(script) as backend, Rig(route(version("v1", backend))) as rig:
        client = await rig.client()
        for _ in range(3):
            assert (await client.ask(method="GET")).body == b"ok"
            await until(lambda: not rig.plane.serving.routes[0].stable.pool.open)
        assert len(backend.peers) == 3
        client.close()


async def test_r19_chaos_is_never_mixed():
    """Twelve clients, a backend that sends surplus, splits, closes: each reads its own answer."""
    turn = iter(range(10_000))

    async def script(peer):
        while True:
            asked = await peer.request()
            number = next(turn)
            answer = ok(asked.body)
            if number % 7 == 0:
                answer += b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"
            if number % 5 == 0:
                await peer.send(answer[:20])
                await asyncio.sleep(0)
                answer = answer[20:]
            await peer.send(answer)
            if number % 11 == 0:
                return
            if number % 13 == 0:
                await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")

    async def one(rig, who):
        client = await rig.client()
        good = 0
        for number in range(50):
            mine = b"%d-%d" % (who, number)
            answer = await client.ask(body=mine)
            assert answer.status in (200, 502)
            assert answer.status != 200 or answer.body == mine
            good += answer.status == 200
        client.close()
        return good

    async with Scripted(script) as backend, Rig(route(version("v1", backend))) as rig:
        good = await asyncio.gather(*[one(rig, who) for who in range(12)])
        assert sum(good) > 400


async def test_r24_an_early_answer_arrives_and_its_connection_is_not_used_again():
    async def script(peer):
        await peer.head()
        await peer.send(ok(b"too large", status=413))
        await peer.wait_gone()

    async with Scripted(script) as backend, Rig(route(version("v1", backend))) as rig:
        client = await rig.client()
        await client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n" + b"x" * 1000
        )
        answer = await client.answer()
        assert (answer.status, answer.body) == (413, b"too large")
        assert answer.headers[b"connection"] == b"close"
        await client.send(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n" + b"x" * 4000)
        assert await client.ended() == b""
        assert [one.line for one in backend.requests] == [b"POST / HTTP/1.1"]
        await until(lambda: not rig.plane.serving.routes[0].stable.pool.open)
        rig.count()
        assert rig.outcomes == {("v1", "stable", "OK"): 1}


async def test_r20_a_live_stream_may_outlast_every_timeout():
    """The version goes on only when the client has what it said before: nothing is collected."""
    arrived = asyncio.Event()
    said_at, delays = [], []

    async def script(peer):
        await peer.request()
        await peer.send(CHUNKED)
        for number in range(8):
            await asyncio.sleep(0.1)
            arrived.clear()
            said_at.append(time.perf_counter())
            await peer.send(b"2\r\n%d;\r\n" % number)
            await arrived.wait()
        await peer.send(b"0\r\n\r\n")
        await peer.wait_gone()

    async with Scripted(script) as backend, Rig(route(version("v1", backend))) as rig:
        client = await rig.client()
        began = time.perf_counter()
        await client.send(request(body=b"x"))
        await client.reader.readuntil(b"\r\n\r\n")
        for _ in range(8):
            await client.reader.readuntil(b";\r\n")
            delays.append(time.perf_counter() - said_at[-1])
            arrived.set()
        assert time.perf_counter() - began > 0.7, "longer than response and body timeout"
        print(f"passed on after {max(delays) * 1e3:.1f} ms at most")
        assert max(delays) < promised(0.05)
        client.close()


async def test_interim_answers_reach_1_1_clients_only():
    script = answers(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK)
    async with Scripted(script) as backend, Rig(route(version("v1", backend))) as rig:
        client = await rig.client()
        assert (await client.ask(method="GET")).status == 103
        assert (await client.answer()).body == b"ok"
        client.close()
        assert (await rig.ask(b"GET / HTTP/1.0\r\n\r\n")).status == 200


async def test_r28_interim_answers_for_ever_end_in_a_502():
    script = says(b"HTTP/1.1 102 Processing\r\n\r\n" * 20)
    async with Scripted(script) as backend, Rig(route(version("v1", backend))) as rig:
        client = await rig.client()
        statuses = [(await client.ask(body=b"x")).status]
        while statuses[-1] == 102:
            statuses.append((await client.answer()).status)
        assert statuses == [102] * 8 + [502]
        client.close()


async def test_r21_a_stale_connection_costs_a_get_nothing_and_a_post_is_sent_once():
    """The backend closes in the moment the second request arrives on the kept connection."""

    async def script(peer):
        await peer.request()
        await peer.send(OK)
        await peer.request()

    async with Scripted(script) as backend, Rig(route(version("v1", backend))) as rig:
        client = await rig.client()
        assert (await client.ask(method="GET")).status == 200
        assert (await client.ask(method="GET", path="/second")).status == 200
        assert (await client.ask(path="/post", body=b"x")).status == 502
        client.close()
        paths = [one.line.split(b" ")[1] for one in backend.requests]
        assert paths == [b"/p", b"/second", b"/second", b"/post"]
        rig.count()
        assert rig.outcomes == {("v1", "stable", "OK"): 2, ("v1", "stable", "RESET"): 1}
        assert sum(one.retries for one in rig.versions) == 1


async def test_r21_a_closed_idle_connection_is_noticed_before_it_is_used():
    async def script(peer):
        await peer.request()
        await peer.send(OK)

    async with Scripted(script) as backend, Rig(route(version("v1", backend))) as rig:
        for _ in range(5):
            assert (await rig.ask(body=b"x")).status == 200
        assert len(backend.peers) == 5


async def test_r21_a_refused_connect_is_tried_at_the_other_endpoint():
    async with Scripted(answers(OK)) as backend:
        entry = route(version("v1", closed_port(), backend))
        async with Rig(entry) as rig:
            for _ in range(20):
                assert (await rig.ask(body=b"x")).status == 200
            rig.count()
            assert rig.outcomes == {("v1", "stable", "OK"): 20}
            assert not sum(one.retries for one in rig.versions)  # raced, before it is a failure
            assert len(backend.requests) == 20  # no POST arrived twice


async def test_r23_a_failing_endpoint_is_ejected_and_comes_back():
    async with (
        Scripted(answers(OK)) as good,
        Scripted(answers(ok(status=500))) as bad,
        Rig(route(version("v1", bad, good))) as rig,
    ):
        pool = rig.plane.serving.routes[0].stable.pool
        for _ in range(30):
            await rig.ask(body=b"x")
        ill = next(e for e in pool.endpoints if e.address.port == bad.port)
        assert ill.ejected_until
        assert pool.available == [e for e in pool.endpoints if e is not ill]
        assert len(bad.requests) == 5
        pool.sweep(ill.ejected_until + 1)
        assert ill in pool.available


async def test_r21_a_dead_endpoint_costs_one_retry_a_second():
    outlier = OutlierEntry(consecutive=0)
    async with Scripted(answers(OK)) as backend:
        entry = route(version("v1", closed_port(), closed_port(), backend, outlier=outlier))
        async with Rig(entry) as rig:
            began = time.monotonic()
            statuses = [(await rig.ask(body=b"x")).status for _ in range(50)]
            seconds = int(time.monotonic() - began)  # 0 where nobody else is busy
            rig.count()
            # the one retry may meet the second dead endpoint
            assert statuses.count(200) >= 49 - seconds
            assert sum(one.retries for one in rig.versions) <= 4 + seconds
            assert rig.plane.serving.routes[0].stable.pool.breaker.state == "closed"


# --- rescue -----------------------------------------------------------------------------------


async def fails(peer):
    """Answers 500."""
    while True:
        await peer.request()
        await peer.send(ok(b"broken", status=500))


FAILING = {"refuses": None, "resets": resets, "hangs": hangs, "answers 500": fails}
MANY = replace(RESCUE, budget_min=64, deadline_s=0.1)
"""The budget must allow as many replays at a time as there are failures at a time."""


PATIENT = replace(LIMITS, header_timeout_s=30.0, body_timeout_s=30.0)
LONG = replace(TIMEOUTS, response_s=20.0)
"""Whom a busy machine holds up, client or version, is not told that it was slow."""


async def many(rig, count, at_once=32):
    """Statuses of this many POSTs, some at a time."""
    left = iter(range(count))
    statuses = Counter()

    async def one():
        client = await rig.client()
        for number in left:
            answer = await client.ask(body=b"%d" % number)
            good = answer.body == b"%d" % number and answer.complete
            statuses[answer.status if good else "wrong"] += 1
        client.close()

    await asyncio.gather(*[one() for _ in range(at_once)])
    return statuses


@pytest.mark.parametrize("count", [500, pytest.param(2_500, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("failing", FAILING)
async def test_r22_users_do_not_see_the_candidates_failures(failing, count):
    """Four ways to fail: together 2,000 requests (10,000 nightly), as many good answers."""
    async with AsyncExitStack() as stack:
        stable = await stack.enter_async_context(Scripted(echo))
        script = FAILING[failing]
        bad = await stack.enter_async_context(Scripted(script)) if script else closed_port()
        entry = rollout(stable, bad, 5_000, rescue=MANY, timeouts=LONG)
        rig = await stack.enter_async_context(Rig(entry, limits=PATIENT))
        assert await many(rig, count) == {200: count}
        await rig.settled()
        rig.count()
        assert len(stable.requests) == count  # no POST reached stable twice
        candidate, other = rig.arm("candidate"), rig.arm("stable")
        assert candidate["arrived"] == candidate["bad"] > 0  # blamed exactly once for each
        assert candidate["ok"] == other["bad"] == 0
        assert candidate["bad"] + other["ok"] == count
        rescued = sum(one.rescued for one in rig.versions if one.version == "v2")
        assert rescued == candidate["bad"]


async def test_r22_the_replays_have_a_budget():
    few = replace(RESCUE, budget_min=2, budget_bp=0)
    async with (
        Scripted(hangs) as stable,
        Scripted(hangs) as bad,
        Rig(rollout(stable, bad, 10_000, rescue=few)) as rig,
    ):
        asked = [asyncio.create_task(rig.ask(body=b"x")) for _ in range(6)]
        statuses = Counter(one.status for one in await asyncio.gather(*asked))
        assert statuses == {504: 6}
        assert len(stable.peers) == 2


async def test_r22_the_whole_request_keeps_its_deadline():
    """A candidate that eats the time up leaves none for a replay."""
    timeouts = replace(TIMEOUTS, response_s=5.0, total_s=0.3)
    async with (
        Scripted(hangs) as stable,
        Scripted(hangs) as bad,
        Rig(rollout(stable, bad, 10_000, rescue=RESCUE, timeouts=timeouts)) as rig,
    ):
        began = time.monotonic()
        assert (await rig.ask(body=b"x")).status == 504
        assert time.monotonic() - began < promised(0.8)
        assert stable.requests == []


@pytest.mark.parametrize("body", [b"x" * 100_000, b""], ids=["larger than the buffer", "none"])
async def test_r22_what_is_no_longer_in_memory_is_not_replayed(body):
    async with Scripted(echo) as stable, Scripted(resets) as bad:
        small = replace(RESCUE, buffer_bytes=10_000)
        async with Rig(rollout(stable, bad, 10_000, rescue=small)) as rig:
            client = await rig.client()
            head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
            await client.send(head + body[:50_000])
            if body:
                await until(lambda: bad.requests)
            await client.send(body[50_000:])
            answer = await client.answer()
            assert (answer.status, len(stable.requests)) == ((502, 0) if body else (200, 1))
            client.close()


async def test_r22_a_held_upload_goes_on_at_stable():
    """The candidate takes nothing; its client was held and must flow again after the replay."""

    async def takes_nothing(peer):
        await peer.head()
        peer.reader._transport.pause_reading()
        await for_ever()

    body = body_of(24_000_000)
    rescue = replace(RESCUE, buffer_bytes=32_000_000)
    timeouts = replace(TIMEOUTS, response_s=1.0)
    async with Scripted(echo) as stable, Scripted(takes_nothing) as bad:
        entry = rollout(stable, bad, 10_000, rescue=rescue, timeouts=timeouts)
        async with Rig(entry) as rig:
            client = await rig.client()
            client.writer.write(request(body=body))
            answer = await client.answer(within_s=20)
            assert (answer.status, answer.body == body) == (200, True)
            client.close()
            rig.count()
            assert rig.arm("candidate") == {"arrived": 1, "bad": 1}


async def test_r22_a_started_answer_is_never_replayed():
    script = says(LENGTH_10 + b"12345", then="eof")
    async with (
        Scripted(echo) as stable,
        Scripted(script) as bad,
        Rig(rollout(stable, bad, 10_000, rescue=RESCUE)) as rig,
    ):
        answer = await rig.ask(body=b"x")
        assert (answer.status, answer.complete, stable.requests) == (200, False, [])


async def test_r23_an_unreachable_stable_sends_nobody_to_the_candidate():
    async with Scripted(echo) as candidate, Rig(rollout(closed_port(), candidate, 0)) as rig:
        statuses = [(await rig.ask(body=b"x")).status for _ in range(12)]
        assert set(statuses) == {502, 503}
        assert candidate.requests == []
        assert rig.plane.serving.routes[0].stable.pool.breaker.state == "open"


# --- one connection, one answer -------------------------------------------------------------------


async def test_r19_a_connection_is_clean_before_the_next_in_the_queue_gets_it():
    """Surplus bytes in a packet of their own, while somebody waits for this very connection."""

    async def script(peer):
        while True:
            asked = await peer.request()
            await peer.send(ok(asked.body))
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")

    async with (
        Scripted(script) as backend,
        Rig(route(version("v1", backend, connections=2), timeouts=LONG), limits=PATIENT) as rig,
    ):
        assert await many(rig, 300, at_once=12) == {200: 300}


async def test_r24_an_early_answer_with_a_close_arrives_though_we_were_still_writing():
    """Its close with our body unread becomes a reset; what came before it is read all the same."""

    async def script(peer):
        await peer.head()
        await peer.send(ok(b"too large", b"Connection: close", status=413))

    async with Scripted(script) as backend, Rig(route(version("v1", backend))) as rig:
        statuses = Counter()
        for _ in range(40):
            client = await rig.client()
            client.writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n")
            for _ in range(10):
                client.writer.write(bytes(100_000))
                await asyncio.sleep(0)
            answer = await client.answer()
            statuses[answer.status] += 1
            client.close()
        print(statuses)
        assert statuses[413] >= 36
        assert set(statuses) <= {413, 502}


async def test_r24_an_early_200_is_no_gadget():
    """0.CL: the answer comes at once, the rest of the body must never be read as a request."""

    async def script(peer):
        while True:
            await peer.head()
            await peer.send(OK)

    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    async with Scripted(script) as backend, Rig(route(version("v1", backend))) as rig:
        for _ in range(20):
            client = await rig.client()
            await client.send(
                b"POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(smuggled)
            )
            assert (await client.answer()).status == 200
            client.writer.write(smuggled)
            await client.ended()
            assert (await rig.ask(method="GET", path="/two")).status == 200
        paths = {one.line.split(b" ")[1] for one in backend.requests}
        assert paths == {b"/one", b"/two"}


async def test_r19_a_body_still_unsent_keeps_its_connection_from_the_pool():
    """Answered before the body was taken: the next request would queue behind the rest of it."""

    async def script(peer):
        await peer.head()
        peer.reader._transport.pause_reading()
        await peer.send(OK)
        await peer.gone.wait()

    async with (
        Scripted(script) as backend,
        Rig(route(version("v1", backend), timeouts=replace(TIMEOUTS, response_s=5.0))) as rig,
    ):
        client = await rig.client()
        client.writer.write(request(body=body_of(24_000_000)))
        assert (await client.answer()).status == 200
        client.close()
        await until(lambda: not rig.plane.serving.routes[0].stable.pool.open)


async def test_r17_a_backend_that_speaks_or_leaves_before_it_is_asked():
    async def speaks(peer):
        await peer.send(OK)
        await peer.wait_gone()

    async def leaves(peer):
        peer.writer.close()

    for script in (speaks, leaves):
        async with Scripted(script) as backend, Rig(route(version("v1", backend))) as rig:
            for _ in range(10):
                began = time.monotonic()
                assert (await rig.ask(body=b"x")).status in (502, 503)
                assert time.monotonic() - began < promised(0.3)


class Late(socketserver.BaseRequestHandler):
    """Answers after 0.1 s, in a thread of its own."""

    def handle(self):
        self.request.recv(65_536)
        time.sleep(0.1)
        self.request.sendall(OK)


async def test_our_own_delay_is_nobodys_timeout():
    """The process was held up past every deadline; the answers are there when it goes on."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Late) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        async with Rig(route(version("v1", EndpointEntry(*server.server_address)))) as rig:
            for _ in range(3):
                asked = [asyncio.create_task(rig.ask(body=b"x")) for _ in range(5)]
                await until(lambda: sum(e.stage is Stage.SENT for e in rig.plane.exchanges) == 5)
                time.sleep(0.6)
                assert [(await one).status for one in asked] == [200] * 5
        server.shutdown()


async def test_a_table_in_between_reaches_who_is_still_collecting():
    """The body is collected before the choice; the choice is the table's of that later moment."""
    sticky = StickyEntry(StickyKind.BODY, "user")
    async with Scripted(echo) as stable, Scripted(echo) as candidate:
        async with Rig(rollout(stable, candidate, 10_000, sticky=sticky)) as rig:
            client = await rig.client()
            await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\n\r\n{")
            await until(lambda: rig.plane.exchanges)
            rig.apply(rollout(stable, candidate, 0, sticky=sticky))
            await client.send(b'"user": "me" }')
            answer = await client.answer()
            assert answer.headers[b"x-rampway-version"] == b"v1"
            client.close()
        assert candidate.requests == []


async def test_pools_survive_a_version_that_leaves_and_returns_at_once():
    async with Scripted(echo) as stable, Scripted(echo) as candidate:
        both = rollout(stable, candidate, 10_000)
        async with Rig(both) as rig:
            rig.apply(route(version("v1", stable)))
            rig.apply(both)
            await asyncio.sleep(0)
            assert (await rig.ask(body=b"x")).status == 200
