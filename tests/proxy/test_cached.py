"""Answers that are given again: whose, to whom, how long, and what of them is evidence."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from router.core.wire.protection import CacheEntry
from router.core.wire.table import RescueEntry
from tests.proxy.rig import Rig, rollout, until, version
from tests.proxy.scripted import Scripted, answers, ok, resets

CACHE = CacheEntry(ttl_s=60.0)


def says(body, *fields, status=200):
    return answers(ok(body, *fields, status=status))


def gated(body):
    """Answers wait for the event."""
    event = asyncio.Event()

    async def script(peer):
        while True:
            await peer.request()
            await event.wait()
            await peer.send(ok(body))

    return event, script


def counted(rig):
    delta = rig.count()
    return {
        name: sum(getattr(one, f"cache_{name}") for route in delta.routes for one in route.given)
        for name in ("hits", "waited", "misses", "passed")
    } | {"evicted": sum(one.cache_evicted for one in delta.routes)}


async def test_the_same_question_is_asked_once_and_another_one_again():
    async with Scripted(says(b"one")) as one, Rig(rollout(one, one, 0, cache=CACHE)) as rig:
        first = await rig.ask(body=b"a")
        again = await rig.ask(body=b"a")
        for other in ({"body": b"b"}, {"body": b"a", "path": "/p?x"},
                      {"body": b"a", "headers": ("Accept: text/csv",)}):  # fmt: skip
            assert (await rig.ask(**other)).headers.get(b"x-rampway-cache") is None
        assert (first.body, again.body, again.headers[b"age"]) == (b"one", b"one", b"0")
        assert again.headers[b"x-rampway-cache"] == b"hit"
        assert again.headers[b"x-rampway-version"] == b"v1"
        assert len(one.requests) == 4
        assert counted(rig) == {"hits": 1, "waited": 0, "misses": 4, "passed": 0, "evicted": 0}


async def test_five_hundred_who_ask_at_once_ask_once():
    event, script = gated(b"said")
    async with Scripted(script) as one, Rig(rollout(one, one, 0, cache=CACHE)) as rig:
        clients = [await rig.client() for _ in range(500)]
        asking = [asyncio.create_task(client.ask(body=b"q", within_s=30)) for client in clients]
        await until(lambda: len(rig.plane.exchanges) == 500, 20)
        event.set()
        got = await asyncio.gather(*asking)
        assert {(answer.status, answer.body) for answer in got} == {(200, b"said")}
        assert len(one.requests) == 1
        assert counted(rig)["waited"] == 499
        assert len({answer.headers[b"x-request-id"] for answer in got}) == 500
        for client in clients:
            client.close()


async def test_who_waits_asks_in_the_place_of_a_client_that_left():
    event, script = gated(b"said")
    async with Scripted(script) as one, Rig(rollout(one, one, 0, cache=CACHE)) as rig:
        leader, *others = [await rig.client() for _ in range(4)]
        first = asyncio.create_task(leader.ask(body=b"q"))
        await until(lambda: len(one.requests) == 1)
        waiting = [asyncio.create_task(client.ask(body=b"q")) for client in others]
        await until(lambda: len(rig.plane.exchanges) == 4)
        leader.close()
        await first
        await until(lambda: len(one.requests) == 2)
        event.set()
        assert {answer.body for answer in await asyncio.gather(*waiting)} == {b"said"}
        assert len(one.requests) == 2


async def test_who_waited_for_a_failure_asks_for_itself():
    async with (
        Scripted(says(b"broken", status=500)) as one,
        Rig(rollout(one, one, 0, cache=CACHE)) as rig,
    ):
        got = await asyncio.gather(*(rig.ask(body=b"q") for _ in range(5)))
        assert {answer.status for answer in got} == {500}
        assert len(one.requests) == 5
    async with Scripted(resets) as gone, Rig(rollout(gone, gone, 0, cache=CACHE)) as rig:
        assert {
            a.status for a in await asyncio.gather(*(rig.ask(body=b"q") for _ in range(3)))
        } == {502}


async def test_nothing_of_a_version_that_was_taken_back_is_given_again():
    async with Scripted(says(b"one")) as one, Scripted(says(b"two")) as two:
        entry = rollout(one, two, 10_000, cache=CACHE)
        async with Rig(entry) as rig:
            assert (await rig.ask(body=b"q")).body == b"two"
            assert (await rig.ask(body=b"q")).body == b"two"
            rig.apply(replace(entry, weights_bp=(10_000, 0), candidate=-1, revision=8))
            assert (await rig.ask(body=b"q")).body == b"one"
            rig.apply(replace(entry, revision=9))  # a retry: what it said before is forgotten
            assert (await rig.ask(body=b"q")).headers.get(b"x-rampway-cache") is None
            assert len(two.requests) == 2


async def test_who_waits_for_a_version_that_is_taken_back_gets_stables_answer():
    event, script = gated(b"two")
    async with Scripted(says(b"one")) as one, Scripted(script) as two:
        entry = rollout(one, two, 10_000, cache=CACHE)
        async with Rig(entry) as rig:
            leader, other = await rig.client(), await rig.client()
            first = asyncio.create_task(leader.ask(body=b"q"))
            await until(lambda: len(two.requests) == 1)
            second = asyncio.create_task(other.ask(body=b"q"))
            await until(lambda: len(rig.plane.exchanges) == 2)
            rig.apply(replace(entry, weights_bp=(10_000, 0), candidate=-1, revision=8))
            event.set()
            assert (await first).body == b"two"  # it was under way
            answer = await second
            assert (answer.body, answer.headers[b"x-rampway-version"]) == (b"one", b"v1")
            assert (await rig.ask(body=b"q")).body == b"one"


async def test_another_attempt_or_endpoint_under_the_same_name_begins_with_nothing():
    async with Scripted(says(b"one")) as one, Scripted(says(b"two")) as two:
        entry = rollout(one, two, 10_000, cache=CACHE)
        async with Rig(entry) as rig:
            elsewhere = replace(entry, versions=(version("v1", one), version("v2", one)))
            for changed in (entry, replace(entry, attempt=2, revision=8), elsewhere):
                rig.apply(changed)
                assert (await rig.ask(body=b"q")).headers.get(b"x-rampway-cache") is None
            assert (len(two.requests), len(one.requests)) == (2, 1)


async def test_evidence_is_what_is_new_to_both_versions():
    async with (
        Scripted(says(b"one")) as one,
        Scripted(says(b"two")) as two,
        Rig(rollout(one, two, 5_000, cache=CACHE)) as rig,
    ):
        for number in range(60):
            for _ in range(6):  # both have been asked, nearly always
                await rig.ask(body=b"%d" % number)
        rig.count()
        drawn = rig.arm("candidate")["arrived"] + rig.arm("stable")["arrived"]
        assert drawn == 60
        assert len(one.requests) + len(two.requests) > 100
        assert rig.arm("candidate")["arrived"] > 10


async def test_a_leader_that_is_rescued_leaves_nothing_behind():
    async with Scripted(says(b"one")) as one, Scripted(says(b"no", status=503)) as two:
        entry = rollout(one, two, 10_000, cache=CACHE, rescue=RescueEntry(statuses=(5,)))
        async with Rig(entry) as rig:
            got = await asyncio.gather(*(rig.ask(body=b"q") for _ in range(4)))
            assert {(a.status, a.body) for a in got} == {(200, b"one")}
            assert (await rig.ask(body=b"q")).headers.get(b"x-rampway-cache") is None


@pytest.mark.parametrize(
    "field",
    [b"Cache-Control: private", b"Cache-Control: no-store", b"Set-Cookie: a=b", b"Vary: *",
     b"Vary: X-Other"],
)  # fmt: skip
async def test_answers_that_are_nobody_elses(field):
    async with Scripted(says(b"one", field)) as one, Rig(rollout(one, one, 0, cache=CACHE)) as rig:
        await rig.ask(body=b"a")
        await rig.ask(body=b"a")
        assert len(one.requests) == 2


@pytest.mark.parametrize(
    "field",
    [
        "Authorization: x",
        "Cookie: a=b",
        "X-Api-Key: x",
        "Cache-Control: no-cache",
        "Range: bytes=0-",
    ],
)
async def test_requests_that_pass(field):
    async with Scripted(says(b"one")) as one, Rig(rollout(one, one, 0, cache=CACHE)) as rig:
        await rig.ask(body=b"a", headers=(field,))
        await rig.ask(body=b"a", headers=(field,))
        await rig.ask(body=b"a", method="PUT")
        assert len(one.requests) == 3
        assert counted(rig)["passed"] == 3


async def test_a_credential_that_is_named_tells_questions_apart():
    entry = replace(CACHE, vary=("authorization",))
    async with (
        Scripted(says(b"one", b"Vary: Authorization")) as one,
        Rig(rollout(one, one, 0, cache=entry)) as rig,
    ):
        for who in ("a", "b", "a", "b"):
            await rig.ask(body=b"q", headers=(f"Authorization: {who}",))
        assert len(one.requests) == 2


async def test_it_holds_so_much_and_so_long_and_no_longer():
    small = replace(CACHE, bytes_max=20_000, answer_bytes=8_000)
    async with Scripted(says(b"x" * 5_000)) as one, Rig(rollout(one, one, 0, cache=small)) as rig:
        for body in (b"a", b"b", b"c", b"a", b"d", b"a", b"b"):  # `a` was asked for, `b` goes first
            await rig.ask(body=body)
        assert len(one.requests) == 5
        assert counted(rig)["evicted"] == 1
        cache = rig.plane.caches.of(rig.plane.serving.routes[0].entry, small)
        assert cache.held_bytes <= 20_000
        rig.apply(rollout(one, one, 0, cache=replace(small, bytes_max=7_000)))
        assert (len(cache), cache.held_bytes <= 7_000) == (1, True)
    async with Scripted(says(b"x" * 9_000)) as one, Rig(rollout(one, one, 0, cache=small)) as rig:
        await rig.ask(body=b"a")
        await rig.ask(body=b"a")
        assert len(one.requests) == 2
    brief = replace(CACHE, ttl_s=0.05)
    async with Scripted(says(b"x")) as one, Rig(rollout(one, one, 0, cache=brief)) as rig:
        await rig.ask(body=b"a")
        await asyncio.sleep(0.06)
        await rig.ask(body=b"a")
        assert len(one.requests) == 2


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


async def test_chunks_and_bodies_in_chunks():
    async with Scripted(answers(CHUNKED)) as one, Rig(rollout(one, one, 0, cache=CACHE)) as rig:
        for _ in range(2):
            answer = await rig.ask(body=b"a", chunked=True)
            assert (answer.body, answer.complete) == (b"onetwo", True)
        assert len(one.requests) == 1


async def test_a_route_that_goes_takes_its_answers_with_it():
    async with Scripted(says(b"one")) as one:
        entry = rollout(one, one, 0, cache=CACHE)
        async with Rig(entry) as rig:
            await rig.ask(body=b"a")
            rig.apply(replace(entry, cache=None))
            rig.apply(entry)
            assert (await rig.ask(body=b"a")).headers.get(b"x-rampway-cache") is None
