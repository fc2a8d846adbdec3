"""R31-R35: what a worker costs, and what happens when there is not enough of something."""

from __future__ import annotations

import asyncio
import json
import resource
import time
from collections import Counter
from dataclasses import replace

import pytest

from router.core.wire.table import ListenerLimits, TimeoutsEntry
from tests.proxy.process import Process, quantile, timed
from tests.proxy.rig import Client, request, rollout, route, until, version
from tests.proxy.scripted import OK, Scripted, answers, closed_port, echo, hangs
from tests.reliability.whole import promised

PATIENT = ListenerLimits(header_timeout_s=60.0, body_timeout_s=60.0, keep_alive_s=120.0)
LONG = TimeoutsEntry(connect_s=5.0, response_s=60.0, body_s=60.0)
MB = 1_000_000


async def slow(peer):
    """Answers after 0.1 s."""
    while True:
        await peer.request()
        await asyncio.sleep(0.1)
        await peer.send(OK)


class AtOnce:
    """Does as the script, and knows how many connections there ever were at once."""

    def __init__(self, script):
        self.script = script
        self.now = self.most = 0

    async def __call__(self, peer):
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.script(peer)
        finally:
            self.now -= 1


async def swallows(peer):
    """Takes a body of any size without keeping it."""
    while True:
        asked = await peer.head()
        left = int(asked.get(b"content-length") or 0)
        while left:
            left -= len(await peer.reader.read(min(left, 262_144)))
        await peer.send(OK)


def pours(size, piece=262_144):
    """Answers with this many bytes, as fast as they are taken."""

    async def script(peer):
        while True:
            await peer.head()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // piece):
                await peer.send(bytes(piece))
            await peer.send(bytes(size % piece))

    return script


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.nightly)])
async def test_r31_idle_connections_are_cheap_and_harmless(count):
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count * 1.1 + 100:
        pytest.skip(f"needs {count} file descriptors, the limit is {soft}")
    async with Scripted(echo) as backend:
        entry = route(version("v1", backend), timeouts=LONG)
        async with Process(entry, limits=PATIENT) as worker:
            client = await worker.client()
            await timed(client, 100, body=b"x")
            plain = await timed(client, 100, body=b"x")
            began = worker.rss()
            idle = []
            while len(idle) < count:
                idle += await asyncio.gather(*[worker.client() for _ in range(100)])
            for one in idle[:: max(1, count // 400)]:  # some of them after a request
                assert (await one.ask(body=b"x")).status == 200
            each = (worker.rss() - began) / count
            with_them = await timed(client, 100, body=b"x")
            print(
                f"{each / 1024:.1f} KiB each; p98 {quantile(plain, 0.98) * 1e3:.1f} ms without, "
                f"{quantile(with_them, 0.98) * 1e3:.1f} ms with {count}"
            )
            assert each < 32 * 1024
            assert quantile(with_them, 0.98) < 10 * quantile(plain, 0.98) + promised(0.005)
            for one in (*idle, client):
                one.close()


async def filled(worker):
    """Everything between the peers is full: its memory has stopped growing."""
    peaks = [0]
    while len(peaks) < 4 or len(set(peaks[-3:])) > 1:
        await asyncio.sleep(0.15)
        peaks.append(worker.peak())


@pytest.mark.parametrize("size", [16 * MB, pytest.param(64 * MB, marks=pytest.mark.nightly)])
async def test_r32_bodies_are_streamed_whatever_their_size(size):
    """Up and down, with fast and slow peers: memory does not follow the size."""
    async with Scripted(swallows) as sink, Scripted(pours(size)) as source:
        entries = (
            route(version("v1", sink), name="up", match=replace(PATH, path="/up"), timeouts=LONG),
            route(version("v1", source), name="down", timeouts=LONG),
        )
        async with Process(*entries, limits=PATIENT) as worker:
            client = await worker.client()
            assert (await client.ask(path="/up", body=b"x")).status == 200
            began = worker.forget_peak()
            await client.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // MB):
                await client.send(bytes(MB))
            assert (await client.answer(within_s=60)).status == 200
            up = worker.peak() - began
            began = worker.forget_peak()
            await client.send(request(method="GET", path="/down"))
            await client.reader.readuntil(b"\r\n\r\n")
            await filled(worker)
            left = size
            while left:
                left -= len(await client.reader.read(262_144))
            down = worker.peak() - began
            client.close()
            print(f"{size // MB} MB: up +{up / MB:.1f} MB, down +{down / MB:.1f} MB")
            assert up < 32 * MB
            assert down < 32 * MB


@pytest.mark.parametrize("readers", [4, pytest.param(10, marks=pytest.mark.nightly)])
async def test_r32_slow_readers_hold_little(readers):
    size = 32 * MB
    async with (
        Scripted(pours(size)) as backend,
        Process(route(version("v1", backend), timeouts=LONG), limits=PATIENT) as worker,
    ):
        began = worker.forget_peak()
        clients = [await worker.client() for _ in range(readers)]
        for client in clients:
            client.writer.transport.pause_reading()
            await client.send(request(method="GET"))
        await filled(worker)
        grown = worker.peak() - began
        print(f"{readers} slow readers of 32 MB: +{grown / MB:.1f} MB")
        assert grown < 40 * MB
        for client in clients:
            client.close()


async def test_r32_a_body_waits_with_its_client_while_there_is_no_connection():
    """No connection yet: the client is paused, its body does not pile up here."""
    tight = {"in_flight": 1, "queue": 20, "queue_timeout_s": 60.0}
    async with Scripted(slow) as backend:
        entry = route(version("v1", backend, **tight), timeouts=LONG)
        async with Process(entry, limits=PATIENT) as worker:
            began = worker.forget_peak()
            clients = [await worker.client() for _ in range(10)]
            for client in clients:
                client.writer.write(request(body=bytes(5 * MB)))
            statuses = [(await client.answer(within_s=60)).status for client in clients]
            assert statuses == [200] * 10
            grown = worker.peak() - began
            print(f"10 waiting uploads of 5 MB: +{grown / MB:.1f} MB")
            assert grown < 20 * MB
            for client in clients:
                client.close()


async def test_r32_an_upload_that_is_shed_is_told_so():
    """The rest of its body is read away, or a reset would overtake the 503."""
    tight = {"in_flight": 1, "queue": 1, "queue_timeout_s": 60.0}
    async with Scripted(hangs) as backend:
        entry = route(version("v1", backend, **tight), timeouts=LONG)
        async with Process(entry, limits=PATIENT) as worker:
            clients = [await worker.client() for _ in range(3)]
            for client in clients:
                client.writer.write(request(body=bytes(5 * MB)))
            answers = [asyncio.create_task(client.answer(within_s=60)) for client in clients]
            done, _ = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
            assert [answer.result().status for answer in done] == [503]
            for client in clients:
                client.close()
            await asyncio.gather(*answers)


# --- overload ---


@pytest.mark.parametrize("count", [200, pytest.param(600, marks=pytest.mark.nightly)])
async def test_r33_everybody_is_answered_when_too_many_come_at_once(count):
    """600 at once on a version that takes ten at a time: 200 or a quick 503, nothing else."""
    tight = {"in_flight": 10, "queue": 40, "queue_timeout_s": 0.5}
    async with Scripted(slow) as backend:
        entry = route(version("v1", backend, **tight), timeouts=LONG)
        async with Process(entry, limits=PATIENT) as worker:
            clients = [await worker.client() for _ in range(count)]
            shed = []

            async def one(client):
                began = time.perf_counter()
                answer = await client.ask(body=b"x", within_s=20)
                if answer.status == 503:
                    assert answer.headers[b"retry-after"] == b"1"
                    assert b'"cause":"queue_' in answer.body
                    shed.append((b"queue_full" in answer.body, time.perf_counter() - began))
                return answer.status

            statuses = Counter(await asyncio.gather(*[one(client) for client in clients]))
            assert set(statuses) == {200, 503}
            assert statuses[200] >= 10
            full = [took for was_full, took in shed if was_full]
            print(statuses, f"median 503 after {quantile(full, 0.5) * 1e3:.0f} ms")
            again = [(await clients[0].ask(body=b"x")).status for _ in range(5)]
            assert again == [200] * 5
            outcomes = worker.outcomes()
            assert {key[2] for key in outcomes} <= {"OK", "SHED"}
            for client in clients:
                client.close()


async def test_r33_the_routers_own_limit():
    limits = replace(PATIENT, in_flight=5)
    async with (
        Scripted(slow) as backend,
        Process(route(version("v1", backend), timeouts=LONG), limits=limits) as worker,
    ):
        clients = [await worker.client() for _ in range(20)]
        answers = await asyncio.gather(*[client.ask(body=b"x") for client in clients])
        statuses = Counter(one.status for one in answers)
        assert set(statuses) == {200, 503}
        refused = next(one for one in answers if one.status == 503)
        assert refused.headers[b"retry-after"] == b"1"
        assert b'"cause":"overload"' in refused.body
        assert (await clients[0].ask(body=b"x")).status == 200
        await until(lambda: worker.rejected()["overload"] == statuses[503])
        for client in clients:
            client.close()


@pytest.mark.parametrize("seconds", [2.0, pytest.param(30.0, marks=pytest.mark.nightly)])
async def test_r33_at_twice_the_capacity_accepted_requests_are_not_slow(seconds):
    """Open loop: 20 at a time of 0.1 s each are 200 a second; 400 a second come.

    What makes them not slow is that no more than the queue's ten ever wait: seen at the version.
    """
    tight = {"in_flight": 20, "queue": 10, "queue_timeout_s": 0.1}
    at_once = AtOnce(slow)
    async with Scripted(at_once) as backend:
        entry = route(version("v1", backend, **tight), timeouts=LONG)
        async with Process(entry, limits=PATIENT) as worker:
            free = [await worker.client() for _ in range(100)]
            normal = [await _took(free, free.pop()) for _ in range(10)]
            tasks = []
            began = time.monotonic()
            while (now := time.monotonic() - began) < seconds:
                while len(tasks) < 400 * now and free:
                    tasks.append(asyncio.create_task(_took(free, free.pop())))
                await asyncio.sleep(0.005)
            told = await asyncio.gather(*tasks)
            good = [took for status, took in told if status == 200]
            shed = [took for status, took in told if status == 503]
            p99 = quantile([took for _, took in normal], 0.99)
            print(
                f"{len(good)} served, {len(shed)} shed; p99 {p99 * 1e3:.0f} ms normal, "
                f"{quantile(good, 0.99) * 1e3:.0f} ms at twice the capacity"
            )
            assert {status for status, _ in told} == {200, 503}
            assert at_once.most <= 20
            assert quantile(good, 0.99) < 2 * p99 + promised(0.1)
            assert len(good) > 0.5 * 200 * seconds / promised(1.0)
            await until(lambda: worker.outcomes().total() >= len(told) + 10)
            assert {key[2] for key in worker.outcomes()} == {"OK", "SHED"}
            for client in free:
                client.close()


async def _took(free, client):
    began = time.perf_counter()
    answer = await client.ask(body=b"x", within_s=20)
    free.append(client)
    return answer.status, time.perf_counter() - began


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_r34_out_of_file_descriptors(loop):
    """160 descriptors, 400 connections: no crash, no busy loop, and recovery by itself."""
    code = "import sys; sys.modules['uvloop'] = None\n" if loop == "asyncio" else ""
    code += "from router.proxy.worker import main; main()"
    async with Scripted(echo) as backend:
        entry = route(version("v1", backend), timeouts=LONG)
        async with Process(entry, limits=PATIENT, files=160, code=code) as worker:
            clients = []
            for _ in range(400):
                try:
                    clients.append(await asyncio.wait_for(worker.client(), 2))
                except (OSError, TimeoutError):
                    break
            cpu, began = worker.cpu_s(), time.monotonic()
            await asyncio.sleep(0.25)
            share = (worker.cpu_s() - cpu) / (time.monotonic() - began)
            assert worker.child.returncode is None
            assert worker.fds() <= 160
            served = (await clients[0].ask(body=b"x")).status
            for client in clients:
                client.close()
            began = time.monotonic()
            await until(lambda: worker.fds() < 60, promised(2.0))
            took = time.monotonic() - began
            after = [(await worker.ask(body=b"x")).status for _ in range(10)]
            print(f"{loop}: CPU {share:.0%} meanwhile, {served} for who was there, "
                  f"after {took:.1f} s {after}")  # fmt: skip
            assert share < 0.4
            assert served == 200
            assert after == [200] * 10
    for line in worker.stderr.splitlines():
        assert json.loads(line)["event"] == "worker_trouble", line


async def test_r34_out_of_descriptors_towards_the_versions_is_a_503():
    """All clients busy: the router is out of sockets, which is nobody's fault."""
    limits = replace(PATIENT, connections=1_000)
    async with Scripted(slow) as backend:
        entry = route(version("v1", backend), timeouts=LONG)
        async with Process(entry, limits=limits, files=260) as worker:
            clients = [await worker.client() for _ in range(140)]
            answers = await asyncio.gather(*[c.ask(body=b"x", within_s=20) for c in clients])
            statuses = Counter(one.status for one in answers)
            assert set(statuses) == {200, 503}
            assert any(b"exhausted" in one.body for one in answers)
            await until(lambda: worker.outcomes().total() >= 140)
            assert {key[2] for key in worker.outcomes()} <= {"OK", "SHED"}
            for client in clients:
                client.close()
            deadline = time.monotonic() + promised(2.0)
            while (await worker.ask(body=b"x")).status != 200:
                assert time.monotonic() < deadline


async def test_r33_too_many_connections_are_told_so():
    limits = replace(PATIENT, connections=5)
    async with (
        Scripted(echo) as backend,
        Process(route(version("v1", backend)), limits=limits) as worker,
    ):
        inside = [await worker.client() for _ in range(5)]
        for client in inside:
            assert (await client.ask(body=b"x")).status == 200
        refused = await worker.ask(body=b"x")
        assert (refused.status, refused.headers[b"retry-after"]) == (503, b"1")
        inside.pop().close()
        async with asyncio.timeout(promised(1.0)):
            while (await worker.ask(body=b"x")).status != 200:
                await asyncio.sleep(0.02)
        for client in inside:
            client.close()


# --- the worker itself ---


ONLY_AT_ONCE = "from router.proxy import worker; worker.REPORT_S = 3_600.0; worker.main()"
"""A worker that makes no regular reports: whatever it tells, it tells because it is urgent."""


async def test_a_worker_reports_at_once_what_a_rollback_depends_on():
    async with Scripted(echo) as stable:
        entry = rollout(stable, closed_port(), 10_000, timeouts=LONG)
        async with Process(entry, code=ONLY_AT_ONCE) as worker:
            began = time.monotonic()
            assert (await worker.ask(body=b"x")).status == 502
            await until(lambda: worker.reports)
            assert time.monotonic() - began < promised(0.1)
            (batch,) = worker.reports[0].batches
            assert (batch.route, batch.revision, batch.cells[0].candidate.bad) == ("r", 7, 1)


def slow_of(reports):
    """Slow candidate requests; a later report of a slice replaces the earlier one."""
    cells = [c for r in reports for b in r.batches for c in b.cells]
    return sum({cell.slice: cell.candidate.slow[0] for cell in cells}.values())


async def test_slow_requests_of_a_busy_candidate_are_reported_together():
    """The first one at once, then twenty times a second: not one report each."""
    async with Scripted(echo) as fast, Scripted(echo) as candidate:
        thresholds_s = (1e-6,)  # every request is slow
        entry = rollout(fast, candidate, 10_000, timeouts=LONG, thresholds_s=thresholds_s)
        async with Process(entry, code=ONLY_AT_ONCE) as worker:
            client = await worker.client()
            began = time.monotonic()
            await client.ask(body=b"x")
            await until(lambda: worker.reports)
            assert time.monotonic() - began < promised(0.1)
            for _ in range(300):
                await client.ask(body=b"x")
            took_s = time.monotonic() - began
            assert len(worker.reports) <= 2 + took_s / 0.05
            await until(lambda: slow_of(worker.reports) == 301)
            client.close()


async def test_a_worker_reports_four_times_a_second():
    async with Scripted(echo) as stable, Process(route(version("v1", stable))) as worker:
        seen = len(worker.reports)
        await until(lambda: len(worker.reports) - seen >= 2, promised(1.1))


IDLE_FOR_LONG = "from router.proxy import plane, worker; plane.DRAIN_IDLE_S = 30.0; worker.main()"
"""A worker whose drain has patience with clients that are slow to ask."""


async def test_r39_a_drained_worker_loses_nothing():
    """In flight ones finish, idle ones are told, the accept queue is taken, exit 0."""
    async with (
        Scripted(slow) as backend,
        Process(route(version("v1", backend), timeouts=LONG), code=IDLE_FOR_LONG) as worker,
    ):
        idle, busy = await worker.client(), await worker.client()
        assert (await idle.ask(body=b"x")).status == 200
        asked = asyncio.create_task(busy.ask(body=b"x"))
        await asyncio.sleep(0.05)
        new = [asyncio.create_task(Client.to(worker.port)) for _ in range(20)]
        worker.drain(60.0)
        told = await idle.ask(body=b"x", within_s=20)
        assert (told.status, told.headers[b"connection"]) == (200, b"close")
        assert (await asked).status == 200
        fresh = await asyncio.gather(*new, return_exceptions=True)
        inside = [c for c in fresh if isinstance(c, Client)]
        served = await asyncio.gather(*[c.ask(body=b"x", within_s=20) for c in inside])
        assert {one.status for one in served} <= {200}
        assert await asyncio.wait_for(worker.child.wait(), 10) == 0
        await until(lambda: worker.closed, 10)  # what it told last has been read
        total = sum(count for key, count in worker.outcomes().items() if key[2] == "OK")
        assert total == 3 + len(served)


async def test_r48_what_a_callback_raises_is_one_line_of_the_log():
    code = (
        "import asyncio, router.proxy.worker as w\n"
        "def slip(self): raise KeyError('\\x1b[31m')\n"
        "w.DataPlane._look_at_deadlines = lambda self, now: slip(self)\n"
        "w.main()"
    )
    async with Process(route(version("v1", closed_port())), code=code) as worker:
        async with asyncio.timeout(20):
            first = json.loads(await worker.child.stderr.readline())
    assert (first["event"], first["level"]) == ("worker_error", "error")
    assert first["error"] == "KeyError('\\x1b[31m')"
    assert first["stack"][-1].endswith(" slip")


async def test_an_orphan_serves_on_for_its_grace():
    code = (
        "import router.proxy.worker as w; w.ORPHAN_GRACE_S = 1.5\n"
        "from router.proxy.worker import main; main()"
    )
    async with (
        Scripted(echo) as backend,
        Process(route(version("v1", backend)), code=code) as worker,
    ):
        worker.link.close()
        began = time.monotonic()
        await asyncio.sleep(0.2)
        assert (await worker.ask(body=b"x")).status == 200
        assert await asyncio.wait_for(worker.child.wait(), 15) == 0
        assert time.monotonic() - began > 1.5


async def test_r5_a_new_table_is_in_force_with_its_acknowledgement():
    async with (
        Scripted(answers(OK)) as stable,
        Scripted(answers(OK)) as candidate,
        Process(rollout(stable, candidate, 10_000)) as worker,
    ):
        client = await worker.client()
        assert (await client.ask(method="GET")).headers[b"x-rampway-version"] == b"v2"
        began = time.perf_counter()
        await worker.apply(rollout(stable, candidate, 0))
        took = time.perf_counter() - began
        for _ in range(200):
            answer = await client.ask(method="GET")
            assert answer.headers[b"x-rampway-version"] == b"v1"
        print(f"acknowledged after {took * 1e3:.1f} ms")
        assert took < promised(0.1)
        client.close()


PATH = route(version("v1")).match
