"""Clients that leave, and what waiting is whose: seen through real sockets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import monotonic

import pytest

from router.core.wire.table import TimeoutsEntry
from router.proxy.stage import Stage
from tests.proxy.rig import LIMITS, Rig, request, rollout, until
from tests.proxy.scripted import OK, Scripted, answers, hangs, ok
from tests.waiting import for_ever

LONG = TimeoutsEntry(connect_s=2.0, response_s=30.0, body_s=30.0)
PATIENT = replace(LIMITS, header_timeout_s=30.0, body_timeout_s=30.0)
SLOW_S = 0.3


async def slowly(peer):
    """Answers a large body at once."""
    await peer.request()
    await peer.send(ok(bytes(16_000_000)))
    await for_ever()


def drawn(backend, weight_bp, **fields):
    """Nearly everything to one arm: which one makes no difference."""
    fields = {"timeouts": LONG, "slow_abort_s": SLOW_S} | fields
    return rollout(backend, backend, weight_bp, **fields)


@pytest.mark.parametrize(("weight_bp", "arm"), [(1, "stable"), (9_999, "candidate")])
@pytest.mark.parametrize(
    ("waits_s", "seen"),
    [
        (0.0, {"left": 1, "arrived": 1, "slow": 0, "fast": 0}),
        (SLOW_S + 0.2, {"bad": 1, "arrived": 1, "slow": 0, "fast": 0}),
    ],
    ids=["young", "late"],
)
async def test_one_rule_for_both_arms(weight_bp, arm, waits_s, seen):
    async with Scripted(hangs) as backend, Rig(drawn(backend, weight_bp)) as rig:
        client = await rig.client()
        client.writer.write(request())
        await until(lambda: backend.peers)
        await asyncio.sleep(waits_s)
        client.close()
        await rig.settled()
        rig.count()
        assert rig.arm(arm) == {k: v for k, v in seen.items() if v}
        outcome = "GIVEN_UP" if "bad" in seen else "CLIENT_ABORT"
        version = {"stable": "v1", "candidate": "v2"}[arm]
        assert rig.outcomes == {(version, arm, outcome): 1}
        assert rig.wakes == (1 if outcome == "GIVEN_UP" and arm == "candidate" else 0)


async def test_who_leaves_in_the_middle_of_sending_was_failed_by_nobody():
    async with Scripted(hangs) as backend, Rig(drawn(backend, 9_999), limits=PATIENT) as rig:
        client = await rig.client()
        client.writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        await until(lambda: backend.peers)
        await asyncio.sleep(SLOW_S + 0.2)
        client.close()
        await rig.settled()
        rig.count()
        assert rig.arm("candidate") == {"left": 1, "arrived": 1}


async def test_sending_slowly_is_no_age():
    thresholds = {"thresholds_s": (SLOW_S,)}
    async with (
        Scripted(answers(OK)) as backend,
        Rig(drawn(backend, 9_999, **thresholds), limits=PATIENT) as rig,
    ):
        client = await rig.client()
        client.writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf")
        await until(lambda: backend.peers)
        await asyncio.sleep(SLOW_S + 0.2)
        assert (await client.ask(b"half")).status == 200
        await rig.settled()
        rig.count()
        assert rig.arm("candidate") == {"ok": 1, "fast": 1, "arrived": 1}
        client.close()


async def test_reading_slowly_is_no_age():
    limits = {"thresholds_s": (1.0,)}
    async with Scripted(slowly) as backend, Rig(drawn(backend, 9_999, **limits)) as rig:
        client = await rig.client(held_bytes=65_536)
        client.reader._transport.pause_reading()
        client.writer.write(request())
        await until(lambda: any(e.stage is Stage.ANSWERING for e in rig.plane.exchanges))
        await asyncio.sleep(1.3)
        assert rig.plane.exchanges, "the client has not read it"
        client.reader._transport.resume_reading()
        await client.answer()
        await rig.settled()
        rig.count()
        assert rig.arm("candidate") == {"ok": 1, "fast": 1, "arrived": 1}
        client.close()


BRIEF = replace(LONG, total_s=0.8)


async def partly(peer):
    """Half of a large body."""
    await peer.request()
    await peer.send(ok(bytes(16_000_000))[:8_000_000])
    await peer.wait_gone()


@pytest.mark.parametrize("reads_again", [False, True])
async def test_a_reader_that_outlasts_the_total_is_no_failure_of_the_version(reads_again):
    """Its answer's head has told it whom that would harm."""
    async with Scripted(partly) as backend, Rig(drawn(backend, 9_999, timeouts=BRIEF)) as rig:
        client = await rig.client(held_bytes=65_536)
        client.reader._transport.pause_reading()
        client.writer.write(request())
        await until(lambda: any(e.stage is Stage.ANSWERING for e in rig.plane.exchanges))
        if reads_again:
            (exchange,) = rig.plane.exchanges
            await until(lambda: monotonic() > exchange.arrived + 0.4)
            exchange.resume_download()
        await rig.settled()
        rig.count()
        assert rig.arm("candidate") == {"left": 1, "arrived": 1}
        assert rig.outcomes == {("v2", "candidate", "CLIENT_ABORT"): 1}
        client.close()


@pytest.mark.parametrize("sent", [b"half", b""])
async def test_a_sender_that_outlasts_the_total_is_no_failure_of_the_version(sent):
    async with (
        Scripted(hangs) as backend,
        Rig(drawn(backend, 9_999, timeouts=BRIEF), limits=PATIENT) as rig,
    ):
        client = await rig.client()
        client.writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n" + sent)
        assert (await client.answer()).status == 408
        await rig.settled()
        rig.count()
        assert rig.arm("candidate") == {"left": 1, "arrived": 1}
        assert rig.rejected == {"total_timeout": 1}
        client.close()


async def test_a_version_that_outlasts_the_total_has_failed():
    async with Scripted(hangs) as backend, Rig(drawn(backend, 9_999, timeouts=BRIEF)) as rig:
        assert (await rig.ask()).status == 504
        await rig.settled()
        rig.count()
        assert rig.arm("candidate") == {"bad": 1, "arrived": 1}


async def test_answer_within_ends_the_wait_for_who_is_patient():
    """It has failed at that age, once, whatever comes later; the client still gets its answer."""

    async def late(peer):
        await peer.request()
        await asyncio.sleep(0.28)
        await peer.send(OK)

    entry = drawn
    async with (
        Scripted(late) as backend,
        Rig(entry(backend, 9_999, answer_within_s=0.2), limits=LIMITS) as rig,
    ):
        client = await rig.client()
        asking = asyncio.create_task(client.ask(request()))
        await until(lambda: rig.wakes)
        rig.count()
        assert rig.arm("candidate") == {"bad": 1, "arrived": 1}
        assert (await asking).status == 200
        await rig.settled()
        rig.count()
        assert rig.arm("candidate") == {"bad": 1, "arrived": 1}
        client.close()
