"""R36-R38: a shadow is felt by nobody, whatever it does."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from router.core.wire.table import Mirror, MirrorLimits, RescueEntry
from tests.proxy.process import Process, quantile, timed
from tests.proxy.rig import Rig, request, rollout, until
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

ALL = (Mirror(1, 10_000),)
QUICK = MirrorLimits(deadline_s=0.5)


def shadowed(stable, shadow, limits=QUICK, mirrors=ALL, **fields):
    return rollout(stable, shadow, 0, mirrors=mirrors, mirror_limits=limits, **fields)


async def endless(peer):
    """Streams for ever, as fast as it is read."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await peer.send(b"10000\r\n" + bytes(65_536) + b"\r\n")


async def slow(peer):
    """Answers after 0.2 s."""
    while True:
        await peer.request()
        await asyncio.sleep(0.2)
        await peer.send(OK)


async def takes_nothing(peer):
    """Reads the head, never the body."""
    await peer.head()
    peer.reader._transport.pause_reading()
    await for_ever()


async def speaks_first(peer):
    await peer.send(OK * 3)
    await peer.wait_gone()


def drops(reports):
    """Copies that were due and never sent, by cause."""
    total = Counter()
    for report in reports:
        for one in report.mirrors:
            total.update(one.dropped)
    return total


MISBEHAVIOURS = {
    "down": None,
    "slow": slow,
    "hanging": hangs,
    "closing": closes,
    "resetting": resets,
    "garbage": says(b"\x00\x01 hello\r\n\r\n"),
    "answering twice": answers(OK + OK),
    "dripping a head": drips,
    "half a body": says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"),
    "half a body, then gone": says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", then="eof"),
    "a huge head": says(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000),
    "a huge body": answers(ok(body_of(3_000_000))),
    "streaming for ever": endless,
    "failing": answers(ok(status=500)),
    "taking nothing": takes_nothing,
    "speaking first": speaks_first,
}


@pytest.mark.parametrize("case", MISBEHAVIOURS)
async def test_r36_a_shadow_changes_nothing_for_users(case):
    """On one connection kept alive, where a shadow's delay would meet the next request."""
    script = MISBEHAVIOURS[case]
    shadow = Scripted(script or hangs)
    async with Scripted(echo) as stable, shadow:
        target = shadow if script else closed_port()
        async with Rig(shadowed(stable, target)) as rig:
            client = await rig.client()
            for number in range(60):
                answer = await client.ask(body=b"%d" % number)
                assert (answer.status, answer.body) == (200, b"%d" % number)
                assert answer.headers[b"x-rampway-version"] == b"v1"
            client.close()
            rig.count()
            assert rig.outcomes["v1", "stable", "OK"] == 60
            assert not [key for key in rig.outcomes if key[:2] == ("v1", "stable")
                        and key[2] != "OK"]  # fmt: skip
            await until(lambda: not rig.plane.mirrors.active, promised(4.0))
            assert all(lane.held_bytes == 0 for lane in rig.plane.mirrors.lanes.values())
            pool = rig.plane.serving.routes[0].mirrors[0].pool
            await until(lambda: not pool.in_flight, promised(2.0))
            rig.count()
            told = Counter()
            for one in rig.mirrors:
                told.update(delivered=one.delivered, failed=one.failed, **one.dropped)
            assert sum(told.values()) == 60, told  # every copy that was due is accounted for


PROMISED_CASES = ("down", "hanging", "garbage", "streaming for ever")


async def test_r36_latencies_with_and_without_a_bad_shadow():
    """Issue of the contract: p50 < 2x + 5 ms, p97 < 2x + 40 ms, against no shadow at all."""
    async with (
        Scripted(echo) as stable,
        Scripted(hangs) as nobody,
        Process(rollout(stable, nobody, 0)) as worker,
    ):
        client = await worker.client()
        await timed(client, 50, body=b"x" * 1_000)
        plain = await timed(client, 150, body=b"x" * 1_000)
        began = worker.forget_peak()
        figures = {}
        for case in PROMISED_CASES:
            script = MISBEHAVIOURS[case]
            async with Scripted(script or hangs) as shadow:
                target = shadow if script else closed_port()
                await worker.apply(shadowed(stable, target))
                with_it = await timed(client, 150, body=b"x" * 1_000)
                await worker.apply(rollout(stable, nobody, 0))
            figures[case] = [quantile(with_it, q) * 1000 for q in (0.5, 0.97)]
        grown = worker.peak() - began
        client.close()
    base = [quantile(plain, q) * 1000 for q in (0.5, 0.97)]
    print(f"without {base}; with {figures}; grown {grown / 1e6:.1f} MB")
    for case, (p50, p97) in figures.items():
        assert p50 < 2 * base[0] + promised(5), case
        assert p97 < 2 * base[1] + promised(40), case
    assert grown < 32_000_000


@pytest.mark.parametrize("count", [300, pytest.param(800, marks=pytest.mark.nightly)])
async def test_r37_memory_and_connections_are_bounded(count):
    """Copies of 50 KB to a shadow that hangs: the rest is dropped, counted by cause."""
    body = body_of(50_000)
    async with Scripted(answers(OK)) as stable, Scripted(takes_nothing) as shadow:
        entry = shadowed(stable, shadow, MirrorLimits(deadline_s=20.0))
        async with Process(entry) as worker:
            client = await worker.client()
            await timed(client, 20, method="GET")
            began = worker.forget_peak()
            await timed(client, count, body=body)
            grown = worker.peak() - began
            least = count - 8_388_608 // 50_000 - 30
            await until(lambda: drops(worker.reports).total() >= least)
            dropped = drops(worker.reports)
            print(f"grown {grown / 1e6:.1f} MB, {len(shadow.peers)} connections, {dropped}")
            assert grown < 32_000_000
            assert len(shadow.peers) <= 64
            client.close()


async def test_r37_bounds_by_count_bytes_concurrency_and_deadline():
    cases = {
        "concurrency": (MirrorLimits(concurrency=2, queue=0, deadline_s=0.4), 100),
        "queue": (MirrorLimits(concurrency=2, queue=3, deadline_s=0.4), 100),
        "bytes": (MirrorLimits(concurrency=2, queue_bytes=3_000, deadline_s=0.4), 1_000),
        "body": (MirrorLimits(body_bytes=500, deadline_s=0.4), 1_000),
        "rate": (MirrorLimits(per_second=1, deadline_s=0.4), 100),
    }
    for cause, (limits, size) in cases.items():
        async with (
            Scripted(echo) as stable,
            Scripted(hangs) as shadow,
            Rig(shadowed(stable, shadow, limits)) as rig,
        ):
            client = await rig.client()
            for _ in range(20):
                await client.ask(body=b"x" * size)
            client.close()
            await rig.settled(promised(4.0))
            rig.count()
            dropped = drops([rig])
            assert dropped[cause] >= 10, (cause, dropped)
            if cause == "queue":
                assert 1 <= dropped["deadline"] <= 3
            assert len(shadow.peers) <= (0 if cause == "body" else 5)


async def test_r37_a_body_too_large_to_keep_is_streamed_and_not_copied():
    limits = MirrorLimits(body_bytes=100_000)
    async with (
        Scripted(echo) as stable,
        Scripted(echo) as shadow,
        Rig(shadowed(stable, shadow, limits)) as rig,
    ):
        body = body_of(2_000_000)
        assert (await rig.ask(body=body)).body == body
        await rig.settled()
        rig.count()
        assert [one.dropped for one in rig.mirrors] == [{"body": 1}]
        assert shadow.requests == []


async def test_r37_a_full_queue_of_an_unreachable_shadow_ends_without_recursion():
    limits = MirrorLimits(concurrency=1, queue=256, deadline_s=20)
    async with (
        Scripted(echo) as stable,
        Scripted(hangs) as shadow,
        Rig(shadowed(stable, shadow, limits)) as rig,
    ):
        errors = []
        asyncio.get_running_loop().set_exception_handler(lambda _, told: errors.append(told))
        client = await rig.client()
        for _ in range(257):
            assert (await client.ask(body=b"x")).status == 200
        pool = rig.plane.serving.routes[0].mirrors[0].pool
        for _ in range(5):
            pool.breaker.failed(asyncio.get_running_loop().time())
        for peer in list(shadow.peers):
            peer.reset()
        await until(lambda: not rig.plane.mirrors.active)
        assert errors == []
        client.close()


async def test_r38_copies_are_marked_stripped_and_never_retried():
    async def once(peer):
        await peer.request()
        peer.reset()

    async with (
        Scripted(echo) as stable,
        Scripted(once) as shadow,
        Rig(shadowed(stable, shadow)) as rig,
    ):
        headers = ("Authorization: Bearer x", "Cookie: a=b", "X-Kept: 1", "X-Rampway-Shadow: 0")
        for _ in range(5):  # repeated: what is known of a head must not bring the fields back
            assert (await rig.ask(body=b"x", headers=headers)).status == 200
        await rig.settled()
        assert len(shadow.requests) == 5
        for copy, original in zip(shadow.requests, stable.requests, strict=True):
            assert copy.get(b"x-rampway-shadow") == b"1"
            assert original.get(b"x-rampway-shadow") is None
            assert (copy.get(b"authorization"), copy.get(b"cookie")) == (None, None)
            assert (original.get(b"authorization"), original.get(b"cookie")) == (
                b"Bearer x", b"a=b",
            )  # fmt: skip
            assert copy.get(b"x-kept") == b"1"
            assert copy.get(b"x-request-id") == original.get(b"x-request-id")
            assert copy.body == original.body == b"x"


async def test_r38_methods_and_paths_are_an_allow_list():
    limits = MirrorLimits(methods=("GET",), paths=("/ok", "/some/*"))
    async with (
        Scripted(echo) as stable,
        Scripted(echo) as shadow,
        Rig(shadowed(stable, shadow, limits)) as rig,
    ):
        for method, path in (("GET", "/ok"), ("GET", "/some/x"), ("GET", "/no"), ("PUT", "/ok"),
                             ("DELETE", "/ok"), ("POST", "/some/x")):  # fmt: skip
            await rig.ask(method=method, path=path)
        await rig.settled()
        assert sorted(one.line.split(b" ")[1] for one in shadow.requests) == [b"/ok", b"/some/x"]


async def test_r38_a_retry_is_not_copied_again():
    turn = iter(range(100))

    async def flaky(peer):
        await peer.request()
        await peer.send(OK)
        await peer.request()  # the second one on this connection is lost
        next(turn)

    async with (
        Scripted(flaky) as stable,
        Scripted(echo) as shadow,
        Rig(shadowed(stable, shadow, replace(QUICK, compare_bp=0))) as rig,
    ):
        client = await rig.client()
        for _ in range(4):
            assert (await client.ask(method="GET")).status == 200
        client.close()
        await rig.settled()
        assert len(stable.requests) > 4  # there were retries
        assert len(shadow.requests) == 4


# --- pairs ---


def told(rig):
    return rig.recorder.take_pairs()[0]


async def test_pairs_carry_both_answers():
    async with (
        Scripted(echo) as stable,
        Scripted(answers(ok(b"other", b"Content-Type: text/x"))) as shadow,
        Rig(shadowed(stable, shadow, segment_header="x-country")) as rig,
    ):
        await rig.ask(body=b"mine", headers=("X-Country: " + "a" * 100,))
        await rig.settled()
        (pair,) = told(rig)
        assert (pair.primary_status, pair.shadow_status) == (200, 200)
        assert (pair.primary_body, pair.shadow_body) == (b"mine", b"other")
        assert (pair.version, pair.primary, pair.revision) == ("v2", "", 7)
        assert pair.segment == "a" * 64


async def test_a_truncated_answer_is_no_pair():
    async with (
        Scripted(says(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", then="eof")) as stable,
        Scripted(answers(ok(b"0123456789"))) as shadow,
        Rig(shadowed(stable, shadow)) as rig,
    ):
        await rig.ask(body=b"x")
        await rig.settled()
        assert told(rig) == ()


async def test_a_reverse_shadow_asks_stable_what_the_candidate_answered():
    reverse = (Mirror(0, 10_000, of=1),)
    async with Scripted(answers(ok(b"old"))) as stable, Scripted(answers(ok(b"new"))) as candidate:
        entry = rollout(stable, candidate, 10_000, mirrors=reverse, mirror_limits=QUICK)
        async with Rig(entry) as rig:
            assert (await rig.ask(body=b"x")).body == b"new"
            await rig.settled()
            (pair,) = told(rig)
            assert (pair.version, pair.primary) == ("v1", "v2")
            assert (pair.primary_body, pair.shadow_body) == (b"new", b"old")
            assert stable.requests[0].get(b"x-rampway-shadow") == b"1"


async def test_a_rescued_request_gives_no_pair_and_is_not_copied_twice():
    mirrors = (Mirror(0, 10_000, of=1), Mirror(1, 10_000))
    async with Scripted(echo) as stable, Scripted(answers(ok(status=500))) as candidate:
        entry = rollout(stable, candidate, 10_000, mirrors=mirrors, mirror_limits=QUICK,
                        rescue=RescueEntry(statuses=(5,)))  # fmt: skip
        async with Rig(entry) as rig:
            assert (await rig.ask(body=b"x")).status == 200
            await rig.settled()
            assert told(rig) == ()
            assert len(candidate.requests) == 1
            assert len(stable.requests) == 2  # the replay and the reverse copy


async def test_noise_is_stable_asked_twice():
    async with Scripted(echo) as stable, Scripted(echo) as candidate:
        entry = rollout(stable, candidate, 0, mirrors=(Mirror(0, 10_000), Mirror(1, 10_000)),
                        mirror_limits=QUICK)  # fmt: skip
        async with Rig(entry) as rig:
            await rig.ask(request(body=b"x"))
            await rig.settled()
            assert sorted(pair.version for pair in told(rig)) == ["v1", "v2"]
            assert len(stable.requests) == 2
