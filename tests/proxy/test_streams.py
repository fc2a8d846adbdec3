"""Streams of events: when they have begun, when they have said all, whose fault the rest is."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from math import inf

import pytest

from router.core.wire.table import Mirror, RescueEntry, TimeoutsEntry
from router.proxy.ending import _BLANK, _LAST, StreamEnding
from router.proxy.streams import HELD_BYTES_MAX
from tests.proxy.rig import LIMITS, Rig, request, rollout, route, until, version
from tests.proxy.scripted import Scripted

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
PATIENT = replace(LIMITS, body_timeout_s=30.0)
PATIENCE = TimeoutsEntry(connect_s=2.0, response_s=30.0, body_s=30.0)
TOKEN = b'data: {"choices": [{"index": 0, "delta": {"content": "hi"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
COMMENT = b": OPENROUTER PROCESSING\n\n"


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def stream(*events, then="waits", first_s=0.0):
    """Says its head, then the events; afterwards it waits, resets or ends."""

    async def script(peer):
        while True:
            await peer.request()
            await peer.send(HEAD)
            await asyncio.sleep(first_s)
            for event in events:
                await peer.send(chunk(event))
            if then == "ends":
                await peer.send(b"0\r\n\r\n")
                continue
            if then == "resets":
                peer.reset()
                return
            await peer.wait_gone()

    return Scripted(script)


async def read_until(client, text):
    """What has come, up to and with the text."""
    async with asyncio.timeout(30):
        return await client.reader.readuntil(text)


@pytest.mark.parametrize(
    ("events", "then", "outcome"),
    [
        ((TOKEN, DONE), "waits", "OK"),
        ((TOKEN, DONE[:9], DONE[9:]), "waits", "OK"),
        ((TOKEN, b"data:[DONE]\r\n\r\n"), "waits", "OK"),
        ((b"event: message_stop\ndata: {}\n\n",), "waits", "OK"),
        ((b"event: response.completed\n", b'data: {"response": {}}\n\n'), "waits", "OK"),
        ((TOKEN,), "waits", "CLIENT_ABORT"),
        ((TOKEN, b'data: {"text": "data: [DONE]"}\n\n'), "waits", "CLIENT_ABORT"),
    ],
)
async def test_an_answer_is_complete_when_its_protocol_says_so(events, then, outcome):
    """The official client of OpenAI closes when it has read [DONE], often before the last chunk."""
    async with stream(*events, then=then) as backend, Rig(route(version("v1", backend))) as rig:
        client = await rig.client()
        await client.send(request())
        await read_until(client, events[-1][-6:])
        client.close()
        await rig.settled()
        rig.count()
        assert rig.outcomes == {("v1", "stable", outcome): 1}


@pytest.mark.parametrize(("last", "outcome"), [(DONE, "OK"), (TOKEN, "TRUNCATED")])
async def test_what_a_version_does_after_its_last_event_is_no_failure(last, outcome):
    async with (
        stream(TOKEN, last, then="resets") as backend,
        Rig(route(version("v1", backend))) as rig,
    ):
        answer = await rig.ask()
        assert answer.body.endswith(last) or outcome == "TRUNCATED"
        await rig.settled()
        rig.count()
        assert rig.outcomes == {("v1", "stable", outcome): 1}


async def test_all_good_streams_become_pairs_whoever_closes_when():
    mirrors = (Mirror(1, 10_000),)
    async with (
        stream(TOKEN, DONE) as stable,
        stream(TOKEN, DONE) as shadow,
        Rig(rollout(stable, shadow, 0, mirrors=mirrors)) as rig,
    ):
        for _ in range(10):
            client = await rig.client()
            await client.send(request(body=b"?"))
            await read_until(client, b"[DONE]\n\n")
            client.close()
        await rig.settled()
        pairs, _ = rig.plane.recorder.take_pairs()
        assert [(p.primary_status, p.shadow_status) for p in pairs] == [(200, 200)] * 10
        assert {p.primary_body for p in pairs} == {p.shadow_body for p in pairs} == {TOKEN + DONE}


@pytest.mark.parametrize("data", [TOKEN + DONE, b"event: message_stop\r\ndata: {}\r\n\r\n"])
def test_however_it_is_cut(data):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(300):
        ending, rest, said = StreamEnding(), data, False
        while rest:
            size = rng.randint(1, 7)
            assert not said or not rest.strip(), "said before its end"
            said = ending.more(rest[:size])
            rest = rest[size:]
        assert said


WORDS = (
    b"data: {", b"data: [DONE]", b"data:[DONE]", b"event: ", b"event:", b"done", b"message_stop",
    b"delta", b"response.completed", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b" ",
    b"x", b'"a"}', b": ping", b"[DONE]", b"data: {}\n\n", b"event: delta\ndata: {}\n\n", b"z" * 130,
)  # fmt: skip


def test_the_end_is_where_the_expression_finds_it_in_the_whole_stream():
    """What is kept between pieces, and what is not searched, loses nothing and invents nothing."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    ends = 0
    for _ in range(3_000):
        rest, passed, ending = (
            b"".join(rng.choices(WORDS, k=rng.randint(1, 25))),
            b"",
            StreamEnding(),
        )
        size_max = rng.choice((7, 60))
        while rest:
            size = rng.randint(1, size_max)
            if size_max == 60 and b"\n\n" in rest:
                size = rest.find(b"\n\n") + 2  # an event, mostly
            passed += rest[:size]
            assert ending.more(rest[:size]) is _ended(passed), passed
            rest = rest[size:]
        ends += ending.said
    assert 150 < ends < 1_500


def _ended(passed):
    last = _LAST.search(passed)
    if last is None:
        return False
    return b"[DONE]" in last.group() or _BLANK.search(passed, last.end() - 1) is not None


DELTA = b"event: delta\ndata: {}\n\n"


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ((b'data: {"a": 1', b"data: [DONE]\n"), False),  # the line goes on
        ((b"data: " + b"x" * 122, b"data: [DONE]\n"), False),
        ((b"xdata: [DONE]" + b" " * 116, b"\n"), False),  # no line begins there
        ((b"data: {}\rdata: [DONE]\n",), True),
        ((b"data: {}\ndata: [DONE]\n",), True),
        ((b"data: {}\r\n\r\n", b"data: {}\r\n\r\n", b"data: [DONE]\r\n"), True),
        ((DELTA, DELTA, b"event: done\n", b"data: {}\n\n"), True),
        ((DELTA, DELTA + b"event: done\ndata: {}\n\n"), True),
        ((DELTA, DELTA, b"event: done\n", b"data: {}\n"), False),  # the event goes on
    ],
)
def test_an_event_that_begins_like_the_one_before_may_hide_no_end(pieces, said):
    ending = StreamEnding()
    assert [ending.more(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [said]


END = b"0\r\n\r\n"
ODD = b"0A;x=y\r\ndata: {}\n\n\r\n"
PIECES = (
    (chunk(TOKEN), chunk(TOKEN), TOKEN),
    (ODD, chunk(b"data: {}\n\n"), b"data: {}\n\n"),
    (chunk(TOKEN) + chunk(DONE), chunk(TOKEN + DONE), TOKEN + DONE),
    (END, END, b""),
)
"""As a version sends them, each in one write; as clients of HTTP/1.1 and of HTTP/1.0 get them."""


@pytest.mark.parametrize("minor", [1, 0])
async def test_events_go_on_as_they_came_or_framed_anew(minor):
    """Framed as ours they are the same bytes; a client of HTTP/1.0 gets no chunks."""
    due = asyncio.Queue()

    async def script(peer):
        await peer.request()
        await peer.send(HEAD)
        while data := await due.get():
            await peer.send(data)

    async with Scripted(script) as backend, Rig(route(version("v1", backend))) as rig:
        client = await rig.client()
        await client.send(request().replace(b"HTTP/1.1", b"HTTP/1.%d" % minor))
        await read_until(client, b"\r\n\r\n")
        for sent, *got in PIECES:
            due.put_nowait(sent)
            expected = got[1 - minor]
            async with asyncio.timeout(30):
                assert await client.reader.readexactly(len(expected)) == expected
        await rig.settled()
        due.put_nowait(b"")
        rig.count()
        assert rig.outcomes == {("v1", "stable", "OK"): 1}
        assert sum(one.bytes_out for one in rig.versions) == sum(len(one[2]) for one in PIECES)


async def test_a_stream_that_falls_silent_is_noticed_in_time_though_it_was_left_out():
    patient = TimeoutsEntry(connect_s=2.0, response_s=30.0, body_s=5.0)
    async with (
        stream(TOKEN) as backend,
        Rig(route(version("v1", backend), timeouts=patient)) as rig,
    ):
        client = await rig.client()
        await client.send(request())
        await read_until(client, TOKEN + b"\r\n")
        (exchange,) = rig.plane.exchanges
        look, due = rig.plane._look_at_exchanges, exchange.attempt.deadline
        for before_s in (4.8, 4.7, 3.6, 2.5, 1.4, 0.3, 0.01):
            look(due - before_s)
        assert exchange in rig.plane.exchanges
        assert exchange.quiet_until == due
        look(due + 0.01)
        assert exchange not in rig.plane.exchanges
        await rig.settled()
        rig.count()
        assert rig.outcomes == {("v1", "stable", "TIMEOUT"): 1}


TIMES = TimeoutsEntry(connect_s=0.5, response_s=5.0, body_s=5.0, first_token_s=0.3)
RESCUE = RescueEntry(statuses=(5,))


@pytest.mark.parametrize(
    ("candidate", "outcome"),
    [
        (stream(COMMENT, TOKEN, DONE, then="ends"), "OK"),
        (stream(COMMENT, COMMENT), "TIMEOUT"),  # a head and comments are no token
        (stream(TOKEN, DONE, then="ends", first_s=2.0), "TIMEOUT"),
        (stream(then="resets"), "RESET"),
    ],
)
async def test_a_stream_that_says_nothing_in_time_is_rescued(candidate, outcome):
    async with stream(b"data: stable\n\n", DONE, then="ends") as stable, candidate:
        entry = rollout(stable, candidate, 10_000, timeouts=TIMES, rescue=RESCUE)
        async with Rig(entry) as rig:
            answer = await rig.ask()
            rescued = outcome != "OK"
            assert answer.complete
            assert answer.body.startswith(b"data: stable" if rescued else COMMENT + TOKEN)
            await rig.settled()
            rig.count()
            expected = Counter({("v2", "candidate", outcome): 1})
            if rescued:
                expected["v1", "stable", "OK"] = 1
            assert rig.outcomes == expected


async def test_without_the_bound_the_head_goes_out_at_once():
    async with (
        stream(TOKEN, DONE, then="ends", first_s=0.3) as backend,
        Rig(route(version("v1", backend))) as rig,
    ):
        client = await rig.client()
        await client.send(request())
        assert b" 200 " in await read_until(client, b"\r\n\r\n")
        await until(lambda: rig.plane.exchanges)


async def test_comments_are_not_held_for_ever():
    async with (
        stream(b":" + b" " * HELD_BYTES_MAX + b"\n\n", DONE, then="ends") as backend,
        Rig(route(version("v1", backend), timeouts=TIMES)) as rig,
    ):
        answer = await rig.ask()
        assert (answer.status, answer.complete) == (200, True)


async def test_a_client_that_reads_again_waits_for_a_silent_version_no_longer_than_others():
    """While it did not read nothing was due of the version; from then on its silence is bounded."""
    async with (
        stream(b"x" * 20_000_000) as backend,
        Rig(route(version("v1", backend)), limits=PATIENT) as rig,
    ):
        client = await rig.client()
        client.writer.transport.pause_reading()
        await client.send(request(body=b"x"))
        await until(lambda: [one.attempt.deadline for one in rig.plane.exchanges] == [inf])
        looks = rig.plane._sweeps
        await until(lambda: rig.plane._sweeps > looks + 1)
        client.writer.transport.resume_reading()
        assert (await client.ended(5.0)).endswith(b"x\r\n")
        await rig.settled()
        rig.count()
        assert rig.outcomes == {("v1", "stable", "TIMEOUT"): 1}


async def test_a_stream_is_late_at_each_threshold_while_it_goes_on():
    """Nobody waits for its end, which may be hours away."""
    async with stream(TOKEN) as stable, stream(TOKEN) as candidate:
        entry = rollout(stable, candidate, 10_000, thresholds_s=(0.1, 0.4), timeouts=PATIENCE)
        async with Rig(entry) as rig:
            client = await rig.client()
            await client.send(request(body=b"x"))
            await until(lambda: rig.count() and rig.arm("candidate").get("slow") == 2)
            assert rig.plane.exchanges
            client.close()
