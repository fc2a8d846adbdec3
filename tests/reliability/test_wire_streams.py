"""Streams of events from outside: a policy, the real program, raw services and clients.

What the standard allows around the data is read (comments, byte order mark, `event:` lines, data
over several lines, all line ends), an answer is whole when its protocol says so, and a version that
opens a stream and says nothing is rescued by stable.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections import Counter

import pytest

from tests.proxy.rig import Client
from tests.proxy.scripted import Scripted
from tests.reliability.test_wire import router
from tests.reliability.whole import until

pytestmark = pytest.mark.live

ASK = json.dumps({"model": "m", "stream": True, "messages": []}).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
DONE = "data: [DONE]\n\n"


def chunks(*words):
    """OpenAI's, as documents."""
    for number, word in enumerate((*words, "")):
        choice = {"index": 0, "delta": {"content": word}, "finish_reason": None if word else "stop"}
        yield {"id": f"c{number}", "object": "chat.completion.chunk", "choices": [choice]}


PLAIN = "".join(f"data: {json.dumps(one)}\n\n" for one in chunks("it", " is", " late")) + DONE
DRESSED = "\ufeff: PROCESSING\r\n\r\nretry: 10\r\n\r\n" + "".join(
    "event: message\r\nid: 7\r\n"
    + "".join(f"data: {line}\r\n" for line in json.dumps(one, indent=2).split("\n"))
    + "\r\n: ping\r\n\r\n"
    for one in chunks("it", " is", " late")
) + DONE.replace("\n", "\r\n")  # fmt: skip


def streams(text, *, last=True, again=True):
    """The text in chunks of 7 bytes; without ``last`` the body's end never comes."""

    async def script(peer):
        while True:
            await peer.request()
            data = text.encode()
            pieces = [data[at : at + 7] for at in range(0, len(data), 7)]
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
            await peer.send(HEAD + body + (b"0\r\n\r\n" if last else b""))
            if not (last and again):
                await peer.wait_gone()

    return script


async def mumbles(peer):
    """Keeps the connection alive and says nothing."""
    await peer.request()
    await peer.send(HEAD)
    while True:
        await peer.send(b"9\r\n: wait..\n\r\n")
        await asyncio.sleep(0.05)


ROUTE = """\
    payload: openai
    timeouts: {{first_token: 500ms}}
    versions:
      v1: {{endpoints: ["http://127.0.0.1:{v1.port}"]}}
      v2: {{endpoints: ["http://127.0.0.1:{v2.port}"]}}
    stable: v1
    rollout:
      candidate: v2
"""
SHADOW = """\
      strategy: {shadow: {mirror: 100%, hold: 1h}}
      gates: [agreement]
"""
CANARY = """\
      strategy: {canary: {steps: [{weight: 50%, hold: 1h}]}}
      gates: [error_rate, guard]
      rescue: {on: [timeout]}
"""


def outcomes(life):
    with urllib.request.urlopen(life.admin + "/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    seen = Counter()
    for line in lines:
        if line.startswith("rampway_outcomes_total{"):
            labels = dict(part.split("=") for part in line[23 : line.index("}")].split(","))
            who = labels["version"].strip('"'), labels["outcome"].strip('"')
            seen[who] += int(float(line.rpartition(" ")[2]))
    return seen


def compared(life):
    return life.api("/api/v1/rollouts/flights/shadow")[1]["versions"].get("v2", {"pairs": 0})


async def settled(life):
    """What was compared once nothing comes any more; a busy machine drops copies that are late."""
    seen, now = None, compared(life)
    while seen != now:
        await asyncio.sleep(0.25)
        seen, now = now, compared(life)
    return now


async def copied(life):
    """A shadow begins when it is ready."""
    await asyncio.to_thread(until, lambda: life.status()["mirror_bp"] == 10_000)


async def test_the_same_words_in_another_dress_agree(tmp_path):
    async with Scripted(streams(PLAIN)) as v1, Scripted(streams(DRESSED)) as v2:
        with router(tmp_path, ROUTE.format(v1=v1, v2=v2) + SHADOW) as life:
            await copied(life)
            client = await Client.to(life.port)
            seen = {"pairs": 0}
            while seen["pairs"] < 29:
                for _ in range(30):
                    answer = await client.ask(body=ASK)
                    assert answer.body.decode() == PLAIN
                seen = await settled(life)
            client.close()
            assert (seen["disagreed"], seen["failed"], seen["unusable"]) == (0, 0, 0)


async def test_clients_that_close_at_the_last_event_had_their_answer(tmp_path):
    """As the official clients do; the end of the body never comes."""
    endless = streams(PLAIN, last=False)
    async with Scripted(endless) as v1, Scripted(endless) as v2:
        with router(tmp_path, ROUTE.format(v1=v1, v2=v2) + SHADOW) as life:
            await copied(life)
            seen = {"pairs": 0}
            while seen["pairs"] < 19:
                for _ in range(20):
                    client = await Client.to(life.port)
                    await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"
                                      % (len(ASK), ASK))  # fmt: skip
                    async with asyncio.timeout(20):
                        heard = b""
                        while b"NE]\n\n" not in heard:
                            heard += await client.reader.read(65_536)
                    client.close()
                seen = await settled(life)
            assert seen["agreed"] == seen["pairs"]
            assert {name for _, name in outcomes(life)} == {"ok"}


async def test_a_version_that_says_nothing_is_rescued_and_taken_back(tmp_path):
    async with Scripted(streams(PLAIN)) as v1, Scripted(mumbles) as v2:
        with router(tmp_path, ROUTE.format(v1=v1, v2=v2) + CANARY) as life:
            await asyncio.to_thread(until, lambda: life.status()["weight_bp"] == 5_000)
            client = await Client.to(life.port)
            asked = 0
            async with asyncio.timeout(90):
                while (await asyncio.to_thread(life.status))["phase"] == "progressing":
                    answer = await client.ask(body=ASK, within_s=30)
                    assert (answer.status, answer.body.decode()) == (200, PLAIN)
                    asked += 1
            client.close()
            print(life.status()["line"], "after", asked, "requests")
            assert life.status()["phase"] == "rolled_back"
            await asyncio.to_thread(until, lambda: outcomes(life)["v2", "timeout"] >= 3)
