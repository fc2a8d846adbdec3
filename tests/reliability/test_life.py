"""R39-R42 and R14: stop, start, upgrade, crash and reload, with clients who count."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.reliability.whole import (
    START_S,
    Load,
    Steady,
    ask,
    buried,
    in_thread,
    promised,
    read_answer,
    request,
    strict,
    until,
)

pytestmark = pytest.mark.slow


def flocked(path):
    if not path.exists():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


class Stream:
    """An upstream whose answer goes on for as long as the test wants."""

    def __init__(self):
        self.more: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def _serve(self, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while (piece := await self.more.get()) is not None:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        writer.write(b"0\r\n\r\n")
        await writer.drain()


async def read_chunk(reader):
    size = int(await reader.readline(), 16)
    return (await reader.readexactly(size + 2))[:-2]


async def test_r39_sigterm_finishes_what_is_under_way_and_exits_0(site):
    """8 kept connections, one long request, one stream: all complete, told to close, exit 0."""
    stable, _ = site.services
    async with Stream() as stream:
        route = (
            f"  - {{name: stream, match: {{path: /stream}}, versions: {{s: {{endpoints: "
            f'["{stream.url}"]}}}}, stable: s}}\n'
        )
        site.write(rollout=None)
        text = site.file.read_text().replace("routes:\n", "routes:\n" + route)
        router = await in_thread(site.write(text).start)
        kept = [await asyncio.open_connection("127.0.0.1", router.port) for _ in range(8)]
        for reader, writer in kept:
            writer.write(request())
            status, fields, _ = await read_answer(reader)
            assert (status, fields.get("connection")) == (200, None)
        reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
        writer.write(request("/stream", b""))
        assert b" 200 " in await reader.readline()
        await reader.readuntil(b"\r\n\r\n")
        stream.more.put_nowait(b"token 1")
        assert await read_chunk(reader) == b"token 1"
        await in_thread(stable.faults, latency_ms=1500)
        long = asyncio.create_task(ask(router.port, request()))
        await asyncio.sleep(0.2)
        await in_thread(stable.faults)

        router.process.send_signal(signal.SIGTERM)
        await in_thread(until, lambda: router.heard("draining"))
        for kept_reader, kept_writer in kept:
            kept_writer.write(request())
            status, fields, _ = await read_answer(kept_reader)
            assert (status, fields["connection"]) == (200, "close")
        assert (await long)[0] == 200
        stream.more.put_nowait(b"token 2")
        assert await read_chunk(reader) == b"token 2"
        stream.more.put_nowait(None)
        assert await read_chunk(reader) == b""
        assert await in_thread(router.process.wait, START_S) == 0
        writer.transport.abort()
        with pytest.raises(ConnectionRefusedError):
            await ask(router.port)


@pytest.mark.nightly
async def test_r39_sigterm_in_the_middle_of_a_start_ends_it(site):
    """Whatever it was waiting for; nothing is left behind."""
    for pause_s in (0.6, 1.2, 1.8):
        router = site.write().start(wait=False)
        await asyncio.sleep(pause_s)
        router.process.send_signal(signal.SIGTERM)
        code = await in_thread(router.process.wait, 20)
        assert code in (0, -signal.SIGTERM), "the signal itself, before anything was set up"
        assert router.orphans() == []


async def test_r40_a_second_router_takes_over_and_nothing_is_lost(site, nursery):
    """Start the successor beside the first, end the first: 0 lost, one writer at any time."""
    site.write(workers=2)
    first = await in_thread(nursery.start, site)
    site.keep_ports(first)
    await in_thread(first.order, "promote")
    before = await in_thread(first.position)
    async with Load(first.port, kept=4, fresh=4) as load:
        second = nursery.start(site, wait=False)
        await in_thread(until, lambda: flocked(site.folder / "r.db.next"))
        await load.more(100)
        assert second.heard("serving") is None, "two routers drive one store"
        first.process.send_signal(signal.SIGTERM)
        await in_thread(second.serving)
        await in_thread(first.process.wait)
        assert await in_thread(second.position) == before
        await load.more(200)
        await in_thread(second.order, "promote")
    entries = (await in_thread(second.api, "/api/v1/journal"))[1]["entries"]
    revisions = [entry["revision"] for entry in reversed(entries)]
    assert revisions == sorted(set(revisions)), "each revision has one writer"
    print(f"{load.tally.answered} answered, slowest {load.tally.slowest_s:.3f} s")
    assert load.tally.lost == []
    assert set(load.tally.statuses) == {200}
    assert load.tally.answered > 300


@pytest.mark.nightly
async def test_r40_a_second_router_is_refused_while_the_first_stays(site):
    site.write()
    first = await in_thread(site.start)
    second = site.start(wait=False)
    assert await in_thread(second.process.wait, 20) == 5
    assert str(first.process.pid) in second.heard("store_locked")["error"]
    assert (await ask(first.port))[0] == 200


async def test_r41_a_killed_worker_is_back_within_a_second(site, nursery):
    """kill -9 of one of two workers under load.

    Only connections begun before the kernel has buried it are lost: requests in flight, and clients
    in its accept queue.
    """
    router = await in_thread(nursery.start, site.write(workers=2))
    async with Load(router.port, kept=4, fresh=4) as load:
        victim = (await in_thread(router.workers))[0]
        os.kill(victim, signal.SIGKILL)
        began = time.monotonic()

        def back():
            said = router.api("/healthz")[1]["workers"]
            pids = {w["pid"] for w in said if w["generation"] > 0}
            return len(pids) == 2 and victim not in pids

        await in_thread(until, lambda: buried(victim))
        buried_s = time.monotonic()
        await in_thread(until, back)
        took_s = time.monotonic() - began
        await load.more(100)
    print(f"back after {took_s:.2f} s; {len(load.tally.lost)} of {load.tally.answered} lost")
    assert took_s < promised(1.0)
    assert [one for one in load.tally.lost if one.connected_s > buried_s] == []
    assert set(load.tally.statuses) == {200}
    assert {(await ask(router.port))[0] for _ in range(10)} == {200}


async def test_r41_nobody_is_refused_while_the_only_worker_is_dead(site, nursery):
    """Control keeps the listening socket: who connects meanwhile waits for the next worker."""
    rounds = 20 if strict() else 4
    router = await in_thread(nursery.start, site.write())
    async with Load(router.port, kept=4, fresh=12, pause_s=0.025) as load:
        lost_before = 0
        for _ in range(rounds):
            victim = (await in_thread(router.workers))[0]
            os.kill(victim, signal.SIGKILL)
            await in_thread(until, lambda gone=victim: buried(gone))
            await load.more(100)
            await in_thread(until, lambda: router.api("/readyz")[0] == 200)
            # At most what was under way on it: one request a client.
            assert len(load.tally.lost) - lost_before <= 16
            lost_before = len(load.tally.lost)
    print(f"{rounds} kills: {load.refused} refused, {len(load.tally.lost)} under way lost of "
          f"{load.tally.answered}; longest silence {load.tally.gap_s:.2f} s")  # fmt: skip
    assert load.refused == 0
    assert set(load.tally.statuses) == {200}


@pytest.mark.nightly
@pytest.mark.slow
async def test_r41_five_hundred_come_a_second_while_the_only_worker_is_killed_twenty_times(
    site, nursery
):
    """At a rate that waits for nobody: lost is only who was under way on the worker that died."""
    router = await in_thread(nursery.start, site.write())
    deaths = []
    async with Steady(router.port, 500) as clients:
        await clients.more(1_000)
        for _ in range(20):
            victim = (await in_thread(router.workers))[0]
            killed_s = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            await in_thread(until, lambda gone=victim: buried(gone))
            deaths.append((killed_s, time.monotonic()))
            await in_thread(until, lambda: router.api("/readyz")[0] == 200)
            await clients.more(1_000)
    answered = clients.answered[200]
    print(f"{len(deaths)} kills, {clients.came / clients.took_s:.0f} a second: {clients.refused} "
          f"refused, {len(clients.lost)} lost under way, {answered} answered, "
          f"{clients.turned} not sent")  # fmt: skip
    assert clients.refused == 0
    assert set(clients.answered) == {200}
    assert not clients.turned
    for one in clients.lost:  # it was connected when a worker died
        assert any(killed - 5.0 < one.connected_s < buried for killed, buried in deaths), one


async def test_r51_a_hung_worker_is_replaced_and_readiness_says_so(site, nursery):
    router = await in_thread(nursery.start, site.write(workers=2))
    hung = (await in_thread(router.workers))[0]
    os.kill(hung, signal.SIGSTOP)
    began = time.monotonic()

    def told():
        status, said = router.api("/readyz")
        return status == 503 and "said nothing for " in str(said["problems"])

    await in_thread(until, told)
    await in_thread(until, lambda: router.api("/readyz")[0] == 200 and buried(hung))
    took_s = time.monotonic() - began
    print(f"replaced after {took_s:.1f} s")
    assert took_s < promised(5.0)
    assert hung not in await in_thread(router.workers)
    assert {(await ask(router.port))[0] for _ in range(20)} == {200}


async def test_r52_failures_end_while_control_hangs_and_control_decides_when_it_is_back(
    site, nursery
):
    site.write(steps="{weight: 50%, hold: 1h}")
    router = await in_thread(nursery.start, site)
    await in_thread(until, lambda: router.position()[-1] == 5_000)  # it stood until v2 was ready
    async with Load(router.port, kept=4, fresh=2) as load:
        router.process.send_signal(signal.SIGSTOP)
        site.services[1].faults(error_rate=1.0)
        began = time.monotonic()
        failed_s = began

        def quiet():
            """No failure among 200 answers in a row."""
            return load.tally.answered - load.seen >= 200

        load.seen, load.failed = load.tally.answered, 0
        while not quiet():
            assert time.monotonic() - began < promised(5.0)
            if (failed := load.tally.statuses[500]) > load.failed:
                load.failed, load.seen, failed_s = failed, load.tally.answered, time.monotonic()
            await asyncio.sleep(0.02)
        took_s = failed_s - began
        router.process.send_signal(signal.SIGCONT)
        await in_thread(until, lambda: router.status()["phase"] == "rolled_back")
        failed = load.tally.statuses[500]
        await load.more(100)
    print(f"failures ended after {took_s:.1f} s, {load.failed} of {load.tally.answered} failed")
    assert load.tally.statuses[500] - failed == 0
    assert load.failed > 0
    assert load.tally.lost == []
    assert any("control was silent" in line.get("text", "") for line in router.lines())


def test_r41_a_worker_starts_without_what_only_control_needs():
    """The imports are the time of its start: without policy models a third of it."""
    code = "import sys, router.proxy.worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "router.proxy.plane" in loaded
    heavy = {"pydantic", "yaml", "aiohttp", "numpy", "structlog", "router.core.policy"}
    assert heavy & loaded == set()


async def test_r42_a_killed_control_process_is_not_felt_and_back_within_3_seconds(site, nursery):
    """Workers serve on while it is gone; the next life takes the same port and position.

    The next life has its imports done (a second of CPU), so that a busy machine is not measured.
    """
    site.write(workers=2)
    first = await in_thread(nursery.start, site)
    site.keep_ports(first)
    await in_thread(first.order, "promote")
    before = await in_thread(first.position)
    async with Load(first.port, kept=4, fresh=2) as load:
        first.kill()
        await load.more(50)
        second = await in_thread(nursery.start, site)
        assert await in_thread(second.position) == before
        await load.more(100)
        until(lambda: not set(first.orphans()) - set(second.workers()))
    print(f"serving after {second.took_s:.2f} s; lost {len(load.tally.lost)} "
          f"of {load.tally.answered}; longest silence {load.tally.gap_s:.3f} s")  # fmt: skip
    assert second.took_s < promised(3.0)
    assert load.tally.lost == []
    assert second.port == first.port


async def test_r42_all_processes_killed_serve_again_on_the_same_port(site, nursery):
    """Nothing is left but the disk; from the moment on in which it serves nothing is lost."""
    site.write()
    first = await in_thread(nursery.start, site)
    site.keep_ports(first)
    await in_thread(first.order, "promote")
    before = await in_thread(first.position)
    async with Load(first.port, kept=2, fresh=2, patient=True) as load:
        workers = await in_thread(first.workers)
        first.kill()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        await in_thread(until, lambda: all(map(buried, workers)))
        buried_s = began = time.monotonic()
        second = await in_thread(nursery.start, site)
        await load.more(40)
        took_s = time.monotonic() - began
    print(f"serving and 40 answers after {took_s:.2f} s; {len(load.tally.lost)} lost before")
    assert took_s < promised(3.0)
    assert await in_thread(second.position) == before
    assert [one for one in load.tally.lost if one.connected_s > buried_s] == []
    assert set(load.tally.statuses) == {200}
