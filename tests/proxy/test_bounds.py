"""Bounds of the policy's `limits`, from its text to the bytes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from router.config import loads
from router.control.rollouts.publish import table_of
from tests.proxy.rig import LIMITS, TIMEOUTS, Rig, rollout, route, version
from tests.proxy.scripted import Scripted, answers, echo, ok

POLICY = """
limits: {%s}
routes: [{name: r, versions: {v1: {endpoints: ["http://127.0.0.1:9"]}}, stable: v1}]
"""


def limits(text):
    return table_of(1, loads(POLICY % text, "policy.yaml").policy, ()).limits


LONG = ok(b"hello", b"X-Long: " + b"a" * 5_000)
MANY = ok(b"hello", *[b"X-%d: y" % n for n in range(40)])


@pytest.mark.parametrize(
    ("answer", "text", "status"),
    [
        (LONG, "", 200),
        (LONG, "answer_head: 4KiB", 502),
        (LONG, "head: 4KiB", 200),
        (ok(b"hello", b"X-Long: " + b"a" * 40_000), "", 502),
        (ok(b"hello", b"X-Long: " + b"a" * 40_000), "answer_head: 64KiB", 200),
        (MANY, "", 200),
        (MANY, "answer_fields: 40", 502),
        (MANY, "answer_fields: 41", 200),
        (MANY, "fields: 40", 200),
    ],
)
async def test_heads_of_answers(answer, text, status):
    async with (
        Scripted(answers(answer)) as stable,
        Scripted(answers(answer)) as candidate,
        Rig(rollout(stable, candidate, 10_000), limits=limits(text)) as rig,
    ):
        for _ in range(12):  # until heads of this shape are read in one go
            got = await rig.ask()
            assert got.status == status
            if status == 502:
                assert b"larger than limits.answer_head" in got.body
                assert b"limits.answer_fields" in got.body
            else:
                assert got.body == b"hello"
        rig.count()
        ended = "MALFORMED" if status == 502 else "OK"
        assert rig.outcomes == {("v2", "candidate", ended): 12}
        assert not rig.rejected


async def test_an_answer_that_is_no_http_is_told_so_still():
    bad = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"
    trailer = b"X: " + b"a" * 9_000
    late = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n%b\r\n\r\n" % trailer
    for answer in (bad, late):
        async with Scripted(answers(answer)) as one, Rig(route(version("v1", one))) as rig:
            got = await rig.ask()
            assert (got.status, b"not valid HTTP" in got.body) == (502, True)


async def test_a_new_bound_holds_for_what_is_asked_next():
    async with Scripted(answers(LONG)) as backend, Rig(route(version("v1", backend))) as rig:
        assert (await rig.ask()).status == 200
        rig.limits = limits("answer_head: 4KiB")
        rig.apply(*rig.entries)
        assert (await rig.ask()).status == 502


@pytest.mark.parametrize(("text", "status"), [("10KiB", 408), ("16B", 200), ("0B", 200)])
async def test_the_rate_of_an_upload(text, status):
    """1,000 bytes in 1.5 s, never silent for long."""
    bounds = limits(f"body_timeout: 1s, upload_rate: {text}")
    assert bounds.body_timeout_s > LIMITS.body_timeout_s
    patient = replace(TIMEOUTS, response_s=20.0, body_s=20.0)
    async with (
        Scripted(echo) as backend,
        Rig(route(version("v1", backend), timeouts=patient), limits=bounds) as rig,
    ):
        client = await rig.client()
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        asked = asyncio.create_task(client.answer())
        for _ in range(20):
            if asked.done():
                break
            client.writer.write(b"x" * 50)
            await asyncio.sleep(0.075)
        assert (await asked).status == status
        client.close()
